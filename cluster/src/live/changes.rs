//! What a graph has become, as the difference to what it was.

use walkprint_engine::error::Result;
use walkprint_engine::graph::{ChangedKinds, ChangedRows, Graph};
use walkprint_engine::kinds::KindTables;
use walkprint_engine::labels::Labels;

/// The difference between a graph and the one it came from. Nodes keep their numbers; new ones come behind them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The digest of the graph that changed.
    pub base_digest: u128,
    /// The ids of new nodes; the first is that of the node behind the last one of the graph that changed.
    pub new_ids: Vec<String>,
    /// The rows that are others than before, whole: targets, ascending, and weights above zero. A removed node keeps its number
    /// and has no edge.
    pub rows: ChangedRows,
    /// The types that are others than before.
    pub kinds: ChangedKinds,
}

impl Changes {
    /// True when nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new_ids.is_empty() && self.rows.is_empty() && self.kinds.nodes.is_empty() && self.kinds.edges.is_empty()
    }

    /// True when rows are as they were, and no node is new.
    #[must_use]
    pub fn keep_the_graph(&self) -> bool {
        self.new_ids.is_empty() && self.rows.is_empty()
    }

    /// The graph with its changes, in memory; a weighted one has no sampling table. Cost: see [`Graph::with_rows`].
    ///
    /// # Errors
    /// When the changes make no graph, or `base` is damaged.
    pub fn graph(&self, base: &Graph) -> Result<Graph> {
        base.with_rows(base.nodes() + self.new_ids.len(), &self.rows)
    }

    /// The labels of old and new nodes. Cost: see [`Labels::with_added`].
    ///
    /// # Errors
    /// When a new node has the id of another one, or labels are damaged.
    pub fn labels(&self, base: &Labels) -> Result<Labels> {
        base.with_added(&self.new_ids)
    }

    /// The types of nodes and edges of `graph`, which was made of `base` by these changes. Cost: see [`KindTables::changed`].
    ///
    /// # Errors
    /// When the tables are not of `base`.
    pub fn kinds(&self, tables: &KindTables, base: &Graph, graph: &Graph) -> Result<KindTables> {
        tables.changed(base, graph, &self.rows, &self.kinds)
    }
}
