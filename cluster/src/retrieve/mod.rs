//! Retrieval over knowledge graphs: a question in words becomes seeds, and the nodes that matter to them come back with the chains of
//! triples that lead there.
//!
//! ```text
//! request ─▶ engine::retrieval: names, specificity, passages ─▶ seeds ─▶ engine::query ─▶ ranked ─▶ cut to a budget ─▶ reply
//! ```
//!
//! The program and the server answer by the same function, [`retrieve`]. (Test: `tests/tests/retrieval.rs`.)

mod request;

mod answer;

mod questions;

mod metrics;

pub use answer::{Ground, retrieve};
pub use metrics::{Judged, Metrics, judge};
pub use questions::{AskedQuestion, read_questions};
pub use request::{
    Chain, Of, PassageScore, RankBy, RetrieveReply, RetrieveRequest, RetrieveStatus, Retrieved, SeedFound, Step,
    USUAL_RESTART_PROB,
};
