//! What the cost model says of the graphs of the PowerWalk paper, beside what that paper published.
//!
//! PowerWalk (Liu et al., CIKM 2016) built indexes of R = 100 on 8 machines with 128 cores in all and 1 Gb Ethernet. Here
//! no such machines are at hand: what is printed follows from counts that the model derives, from processor seconds as
//! measured on this machine, and from the stated network. Neither graph is at hand either: of both only nodes and edges are
//! known here, no node is taken to be dangling and no move to stay on its machine, which is the worst case for both.

use crate::figure::Figure;
use crate::report::{Report, Sheet, SheetRow};
use crate::scale_model::{Constants, Cut, Shape};

const MACHINES: f64 = 8.0;
const CORES: f64 = 16.0;
const WALKS: f64 = 100.0;
const RESTART_PROB: f64 = 0.15;
/// Bytes that a machine sends in a second over 1 Gb/s Ethernet.
const BYTES_A_SECOND: f64 = 125e6;
/// What a message waits for the slowest of all workers in one round, with timely's progress there and back.
const ROUND_SECONDS: f64 = 1e-3;
/// Planned visits of a block: as many as 2^20 sources, the most a block has, are planned to have; and as the program chooses.
const BLOCKS_OF: [(&str, f64); 2] = [("blocks of 2^20 sources", 7e8), ("blocks as by default", 2e6)];
const BLOCKS: f64 = 3.0;
/// Bytes of fingerprints for each step: an upper bound, a gap of three bytes for each, because hundreds of visits among tens
/// of millions of nodes lie far apart.
const BYTES_A_STEP: f64 = 3.0;

/// Name, nodes, edges, and PowerWalk's published seconds.
const GRAPHS: [(&str, f64, f64, f64); 2] =
    [("twitter-2010", 41.652e6, 1.468e9, 1728.0), ("uk-union", 133.633e6, 5.507e9, 3187.0)];

/// Adds what the model says to a report.
pub(crate) fn on_paper(constants: &Constants, report: &mut Report) {
    let mut rows = Vec::new();
    for (name, nodes, edges, published) in GRAPHS {
        for (blocks, block_visits) in BLOCKS_OF {
            let shape = shape(constants, nodes, edges);
            let cut = Cut {
                restart_prob: RESTART_PROB,
                processes: MACHINES,
                workers: CORES,
                crossing: (MACHINES - 1.0) / MACHINES,
                block_visits,
                blocks: BLOCKS,
            };
            let cost = constants.cost(&shape, &cut);
            let case = format!("on paper: {name}, {blocks}");
            let processor = cost.processor_seconds / (MACHINES * CORES);
            let network = cost.wire_bytes / MACHINES / BYTES_A_SECOND;
            let waiting = cost.rounds * ROUND_SECONDS / BLOCKS;
            for ((name, unit), value) in COLUMNS.into_iter().zip([
                cost.steps / 1e9,
                cost.messages / 1e6,
                cost.wire_bytes / 1e9,
                cost.peak_bytes / 1e9,
                processor,
                network,
                waiting,
                processor.max(network).max(waiting),
                published,
            ]) {
                report.figure(Figure::single(&case, name, unit, value));
            }
            rows.push(SheetRow { case: case.clone(), name: case, words: Vec::new(), ours: true });
        }
    }
    report.sheets.push(Sheet {
        title: format!(
            "On paper, nothing of this was run: 8 machines of 16 cores, 1 Gb/s, R = {WALKS}, restart probability {RESTART_PROB}, no weights"
        ),
        caption: "the model's counts, this machine's processor seconds, a stated network".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: COLUMNS.to_vec(),
        folded: false,
    });
}

const COLUMNS: [(&str, &str); 9] = [
    ("steps", "G"),
    ("messages", "M"),
    ("wire, all machines", "GB"),
    ("peak, a machine", "GB"),
    ("processors", "s"),
    ("network", "s"),
    ("waiting", "s"),
    ("slowest of the three", "s"),
    ("PowerWalk, published", "s"),
];

fn shape(constants: &Constants, nodes: f64, edges: f64) -> Shape {
    let walks = nodes * WALKS;
    let steps = constants.moves * walks * (1.0 - RESTART_PROB) / RESTART_PROB;
    Shape {
        nodes,
        edges,
        dangling: 0.0,
        walks,
        to_dangling: 0.0,
        to_long: 0.0,
        row_bytes: 4.0 * edges + 8.0 * nodes,
        fingerprint_bytes: BYTES_A_STEP * (steps + nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::tests::facts;

    #[test]
    fn small_blocks_among_many_workers_are_all_messages() {
        let constants = Constants {
            moves: 1.0,
            merged: 1.0,
            message_bytes: 200.0,
            program_bytes: 5e7,
            visit_bytes: 40.0,
            edge_seconds: 2e-8,
            step_seconds: 5e-8,
            byte_seconds: 1e-9,
            message_seconds: 1e-5,
        };
        let mut report = Report::new("scale", facts());
        on_paper(&constants, &mut report);
        let of = |blocks: &str, column: usize| {
            report.find(&format!("on paper: twitter-2010, {blocks}"), COLUMNS[column]).unwrap().value()
        };
        let [(large, _), (small, _)] = BLOCKS_OF;
        // 41.652e6 x 100 x 0.85 / 0.15 steps, however they are cut.
        assert!((of(large, 0) - 23.60).abs() < 0.01);
        assert_eq!(of(large, 0), of(small, 0));
        assert!(of(large, 2) < 350.0 && 700.0 < of(small, 2), "{} {}", of(large, 2), of(small, 2));
    }
}
