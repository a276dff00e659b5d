//! What one thread gathers (edges by local ids, counts), and how all of it becomes one [`EdgeList`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::{Codes, KindList, KindLists};

use crate::error::{Problem, quoted};
use crate::intern::{self, Table};
use crate::kinds::{self, KindTable};
use crate::numbered::Numbered;
use crate::part::Part;
use crate::{Error, LoadOptions, Malformed};

/// What the name of an inverse type begins with.
const INVERSE: u8 = b'^';

/// How many types an error message lists.
const TYPES_LISTED: usize = 20;

/// Edges of one block, in input order, by the local ids of the thread that read them.
struct Chunk {
    /// The block's place in the input.
    sequence: u64,
    /// Whether each edge stands for both directions.
    both_ways: bool,
    edges: Vec<[u32; 2]>,
    /// As long as `edges`, or empty.
    weights: Vec<f64>,
    /// As long as `edges`, or empty: numbers of the thread's table of types.
    kinds: Codes,
}

impl Chunk {
    fn new(sequence: u64, both_ways: bool) -> Chunk {
        Chunk { sequence, both_ways, edges: Vec::new(), weights: Vec::new(), kinds: Codes::default() }
    }

    /// How many edges it writes out.
    fn len(&self) -> usize {
        let twice =
            if self.both_ways { self.edges.iter().filter(|[source, target]| source != target).count() } else { 0 };
        self.edges.len() + twice
    }

    fn bytes(&self) -> u64 {
        (size_of_val(&*self.edges) + size_of_val(&*self.weights) + self.kinds.bytes()) as u64
    }
}

/// What is counted while reading.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Edges of each file.
    pub(crate) edges: Vec<u64>,
    pub(crate) self_loops: u64,
    pub(crate) zero_weight_edges: u64,
    pub(crate) comment_lines: u64,
    /// Lines that were left out because they are malformed.
    pub(crate) malformed: u64,
    pub(crate) weight_range: Option<(f64, f64)>,
    /// Edges that were added as inverses of others.
    pub(crate) inverse_edges: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.edges.resize(self.edges.len().max(other.edges.len()), 0);
        for (sum, edges) in self.edges.iter_mut().zip(&other.edges) {
            *sum += edges;
        }
        self.self_loops += other.self_loops;
        self.zero_weight_edges += other.zero_weight_edges;
        self.comment_lines += other.comment_lines;
        self.malformed += other.malformed;
        self.inverse_edges += other.inverse_edges;
        if let Some((min, max)) = other.weight_range {
            self.widen(min, max);
        }
    }

    fn widen(&mut self, min: f64, max: f64) {
        let (low, high) = self.weight_range.unwrap_or((min, max));
        self.weight_range = Some((low.min(min), high.max(max)));
    }
}

/// The edges that one thread reads.
pub(crate) struct Sink {
    table: Table,
    chunks: Vec<Chunk>,
    kinds: KindTable,
    /// What types weigh, if anything.
    types: Option<Types>,
    on_malformed: Malformed,
    file: usize,
    chunk: Chunk,
    chunks_bytes: u64,
    pub(crate) tally: Tally,
    /// The source of the edge before: files are often sorted by source.
    last_source: (Vec<u8>, u32),
    /// What inverse edges weigh, as a part of their edges, if there shall be any.
    inverse: Option<f64>,
    /// Room for the name of an inverse type.
    inverse_kind: Vec<u8>,
}

impl Sink {
    pub(crate) fn new(options: &LoadOptions) -> Self {
        Sink {
            table: Table::new(),
            chunks: Vec::new(),
            kinds: KindTable::default(),
            types: options.uses_types().then(|| Types::new(options)),
            on_malformed: options.malformed,
            file: 0,
            chunk: Chunk::new(0, false),
            chunks_bytes: 0,
            tally: Tally::default(),
            last_source: (Vec::new(), 0),
            inverse: options.inverse,
            inverse_kind: Vec::new(),
        }
    }

    /// Begins a block of the input.
    pub(crate) fn begin(&mut self, sequence: u64, file: usize, both_ways: bool) {
        self.file = file;
        self.tally.edges.resize(self.tally.edges.len().max(file + 1), 0);
        self.chunk = Chunk::new(sequence, both_ways);
    }

    /// Ends the block, and says how many bytes the sink holds now.
    pub(crate) fn end(&mut self) -> u64 {
        self.chunk.edges.shrink_to_fit();
        self.chunk.weights.shrink_to_fit();
        self.chunk.kinds.shrink_to_fit();
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new(0, false));
        self.chunks_bytes += chunk.bytes();
        self.chunks.push(chunk);
        self.table.bytes() + self.kinds.bytes() + self.chunks_bytes
    }

    /// The local number of a source.
    pub(crate) fn source(&mut self, id: &[u8]) -> Result<u32, Problem> {
        if id.is_empty() {
            return Err(Problem::new("the id of a source", "nothing"));
        }
        if self.last_source.0 == id {
            return Ok(self.last_source.1);
        }
        let number = self.table.number(id)?;
        self.last_source.0.clear();
        self.last_source.0.extend_from_slice(id);
        self.last_source.1 = number;
        Ok(number)
    }

    /// The local number of a target.
    pub(crate) fn target(&mut self, id: &[u8]) -> Result<u32, Problem> {
        if id.is_empty() {
            return Err(Problem::new("the id of a target", "nothing"));
        }
        self.table.number(id)
    }

    /// The local number of an integer.
    pub(crate) fn integer(&mut self, id: i64) -> Result<u32, Problem> {
        self.table.number_of_integer(id)
    }

    /// Takes an edge, and its inverse if there shall be inverse edges. `weight` comes from [`parse_weight`] or
    /// [`check_weight`]; all edges have one or none has. `kind` is the edge's type, where there is a column of types.
    pub(crate) fn edge(
        &mut self,
        source: u32,
        target: u32,
        weight: Option<f64>,
        kind: Option<&[u8]>,
    ) -> Result<(), Problem> {
        let inverse = self.inverse.map(|factor| (factor, weight));
        let weighted = self.weighted(weight);
        if let Some(weight) = weight {
            self.tally.widen(weight, weight);
        }
        self.push(source, target, weighted, kind)?;
        if let Some((factor, weight)) = inverse.filter(|_| source != target) {
            let weight = if factor == 1.0 { weight } else { Some(weight.unwrap_or(1.0) * factor) };
            self.push_inverse(source, target, weight, kind)?;
            self.tally.inverse_edges += 1;
        }
        self.count(source, target);
        Ok(())
    }

    /// Takes an edge that is walked both ways whatever the options say, the way back under the name of the inverse type.
    pub(crate) fn both_ways(
        &mut self,
        source: u32,
        target: u32,
        weight: Option<f64>,
        kind: &[u8],
    ) -> Result<(), Problem> {
        let weight = self.weighted(weight);
        self.push(source, target, weight, Some(kind))?;
        self.push_inverse(source, target, weight, Some(kind))?;
        self.count(source, target);
        Ok(())
    }

    /// One weighted edge makes all of them weighted: where inverse edges will have weights, every edge has one.
    fn weighted(&self, weight: Option<f64>) -> Option<f64> {
        weight.or(self.inverse.filter(|&factor| factor != 1.0).map(|_| 1.0))
    }

    fn count(&mut self, source: u32, target: u32) {
        self.tally.self_loops += u64::from(source == target);
        self.tally.edges[self.file] += 1;
    }

    fn push_inverse(
        &mut self,
        source: u32,
        target: u32,
        weight: Option<f64>,
        kind: Option<&[u8]>,
    ) -> Result<(), Problem> {
        let mut name = std::mem::take(&mut self.inverse_kind);
        name.clear();
        if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
            name.push(INVERSE);
            name.extend_from_slice(kind);
        }
        // It weighs what its edge weighs, times what its own type weighs.
        let weight = match (kind, &mut self.types) {
            (Some(kind), Some(types)) => Some(weight.unwrap_or(1.0) * types.weight(kind)),
            _ => weight,
        };
        let pushed = self.push(target, source, weight, kind.map(|_| name.as_slice()));
        self.inverse_kind = name;
        pushed
    }

    fn push(&mut self, source: u32, target: u32, weight: Option<f64>, kind: Option<&[u8]>) -> Result<(), Problem> {
        if let Some(kind) = kind {
            let number = self.kinds.number(kind)?;
            self.chunk.kinds.push(number);
        }
        let weight = match (kind, &mut self.types) {
            (None, _) | (_, None) => weight,
            (Some(kind), Some(types)) => {
                let product = weight.unwrap_or(1.0) * types.weight(kind);
                if product.is_infinite() {
                    return Err(Problem::new(
                        "a weight that stays finite times the weight of its type",
                        "a larger one",
                    ));
                }
                Some(product)
            }
        };
        if let Some(weight) = weight {
            self.chunk.weights.push(weight);
            self.tally.zero_weight_edges += u64::from(weight == 0.0);
        }
        self.chunk.edges.push([source, target]);
        Ok(())
    }

    /// Whether every edge gets one back, of its inverse type.
    pub(crate) fn adds_inverse_edges(&self) -> bool {
        self.inverse.is_some()
    }

    /// Adds the other way of an edge that was just taken, with the same weight and type, to those that are written out: in
    /// formats where each edge says whether it goes both ways. The input has one edge all the same.
    pub(crate) fn edge_back(&mut self, source: u32, target: u32) {
        let chunk = &mut self.chunk;
        chunk.edges.push([target, source]);
        chunk.weights.extend_from_within(chunk.weights.len().saturating_sub(1)..);
        if let Some(last) = chunk.kinds.len().checked_sub(1) {
            chunk.kinds.push(chunk.kinds.get(last));
        }
    }

    /// What is to be done about a malformed line: it is counted, or it is an error.
    pub(crate) fn malformed(&mut self, problem: Problem) -> Result<(), Problem> {
        match self.on_malformed {
            Malformed::Refuse => Err(problem),
            Malformed::Skip => {
                self.tally.malformed += 1;
                Ok(())
            }
        }
    }
}

/// A weight as text.
pub(crate) fn parse_weight(text: &[u8]) -> Result<f64, Problem> {
    let parsed = std::str::from_utf8(text.trim_ascii()).ok().and_then(|text| text.parse::<f64>().ok());
    let Some(weight) = parsed else { return Err(Problem::new("a weight", quoted(text))) };
    check_weight(weight).ok_or_else(|| bad_weight(weight, quoted(text)))
}

/// A weight that may be one: finite and not negative. Minus zero becomes zero.
pub(crate) fn check_weight(weight: f64) -> Option<f64> {
    (0.0..f64::INFINITY).contains(&weight).then_some(weight + 0.0)
}

/// Why [`check_weight`] refuses a weight.
pub(crate) fn bad_weight(weight: f64, got: String) -> Problem {
    if weight < 0.0 && weight.is_finite() {
        return Problem::new("a weight (PageRank needs weights ≥ 0; drop or map negative ones first)", got);
    }
    Problem::new("a finite weight", got)
}

/// The weights of types, and which types were seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Types {
    /// Ascending by name.
    weights: Vec<(Vec<u8>, f64)>,
    named_seen: Vec<bool>,
    /// The first few others, ascending.
    others: BTreeSet<Vec<u8>>,
}

impl Types {
    fn new(options: &LoadOptions) -> Self {
        let weights: Vec<_> =
            options.type_weights.iter().map(|(name, &weight)| (name.as_bytes().to_vec(), weight)).collect();
        Types { named_seen: vec![false; weights.len()], weights, others: BTreeSet::new() }
    }

    fn weight(&mut self, kind: &[u8]) -> f64 {
        if let Ok(at) = self.weights.binary_search_by(|(name, _)| name.as_slice().cmp(kind)) {
            self.named_seen[at] = true;
            return self.weights[at].1;
        }
        if !self.others.contains(kind) {
            self.others.insert(kind.to_vec());
            // The smallest are kept, so that which ones are does not depend on who saw them when. One more than is
            // listed: it says that there are more.
            if TYPES_LISTED + 1 < self.others.len() {
                self.others.pop_last();
            }
        }
        1.0
    }

    pub(crate) fn add(&mut self, other: Types) {
        for (seen, also) in self.named_seen.iter_mut().zip(other.named_seen) {
            *seen |= also;
        }
        self.others.extend(other.others);
    }

    pub(crate) fn check(mut self) -> Result<(), Error> {
        let Some(missing) = self.named_seen.iter().position(|seen| !seen) else { return Ok(()) };
        let named =
            self.weights.iter().zip(&self.named_seen).filter(|(_, seen)| **seen).map(|((name, _), _)| name.clone());
        self.others.extend(named);
        let seen: Vec<String> = self.others.iter().take(TYPES_LISTED).map(|kind| quoted(kind)).collect();
        let more = if TYPES_LISTED < self.others.len() { ", …" } else { "" };
        Err(Error::TypeNeverSeen {
            name: String::from_utf8_lossy(&self.weights[missing].0).into_owned(),
            seen: format!("{}{more}", seen.join(", ")),
        })
    }
}

/// What all threads hold together, against what they may hold; and how far the input has been read.
pub(crate) struct Gauge {
    pub(crate) bytes_read: Arc<AtomicU64>,
    pub(crate) bytes_total: u64,
    held: AtomicU64,
    limit: Option<u64>,
}

impl Gauge {
    pub(crate) fn new(bytes_total: u64, limit: Option<u64>) -> Self {
        Gauge { bytes_read: Arc::new(AtomicU64::new(0)), bytes_total, held: AtomicU64::new(0), limit }
    }

    /// Says that a holder that held `before` bytes now holds `now`.
    pub(crate) fn holds(&self, before: u64, now: u64) -> Result<(), Error> {
        self.held.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        self.check(0)
    }

    /// Refuses to hold `more` bytes beside what is held, if that is too much.
    pub(crate) fn check(&self, more: u64) -> Result<(), Error> {
        let held = self.held.load(Ordering::Relaxed).saturating_add(more);
        match self.limit {
            Some(limit) if limit < held => {
                let read = self.bytes_read.load(Ordering::Relaxed);
                Err(Error::Memory {
                    limit_mib: limit >> 20,
                    held_mib: held.div_ceil(1 << 20),
                    percent: read
                        .saturating_mul(100)
                        .checked_div(self.bytes_total)
                        .map_or(100, |percent| percent.min(100)),
                })
            }
            _ => Ok(()),
        }
    }
}

/// What became of all sinks.
pub(crate) struct Gathered {
    pub(crate) edges: EdgeList,
    pub(crate) tally: Tally,
    pub(crate) types: Option<Types>,
}

/// One edge list of all that was gathered, and the counts of all.
///
/// `size`: the edges hold ids 1, 2, … less one (of a matrix of that size) instead of numbers of a table. Of these ids, those
/// that occur belong to the edge list, and an even share of all.
pub(crate) fn assemble(sinks: Vec<Sink>, size: Option<u32>, part: Part, gauge: &Gauge) -> Result<Gathered, Error> {
    let (mut tables, mut chunks, mut tally) = (Vec::new(), Vec::new(), Tally::default());
    let mut kind_tables = Vec::new();
    let mut types: Option<Types> = None;
    for (at, sink) in sinks.into_iter().enumerate() {
        tally.add(&sink.tally);
        tables.push(sink.table);
        kind_tables.push(sink.kinds);
        chunks.extend(sink.chunks.into_iter().map(|chunk| (at, chunk)));
        match (&mut types, sink.types) {
            (Some(types), Some(more)) => types.add(more),
            (None, more) => types = more,
            (Some(_), None) => {}
        }
    }
    let len = chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>();
    let weighted = chunks.iter().any(|(_, chunk)| !chunk.weights.is_empty());
    let typed = kind_tables.iter().any(|table| table.len() != 0);
    let (kind_names, kind_codes) = kinds::merge(&kind_tables);
    drop(kind_tables);
    let mut kinds = Codes::with_capacity(0, u32::try_from(kind_names.len()).unwrap_or(u32::MAX));
    let bytes_per_edge =
        2 * size_of::<u32>() + if weighted { size_of::<f64>() } else { 0 } + if typed { kinds.width() } else { 0 };
    gauge.check((len * bytes_per_edge) as u64)?;

    let (ids, ranks) = match size {
        None => {
            let (ids, ranks) = intern::merge(tables)?;
            (ids, Ranks::OfTables(ranks))
        }
        Some(size) => {
            let numbers = chunks.iter().flat_map(|(_, chunk)| chunk.edges.iter().flatten().copied());
            let numbered = Numbered::new(size, part, numbers)?;
            gauge.check((len * bytes_per_edge) as u64 + numbered.count() * size_of::<i64>() as u64)?;
            (ExternalIds::Integers(numbered.ids()?), Ranks::Numbered(numbered))
        }
    };
    chunks.sort_unstable_by_key(|(_, chunk)| chunk.sequence);
    let (mut sources, mut targets) = (Vec::with_capacity(len), Vec::with_capacity(len));
    let mut weights = Vec::with_capacity(if weighted { len } else { 0 });
    if typed {
        kinds.reserve_exact(len);
    }
    // Each chunk is freed as soon as it is written out.
    for (table, chunk) in chunks {
        let rank = |number: u32| match &ranks {
            Ranks::OfTables(ranks) => ranks[table][number as usize],
            Ranks::Numbered(numbered) => numbered.rank(number),
        };
        for (at, &[source, target]) in chunk.edges.iter().enumerate() {
            let (source, target) = (rank(source), rank(target));
            sources.push(source);
            targets.push(target);
            weights.extend(chunk.weights.get(at));
            let twice = chunk.both_ways && source != target;
            if twice {
                sources.push(target);
                targets.push(source);
                weights.extend(chunk.weights.get(at));
            }
            if typed {
                let number = if chunk.kinds.is_empty() { 0 } else { chunk.kinds.get(at) };
                let code = kind_codes[table][number as usize];
                kinds.push(code);
                if twice {
                    kinds.push(code);
                }
            }
        }
    }
    let weights = weighted.then_some(weights);
    let kinds = KindLists { nodes: None, edges: typed.then_some(KindList { names: kind_names, codes: kinds }) };
    Ok(Gathered { edges: EdgeList { ids, sources, targets, weights, kinds }, tally, types })
}

/// How numbers become ranks.
enum Ranks {
    OfTables(Vec<Vec<u32>>),
    Numbered(Numbered),
}
