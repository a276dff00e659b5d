//! The cut of a batch into parts (files) and of parts into tasks (what a worker is dealt).
//!
//! **The cut depends on the number of sources, `top` and the number of nodes alone**: not on workers, memory or time, so
//! that any run of a batch writes the same bytes. (Test: `tests/tests/batch.rs`.)

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Rows of a part of a large batch.
const PART_ROWS: u64 = 4_000_000;
/// Rows of a part of a small one: a row group.
const LEAST_PART_ROWS: u64 = 1_000_000;
/// Parts that a batch should have at least, while they are not smaller than that: what an interruption may lose.
const PARTS: u64 = 8;
/// Sources of a part at most: few results each must not make a part that takes hours.
const PART_SOURCES: u64 = 1 << 16;
/// Sources of a task at most: enough that many lie close together in the graph.
const TASK_SOURCES: u64 = 512;
/// Sources of a task of a small batch, as long as its rows allow: what is answered at once.
const LEAST_TASK_SOURCES: u64 = 64;
/// Tasks that a batch should have at least, so that workers end together.
const TASKS: u64 = 256;
/// Rows of a task at most, unless one source has more.
const TASK_ROWS: u64 = 1 << 19;

/// How a batch is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// All sources.
    pub(crate) sources: u64,
    /// Sources of a part; the last has the rest.
    pub(crate) part_sources: u64,
    /// Sources of a task; the last of a part has the rest.
    pub(crate) task_sources: u64,
    /// Rows of a source at most.
    pub(crate) source_rows: u64,
}

/// Consecutive sources of one part, by their place in the order of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Who answers; set when it is dealt.
    pub(crate) worker: u32,
    /// Whose sources they are.
    pub(crate) part: u32,
    /// The first source.
    pub(crate) first: u64,
    /// One past the last.
    pub(crate) end: u64,
}

impl Cut {
    /// Cuts a batch; `rows_per_file` overrides what is usual.
    pub(crate) fn new(sources: u64, top: usize, nodes: usize, rows_per_file: Option<u64>) -> Cut {
        let source_rows = top.min(nodes).max(1) as u64;
        let usual = (sources.saturating_mul(source_rows) / PARTS).clamp(LEAST_PART_ROWS, PART_ROWS);
        let part_sources = (rows_per_file.unwrap_or(usual) / source_rows).clamp(1, PART_SOURCES);
        // Numbers of parts have 32 bits.
        let part_sources = part_sources.max(sources.div_ceil(u64::from(u32::MAX)));
        let task_sources = (sources / TASKS).next_multiple_of(LEAST_TASK_SOURCES);
        let task_sources = task_sources.clamp(LEAST_TASK_SOURCES, TASK_SOURCES).min(TASK_ROWS / source_rows).max(1);
        Cut { sources, part_sources, task_sources, source_rows }
    }

    /// How many parts there are.
    pub(crate) fn parts(&self) -> u32 {
        u32::try_from(self.sources.div_ceil(self.part_sources)).expect("parts have enough sources for 32 bits")
    }

    /// The sources of a part.
    pub(crate) fn part(&self, number: u32) -> Range<u64> {
        let first = u64::from(number) * self.part_sources;
        first..(first + self.part_sources).min(self.sources)
    }

    /// The part that a source is in, by its place in the order of answering.
    pub(crate) fn part_of(&self, place: u64) -> u32 {
        u32::try_from(place / self.part_sources).expect("parts have enough sources for 32 bits")
    }

    /// The task that a source belongs to, by its place in the order of answering: where its sources are.
    pub(crate) fn task_around(&self, place: u64) -> Range<u64> {
        let part = self.part_of(place);
        let Range { start, end } = self.part(part);
        let first = start + (place - start) / self.task_sources * self.task_sources;
        first..(first + self.task_sources).min(end)
    }

    /// The tasks of a part, in order.
    pub(crate) fn tasks(&self, part: u32) -> impl Iterator<Item = Task> + use<> {
        let (Range { start, end }, step) = (self.part(part), self.task_sources);
        let firsts = (0..).map(move |number| start + number * step).take_while(move |&first| first < end);
        firsts.map(move |first| Task { worker: 0, part, first, end: (first + step).min(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_in_one_task_of_one_part() {
        for sources in [1, 63, 64, 65, 5_000, 200_001] {
            for (top, nodes, rows) in [(1, 9, None), (10, 1_000_000, Some(1_000)), (1 << 40, 70_000, None)] {
                let cut = Cut::new(sources, top, nodes, rows);
                let mut next = 0;
                for part in 0..cut.parts() {
                    for task in cut.tasks(part) {
                        assert!(task.first == next && task.first < task.end && task.part == part, "{cut:?} {task:?}");
                        for place in [task.first, task.end - 1] {
                            assert_eq!(cut.task_around(place), task.first..task.end);
                        }
                        next = task.end;
                    }
                    assert_eq!(next, cut.part(part).end);
                }
                assert_eq!(next, sources);
            }
        }
    }

    #[test]
    fn parts_hold_about_the_rows_that_are_wanted() {
        let rows = |sources, top, wanted| {
            let cut = Cut::new(sources, top, 1 << 30, wanted);
            cut.part_sources * cut.source_rows
        };
        assert_eq!(rows(1_000_000, 100, None), 4_000_000);
        assert_eq!(rows(100_000, 100, None), 1_250_000);
        assert_eq!(rows(1_000, 100, None), 1_000_000);
        assert_eq!(rows(100_000, 100, Some(5_000)), 5_000);
        assert_eq!(rows(10, 100, Some(1)), 100, "a source is not torn apart");
    }
}
