//! What travels between the workers of a sharded build.

use serde::{Deserialize, Serialize};
use walkprint_walkers::round::Arrival;

use crate::wire::Numbers;

/// What one worker sends another in a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Who gets it.
    pub(crate) worker: u32,
    /// Whether the sender was asked to stop: then nobody begins another block.
    pub(crate) stop: bool,
    /// What arrives.
    pub(crate) arrivals: Numbers<Arrival>,
}

/// What one worker noted for the sources of a task: one part of their fingerprints. The worker that puts them together
/// keeps its own, and tells itself with a part that is empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The task's place in the list.
    pub(crate) task: u32,
    /// Partial fingerprints, one after the other.
    pub(crate) bytes: Numbers<u8>,
    /// Where each ends.
    pub(crate) ends: Numbers<u32>,
}
