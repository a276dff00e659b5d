//! What is measured on: a file, a store, or a generated graph.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::slice;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use walkprint_cluster::load::store_edges;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::{Graph, NodeOrder, build};
use walkprint_engine::ids::NodeId;
use walkprint_engine::store::Store;
use walkprint_loaders::LoadOptions;
use walkprint_walkers::alias;
use xxhash_rust::xxh3::Xxh3;

use crate::rmat::{hub, rmat, rmat_nodes, weights};

/// More than 2^30 generated nodes are refused: they would need more memory than this program is used with.
const LARGEST_SCALE: u32 = 30;

/// What a [`Spec`] may be, for people.
pub(crate) const SPEC_HELP: &str = "A file that `walkprint load` reads, a store (*.wp), \
                                    rmat:SCALE:EDGES_PER_NODE[:weighted], \
                                    rmat-nodes:NODES:EDGES[:weighted] (no dangling nodes), or \
                                    hub:NODES:EDGES[:weighted] (the same, one node with a tenth of all edges)";

/// Which graph.
#[derive(Debug, Args)]
pub(crate) struct GraphOptions {
    /// What is measured on.
    #[arg(long, value_name = "SPEC", help = SPEC_HELP)]
    pub(crate) graph: Spec,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The key of all random numbers
    #[arg(long, default_value_t = 0)]
    pub(crate) key: u64,
}

/// How a graph is read and numbered.
#[derive(Debug, Clone, Copy, PartialEq, Default, Args)]
pub(crate) struct Reading {
    /// Walk every edge of a file in both directions
    #[arg(long)]
    pub(crate) undirected: bool,
    /// Every edge weighs 1: weights of a file are ignored, and an edge that it lists twice counts once
    #[arg(long)]
    pub(crate) unweighted: bool,
    /// Give every edge of a file a weight from 1 to 100 by --key, whatever it weighs there
    #[arg(long, conflicts_with = "unweighted")]
    pub(crate) random_weights: bool,
    /// How to number the nodes: id, degree or breadth-first [default: breadth-first]
    #[arg(long)]
    pub(crate) order: Option<NodeOrder>,
}

/// Where a graph comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spec {
    /// Generated.
    Rmat {
        /// Logarithm of the number of nodes.
        scale: u32,
        /// Edges for each node, parallel ones counted apart.
        edges_per_node: u32,
        /// Whether edges have weights.
        weighted: bool,
    },
    /// Generated, of any size and without dangling nodes.
    RmatNodes {
        /// How many nodes.
        nodes: u32,
        /// How many edges, all different.
        edges: u64,
        /// Whether edges have weights.
        weighted: bool,
    },
    /// Generated like [`Spec::RmatNodes`], but one node has a tenth of all edges.
    Hub {
        /// How many nodes.
        nodes: u32,
        /// How many edges, all different.
        edges: u64,
        /// Whether edges have weights.
        weighted: bool,
    },
    /// The graph of a store.
    Store(PathBuf),
    /// Read from a file.
    File(PathBuf),
}

/// The graphs on which this program's targets were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Landmark {
    /// soc-Epinions1 made undirected.
    Epinions,
    /// R-MAT, 200,000 nodes, 3,000,000 edges, no dangling nodes, unweighted.
    Rmat,
}

/// What a report says of the graph.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GraphFacts {
    spec: String,
    pub(crate) nodes: usize,
    pub(crate) edges: usize,
    weighted: bool,
    pub(crate) dangling_nodes: usize,
    order: String,
    /// XXH3-128 over all rows: equal for equal graphs, wherever they came from.
    checksum: String,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Spec, String> {
        if let Some(parameters) = text.strip_prefix("rmat:") {
            return generated(parameters);
        }
        if let Some(parameters) = text.strip_prefix("rmat-nodes:") {
            let (nodes, edges, weighted) = size(parameters, "rmat-nodes:NODES:EDGES[:weighted]")?;
            return Ok(Spec::RmatNodes { nodes, edges, weighted });
        }
        if let Some(parameters) = text.strip_prefix("hub:") {
            let (nodes, edges, weighted) = size(parameters, "hub:NODES:EDGES[:weighted]")?;
            return Ok(Spec::Hub { nodes, edges, weighted });
        }
        let path = PathBuf::from(text);
        let is_store = path.is_dir() || path.extension().is_some_and(|extension| extension == "wp");
        Ok(if is_store { Spec::Store(path) } else { Spec::File(path) })
    }
}

/// Two numbers and perhaps `:weighted`.
fn parameters<'t>(text: &'t str, expected: &str) -> Result<([&'t str; 2], bool), String> {
    match text.split(':').collect::<Vec<_>>()[..] {
        [first, second] => Ok(([first, second], false)),
        [first, second, "weighted"] => Ok(([first, second], true)),
        _ => Err(expected.to_owned()),
    }
}

fn generated(text: &str) -> Result<Spec, String> {
    let expected = "expected rmat:SCALE:EDGES_PER_NODE[:weighted], as in rmat:20:16:weighted";
    let (numbers, weighted) = parameters(text, expected)?;
    let [scale, edges_per_node] = numbers.map(|number| number.parse::<u32>().ok());
    let scale = scale.filter(|scale| (1..=LARGEST_SCALE).contains(scale));
    let scale = scale.ok_or(format!("{expected}; SCALE is between 1 and {LARGEST_SCALE}"))?;
    let edges_per_node = edges_per_node.filter(|&edges| edges != 0);
    let edges_per_node = edges_per_node.ok_or(format!("{expected}; EDGES_PER_NODE is at least 1"))?;
    Ok(Spec::Rmat { scale, edges_per_node, weighted })
}

fn size(text: &str, form: &str) -> Result<(u32, u64, bool), String> {
    let expected = format!("expected {form}, as in 200000:3000000");
    let ([nodes, edges], weighted) = parameters(text, &expected)?;
    let most = 1u32 << LARGEST_SCALE;
    let nodes = nodes.parse().ok().filter(|nodes| (1..=most).contains(nodes));
    let nodes = nodes.ok_or(format!("{expected}; NODES is between 1 and {most}"))?;
    let edges = edges.parse().ok().filter(|&edges| u64::from(nodes) <= edges);
    let edges = edges.ok_or(format!("{expected}; EDGES is at least NODES, so that no node is dangling"))?;
    Ok((nodes, edges, weighted))
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spec::Rmat { scale, edges_per_node, weighted } => {
                write!(f, "rmat:{scale}:{edges_per_node}{}", if *weighted { ":weighted" } else { "" })
            }
            Spec::RmatNodes { nodes, edges, weighted } => {
                write!(f, "rmat-nodes:{nodes}:{edges}{}", if *weighted { ":weighted" } else { "" })
            }
            Spec::Hub { nodes, edges, weighted } => {
                write!(f, "hub:{nodes}:{edges}{}", if *weighted { ":weighted" } else { "" })
            }
            Spec::Store(path) | Spec::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for GraphFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GraphFacts { spec, nodes, edges, weighted, dangling_nodes, order, checksum } = self;
        let weights = if *weighted { "weighted" } else { "unweighted" };
        let spec = Path::new(spec).file_name().map_or(spec.into(), |name| name.to_string_lossy());
        write!(f, "{spec}, {nodes} nodes ({dangling_nodes} dangling), {edges} edges, {weights}, order {order}")?;
        write!(f, ", checksum {checksum}")
    }
}

impl GraphOptions {
    /// The graph, ready to be walked, in memory unless it is a store's.
    ///
    /// # Errors
    /// When it cannot be read, or options do not fit where it comes from.
    pub(crate) fn graph(&self) -> Result<(Graph, GraphFacts)> {
        if let Spec::Store(_) = self.graph {
            let store = self.opened()?;
            let graph = store.graph()?;
            graph.check()?;
            let facts = self.facts(&graph, &store.manifest().graph.report.order)?;
            return Ok((graph, facts));
        }
        let built = build(self.edges()?, self.reading.order.unwrap_or_default())?;
        let mut graph = built.graph;
        if graph.is_weighted() {
            let slots = alias::tables(&graph)?;
            graph = graph.with_aliases(slots);
        }
        let facts = self.facts(&graph, &built.report.order)?;
        Ok((graph, facts))
    }

    /// A store of the graph: the given one, or a new one at `place`.
    ///
    /// # Errors
    /// As [`GraphOptions::graph`]; when the disk refuses.
    pub(crate) fn store(&self, place: &Path) -> Result<(Store, GraphFacts)> {
        let store = match self.graph {
            Spec::Store(_) => self.opened()?,
            _ => store_edges(place, self.edges()?, self.reading.order.unwrap_or_default())?,
        };
        let facts = self.facts(&store.graph()?, &store.manifest().graph.report.order)?;
        Ok((store, facts))
    }

    /// Whether the graph is that of a store which others may be using.
    pub(crate) fn is_store(&self) -> bool {
        matches!(self.graph, Spec::Store(_))
    }

    /// Which of the graphs that targets are stated for this is, if any.
    pub(crate) fn landmark(&self) -> Option<Landmark> {
        match &self.graph {
            Spec::File(path) if self.reading.undirected => {
                let name = path.file_name()?.to_str()?;
                name.starts_with("soc-Epinions1").then_some(Landmark::Epinions)
            }
            Spec::RmatNodes { nodes: 200_000, edges: 3_000_000, weighted: false } => Some(Landmark::Rmat),
            _ => None,
        }
    }

    fn opened(&self) -> Result<Store> {
        let Spec::Store(path) = &self.graph else { bail!("{} is no store", self.graph) };
        if self.reading != Reading::default() {
            bail!(
                "{}: --undirected, --unweighted, --random-weights and --order say how to load a graph, but a store is loaded already",
                path.display()
            );
        }
        Ok(Store::open(path)?)
    }

    /// The edges as they are read or generated.
    ///
    /// # Errors
    /// As [`GraphOptions::graph`].
    pub(crate) fn edges(&self) -> Result<EdgeList> {
        match &self.graph {
            Spec::Rmat { .. } | Spec::RmatNodes { .. } | Spec::Hub { .. }
                if (Reading { order: None, ..self.reading }) != Reading::default() =>
            {
                bail!(
                    "--undirected, --unweighted and --random-weights say how to read a file; generated graphs are \
                     directed, and say themselves"
                )
            }
            &Spec::Rmat { scale, edges_per_node, weighted } => rmat(self.key, scale, edges_per_node, weighted),
            &Spec::RmatNodes { nodes, edges, weighted } => rmat_nodes(self.key, nodes, edges, weighted),
            &Spec::Hub { nodes, edges, weighted } => hub(self.key, nodes, edges, weighted),
            Spec::Store(path) | Spec::File(path) => {
                let options = LoadOptions { undirected: self.reading.undirected, ..LoadOptions::default() };
                let loaded = walkprint_loaders::load(slice::from_ref(path), &options, &|_| ControlFlow::Continue(()));
                let mut edges = loaded.context("could not load the graph")?.edges;
                if self.reading.random_weights {
                    edges.weights = Some(weights(self.key, edges.len()));
                }
                Ok(if self.reading.unweighted { without_weights(edges) } else { edges })
            }
        }
    }

    fn facts(&self, graph: &Graph, order: &str) -> Result<GraphFacts> {
        GraphFacts::of(&self.graph.to_string(), graph, order)
    }
}

impl GraphFacts {
    /// What there is to say of a graph.
    ///
    /// # Errors
    /// When a row is damaged.
    pub(crate) fn of(spec: &str, graph: &Graph, order: &str) -> Result<GraphFacts> {
        let mut hasher = Xxh3::new();
        let mut dangling_nodes = 0;
        for node in nodes(graph) {
            let row = graph.row(node)?;
            dangling_nodes += usize::from(row.degree() == 0);
            hasher.update(&(row.degree() as u64).to_le_bytes());
            for (position, target) in row.targets.iter().enumerate() {
                hasher.update(&target.to_le_bytes());
                if graph.is_weighted() {
                    hasher.update(&row.weight(position).to_le_bytes());
                }
            }
        }
        Ok(GraphFacts {
            spec: spec.to_owned(),
            nodes: graph.nodes(),
            edges: graph.edges(),
            weighted: graph.is_weighted(),
            dangling_nodes,
            order: order.to_owned(),
            checksum: format!("{:032x}", hasher.digest128()),
        })
    }

    /// The same facts under another name.
    pub(crate) fn named(self, name: &str) -> GraphFacts {
        GraphFacts { spec: name.to_owned(), ..self }
    }
}

/// The same edges, each once and of weight 1; those of weight zero are none.
pub(crate) fn without_weights(mut edges: EdgeList) -> EdgeList {
    let weights = edges.weights.take();
    let is_edge = |place: usize| weights.as_ref().is_none_or(|weights| weights[place] != 0.0);
    let pairs = edges.sources.iter().zip(&edges.targets).enumerate();
    let mut pairs: Vec<(u32, u32)> =
        pairs.filter(|(place, _)| is_edge(*place)).map(|(_, (&source, &target))| (source, target)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    (edges.sources, edges.targets) = pairs.into_iter().unzip();
    edges.kinds.edges = None;
    edges
}

/// All nodes of a graph.
pub(crate) fn nodes(graph: &Graph) -> std::ops::Range<NodeId> {
    0..NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes")
}

/// `count` different nodes that are not dangling, in random order by key; all of them where there are fewer.
///
/// # Errors
/// When every node is dangling: there is nothing to measure.
pub(crate) fn random_sources(graph: &Graph, count: usize, key: u64) -> Result<Vec<NodeId>> {
    let mut sources: Vec<NodeId> = nodes(graph).filter(|&node| graph.degree(node) != 0).collect();
    if sources.is_empty() {
        bail!("the graph has no edge");
    }
    let count = count.min(sources.len());
    let mut numbers = SplitMix64::seed_from_u64(key);
    for place in 0..count {
        let rest = (sources.len() - place) as u64;
        sources.swap(place, place + usize::try_from(numbers.next_u64() % rest)?);
    }
    sources.truncate(count);
    Ok(sources)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Facts of a graph that does not exist.
    pub(crate) fn facts() -> GraphFacts {
        let (spec, order, checksum) = ("test".to_owned(), "id".to_owned(), "0".to_owned());
        GraphFacts { spec, nodes: 3, edges: 2, weighted: false, dangling_nodes: 1, order, checksum }
    }

    #[test]
    fn specs_are_read_as_they_are_shown() {
        for text in [
            "rmat:20:16:weighted",
            "rmat:8:4",
            "rmat-nodes:2000:30000",
            "hub:2000:30000:weighted",
            "graph.txt.gz",
            "web.wp",
        ] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        assert_eq!("web.wp".parse(), Ok(Spec::Store("web.wp".into())));
    }

    #[test]
    fn bad_specs_are_refused_with_what_was_expected() {
        for text in
            ["rmat:", "rmat:20", "rmat:20:16:heavy", "rmat:0:16", "rmat:31:1", "rmat:x:16", "rmat:8:0", "rmat:8:-1"]
        {
            let message = text.parse::<Spec>().unwrap_err();
            assert!(message.contains("rmat:SCALE:EDGES_PER_NODE"), "{text}: {message}");
        }
        for text in ["rmat-nodes:", "rmat-nodes:0:5", "rmat-nodes:10:9", "rmat-nodes:10:x", "rmat-nodes:10:20:heavy"] {
            let message = text.parse::<Spec>().unwrap_err();
            assert!(message.contains("rmat-nodes:NODES:EDGES"), "{text}: {message}");
        }
    }

    #[test]
    fn without_weights_every_edge_counts_once() {
        let edges = EdgeList {
            ids: walkprint_engine::ids::ExternalIds::Integers(vec![1, 2, 3]),
            sources: vec![1, 0, 1, 2],
            targets: vec![0, 1, 0, 0],
            weights: Some(vec![2.0, 1.0, 3.0, 0.0]),
            kinds: walkprint_engine::kinds::KindLists::default(),
        };
        let plain = without_weights(edges);
        assert_eq!((plain.sources, plain.targets, plain.weights), (vec![0, 1], vec![1, 0], None));
    }

    #[test]
    fn sources_are_different_and_never_dangling() {
        let built = build(rmat(3, 6, 2, false).unwrap(), NodeOrder::Id).unwrap();
        let sources = random_sources(&built.graph, 1000, 9).unwrap();
        let distinct: std::collections::BTreeSet<_> = sources.iter().collect();
        assert_eq!(distinct.len(), sources.len());
        assert_eq!(sources.len() as u64, built.report.nodes - built.report.dangling_nodes);
        assert!(sources.iter().all(|&source| built.graph.degree(source) != 0));
    }
}
