//! Answers on their way to a file: compact, by source, and a stretch of rows as columns.

use serde::{Deserialize, Serialize};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answer, Status};

use super::cut::Task;
use crate::error::Result;

/// One result of one source; its rank is its place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) target: NodeId,
    pub(crate) score: f32,
    pub(crate) std_error: f32,
}

/// How sure many answers are together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Surety {
    /// Sources with fewer results than were asked for.
    pub(crate) truncated_sources: u64,
    /// The least share of a source's mass that its scores account for.
    pub(crate) least_mass_accounted: f64,
    /// The largest bound of the L1 error; infinite where scores are estimates.
    pub(crate) largest_error_bound: f64,
}

impl Surety {
    /// That of no answers.
    pub(crate) const BEST: Surety =
        Surety { truncated_sources: 0, least_mass_accounted: 1.0, largest_error_bound: 0.0 };

    /// That of a source without results.
    const NOTHING: Surety = Surety { truncated_sources: 1, ..Surety::BEST };

    fn of(answer: &Answer) -> Surety {
        Surety {
            truncated_sources: answer.truncated.into(),
            least_mass_accounted: answer.mass_accounted,
            largest_error_bound: match answer.status {
                Status::Exact { error_bound, .. } => error_bound,
                Status::Estimated { .. } => f64::INFINITY,
            },
        }
    }

    /// The surety of these answers and others.
    pub(crate) fn and(self, other: Surety) -> Surety {
        Surety {
            truncated_sources: self.truncated_sources + other.truncated_sources,
            least_mass_accounted: self.least_mass_accounted.min(other.least_mass_accounted),
            largest_error_bound: self.largest_error_bound.max(other.largest_error_bound),
        }
    }
}

/// The answers of one task, in the order in which they were found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Whose answers they are.
    pub(crate) task: Task,
    /// All rows, source by source.
    pub(crate) rows: Vec<Row>,
    /// Where the rows of each source end.
    pub(crate) ends: Vec<u64>,
    /// How sure they are.
    pub(crate) surety: Surety,
}

/// The answers of a task as they come in.
pub(crate) struct Gathering {
    sources: Vec<NodeId>,
    piece: Piece,
}

impl Gathering {
    /// Nothing yet, of a task's sources.
    pub(crate) fn new(task: Task, sources: Vec<NodeId>) -> Gathering {
        let ends = Vec::with_capacity(sources.len());
        Gathering { sources, piece: Piece { task, rows: Vec::new(), ends, surety: Surety::BEST } }
    }

    /// The sources that are not answered yet, in order.
    pub(crate) fn rest(&self) -> &[NodeId] {
        &self.sources[self.piece.ends.len()..]
    }

    /// Takes the answers of the first sources of [`Gathering::rest`]. Returns the number of their rows.
    pub(crate) fn take(&mut self, answers: Vec<Option<Answer>>) -> u64 {
        let Piece { rows, ends, surety, .. } = &mut self.piece;
        let before = rows.len();
        for answer in answers {
            *surety = surety.and(answer.as_ref().map_or(Surety::NOTHING, Surety::of));
            #[expect(clippy::cast_possible_truncation, reason = "scores are stored in single precision")]
            let single = |score: f64| score as f32;
            rows.extend(answer.into_iter().flat_map(|answer| answer.results).map(|result| Row {
                target: result.node,
                score: single(result.score),
                std_error: single(result.std_error),
            }));
            ends.push(rows.len() as u64);
        }
        (rows.len() - before) as u64
    }

    /// The piece, once all sources are answered.
    pub(crate) fn finish(self) -> Piece {
        self.piece
    }
}

/// Ids of consecutive rows.
#[derive(Debug)]
pub(crate) enum Ids {
    /// Integers, one a row.
    Integers(Vec<i64>),
    /// Strings: each once, and its place for every row.
    Strings { keys: Vec<i32>, ids: Vec<String> },
}

/// Consecutive rows as columns, ready to be written.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) sources: Ids,
    pub(crate) targets: Ids,
    pub(crate) scores: Vec<f32>,
    pub(crate) std_errors: Vec<f32>,
    pub(crate) ranks: Vec<u32>,
}

impl Stretch {
    /// Bytes of a row while it is here: two ids or keys, two numbers and a rank.
    pub(crate) const ROW_BYTES: u64 = 2 * 8 + 2 * 4 + 4;

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.ranks.len()
    }
}

/// Turns rows into stretches. Memory: 4 bytes a node where ids are strings.
pub(crate) struct Stretcher<'labels> {
    labels: &'labels Labels,
    places: Vec<i32>,
}

/// The place of an id that has none yet.
const NO_PLACE: i32 = -1;

impl<'labels> Stretcher<'labels> {
    /// For the ids of a graph.
    pub(crate) fn new(labels: &'labels Labels) -> Self {
        let strings = if labels.are_integers() { 0 } else { labels.len() };
        Stretcher { labels, places: vec![NO_PLACE; strings] }
    }

    /// Calls `write` with the rows of a part, cut into stretches of equal length near `near`. `nodes` are the sources of
    /// the part, `order` says which of them the answers in the pieces are of, one after the other. Returns the number of rows.
    pub(crate) fn stretches(
        &mut self,
        nodes: &[NodeId],
        order: &[u32],
        pieces: &[Piece],
        near: usize,
        mut write: impl FnMut(Stretch) -> Result<()>,
    ) -> Result<u64> {
        let rows: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
        let count = ((rows + near / 2) / near).max(1);
        let length = rows.div_ceil(count);
        let mut by_source: Vec<&[Row]> = vec![&[]; nodes.len()];
        for (answer, &place) in pieces.iter().flat_map(Piece::answers).zip(order) {
            by_source[place as usize] = answer;
        }
        let mut all = by_source
            .into_iter()
            .zip(nodes)
            .flat_map(|(answer, &source)| (1..).zip(answer).map(move |(rank, row)| (source, rank, *row)));
        loop {
            let stretch: Vec<(NodeId, u32, Row)> = all.by_ref().take(length).collect();
            if stretch.is_empty() {
                return Ok(rows as u64);
            }
            write(Stretch {
                sources: self.ids(stretch.iter().map(|(source, ..)| *source))?,
                targets: self.ids(stretch.iter().map(|(_, _, row)| row.target))?,
                scores: stretch.iter().map(|(_, _, row)| row.score).collect(),
                std_errors: stretch.iter().map(|(_, _, row)| row.std_error).collect(),
                ranks: stretch.iter().map(|&(_, rank, _)| rank).collect(),
            })?;
        }
    }

    fn ids(&mut self, nodes: impl Iterator<Item = NodeId>) -> Result<Ids> {
        if self.labels.are_integers() {
            let ids: walkprint_engine::error::Result<Vec<i64>> = nodes.map(|node| self.labels.integer(node)).collect();
            return Ok(Ids::Integers(ids?));
        }
        let (mut keys, mut ids, mut met) = (Vec::new(), Vec::new(), Vec::new());
        for node in nodes {
            let place = &mut self.places[node as usize];
            if *place == NO_PLACE {
                *place = i32::try_from(met.len()).expect("a stretch has far fewer rows than that");
                met.push(node);
                ids.push(self.labels.id(node)?);
            }
            keys.push(*place);
        }
        met.into_iter().for_each(|node| self.places[node as usize] = NO_PLACE);
        Ok(Ids::Strings { keys, ids })
    }
}

impl Piece {
    /// The rows of each source.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &[Row]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| {
            let place = |at: u64| usize::try_from(at).expect("the rows are in memory");
            &self.rows[place(start)..place(end)]
        })
    }
}
