//! Short walks between the two sides of a graph: from users to items and back, as recommenders walk.
//!
//! [`Sides`] holds the edges between two sets of nodes, left and right, walked both ways. A [`ShortWalks`] says which walks
//! count and how: their lengths, and powers of weights and degrees. A [`ShortWalker`] gives the score of every right node for
//! seeds on the right (a user *is* the items of her row), and [`Lists`] keeps the best right nodes of each.
//!
//! With `w` the weights, `d` the sums of weights of a node, and `S` the seeds' weights, the score of right node `i` by walks of
//! three steps is
//!
//! ```text
//!             ⎛ S_j ⎞t     w_ju^t                w_ui^t                1
//!  Σ    Σ     ⎜ ─── ⎟  · ──────────────── · ─────────────── · ─────────────────
//!  j    u     ⎝ Σ S ⎠    d_j^right_power     d_u^left_power    d_i^popularity_power
//! ```
//!
//! with `t` the `transition_power`; the other two powers are `t` as well unless they are given. Longer walks go on in the same way
//! from each right node that they come to. So these are settings of one thing:
//!
//! | model | lengths | settings |
//! |---|---|---|
//! | P3 (Cooper, Lee, Radzik & Siantos, "Random walks in recommender systems", WWW 2014) | 3 | |
//! | P3alpha (the same, section 3) | 3 | `transition_power` |
//! | RP3beta (Paudel, Christoffel, Newell & Bernstein, "Updatable, accurate, diverse, and scalable recommendations for interactive applications", TiiS 2016) | 3 | `transition_power`, `popularity_power` |
//! | degree-normalised propagation (LinkProp: Fu et al., "Revisiting neighborhood-based link prediction for collaborative filtering", WWW 2022) | 3 | `left_power`, `right_power`, `popularity_power` |
//! | sharpened (after BSPM: Choi et al., SIGIR 2023: what longer walks reach counts against a node) | 3 and 5 | a negative weight for 5 |
//! | multi-hit boost (Pixie: Eksombatchai et al., WWW 2018, section 3.1) | any | `boost` 2: `(Σ_j sqrt(score from seed j))²` |
//!
//! Scores are linear in what the first step gives to the seeds, unless there is a boost. Everything is double precision, in an
//! order that depends on graph and seeds alone: **the same bits from any thread.** (Test: `query::tests::two_sided`.)

mod sides;

mod settings;

mod walker;

mod lists;

pub use lists::Lists;
pub use settings::ShortWalks;
pub use sides::Sides;
pub use walker::{Best, ShortWalker};
