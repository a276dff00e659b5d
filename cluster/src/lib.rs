//! Processes: the timely dataflow that builds an index, the jobs around it, and what the `walkprint` program shows.
//!
//! The only crate that names timely, starts long-lived threads, or has a user's `main`.

pub mod error;

pub mod workers;

pub mod processes;

mod wire;

mod signature;

pub mod telemetry;

mod exchange;

mod rows;

pub mod load;

pub mod gather;

mod assembly;

pub mod graph_mode;

pub mod build;

pub mod live;

pub mod explanation;

pub mod choice;

pub mod sharded;

pub mod batch;

pub mod recommend;

pub mod senses;

pub mod terms;

pub mod serve;

pub mod retrieve;

pub mod server;

#[cfg(feature = "client")]
pub mod client;
