//! The nouns of Walkprint: what is stored, asked and answered.
//!
//! In reading order: external and internal node [`ids`], the [`edges`] that a loader hands over, the errors, the
//! binary file container and its memory map, the [`graph`], the [`plan`] of an index, [`fingerprint`]s, the [`index`],
//! the [`store`] that holds all of them, and the [`query`] that answers from them.
//!
//! **Nothing here starts a thread, opens a socket, reads a clock or draws a random number.** (Kept by
//! `clippy.toml` and by `tests/tests/architecture.rs`.)

pub mod ids;

pub mod edges;

pub mod error;

pub mod file;

pub mod graph;

pub mod labels;

pub mod plan;

pub mod fingerprint;

pub mod index;

pub mod store;

pub mod query;
