//! Answers: which nodes matter to a set of seeds.
//!
//! A [`Question`] holds [`Seeds`], a [`Method`] and a [`Dangling`] policy; an [`Answerer`] holds a graph, its labels and
//! perhaps an index, and turns questions into [`Answer`]s. Everything works on one linear core: with `a` the restart
//! probability, `s` the seeds, and *P* the transition probabilities with zero rows for dangling nodes,
//!
//! ```text
//! q = a * s * (I - (1 - a) P)^-1
//! ```
//!
//! which is linear in `s`. A method leaves `q` in the workspace, as mass that was pushed plus what fingerprints add:
//!
//! | method | `q` | error | cost |
//! |---|---|---|---|
//! | `exact` | pushed until next to nothing is left | L1 at most `residual` | about `ln(1 / residual) / (2 restart_prob)` passes over the edges |
//! | `combine` | pushed down to a threshold, then fingerprints, the last step exact | a standard error per score, and what was left out | edges pushed, stored visits read, and out-edges of what they visited |
//! | `block` | swept, sixteen seed sets at once | a standard error per score | a quarter of sweeping for each alone |
//! | `lookup` | the seeds' fingerprints | a standard error per score | stored visits read |
//!
//! From `q` follow the scores under every [`Dangling`] policy, from the same index; [`Answerer::explain`] says which seeds and
//! which paths they come from.
//!
//! The graph may have changed since its index was built: [`Answerer::with_changes`] takes the graph as it is now and the
//! [`ChangedRows`], and what fingerprints say is amended by what has changed, under every method and policy. **Such answers are
//! as unbiased as those of a fresh index, about as precise, and the same bit for bit where nothing has changed.** (Test:
//! `query::tests::changed`.)
//!
//! A [`Shape`] says which nodes may be results, and whether popularity counts against them.
//!
//! **No score is returned without its status**: exact with its residual, or estimated with a standard error each, and
//! truncated or not. (Test: `query::tests::policies`.) **No score is NaN, whatever the bytes of graph and index.** (Test:
//! `query::tests::damage`.)
//!
//! Papers: Jeh & Widom, "Scaling personalized web search", WWW 2003. Andersen, Chung & Lang, "Local graph partitioning
//! using PageRank vectors", FOCS 2006. Liu, Li, Lui & Cheng, "PowerWalk", CIKM 2016. Wang, Yang, Xiao, Wei & Yang, "FORA",
//! KDD 2017. Wu, Gan, Wei & Zhang, "Unifying the global and local approaches: an efficient power iteration with forward
//! push" (PowerPush, SpeedPPR), SIGMOD 2021.

mod seeds;

mod shape;

mod question;

mod answer;

mod answerer;

mod pointwise;

mod workspace;

mod halt;

mod push;

mod vector;

mod weights;

mod together;

mod sweep;

mod block;
mod blocks;

mod exact;

mod tally;

mod changes;

mod stored;

mod amend;

mod lookup;

mod combine;

mod dangling;

mod ranking;

mod gathered;

mod neighbourhood;

mod paths;

mod explain;

pub mod two_sided;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Ranked, Scores, Status};
pub use answerer::Answerer;
pub use block::{LANES, LEAST_PRECISION};
pub use changes::ChangedRows;
pub use explain::{Contribution, ExplainSettings, Explained, Explanation, Hop, Others, Path, PathStatus, Searched};
pub use gathered::{Draft, Gathered, Gatherer, Left, UniformAnswer, returns};
pub use question::{Dangling, Method, PushBound, Question};
pub use seeds::Seeds;
pub use shape::{Debias, MOST_SUPPORTERS, PopularityKind, SUPPORT_SHARE, Shape};
pub use together::Crew;
