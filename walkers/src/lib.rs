//! The verbs of Walkprint: from a graph to fingerprints.
//!
//! In reading order: [`alias`] tables that draw a neighbour in constant time, [`random`] numbers that depend on their
//! coordinates only, [`paths`] that are drawn as a whole, the walk [`kernel`], and the [`tally`] that packs what the walks visited.
//!
//! **A random draw depends only on (key, source, step, node): neither threads nor the order of work leave a trace.**
//! (Test: `kernel::tests::sources_walk_alone_as_they_walk_together`.)

pub mod alias;

pub mod random;

mod spread;

pub mod paths;

pub mod kernel;

mod radix;

pub mod tally;

pub mod shard;

pub mod round;

pub mod visits;

pub mod baseline;
