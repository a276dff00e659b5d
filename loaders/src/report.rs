//! What was read and how it was understood.

use serde::Serialize;
use walkprint_engine::kinds::{KindList, KindLists};

use crate::part::PartCounts;
use crate::{Format, LoadOptions};

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read from the files so far, as they are on disk.
    pub bytes_read: u64,
    /// Bytes of all files; 0 when that is not known (a pipe).
    pub bytes_total: u64,
}

/// What was read and how it was understood, for a user to check against what they meant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LoadReport {
    /// The format of the first file (CSV and TSV may come together).
    pub format: Format,
    /// How many files were read.
    pub files: usize,
    /// Bytes of the files on disk.
    pub bytes_read: u64,
    /// Bytes after decompression. For Parquet: of the columns that were read.
    pub bytes_parsed: u64,
    /// Lines of all files, comments and headers included; rows of Parquet files.
    pub lines: u64,
    /// Lines that were skipped because they are comments.
    pub comment_lines: u64,
    /// Lines or records that were left out because they are malformed: none unless that was asked for.
    pub malformed: u64,
    /// Edges of the input: an undirected one, or an entry of a symmetric matrix, counts once.
    pub edges_read: u64,
    /// How many of them have one node as source and target.
    pub self_loops: u64,
    /// How many of them weigh nothing, after multiplication by the weight of their type.
    pub zero_weight_edges: u64,
    /// Where the sources were found: a column's name, or `column 1`.
    pub source_column: String,
    /// Where the targets were found.
    pub target_column: String,
    /// Where the weights were found; `None` when the input has none.
    pub weight_column: Option<String>,
    /// The column of types, if there is one.
    pub type_column: Option<String>,
    /// Whether weights were multiplied by the weights of the types.
    pub types_used: bool,
    /// Different types of edges.
    pub edge_types: u64,
    /// Edges that have a type, an undirected one counted in both directions.
    pub typed_edges: u64,
    /// Different types of nodes.
    pub node_types: u64,
    /// Nodes that have a type.
    pub typed_nodes: u64,
    /// Columns that were not looked at, in the first file.
    pub ignored_columns: Vec<String>,
    /// Smallest number in the weight column, before multiplication.
    pub weight_min: Option<f64>,
    /// Largest number in the weight column, before multiplication.
    pub weight_max: Option<f64>,
    /// Different nodes.
    pub nodes: u64,
    /// Whether every id is an integer; otherwise all are strings.
    pub integer_ids: bool,
    /// What else a user should know about how the input was understood, one sentence each.
    pub notes: Vec<String>,
}

impl LoadReport {
    pub(crate) fn new(counts: &PartCounts, options: &LoadOptions, nodes: u64, integer_ids: bool) -> Self {
        let (names, tally) = (counts.names.clone(), &counts.tally);
        LoadReport {
            format: counts.format,
            files: counts.files.len(),
            bytes_read: counts.bytes_read,
            bytes_parsed: counts.bytes_parsed,
            lines: counts.lines,
            comment_lines: tally.comment_lines,
            malformed: tally.malformed,
            edges_read: tally.edges.iter().sum(),
            self_loops: tally.self_loops,
            zero_weight_edges: tally.zero_weight_edges,
            source_column: names.source,
            target_column: names.target,
            weight_column: names.weight,
            type_column: names.kind,
            types_used: options.uses_types(),
            edge_types: 0,
            typed_edges: counts.typed_edges,
            node_types: 0,
            typed_nodes: 0,
            ignored_columns: names.ignored,
            weight_min: tally.weight_range.map(|(min, _)| min),
            weight_max: tally.weight_range.map(|(_, max)| max),
            nodes,
            integer_ids,
            notes: notes_of(names.notes, tally.inverse_edges, options),
        }
    }

    /// The report of a load that found so many types of edges and of nodes, and a type at so many nodes.
    #[must_use]
    pub fn with_types(self, edge_types: u64, node_types: u64, typed_nodes: u64) -> Self {
        LoadReport { edge_types, node_types, typed_nodes, ..self }
    }

    /// The report with the types of nodes and edges.
    pub(crate) fn with_kinds(self, kinds: &KindLists) -> Self {
        let types = |list: &Option<KindList>| list.as_ref().map_or(0, |list| list.names.len() as u64);
        let typed_nodes = kinds.nodes.as_ref().map_or(0, KindList::typed);
        self.with_types(types(&kinds.edges), types(&kinds.nodes), typed_nodes)
    }
}

/// What a format noted, and that there are inverse edges.
fn notes_of(mut notes: Vec<String>, inverse_edges: u64, options: &LoadOptions) -> Vec<String> {
    if let Some(factor) = options.inverse {
        notes.push(format!("{inverse_edges} inverse edges, of {factor} times the weight of their edges"));
    }
    notes
}
