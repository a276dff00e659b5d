//! A lane: one question of a block, and how far it is pushed.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answer, Dangling};
use walkprint_walkers::random::SourceStream;

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
    /// The key of its random numbers, which its seeds tell.
    pub(crate) key: u64,
}

/// What was left of a lane at a node, and may be taken from the node's fingerprint.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) node: NodeId,
    pub(super) lane: u32,
    /// What was left, in units.
    pub(super) residual: u64,
    /// The weight of the fingerprint, in units: more than what was left, if others were left out for it.
    pub(super) weight: u64,
}

/// The key of a question with these seeds.
pub(super) fn key(seeds: &[(NodeId, f64)]) -> u64 {
    seeds.iter().fold(0, |key, &(node, weight)| SourceStream::new(key ^ weight.to_bits(), node).next_step())
}

/// What is made of an answer where it was put together.
pub(crate) type Report<P> = Rc<dyn Fn(&Lane, Answer) -> P>;

/// Which worker puts a lane's answer together.
pub(super) fn home(lane: u32, workers: usize) -> u64 {
    u64::from(lane) % workers as u64
}
