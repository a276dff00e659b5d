//! The query server: HTTP over memory-mapped stores.
//!
//! ```text
//!  request ─▶ listening ─▶ around ─────────────▶ answers, local, browse, health ─▶ compute ─▶ a seat in a world
//!             (sockets,    (number, key, log,     (one page each)                  (threads,   (one generation of one store,
//!              TLS, stop)   counting, problems)                                     two queues)  of the catalog)
//! ```
//!
//! Pages are asynchronous and never compute; answers are computed by threads of their own, so that a costly question holds up no
//! connection. **The server's answers are the program's, bit for bit**: both ask the same engine in the same way. (Test:
//! `tests/tests/server_answers.rs`.)

mod access;

mod settings;

mod problem;

mod compute;

mod base;

mod world;

mod keeping;

mod intake;

mod compacting;

mod shelf;

mod catalog;

mod request;

mod reply;

mod residency;

mod metering;

mod incoming;

mod answers;

mod local;

mod recommending;

mod retrieving;

mod updating;

mod browse;

mod health;

mod openapi;

mod around;

mod app;

mod listening;

pub use access::{Keys, Scope};
pub use listening::{Served, serve};
pub use local::{Edge, LocalRequest};
pub(crate) use openapi::MethodSchema;
pub use problem::ProblemBody;
pub use recommending::{RecommendBody, RecommendRequest, RecommendedItem};
pub use reply::*;
pub use request::{BatchRequest, DebiasBy, DebiasRequest, ExplainRequest, ExplainWith, Popularity, QueryRequest, Seed};
pub use settings::{Bounds, Offer, Settings, Updates};
pub use updating::{CompactBody, MissingEvents, UpdateBody, UpdateRequest};
