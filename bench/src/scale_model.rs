//! What a sharded build costs, as a function of the graph, the plan and the processes: counts first, then what they take.
//!
//! With `a` the restart probability, `P` processes of `w` workers each, `W = P w`, and of the graph
//!
//! | | |
//! |---|---|
//! | `N`, `M` | nodes, edges |
//! | `walks` | of all sources that are not dangling |
//! | `d` | the share of edges, by weight, that lead to dangling nodes: the chance that a move is a walk's last |
//! | `l` | the share of edges, by weight, that lead to rows which are cut |
//! | `c` | the share of edges, by weight, that lead to another process; (P - 1) / P where nodes do not lie near their neighbours |
//! | `B` | bytes of all fingerprints |
//!
//! a build makes
//!
//! ```text
//! q          = (1 - a) (1 - d)                                  a walk that has moved and goes on
//! steps      = MOVES walks (1 - a) / (1 - q)                    walks that move together count once
//! blocks     = planned / visits a block                         planned = (walks + dangling sources) / a
//! rounds     = blocks (ln(walks a block 8 / 6) + 0.577) / -ln q the longest of so many packets, each of 6/8 walk
//! n(t)       = steps a block (1 - q) q^t                        arrivals of step t
//! messages   = blocks sum over t: W (W - 1) [f(n(t)) + f(l n(t)) + f(l q n(t))]
//!                                                               f(n) = 1 - e^(-n / W²), the chance that a pair has any;
//!                                                               to nodes, to holders of parts of cut rows, and from these
//! wire bytes = 8 MERGED steps [c (1 - l) + l (2 - a) (P - 1) / P]
//!            + (P - 1) / P [B + 6 N W]                          parts of fingerprints to who puts them together
//!            + (P - 1) / P [B + 4 N]                            and whole ones to who writes them
//!            + MESSAGE messages (W - w) / (W - 1)
//! peak       = PROGRAM + rows / P + max(rows of the file, VISIT / P visits of blocks under way)
//! processor  = EDGE M + STEP steps + BYTE wire bytes + MESSAGE_TIME messages
//! ```
//!
//! The words in capitals are the [`Constants`], each measured where it shows (see [`Constants::measured`]).

use anyhow::{Context, Result};
use serde::Serialize;
use walkprint_engine::graph::{CHUNK, Graph, Owners};
use walkprint_engine::plan::{Plan, UNITS_PER_PACKET, UNITS_PER_WALK};
use walkprint_walkers::shard::OwnSlots;

use crate::graphs::nodes;

/// Euler's constant: the longest of n geometric lengths is in the mean (ln n + this) / -ln q.
const EULER: f64 = 0.577_215_664_901_532_9;
/// Bytes of an arrival, and of what a part and a piece say of a source besides what was visited: the end of its bytes, and
/// in every worker's part a head of at least two.
const ARRIVAL_BYTES: f64 = 8.0;
const END_BYTES: f64 = 4.0;
const HEAD_BYTES: f64 = 2.0;
/// The most sources of a block.
const MOST_LANES: f64 = (1u64 << 20) as f64;

/// What the model knows of a graph under a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Shape {
    pub(crate) nodes: f64,
    pub(crate) edges: f64,
    pub(crate) dangling: f64,
    /// Of sources that are not dangling.
    pub(crate) walks: f64,
    /// The share of moves that end on dangling nodes.
    pub(crate) to_dangling: f64,
    /// The share of moves that end on cut rows.
    pub(crate) to_long: f64,
    /// Bytes of an edge and of a node, as a worker holds them.
    pub(crate) row_bytes: f64,
    /// Bytes of all fingerprints.
    pub(crate) fingerprint_bytes: f64,
}

/// Who builds, and how the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cut {
    pub(crate) restart_prob: f64,
    pub(crate) processes: f64,
    /// Of each process.
    pub(crate) workers: f64,
    /// The share of moves that lead to another process.
    pub(crate) crossing: f64,
    /// Expected visits of a block.
    pub(crate) block_visits: f64,
    /// Blocks under way.
    pub(crate) blocks: f64,
}

/// What depends on the program and the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Constants {
    /// Steps made for each move of a walk.
    pub(crate) moves: f64,
    /// Arrivals sent for each step.
    pub(crate) merged: f64,
    /// Bytes of a message besides its arrivals, and of what timely says of its progress.
    pub(crate) message_bytes: f64,
    /// Bytes that a process holds besides rows and walks.
    pub(crate) program_bytes: f64,
    /// Bytes for each visit of the blocks under way.
    pub(crate) visit_bytes: f64,
    /// Processor seconds of an edge: read, checked, gathered.
    pub(crate) edge_seconds: f64,
    /// Of a step: taken, noted, packed and written.
    pub(crate) step_seconds: f64,
    /// Of a byte that goes to another process.
    pub(crate) byte_seconds: f64,
    /// Of a message.
    pub(crate) message_seconds: f64,
}

/// What a build costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) steps: f64,
    pub(crate) blocks: f64,
    pub(crate) rounds: f64,
    /// From worker to worker.
    pub(crate) messages: f64,
    /// From process to process.
    pub(crate) wire_bytes: f64,
    /// Of the largest process.
    pub(crate) peak_bytes: f64,
    pub(crate) processor_seconds: f64,
}

impl Shape {
    /// Looks at every edge once. Rows of more edges than `longest_row` are cut.
    ///
    /// # Errors
    /// When a row is damaged.
    pub(crate) fn of(graph: &Graph, plan: &Plan, longest_row: u64, fingerprint_bytes: f64) -> Result<Shape> {
        let (mut dangling, mut walks, mut all, mut to_dangling, mut to_long) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for node in nodes(graph) {
            let row = graph.row(node)?;
            if row.degree() == 0 {
                dangling += 1.0;
                continue;
            }
            walks += f64::from(plan.walks_of(graph.degree(node)));
            // Moves from a node are worth as much as moves to it: about its degree.
            let total: f64 = (0..row.degree()).map(|place| row.weight(place)).sum();
            for (place, &target) in row.targets.iter().enumerate() {
                let share = row.weight(place) / total * row.degree() as f64;
                all += share;
                to_dangling += if graph.degree(target) == 0 { share } else { 0.0 };
                to_long += if longest_row < graph.degree(target) { share } else { 0.0 };
            }
        }
        let (nodes, edges) = (graph.nodes() as f64, graph.edges() as f64);
        Ok(Shape {
            nodes,
            edges,
            dangling,
            walks,
            to_dangling: to_dangling / f64::max(all, 1.0),
            to_long: to_long / f64::max(all, 1.0),
            row_bytes: edges * OwnSlots::width(graph.is_weighted()) as f64 + 8.0 * nodes,
            fingerprint_bytes,
        })
    }
}

/// The share of moves that lead to another process, when nodes are dealt out as the build does it.
///
/// # Errors
/// When a row is damaged.
pub(crate) fn crossing(graph: &Graph, longest_row: u64, processes: usize, workers: usize) -> Result<f64> {
    let count = nodes(graph).end;
    let mut costs = vec![0; count.div_ceil(CHUNK) as usize];
    for node in nodes(graph) {
        let degree = graph.degree(node);
        // As `cluster/src/build/sharded/mod.rs` has it: a node costs as much as sixteen edges besides its own.
        costs[(node / CHUNK) as usize] += 16 + if longest_row < degree { 0 } else { degree };
    }
    let owners = Owners::deal(count, &costs, processes * workers);
    let process = |node| owners.owner(node) as usize / workers;
    let (mut all, mut crossing) = (0u64, 0u64);
    for node in nodes(graph) {
        let row = graph.row(node)?;
        all += row.targets.len() as u64;
        crossing += row.targets.iter().filter(|&&target| process(target) != process(node)).count() as u64;
    }
    Ok(crossing as f64 / all.max(1) as f64)
}

impl Cut {
    fn all_workers(&self) -> f64 {
        self.processes * self.workers
    }

    /// The share of other processes.
    fn elsewhere(&self) -> f64 {
        (self.processes - 1.0) / self.processes
    }

    /// The share of messages that go to other processes.
    fn messages_elsewhere(&self) -> f64 {
        (self.all_workers() - self.workers) / (self.all_workers() - 1.0).max(1.0)
    }
}

/// The chance that a walk which has moved moves again.
fn again(shape: &Shape, cut: &Cut) -> f64 {
    (1.0 - cut.restart_prob) * (1.0 - shape.to_dangling)
}

/// Moves of all walks, each on its own.
fn moves(shape: &Shape, cut: &Cut) -> f64 {
    shape.walks * (1.0 - cut.restart_prob) / (1.0 - again(shape, cut))
}

/// Visits that are planned for: more than there are, where nodes are dangling.
fn planned(shape: &Shape, cut: &Cut) -> f64 {
    (shape.walks + shape.dangling) / cut.restart_prob
}

/// Visits of the blocks under way, of builds with so many steps in all.
fn under_way(shape: &Shape, cut: &Cut, steps: f64) -> f64 {
    let visits = steps + shape.walks + shape.dangling;
    visits * (cut.blocks * cut.block_visits / planned(shape, cut)).min(1.0)
}

/// What is on the wire besides what walks and messages take.
fn home_bytes(shape: &Shape, cut: &Cut) -> f64 {
    let parts = shape.fingerprint_bytes + (HEAD_BYTES + END_BYTES) * shape.nodes * cut.all_workers();
    cut.elsewhere() * (parts + shape.fingerprint_bytes + END_BYTES * shape.nodes)
}

/// Bytes that walks take on the wire for each arrival sent.
fn bytes_a_step(shape: &Shape, cut: &Cut) -> f64 {
    let cut_rows = shape.to_long * (2.0 - cut.restart_prob) * cut.elsewhere();
    ARRIVAL_BYTES * (cut.crossing * (1.0 - shape.to_long) + cut_rows)
}

impl Constants {
    /// What a build should cost.
    pub(crate) fn cost(&self, shape: &Shape, cut: &Cut) -> Cost {
        let (again, workers) = (again(shape, cut), cut.all_workers());
        let steps = self.moves * moves(shape, cut);
        let blocks = (planned(shape, cut) / cut.block_visits).max(shape.nodes / MOST_LANES).max(1.0).ceil();
        let packets = shape.walks / blocks * f64::from(UNITS_PER_WALK) / f64::from(UNITS_PER_PACKET);
        let rounds = blocks * ((packets.max(1.0).ln() + EULER) / -again.ln()).max(1.0);
        let messages = blocks * messages_a_block(steps / blocks, again, shape.to_long, workers);
        let wire_bytes = self.merged * steps * bytes_a_step(shape, cut)
            + home_bytes(shape, cut)
            + self.message_bytes * messages * cut.messages_elsewhere();
        let walks = self.visit_bytes * under_way(shape, cut, steps) / cut.processes;
        let peak_bytes = self.program_bytes + shape.row_bytes / cut.processes + walks.max(shape.row_bytes);
        let processor_seconds = self.edge_seconds * shape.edges
            + self.step_seconds * steps
            + self.byte_seconds * wire_bytes
            + self.message_seconds * messages;
        Cost { steps, blocks, rounds, messages, wire_bytes, peak_bytes, processor_seconds }
    }

    /// The constants, from four builds of one graph.
    ///
    /// # Errors
    /// When the system did not say what a build took.
    pub(crate) fn measured(builds: &Calibration<'_>) -> Result<Constants> {
        let Calibration { alone, few_walks, together, small_blocks } = builds;
        let mut constants = Constants {
            moves: alone.steps / moves(alone.shape, &alone.cut),
            merged: 0.0,
            message_bytes: 0.0,
            program_bytes: 0.0,
            visit_bytes: 0.0,
            edge_seconds: 0.0,
            step_seconds: 0.0,
            byte_seconds: 0.0,
            message_seconds: 0.0,
        };
        // The same walks in smaller blocks: what there is more of is messages.
        let more = small_blocks.messages - together.messages;
        let elsewhere = together.cut.messages_elsewhere();
        constants.message_bytes = (small_blocks.wire_bytes - together.wire_bytes) / (more * elsewhere);
        let messages = constants.message_bytes * together.messages * elsewhere;
        let arrivals = together.wire_bytes - home_bytes(together.shape, &together.cut) - messages;
        constants.merged = arrivals / (together.steps * bytes_a_step(together.shape, &together.cut));

        // Few walks: the rows are what is largest, once as they are read and once as they are held.
        constants.program_bytes = few_walks.peak_bytes - 2.0 * few_walks.shape.row_bytes;
        let walks = alone.peak_bytes - constants.program_bytes - alone.shape.row_bytes;
        constants.visit_bytes = walks / under_way(alone.shape, &alone.cut, alone.steps);

        let seconds = |build: &Measured<'_>| build.processor_seconds.context("no processor time is known here");
        let (of_alone, of_few) = (seconds(alone)?, seconds(few_walks)?);
        constants.step_seconds = (of_alone - of_few) / (alone.steps - few_walks.steps);
        constants.edge_seconds = (of_few - constants.step_seconds * few_walks.steps) / few_walks.shape.edges;
        // Two processes instead of one, and small blocks instead of large ones: bytes and messages in two proportions.
        let (first, second) = (seconds(together)? - of_alone, seconds(small_blocks)? - seconds(together)?);
        let more_bytes = small_blocks.wire_bytes - together.wire_bytes;
        let determinant = together.wire_bytes * more - together.messages * more_bytes;
        // Neither takes less than nothing, however noisy the machine.
        constants.byte_seconds = ((first * more - second * together.messages) / determinant).max(0.0);
        constants.message_seconds = ((second * together.wire_bytes - first * more_bytes) / determinant).max(0.0);
        Ok(constants)
    }
}

/// Messages of a block of so many steps: of the W (W - 1) pairs of workers, those of which one has something for the other
/// in a round.
fn messages_a_block(steps: f64, again: f64, to_long: f64, workers: f64) -> f64 {
    let pairs = workers * workers;
    let mut arrivals = steps * (1.0 - again);
    let mut messages = 0.0;
    while arrivals > 1e-3 {
        let filled = |arrivals: f64| -(-arrivals / pairs).exp_m1();
        // To nodes; from the homes of cut rows to the holders of their parts; and what these send on.
        let of_cut_rows = filled(arrivals * to_long) + filled(arrivals * to_long * again);
        messages += workers * (workers - 1.0) * (filled(arrivals) + of_cut_rows);
        arrivals *= again;
    }
    messages
}

/// What a build did, beside what it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Measured<'s> {
    pub(crate) shape: &'s Shape,
    pub(crate) cut: Cut,
    pub(crate) steps: f64,
    pub(crate) rounds: f64,
    pub(crate) messages: f64,
    pub(crate) wire_bytes: f64,
    pub(crate) peak_bytes: f64,
    pub(crate) processor_seconds: Option<f64>,
}

/// The builds that the constants are taken from; no other is used for them.
#[derive(Debug)]
pub(crate) struct Calibration<'s> {
    /// One worker.
    pub(crate) alone: Measured<'s>,
    /// The same with a tenth of the walks.
    pub(crate) few_walks: Measured<'s>,
    /// Two processes of one worker.
    pub(crate) together: Measured<'s>,
    /// The same in blocks of a tenth.
    pub(crate) small_blocks: Measured<'s>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            nodes: 1e5,
            edges: 2e6,
            dangling: 2e4,
            walks: 8e5,
            to_dangling: 0.1,
            to_long: 0.05,
            row_bytes: 3.3e7,
            fingerprint_bytes: 1e7,
        }
    }

    fn cut(processes: f64, workers: f64) -> Cut {
        let crossing = (processes - 1.0) / processes;
        Cut { restart_prob: 0.15, processes, workers, crossing, block_visits: 1e6, blocks: 3.0 }
    }

    fn constants() -> Constants {
        Constants {
            moves: 0.9,
            merged: 0.8,
            message_bytes: 150.0,
            program_bytes: 3e7,
            visit_bytes: 30.0,
            edge_seconds: 2e-8,
            step_seconds: 5e-8,
            byte_seconds: 1e-9,
            message_seconds: 1e-5,
        }
    }

    fn build<'s>(shape: &'s Shape, cut: Cut) -> Measured<'s> {
        let cost = constants().cost(shape, &cut);
        Measured {
            shape,
            cut,
            steps: cost.steps,
            rounds: cost.rounds,
            messages: cost.messages,
            wire_bytes: cost.wire_bytes,
            peak_bytes: cost.peak_bytes,
            processor_seconds: Some(cost.processor_seconds),
        }
    }

    #[test]
    fn constants_are_found_again_from_builds_that_cost_what_they_say() {
        let (many, few) = (Shape { walks: 8e6, ..shape() }, Shape { walks: 1e3, dangling: 1e3, ..shape() });
        let small = Cut { block_visits: 1e5, ..cut(2.0, 1.0) };
        let found = Constants::measured(&Calibration {
            alone: build(&many, cut(1.0, 1.0)),
            few_walks: build(&few, cut(1.0, 1.0)),
            together: build(&many, cut(2.0, 1.0)),
            small_blocks: build(&many, small),
        });
        let (found, expected) = (format!("{:.6?}", numbers(&found.unwrap())), format!("{:.6?}", numbers(&constants())));
        assert_eq!(found, expected);
    }

    /// In units in which six digits behind the point mean something.
    fn numbers(constants: &Constants) -> [f64; 9] {
        let Constants { moves, merged, message_bytes, program_bytes, visit_bytes, .. } = *constants;
        let Constants { edge_seconds, step_seconds, byte_seconds, message_seconds, .. } = *constants;
        let seconds = [edge_seconds, step_seconds, byte_seconds, message_seconds].map(|seconds| seconds * 1e6);
        let [edge, step, byte, message] = seconds;
        [moves, merged, message_bytes, program_bytes / 1e6, visit_bytes, edge, step, byte, message]
    }

    #[test]
    fn one_process_sends_nothing_and_one_worker_no_message() {
        let alone = constants().cost(&shape(), &cut(1.0, 1.0));
        assert_eq!((alone.wire_bytes, alone.messages), (0.0, 0.0));
        let threads = constants().cost(&shape(), &cut(1.0, 2.0));
        assert_eq!(threads.wire_bytes, 0.0);
        assert!(threads.messages != 0.0);
        assert_eq!(threads.steps, alone.steps);
    }

    #[test]
    fn walks_without_dangling_nodes_make_as_many_moves_as_the_geometric_law_says() {
        let endless = Shape { to_dangling: 0.0, ..shape() };
        assert!((moves(&endless, &cut(1.0, 1.0)) / endless.walks - 0.85 / 0.15).abs() < 1e-9);
        let one = Shape { to_dangling: 1.0, ..shape() };
        assert!((moves(&one, &cut(1.0, 1.0)) / one.walks - 0.85).abs() < 1e-9);
    }

    #[test]
    fn a_round_has_at_most_one_message_a_pair_and_two_more_where_rows_are_cut() {
        // Far more arrivals than pairs: all rounds that have any are full, but for the last few.
        let (workers, again) = (4.0, 0.85f64);
        let full = messages_a_block(1e9, again, 0.0, workers) / (workers * (workers - 1.0));
        let rounds = ((1e9 * (1.0 - again) / (workers * workers)).ln() + EULER) / -again.ln();
        assert!((full - rounds).abs() < 1.5, "{full} {rounds}");
        let of_cut_rows = messages_a_block(1e9, again, 1.0, workers) / (workers * (workers - 1.0));
        assert!((of_cut_rows - (3.0 * rounds - 1.0)).abs() < 4.5, "{of_cut_rows} {rounds}");
        // Far fewer than pairs: each arrival between different workers is a message of its own.
        let few = messages_a_block(100.0, again, 0.0, 1000.0);
        assert!((few / 99.9 - 1.0).abs() < 0.01, "{few}");
    }
}
