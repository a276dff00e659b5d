//! What may be typed to choose nodes and to shape answers, the same for every command that answers: filters, debias, support.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use roaring::RoaringBitmap;
use walkprint_cluster::live::Now;
use walkprint_cluster::server::{DebiasRequest, Popularity, QueryRequest};
use walkprint_engine::error::Error;
use walkprint_engine::graph::Graph;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Debias, PopularityKind, Shape};
use walkprint_engine::store::Store;

/// How answers are filtered and shaped.
#[derive(Debug, Args)]
pub(crate) struct ShapeArguments {
    /// Only these nodes may be results: id:ID, file:PATH (an id a line) or type:NAME. Without one of these words X is an id if
    /// it is one, else a file, else a type. May be given several times; any of them will do
    #[arg(long, value_name = "X", help_heading = "Filters")]
    only: Vec<String>,
    /// These nodes may not be results: as with --only
    #[arg(long, value_name = "X", help_heading = "Filters")]
    exclude: Vec<String>,
    /// The seeds may not be results
    #[arg(long, help_heading = "Filters")]
    exclude_seeds: bool,
    /// Nodes to which an edge leads from a seed may not be results: what a user has already
    #[arg(long, help_heading = "Filters")]
    exclude_neighbors: bool,
    /// At least this many seeds must support a result, each with a tenth of an equal share of its score or more
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Filters")]
    min_support: usize,
    /// Divide scores by the node's popularity to this power: 0 changes nothing, 1 favours what the seeds like more than
    /// others do
    #[arg(long, value_name = "B", help_heading = "Filters")]
    debias: Option<f64>,
    /// What popularity is
    #[arg(long, value_enum, default_value_t = DebiasBy::Pagerank, requires = "debias", help_heading = "Filters")]
    debias_by: DebiasBy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DebiasBy {
    /// PageRank from all nodes alike
    Pagerank,
    /// The number of in-edges
    Degree,
}

impl ShapeArguments {
    /// The shape that is meant. Reads the store's types only if a filter may need them.
    pub(crate) fn shape(&self, store: &Store, labels: &Labels) -> anyhow::Result<Shape> {
        self.shape_by(Selector::new(store, labels))
    }

    /// The same for a graph with events that the one in the store, `base`, has not absorbed.
    pub(crate) fn shape_now(&self, store: &Store, base: &Graph, now: &Now) -> anyhow::Result<Shape> {
        self.shape_by(Selector { now: Some((base, now)), ..Selector::new(store, &now.labels) })
    }

    fn shape_by(&self, mut selector: Selector<'_>) -> anyhow::Result<Shape> {
        let mut union = |texts: &[String]| -> anyhow::Result<Option<Arc<RoaringBitmap>>> {
            let mut nodes = RoaringBitmap::new();
            for text in texts {
                nodes |= selector.select(text)?;
            }
            Ok((!texts.is_empty()).then(|| Arc::new(nodes)))
        };
        let (only, exclude) = (union(&self.only)?, union(&self.exclude)?);
        Ok(Shape { only, exclude, ..self.rest() })
    }

    /// Whether anything was typed.
    pub(crate) fn is_given(&self) -> bool {
        !self.only.is_empty() || !self.exclude.is_empty() || self.rest() != Shape::default()
    }

    /// The same as a request to a server, which does not read files of the one who asks.
    pub(crate) fn add_to(&self, request: &mut QueryRequest) -> anyhow::Result<()> {
        let words = |texts: &[String]| -> anyhow::Result<Vec<String>> {
            let mut words = Vec::new();
            for text in texts {
                match text.strip_prefix("file:") {
                    None => words.push(text.clone()),
                    Some(path) => {
                        let list =
                            std::fs::read_to_string(path).with_context(|| format!("{path}: could not read the ids"))?;
                        words.extend(list.lines().filter(|line| !line.is_empty()).map(|line| format!("id:{line}")));
                    }
                }
            }
            Ok(words)
        };
        (request.only, request.exclude) = (words(&self.only)?, words(&self.exclude)?);
        request.exclude_seeds = self.exclude_seeds.then_some(true);
        request.exclude_neighbors = self.exclude_neighbors.then_some(true);
        request.min_support = Some(self.min_support).filter(|&support| support != 0);
        request.debias = self.debias.map(|power| {
            let by = match self.debias_by {
                DebiasBy::Pagerank => Popularity::Pagerank,
                DebiasBy::Degree => Popularity::Degree,
            };
            DebiasRequest::By(walkprint_cluster::server::DebiasBy { power, by })
        });
        Ok(())
    }

    /// The shape that is meant, where no id can be looked up.
    pub(crate) fn shape_without_nodes(&self) -> anyhow::Result<Shape> {
        if !self.only.is_empty() || !self.exclude.is_empty() {
            bail!(
                "--only and --exclude need the whole graph, and this one lies in shards; `walkprint gather` makes it whole"
            );
        }
        Ok(self.rest())
    }

    /// All but nodes.
    fn rest(&self) -> Shape {
        let by = match self.debias_by {
            DebiasBy::Pagerank => PopularityKind::GlobalPageRank,
            DebiasBy::Degree => PopularityKind::Degree,
        };
        Shape {
            only: None,
            exclude: None,
            exclude_seeds: self.exclude_seeds,
            exclude_neighbors: self.exclude_neighbors,
            debias: self.debias.map(|power| Debias { by, power }),
            min_support: self.min_support,
        }
    }
}

/// Finds the nodes that a word names: `id:ID`, `file:PATH`, `type:NAME`, or one of these without saying which.
pub(crate) struct Selector<'s> {
    store: &'s Store,
    labels: &'s Labels,
    /// The graph in the store, and what it has become.
    now: Option<(&'s Graph, &'s Now)>,
    /// `None` until they are asked for.
    kinds: Option<Kinds>,
}

impl<'s> Selector<'s> {
    /// A selector of nodes of this store.
    pub(crate) fn new(store: &'s Store, labels: &'s Labels) -> Selector<'s> {
        Selector { store, labels, now: None, kinds: None }
    }

    /// The nodes that a word names.
    pub(crate) fn select(&mut self, text: &str) -> anyhow::Result<RoaringBitmap> {
        if let Some(id) = text.strip_prefix("id:") {
            let node = self.labels.node(id)?;
            return match node {
                Some(node) => Ok(RoaringBitmap::from_iter([node])),
                None => bail!("{text:?}: there is no node {id:?}"),
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return self.listed_in(Path::new(path));
        }
        if let Some(name) = text.strip_prefix("type:") {
            return self.of_type(name);
        }
        if let Some(node) = self.labels.node(text)? {
            return Ok(RoaringBitmap::from_iter([node]));
        }
        if Path::new(text).exists() {
            return self.listed_in(Path::new(text));
        }
        match self.of_type(text) {
            Err(error) if matches!(error.downcast_ref(), Some(Error::UnknownType { .. })) => {
                bail!("{text:?} is no node, no file is there, and as a type: {error}")
            }
            found => found,
        }
    }

    fn listed_in(&self, path: &Path) -> anyhow::Result<RoaringBitmap> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{}: could not read the ids", path.display()))?;
        let mut nodes = RoaringBitmap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            match self.labels.node(line)? {
                Some(node) => nodes.insert(node),
                None => bail!("{}:{}: expected the id of a node, got {line:?}", path.display(), at + 1),
            };
        }
        Ok(nodes)
    }

    fn of_type(&mut self, name: &str) -> anyhow::Result<RoaringBitmap> {
        let kinds = match (self.kinds.take(), self.now) {
            (Some(kinds), _) => kinds,
            (None, None) => self.store.kinds()?.unwrap_or_default(),
            (None, Some((base, now))) => now.kinds(base, self.store.kinds()?.as_ref())?.unwrap_or_default(),
        };
        Ok(self.kinds.insert(kinds).nodes_of(name)?)
    }
}
