//! A lane: one question of a block, and how far it is pushed.

use serde::{Deserialize, Serialize};
use walkprint_engine::query::Dangling;

/// What the question of a lane asks. Its seeds travel by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// How many results.
    pub(crate) top: usize,
    /// What is assumed about dangling nodes.
    pub(crate) dangling: Dangling,
    /// The L1 error to aim at.
    pub(crate) precision: f64,
}

/// A lane in a phase of its block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lane {
    /// Its number in the block.
    pub(crate) number: u32,
    /// What the asker knows the question by.
    pub(crate) tag: u64,
    /// The question.
    pub(crate) asked: Asked,
    /// Nodes are pushed while their residual is above this x max(1, out-degree).
    pub(crate) threshold: f64,
}

/// Which worker puts a lane's answer together.
pub(super) fn home(lane: u32, workers: usize) -> u64 {
    u64::from(lane) % workers as u64
}
