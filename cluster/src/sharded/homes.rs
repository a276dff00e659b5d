//! Which worker reads which fingerprint.
//!
//! A segment of the index may be in the stores of all processes, or of some. The owner of a node's row reads its fingerprint
//! where its process sees it; otherwise a worker of a process that does.

use std::sync::Arc;

use timely::worker::Worker;
use walkprint_engine::graph::Owners;
use walkprint_engine::ids::NodeId;

use super::world::World;
use crate::error::{Error, Result};
use crate::processes::agree;

/// Who sees which segment of the index.
#[derive(Debug, Clone)]
pub(super) struct Seers {
    /// By segment: the processes that see it, ascending.
    of_segment: Vec<Vec<usize>>,
    /// Workers of each process.
    workers: usize,
}

impl Seers {
    /// Agrees on who sees what. `workers`: of each process. Every worker must call it.
    pub(super) fn find(worker: &mut Worker, world: &World, workers: usize) -> Seers {
        let own: Vec<bool> = world.index().here().collect();
        let seen: Vec<Vec<bool>> = agree::from_all(worker, own).into_iter().step_by(workers).collect();
        let segments = world.index().entry().segments.len();
        let seers = |segment| (0..seen.len()).filter(|&process| seen[process][segment]).collect();
        Seers { of_segment: (0..segments).map(seers).collect(), workers }
    }

    /// Makes sure that every segment is somewhere: all processes come to the same.
    ///
    /// # Errors
    /// When one is nowhere.
    pub(super) fn expect_all(&self, world: &World) -> Result<()> {
        let Some(nowhere) = self.of_segment.iter().position(Vec::is_empty) else { return Ok(()) };
        let entry = world.index().entry();
        let file = &entry.segments[nowhere].file;
        let what = format!("{file} of index {:?} ({}) is in no process's store", entry.name, entry.directory);
        Err(Error::Request { what })
    }
}

/// Says who reads the fingerprint of a node.
#[derive(Debug, Clone)]
pub(super) struct Homes {
    owners: Arc<Owners>,
    seers: Arc<Seers>,
    world: Arc<World>,
}

impl Homes {
    pub(super) fn new(owners: Arc<Owners>, seers: Seers, world: Arc<World>) -> Homes {
        Homes { owners, seers: Arc::new(seers), world }
    }

    /// The worker that reads the fingerprint of a node. Cost: a binary search over segments.
    pub(super) fn of(&self, node: NodeId) -> u64 {
        let owner = self.owners.owner(node) as usize;
        let Seers { of_segment, workers } = &*self.seers;
        let seers = &of_segment[self.world.index().segment_of(node)];
        let process = owner / workers;
        let reader = match seers.binary_search(&process) {
            Ok(_) => owner,
            // Spread over those who see it, as owners are.
            Err(_) => seers[process % seers.len()] * workers + owner % workers,
        };
        reader as u64
    }
}
