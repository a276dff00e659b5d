//! A store's graph as it is now, for somebody who asks: the graph with the events that it has not absorbed, and what that means
//! for its indexes.

use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::kinds::{KindTables, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, ChangedRows};
use walkprint_engine::store::Store;

use super::changes::Changes;
use super::graph::{LiveGraph, Missing};
use super::reading::{Batch, check};
use crate::error::{Error, Result};

/// A store's graph as it is now, with what that means for its indexes.
pub struct Now {
    /// The graph; a weighted one has no sampling table.
    pub graph: Graph,
    /// The ids of its nodes.
    pub labels: Labels,
    /// What differs from the graph that the indexes are of.
    pub changes: ChangedRows,
    /// How many events the graph in the store has not absorbed.
    pub events: u64,
    /// What they came to.
    all: Changes,
}

impl Now {
    /// The graph of a store with all events of its log; none when there are no events, and the graph in the store is what it is
    /// now. Cost: the log is read, and the graph copied.
    ///
    /// # Errors
    /// When a file is damaged, or a new generation was published meanwhile.
    pub fn of(store: &Store) -> Result<Option<Now>> {
        if store.manifest().live.is_none() {
            return Ok(None);
        }
        let (mut live, mut events) = (None, 0);
        check(store.path(), &mut |batch| {
            if live.is_none() {
                live = Some(LiveGraph::open(store, 1)?);
            }
            events += batch.events.len() as u64;
            live.as_mut().map_or(Ok(()), |live| replay(live, &batch))
        })?;
        // The log may be that of a newer generation, which has absorbed events that this one has not.
        if Store::open(store.path())?.manifest().generation != store.manifest().generation {
            let what = format!("{}: a new generation was published meanwhile; ask again", store.path().display());
            return Err(Error::Request { what });
        }
        live.map(|live| Now::after(&live, events)).transpose()
    }

    /// The graph with what was counted.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub fn after(live: &LiveGraph, events: u64) -> Result<Now> {
        let changes = live.changes()?;
        let graph = changes.graph(live.base())?;
        let labels = changes.labels(live.labels())?;
        let rows = ChangedRows::of_rows(live.base(), &graph, changes.rows.keys().copied())?;
        Ok(Now { graph, labels, changes: rows, events, all: changes })
    }

    /// The types of nodes and edges; none when nothing has one. `base` and `kinds` are those in the store. Cost: the codes of all nodes
    /// and edges are copied.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn kinds(&self, base: &Graph, kinds: Option<&Kinds>) -> Result<Option<Kinds>> {
        let tables = kinds.map_or(Ok(KindTables::default()), Kinds::tables)?;
        Ok(Kinds::from(&self.all.kinds(&tables, base, &self.graph)?).if_any())
    }

    /// Somebody who answers about the graph as it is now, from an index of the graph in the store.
    ///
    /// # Errors
    /// When the index is of another graph, or `restart_prob` not its own.
    pub fn answerer<'n>(&'n self, index: Option<&'n Index>, restart_prob: f64) -> Result<Answerer<'n>> {
        Ok(Answerer::about(&self.graph, &self.labels, index, Some(&self.changes), restart_prob)?)
    }
}

/// How many events a store's graph has not absorbed. Cost: the log is read.
///
/// # Errors
/// When the log is damaged.
pub fn waiting(store: &Store) -> Result<u64> {
    let mut events = 0;
    // Most stores have no log, and are not to be read once more for that.
    if store.manifest().live.is_some() {
        check(store.path(), &mut |batch| {
            events += batch.events.len() as u64;
            Ok(())
        })?;
    }
    Ok(events)
}

/// Counts a batch of a log. What it removes may not be there: it was checked when it was taken.
pub(crate) fn replay(live: &mut LiveGraph, batch: &Batch) -> Result<()> {
    let staged = live.stage(&batch.events, Missing::Ignore).map_err(|refused| refused.why)?;
    live.commit(staged)
}
