//! Recommendation: from a store of users and items to the items that each user should see next, and how good that is.
//!
//! ```text
//! store ──▶ audience (sides, ids, popularity) ──▶ recommender (settings, lists) ──▶ scorers, one a thread ──▶ output
//!                                       tune ──▶ settings                                        └──▶ evaluate ──▶ metrics
//! ```
//!
//! All models are settings of the engine: short walks ([`walkprint_engine::query::two_sided`]), personalized PageRank from a user's
//! items, and popularity. **A user is the items that she had to do with**: one who is in the graph and one who is not, with the
//! same items, get the same answer. (Test: `tests/tests/recommend.rs`.)

mod settings;

mod audience;

mod in_order;

mod recommender;

mod output;

mod test_set;

mod metrics;

mod tune;

pub use audience::{Audience, Person};
pub use metrics::{Evaluation, UserMetrics, evaluate};
pub use output::{Format, LISTED, OutputFile, RECOMMENDED, Row, write_all};
pub(crate) use recommender::personalized;
pub use recommender::{Pick, Recommended, Recommender, Scorer};
pub use settings::{ModelKind, PRESETS, Settings, Steps};
pub use test_set::{TestSet, TestUser};
pub use tune::{Trial, TuneOptions, Tuned, tune};
