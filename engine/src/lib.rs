//! The nouns of Walkprint: what is stored, asked and answered.
//!
//! In reading order: external and internal node [`ids`], the errors, the processor's cache ([`prefetch`]), the binary file
//! container and its memory map, the types of nodes and edges ([`kinds`]), the [`edges`] that a loader hands over, the
//! [`events`] that change a graph, the [`graph`], the texts of [`passages`], the [`plan`] of an index, [`fingerprint`]s, the [`index`], the [`store`] that holds all of them, the [`parts`]
//! of a graph that lies in shards, the [`query`] that answers, and [`retrieval`], which makes seeds of questions in words.
//!
//! **Nothing here starts a thread, opens a socket, reads a clock or draws a random number.** (Kept by
//! `clippy.toml` and by `tests/tests/architecture.rs`.)

pub mod ids;

pub mod error;

pub mod prefetch;

pub mod file;

pub mod kinds;

pub mod edges;

pub mod events;

pub mod graph;

pub mod labels;

pub mod passages;

pub mod plan;

pub mod fingerprint;

pub mod index;

pub mod store;

pub mod parts;

pub mod query;

pub mod retrieval;
