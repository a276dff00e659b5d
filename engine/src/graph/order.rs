//! In which order nodes are numbered: neighbours that lie close in memory make walks, scans and fingerprints cheaper.
//!
//! Every order is a pure function of the graph (ties by external id), so that any way of loading gives the same bytes.
//! ARCHITECTURE.md has the measurements behind the default.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use crate::ids::NodeId;

/// A rule that numbers the nodes of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeOrder {
    /// As the external ids are sorted.
    Id,
    /// By falling total degree: the rows that walks visit most share few cache lines.
    Degree,
    /// Breadth-first along edges in both directions, from the node of highest degree: neighbours get close numbers.
    #[default]
    BreadthFirst,
}

impl fmt::Display for NodeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeOrder::Id => "id",
            NodeOrder::Degree => "degree",
            NodeOrder::BreadthFirst => "breadth-first",
        })
    }
}

impl FromStr for NodeOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "id" => Ok(NodeOrder::Id),
            "degree" => Ok(NodeOrder::Degree),
            "breadth-first" => Ok(NodeOrder::BreadthFirst),
            _ => Err(format!("expected id, degree or breadth-first, got {text:?}")),
        }
    }
}

impl NodeOrder {
    /// The ranks of the nodes in their new order: entry *v* is the rank of the node that gets number *v*.
    ///
    /// `offsets` and `targets` are rows over ranks. Cost: linear in nodes and edges, plus a sort of the nodes by
    /// degree; `BreadthFirst` holds a second copy of the edges, reversed.
    pub(super) fn ranks(self, offsets: &[u64], targets: &[NodeId]) -> Vec<u32> {
        let nodes = NodeId::try_from(offsets.len() - 1).expect("the builder bounds the number of nodes");
        if self == NodeOrder::Id {
            return (0..nodes).collect();
        }
        let reverse = Rows::reversed(offsets, targets);
        let forward = Rows { offsets: offsets.to_vec(), targets: targets.to_vec() };
        let mut by_degree: Vec<u32> = (0..nodes).collect();
        by_degree.sort_by_key(|&node| std::cmp::Reverse(forward.row(node).len() + reverse.row(node).len()));
        if self == NodeOrder::Degree {
            return by_degree;
        }
        let mut order = Vec::with_capacity(nodes as usize);
        let mut seen = vec![false; nodes as usize];
        let mut queue = VecDeque::new();
        for start in by_degree {
            if std::mem::replace(&mut seen[start as usize], true) {
                continue;
            }
            queue.push_back(start);
            while let Some(node) = queue.pop_front() {
                order.push(node);
                for &next in forward.row(node).iter().chain(reverse.row(node)) {
                    if !std::mem::replace(&mut seen[next as usize], true) {
                        queue.push_back(next);
                    }
                }
            }
        }
        order
    }
}

struct Rows {
    offsets: Vec<u64>,
    targets: Vec<NodeId>,
}

#[expect(clippy::cast_possible_truncation, reason = "offsets index a vector")]
impl Rows {
    fn reversed(offsets: &[u64], targets: &[NodeId]) -> Rows {
        let mut starts = vec![0u64; offsets.len()];
        for &target in targets {
            starts[target as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut sources = vec![0; targets.len()];
        for (source, pair) in offsets.windows(2).enumerate() {
            for &target in &targets[pair[0] as usize..pair[1] as usize] {
                let place = &mut next[target as usize];
                sources[*place as usize] = source as NodeId;
                *place += 1;
            }
        }
        Rows { offsets: starts, targets: sources }
    }

    fn row(&self, node: u32) -> &[NodeId] {
        &self.targets[self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize]
    }
}
