//! What may be typed. Values are checked as far as one word alone can be.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use walkprint_cluster::batch::{Format, Sources, Unknown};
use walkprint_cluster::choice::precision_of;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::{LEAST_RESTART_PROB, MOST_PATHS, Plan};
use walkprint_engine::query::{Dangling, Method};
use walkprint_loaders::interactions::{Duplicates, HoldOut};
use walkprint_loaders::{Literals, Malformed};

use crate::commands::compact::CompactArguments;
use crate::commands::evaluate::retrieve::EvaluateRetrieveArguments;
use crate::commands::evaluate::senses::SensesArguments;
use crate::commands::rank_terms::RankTermsArguments;
use crate::commands::retrieve::RetrieveArguments;
use crate::commands::update::UpdateArguments;
use crate::commands::watch::WatchArguments;
use crate::joining::ProcessArguments;
use crate::recommending::{EvaluateRecommendArguments, RecommendArguments};
use crate::serving::ServeArguments;
use crate::shaping::ShapeArguments;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Fully personalized PageRank: for every node of a weighted graph, the nodes that matter to it.
#[derive(Debug, Parser)]
#[command(name = "walkprint", version, styles = STYLES, max_term_width = 110)]
#[command(after_help = "Begin with `walkprint quickstart`.\n\
    Exit codes: 0 done, 1 the answer is no (verify found damage), 2 could not, 130 interrupted.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load a graph that ships with the program, index it, and answer a few questions
    Quickstart(QuickstartArguments),
    /// Read edges from files into a store
    Load(Box<LoadArguments>),
    /// Bring the shards of a graph together that several processes loaded
    Gather(GatherArguments),
    /// Build the fingerprints of all nodes
    Index(IndexArguments),
    /// Take events: edges and nodes that come, go and change
    Update(Box<UpdateArguments>),
    /// Absorb the events that were taken, and repair the indexes
    Compact(CompactArguments),
    /// Ask which nodes matter to a set of seeds
    Query(QueryArguments),
    /// Answer a question again whenever events change the answer
    Watch(Box<WatchArguments>),
    /// Answer for many or all nodes, into sorted files
    Batch(BatchArguments),
    /// Find the passages or entities that matter to a question in words
    Retrieve(Box<RetrieveArguments>),
    /// Recommend items to users
    Recommend(Box<RecommendArguments>),
    /// Rank candidate terms anew by how much their words matter (SemRe-Rank)
    RankTerms(RankTermsArguments),
    /// Measure how good answers are, against what is known
    Evaluate {
        /// What to measure
        #[command(subcommand)]
        what: Evaluated,
    },
    /// Answer over HTTP
    Serve(Box<ServeArguments>),
    /// Say what an index would take, before building it
    Plan(PlanArguments),
    /// Show what a store holds
    Inspect(InspectArguments),
    /// Read every byte of a store and compare it with its checksums
    Verify(VerifyArguments),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// What may be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Evaluated {
    /// Recommendations, against what users did
    Recommend(Box<EvaluateRecommendArguments>),
    /// Word senses: precision, recall and F1 by data set, against a key
    Senses(Box<SensesArguments>),
    /// Retrieval, against the passages that are known to answer questions
    Retrieve(Box<EvaluateRetrieveArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArguments {
    /// Where to put the store
    #[arg(long, value_name = "STORE", default_value = "wordnet.wp")]
    pub(crate) into: PathBuf,
    /// Threads to use [default: all processors]
    #[arg(long, value_parser = workers)]
    pub(crate) workers: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// Edge lists, CSV, TSV, Matrix Market, Parquet, OpenIE (JSON), N-Triples or Turtle files, or GraphRAG's directory of
    /// tables; .gz and .zst as they are
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The store to make
    #[arg(long, value_name = "STORE")]
    pub(crate) into: PathBuf,
    /// The format of all files: edge-list, csv, tsv, matrix-market, parquet; for users and items lightgcn, recbole, interactions;
    /// for knowledge graphs triples, openie, ntriples, turtle, graphrag, ukb [default: found by name and content]
    #[arg(long)]
    pub(crate) format: Option<walkprint_loaders::Format>,
    /// Walk every edge in both directions
    #[arg(long)]
    pub(crate) undirected: bool,
    /// The column of sources: a name, or a number from 1 where there is no header
    #[arg(long, value_name = "COLUMN")]
    pub(crate) source_col: Option<String>,
    /// The column of targets
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target_col: Option<String>,
    /// The column of weights
    #[arg(long, value_name = "COLUMN")]
    pub(crate) weight_col: Option<String>,
    /// The column of edge types [default: one that is called type]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) type_col: Option<String>,
    /// Multiply the weights of edges by their type: TYPE=FACTOR,…; types not named keep their weight
    #[arg(long, value_name = "TYPE=FACTOR,…", value_delimiter = ',', value_parser = type_weight)]
    pub(crate) edge_weights: Vec<(String, f64)>,
    /// A file with the types of nodes: an id, a tab or comma, and a type in each line; a header is recognised (id or node,
    /// type). Nodes that it does not name have no type
    #[arg(long, value_name = "FILE")]
    pub(crate) node_types: Option<PathBuf>,
    /// What becomes of malformed lines or triples: refuse, or skip, which counts and reports them, in formats whose files are
    /// known to have some (openie, ntriples, triples, ukb)
    #[arg(long, value_name = "WHAT", default_value_t)]
    pub(crate) malformed: Malformed,
    /// Add an edge back for every edge, of FACTOR times its weight [default: 1] and of its type with a ^ before it
    #[arg(long, value_name = "FACTOR", num_args = 0..=1, default_missing_value = "1", require_equals = true, conflicts_with = "undirected")]
    pub(crate) inverse: Option<f64>,
    /// What becomes of triples whose object is a literal (ntriples, turtle): error, skip, or nodes
    #[arg(long, value_name = "WHAT", default_value_t = Literals::Refuse)]
    pub(crate) literals: Literals,
    /// A file of nodes that mean the same: two ids and perhaps a score in each line; each pair becomes edges of type synonym
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shards", "hosts"])]
    pub(crate) synonyms: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) interactions: InteractionArguments,
    /// How nodes are numbered: breadth-first, degree, id [default: breadth-first; id where the graph lies in shards]
    #[arg(long)]
    pub(crate) order: Option<NodeOrder>,
    /// Cut the graph into so many shards, as that many processes would
    #[arg(long, value_name = "N", value_parser = workers, conflicts_with = "hosts")]
    pub(crate) shards: Option<usize>,
    #[command(flatten)]
    pub(crate) together: ProcessArguments,
    /// Load over a store that exists; its indexes are dropped unless the graph is the same
    #[arg(long)]
    pub(crate) replace: bool,
    /// Threads that parse [default: all processors]
    #[arg(long, value_parser = workers)]
    pub(crate) workers: Option<usize>,
    /// The most memory to hold, as 4GiB or 500MB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What concerns users and items only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Users and items")]
pub(crate) struct InteractionArguments {
    /// Do not look at ratings: every interaction weighs 1
    #[arg(long)]
    pub(crate) implicit: bool,
    /// Leave out interactions that are rated below this
    #[arg(long, value_name = "RATING", allow_negative_numbers = true)]
    pub(crate) min_rating: Option<f64>,
    /// The column of times, in seconds [default: one that is called timestamp or time]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_col: Option<String>,
    /// Halve the weight of an interaction with every such time of its age: 30d, 12h, or seconds
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) half_life: Option<f64>,
    /// The time that counts as now, in the unit of the times; what is newer is left out [default: the newest]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) as_of: Option<f64>,
    /// A user and an item that come together several times: sum, last, error
    #[arg(long, value_name = "WHAT", default_value_t = Duplicates::Sum)]
    pub(crate) duplicates: Duplicates,
    /// Hold out each user's newest interactions (last=1) or a random share of them (random=0.2)
    #[arg(long, value_name = "WHICH", requires = "held_out")]
    pub(crate) hold_out: Option<HoldOut>,
    /// The key of a random share: another key, other interactions
    #[arg(long, value_name = "KEY", default_value_t = 0, requires = "hold_out")]
    pub(crate) hold_out_key: u64,
    /// Where to write what is held out: `evaluate recommend --test` reads it
    #[arg(long, value_name = "FILE", requires = "hold_out")]
    pub(crate) held_out: Option<PathBuf>,
}

impl InteractionArguments {
    /// An option that makes sense for interactions only, and was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let options = [
            (self.implicit, "--implicit"),
            (self.min_rating.is_some(), "--min-rating"),
            (self.time_col.is_some(), "--time-col"),
            (self.half_life.is_some(), "--half-life"),
            (self.as_of.is_some(), "--as-of"),
            (self.duplicates != Duplicates::Sum, "--duplicates"),
            (self.hold_out.is_some(), "--hold-out"),
        ];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }
}

#[derive(Debug, Args)]
pub(crate) struct GatherArguments {
    /// The stores of the processes, or copies of them; the shared one
    #[arg(required = true, value_name = "PART")]
    pub(crate) parts: Vec<PathBuf>,
    /// The store to make
    #[arg(long, value_name = "STORE")]
    pub(crate) into: PathBuf,
    /// Write over a store that exists
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The restart probability, under the names that people have for it.
#[derive(Debug, Args)]
pub(crate) struct RestartArguments {
    /// The chance that a walk ends at a step, above 0 and at most 1 [default: 0.15, or the index's own]
    #[arg(long, value_name = "P", conflicts_with = "damping", value_parser = restart_prob)]
    restart_prob: Option<f64>,
    /// 1 - restart probability, as other programs call it
    #[arg(long, value_name = "D", value_parser = damping)]
    damping: Option<f64>,
    /// Refused: it means two things
    #[arg(long, hide = true, value_parser = alpha)]
    alpha: Option<f64>,
}

impl RestartArguments {
    /// The restart probability, if one was given.
    pub(crate) fn given(&self) -> Option<f64> {
        self.restart_prob.or(self.damping.map(|damping| 1.0 - damping)).or(self.alpha)
    }
}

/// The parameters of an index.
#[derive(Debug, Args)]
pub(crate) struct PlanParameters {
    #[command(flatten)]
    pub(crate) restart: RestartArguments,
    /// The least number of walks of a node [default: 16]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) walks: Option<u32>,
    /// Walks per out-edge of a node, where that is more [default: 1]
    #[arg(long, value_name = "C", value_parser = walks_per_edge)]
    pub(crate) walks_per_edge: Option<f64>,
    /// As many walks as it takes for answers with this L1 distance from exact scores after the usual pushing, instead of
    /// --walks and --walks-per-edge
    #[arg(long, value_name = "L1", value_parser = precision, conflicts_with_all = ["walks", "walks_per_edge"])]
    pub(crate) precision: Option<f64>,
    /// The key of the random numbers: another key, another sample
    #[arg(long, value_name = "KEY")]
    pub(crate) rng_key: Option<u64>,
    /// Draw a path of several steps at once at nodes that have at most this many: fewer rounds and messages on graphs of
    /// small nodes [default: 0, none]
    #[arg(long, value_name = "PATHS", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_PATHS)))]
    pub(crate) big_moves: Option<u32>,
}

impl PlanParameters {
    /// The plan: what was given, defaults for the rest.
    pub(crate) fn plan(&self) -> Plan {
        let default = Plan::default();
        let default = self.precision.map_or(default.clone(), |precision| default.with_precision(precision));
        Plan {
            restart_prob: self.restart.given().unwrap_or(default.restart_prob),
            walks: self.walks.unwrap_or(default.walks),
            walks_per_edge: self.walks_per_edge.unwrap_or(default.walks_per_edge),
            rng_key: self.rng_key.unwrap_or(default.rng_key),
            big_moves: self.big_moves.unwrap_or(default.big_moves),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct IndexArguments {
    /// The store
    pub(crate) store: PathBuf,
    /// The index's name: a store may have several, say for several restart probabilities
    #[arg(long, default_value = "default")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) plan: PlanParameters,
    /// Threads that walk [default: all processors]
    #[arg(long, value_parser = workers)]
    pub(crate) workers: Option<usize>,
    /// The most memory to hold, as 4GiB or 500MB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    /// Whether every worker reads the whole graph, or each holds the rows of the nodes that it owns
    #[arg(long, default_value_t = GraphMode::Auto, value_name = "auto|replicated|sharded")]
    pub(crate) graph: GraphMode,
    /// Sharded: rows of more edges are spread over all workers [default: 16384]
    #[arg(long, value_name = "EDGES")]
    pub(crate) longest_row: Option<u64>,
    /// Sharded: expected visits of a block of sources [default: by memory]
    #[arg(long, value_name = "VISITS")]
    pub(crate) block_visits: Option<f64>,
    /// Sharded: blocks of sources that are under way at a time [default: by memory]
    #[arg(long, value_name = "COUNT", value_parser = workers)]
    pub(crate) blocks: Option<usize>,
    /// Go on with a build that was interrupted
    #[arg(long)]
    pub(crate) resume: bool,
    /// Build an index anew that exists
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) together: ProcessArguments,
    /// Write what happens to a file, one JSON object a line (process 0 writes for all)
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// Let every worker write what timely tells of its operators into a directory: for those who know timely
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) timely_log: Option<PathBuf>,
    /// Print what was built as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The store
    pub(crate) store: PathBuf,
    #[command(flatten)]
    pub(crate) plan: PlanParameters,
    /// Threads that would walk [default: all processors]
    #[arg(long, value_parser = workers)]
    pub(crate) workers: Option<usize>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked, of one seed set or of many.
#[derive(Debug, Args)]
pub(crate) struct AskedArguments {
    /// The L1 distance from exact scores to aim at [default: 0.05; for --method lookup and exact what they give]
    #[arg(long, value_name = "L1", value_parser = precision)]
    precision: Option<f64>,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    /// What a walk does at a node without out-edges: restart, drop, self-loop, uniform
    #[arg(long, default_value_t = Dangling::Restart)]
    pub(crate) dangling: Dangling,
    /// The index to ask
    #[arg(long, value_name = "NAME")]
    pub(crate) index: Option<String>,
    #[command(flatten)]
    pub(crate) restart: RestartArguments,
}

impl AskedArguments {
    /// The L1 distance from exact scores that answers aim at: 0.05, unless somebody asks for another. Whoever asks for a
    /// look-up or an exact answer takes what it gives.
    pub(crate) fn precision(&self, method: Method) -> Option<f64> {
        precision_of(method, self.precision)
    }
}

/// A question, of one set of seeds.
#[derive(Debug, Args)]
pub(crate) struct QuestionArguments {
    /// A node to personalise to, with a weight if you like: --seed dog.n.01 --seed cat.n.01=0.5. The last `=NUMBER` is
    /// taken as the weight unless the whole is an id
    #[arg(long = "seed", value_name = "ID[=WEIGHT]", required_unless_present = "seeds_file")]
    pub(crate) seeds: Vec<String>,
    /// A file with a seed a line: an id, or an id, a tab and a weight
    #[arg(long, value_name = "FILE")]
    pub(crate) seeds_file: Option<PathBuf>,
    /// How many results; may be as many as there are nodes
    #[arg(long, short = 'k', default_value_t = 10, value_name = "K")]
    pub(crate) top: usize,
    /// How to answer: auto, lookup, combine, block, exact
    #[arg(long, default_value_t = Method::Auto)]
    pub(crate) method: Method,
    #[command(flatten)]
    pub(crate) asked: AskedArguments,
    /// For --method exact: stop when this much of the seeds' mass is unaccounted for
    #[arg(long, value_name = "MASS", default_value_t = 1e-12)]
    pub(crate) residual: f64,
    /// Go on until no other node can come among the results any more (two standard errors), and no longer
    #[arg(long)]
    pub(crate) settle: bool,
    /// Threads that share the work of an answer on a graph of some million edges; more than eight are of no use [default: all
    /// processors]
    #[arg(long, value_name = "N", value_parser = workers)]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// The store; with --server its name there
    #[arg(required_unless_present = "server")]
    pub(crate) store: Option<PathBuf>,
    /// Ask a running `walkprint serve` instead: http://ADDRESS:PORT (with the key in WALKPRINT_KEY, if it asks for one), or
    /// ADDRESS:PORT where it serves a graph in shards
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) question: QuestionArguments,
    /// Say why: what each seed contributes to each result, and the best paths there [possible values: text, dot, svg, json]
    #[arg(long, value_enum, value_name = "AS", num_args = 0..=1, default_missing_value = "text", hide_possible_values = true)]
    pub(crate) explain: Option<ExplainAs>,
    /// How many paths of each result --explain lists at most
    #[arg(long, value_name = "N", default_value_t = 3, requires = "explain", value_parser = paths)]
    pub(crate) paths: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExplainAs {
    /// Lines below the table of results.
    Text,
    /// A graph for Graphviz, and nothing else.
    Dot,
    /// A drawing, and nothing else.
    Svg,
    /// As a part of the answer's JSON.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct BatchArguments {
    /// The store
    pub(crate) store: PathBuf,
    /// Whose answers: all, those of a type, or a file with an id a line (a file named all is ./all)
    #[arg(long, value_name = "all|type:NAME|FILE")]
    pub(crate) sources: Sources,
    /// Ids of the file that are no nodes: error, or skip to leave them out and count them
    #[arg(long, value_name = "WHAT", default_value_t = Unknown::Refuse)]
    pub(crate) unknown: Unknown,
    /// How many results for each source
    #[arg(long, short = 'k', default_value_t = 10, value_name = "K")]
    pub(crate) top: usize,
    /// The directory for the answers
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How answers are written: parquet, csv, jsonl
    #[arg(long, default_value_t = Format::Parquet)]
    pub(crate) format: Format,
    /// How to answer: auto, lookup, combine, block, exact; auto measures what is fastest here
    #[arg(long, default_value_t = Method::Auto)]
    pub(crate) method: Method,
    #[command(flatten)]
    pub(crate) asked: AskedArguments,
    /// Where the rows of the graph are: replicated (every process reads all), or sharded (each worker holds some, and they
    /// answer together; slower, for graphs that no machine can hold). Auto: sharded where the store is
    #[arg(long, default_value_t = GraphMode::Auto, value_name = "auto|replicated|sharded")]
    pub(crate) graph: GraphMode,
    #[command(flatten)]
    pub(crate) together: ProcessArguments,
    /// About how many rows a file has [default: from 1 to 4 million]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_per_file: Option<u64>,
    /// Threads that answer [default: all processors]
    #[arg(long, value_parser = workers)]
    pub(crate) workers: Option<usize>,
    /// The most memory to hold, as 4GiB or 500MB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    /// Go on with a batch that was interrupted
    #[arg(long, conflicts_with = "replace")]
    pub(crate) resume: bool,
    /// Answer anew over the batch that is there
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The store
    pub(crate) store: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The store
    pub(crate) store: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

fn precision(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if 0.0 < value && value < 1.0 { Ok(value) } else { Err("expected an L1 distance above 0 and below 1".into()) }
}

fn restart_prob(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (LEAST_RESTART_PROB..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("expected a number of at least {LEAST_RESTART_PROB:e} and at most 1"))
    }
}

fn damping(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err("expected a number of at least 0 and below 1".into()) }
}

fn alpha(_: &str) -> Result<f64, String> {
    Err("alpha means the restart probability (0.15) to some and the damping factor (0.85) to others; \
         say which: --restart-prob 0.15 or --damping 0.85"
        .into())
}

fn walks_per_edge(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value.is_finite() && 0.0 <= value { Ok(value) } else { Err("expected a number that is not negative".into()) }
}

pub(crate) fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers) if (1..=1024).contains(&workers) => Ok(workers),
        _ => Err("expected a number from 1 to 1024".into()),
    }
}

fn paths(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(paths) if (1..=100).contains(&paths) => Ok(paths),
        _ => Err("expected a number from 1 to 100".into()),
    }
}

/// A time with a unit: `30d`, `12h`, `90`.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let number_end = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[number_end.len()..] {
        "" | "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return Err("expected a time such as 30d, 12h, 15min, 2w or 90 (seconds)".into()),
    };
    let value = number(number_end)? * unit;
    if 0.0 < value && value.is_finite() { Ok(value) } else { Err("expected a time above 0".into()) }
}

fn type_weight(text: &str) -> Result<(String, f64), String> {
    let (name, factor) = text.rsplit_once('=').ok_or("expected TYPE=FACTOR")?;
    Ok((name.to_owned(), number(factor)?))
}

/// Bytes with a unit: `4GiB`, `500MB`, `1024`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit: u64 = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("expected a size such as 4GiB or 500MB".into()),
    };
    let value: f64 = digits.trim().parse().map_err(|_| "expected a size such as 4GiB or 500MB")?;
    let value = value * unit as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    if (1.0..1e18).contains(&value) { Ok(value as u64) } else { Err("expected a size such as 4GiB or 500MB".into()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("1024"), Ok(1024));
        for bad in ["", "GiB", "4 apples", "-1", "0", "1e30", "NaN"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
