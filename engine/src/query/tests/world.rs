//! Small graphs with labels, and indexes of naive walks: one packet after the other, each step drawn on its own.

use std::collections::BTreeMap;

use tempfile::TempDir;

use crate::edges::EdgeList;
use crate::error::Result;
use crate::fingerprint::{self, Visits};
use crate::graph::{self, AliasSlot, Graph, NodeOrder};
use crate::ids::NodeId;
use crate::index::{Index, IndexEntry, SegmentEntry, SegmentId, SegmentWriter};
use crate::labels::Labels;
use crate::plan::{Pipeline, Plan, UNITS_PER_PACKET, UNITS_PER_WALK};
use crate::query::Answerer;

/// SplitMix64 (Steele, Lea & Flood 2014): enough for tests.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }
}

pub(super) type Edges = Vec<(u32, u32, f64)>;

/// A random graph with everything in it: weights over five orders of magnitude, self-loops, dangling and isolated nodes,
/// usually several components. Edges leave the first two thirds of the nodes only.
pub(super) fn random_edges(nodes: u32, edges: u32, weighted: bool, random: &mut Random) -> Edges {
    (0..edges)
        .map(|_| {
            let (source, target) = (random.below(nodes * 2 / 3 + 1), random.below(nodes));
            (source, target, if weighted { 10f64.powf(5.0 * random.share() - 2.0) } else { 1.0 })
        })
        .collect()
}

/// A graph whose node numbers are its external ids, and its files.
pub(super) struct World {
    pub(super) directory: TempDir,
    pub(super) graph: Graph,
    pub(super) labels: Labels,
}

impl World {
    pub(super) fn new(nodes: u32, edges: &[(u32, u32, f64)]) -> World {
        World::ordered(nodes, edges, NodeOrder::Id)
    }

    /// A graph in another node order: node numbers are then no ids.
    pub(super) fn ordered(nodes: u32, edges: &[(u32, u32, f64)], order: NodeOrder) -> World {
        let weighted = edges.iter().any(|edge| edge.2 != 1.0);
        let built = graph::build(EdgeList::numbered(nodes, edges, weighted), order).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.wpl");
        Labels::write(&path, &built.ids, &built.rank_of_node).unwrap();
        World { directory, graph: built.graph, labels: Labels::open(&path).unwrap() }
    }

    /// The bytes of the graph's file.
    pub(super) fn graph_bytes(&self) -> Vec<u8> {
        let path = self.directory.path().join("graph.wpg");
        let slot = AliasSlot { share: 1.0, target: 0, alias: 0 };
        self.graph.clone().with_aliases(vec![slot; self.graph.edges()]).write(&path).unwrap();
        std::fs::read(&path).unwrap()
    }

    /// The graph of these bytes, mapped from a file.
    pub(super) fn mapped(&self, bytes: &[u8]) -> Result<Graph> {
        let path = self.directory.path().join("mapped.wpg");
        std::fs::write(&path, bytes).unwrap();
        Graph::open(&path)
    }

    pub(super) fn answerer<'w>(&'w self, index: Option<&'w Index>, restart_prob: f64) -> Answerer<'w> {
        Answerer::new(&self.graph, &self.labels, index, restart_prob).unwrap()
    }

    /// An index of naive walks.
    pub(super) fn index(&self, plan: &Plan) -> Index {
        let sources = u32::try_from(self.graph.nodes()).unwrap();
        self.index_of(
            plan,
            (0..sources).map(|source| (plan.walks_of(self.graph.degree(source)), self.walk(plan, source))),
        )
    }

    /// An index of given fingerprints: walks and visits of each source.
    pub(super) fn index_of(&self, plan: &Plan, fingerprints: impl Iterator<Item = (u32, Vec<Visits>)>) -> Index {
        let end = u32::try_from(self.graph.nodes()).unwrap();
        let pipeline = Pipeline { number: 0, first: 0, end };
        let graph_digest = self.graph.digest();
        let id = SegmentId { pipeline, graph_digest, plan_digest: plan.digest() };
        let (mut writer, mut entries) = (SegmentWriter::new(id), 0);
        for (walks, visits) in fingerprints {
            let mut bytes = Vec::new();
            fingerprint::encode(walks, &visits, &mut bytes);
            entries += visits.len() as u64;
            writer.push(&bytes).unwrap();
        }
        let path = self.directory.path().join("segment.wps");
        writer.write(&path).unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        let entry = IndexEntry {
            name: "default".to_owned(),
            generation: 1,
            directory: ".".to_owned(),
            plan: plan.clone(),
            graph_digest: format!("{graph_digest:032x}"),
            entries,
            bytes,
            fingerprint_digest: String::new(),
            segments: vec![SegmentEntry { file: "segment.wps".to_owned(), pipeline, bytes }],
        };
        Index::open(self.directory.path(), &entry, self.graph.nodes(), graph_digest).unwrap()
    }

    /// Walks in packets that know nothing of each other: the most variance that a fingerprint may have.
    fn walk(&self, plan: &Plan, source: NodeId) -> Vec<Visits> {
        let mut random = Random(plan.rng_key ^ u64::from(source) << 32);
        let mut units: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut left = plan.walks_of(self.graph.degree(source)) * UNITS_PER_WALK;
        while left != 0 {
            let packet = left.min(UNITS_PER_PACKET);
            left -= packet;
            let mut at = source;
            loop {
                *units.entry(at).or_default() += packet;
                let row = self.graph.row(at).unwrap();
                if row.degree() == 0 || random.share() < plan.restart_prob {
                    break;
                }
                let mut point = random.share() * row.total;
                let edge = (0..row.degree()).find(|&edge| {
                    point -= row.weight(edge);
                    point < 0.0
                });
                at = row.targets[edge.unwrap_or(row.degree() - 1)];
            }
        }
        units.into_iter().map(|(node, units)| Visits { node, units }).collect()
    }
}
