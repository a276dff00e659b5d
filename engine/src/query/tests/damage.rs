//! Graph files that were changed behind our back: an error, never a panic, never a NaN.

use super::world::{Random, World, random_edges};
use crate::error::Error;
use crate::plan::Plan;
use crate::query::{Answerer, Dangling, ExplainSettings, Method, Question, Seeds};

/// The bytes of a file that hold `element`, as often as it occurs one after the other.
fn replace<const BYTES: usize>(bytes: &mut [u8], element: [u8; BYTES], by: [u8; BYTES]) {
    let places: Vec<usize> =
        (0..bytes.len() - BYTES + 1).step_by(4).filter(|&at| bytes[at..at + BYTES] == element).collect();
    assert!(!places.is_empty(), "the element is in the file");
    places.into_iter().for_each(|at| bytes[at..at + BYTES].copy_from_slice(&by));
}

fn ask(world: &World, damage: impl FnOnce(&mut Vec<u8>), residual: f64) -> Result<(), Error> {
    let mut bytes = world.graph_bytes();
    damage(&mut bytes);
    let graph = world.mapped(&bytes).unwrap();
    let mut answerer = Answerer::new(&graph, &world.labels, None, 0.15)?;
    let question = Question { method: Method::Exact, residual, ..Question::new(Seeds::single(0)) };
    let first = answerer.answer(&question).map(|_| ());
    // The workspace is clear after an error too.
    let second = answerer.answer(&question).map(|_| ());
    assert_eq!(first.is_err(), second.is_err());
    first
}

#[test]
fn a_target_outside_the_graph_is_damage() {
    let chain: Vec<(u32, u32, f64)> = (0..40).map(|node| (node, node + 1, 1.0)).collect();
    let world = World::new(41, &chain);
    assert!(ask(&world, |_| (), 1e-12).is_ok());
    for target in [41u32, u32::MAX] {
        let asked = ask(&world, |bytes| replace(bytes, [37, 0, 0, 0], target.to_le_bytes()), 1e-12);
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{asked:?}");
    }
}

#[test]
fn offsets_that_do_not_ascend_are_damage() {
    let world = World::new(41, &(0..40).map(|node| (node, node + 1, 1.0)).collect::<Vec<_>>());
    for offset in [1u64 << 40, u64::MAX] {
        let asked = ask(&world, |bytes| replace(bytes, 21u64.to_le_bytes(), offset.to_le_bytes()), 1e-12);
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{asked:?}");
    }
}

#[test]
fn weights_that_are_no_weights_are_damage() {
    let world = World::new(4, &[(0, 1, 0.625), (0, 2, 0.25), (1, 0, 4.0), (2, 3, 1.0)]);
    for weight in [f32::NAN, f32::INFINITY, -0.625, 1e30, 0.0] {
        let asked = ask(&world, |bytes| replace(bytes, 0.625f32.to_le_bytes(), weight.to_le_bytes()), 1e-12);
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{weight}: {asked:?}");
    }
    for total in [f64::NAN, f64::INFINITY, -0.875, 0.0, 1e-300, 1e300] {
        let asked = ask(&world, |bytes| replace(bytes, 0.875f64.to_le_bytes(), total.to_le_bytes()), 1e-12);
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{total}: {asked:?}");
    }
}

#[test]
fn rows_that_only_the_last_step_reads_are_checked_too() {
    let edges = [(0, 1, 0.625), (0, 2, 0.25), (1, 0, 4.0), (2, 3, 1.0)];
    let mut world = World::new(4, &edges);
    let bytes = world.graph_bytes();
    world.graph = world.mapped(&bytes).unwrap();
    let plan = Plan::default();
    let index = world.index(&plan);
    let mut question =
        Question { method: Method::Combine, dangling: Dangling::Drop, ..Question::new(Seeds::single(0)) };
    question.push.threshold = 10.0;
    question.push.sweep = false;
    assert!(world.answerer(Some(&index), plan.restart_prob).answer(&question).is_ok());
    for weight in [f32::NAN, f32::INFINITY, -0.625, 1e30, 0.0] {
        let mut bytes = bytes.clone();
        replace(&mut bytes, 0.625f32.to_le_bytes(), weight.to_le_bytes());
        world.graph = world.mapped(&bytes).unwrap();
        let asked = world.answerer(Some(&index), plan.restart_prob).answer(&question);
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{weight}: {asked:?}");
    }
}

/// Bytes that are still a graph give some answer; none panics, and no score is NaN or negative.
#[test]
fn any_changed_byte_gives_an_answer_or_an_error() {
    let mut random = Random(8);
    for weighted in [false, true] {
        // The header and the section table, 256 bytes at most, are checked when the file is opened.
        let world = World::new(20, &random_edges(20, 50, weighted, &mut random));
        let sound = world.answerer(None, 0.15).answer(&Question::new(Seeds::single(0))).unwrap();
        let mut bytes = world.graph_bytes();
        for at in 256..bytes.len() {
            let whole = bytes[at];
            bytes[at] ^= u8::try_from(1 + random.below(255)).unwrap();
            let graph = world.mapped(&bytes);
            bytes[at] = whole;
            let Ok(graph) = graph else { continue };
            let mut answerer = Answerer::new(&graph, &world.labels, None, 0.15).unwrap();
            for dangling in [Dangling::Restart, Dangling::Uniform] {
                let question =
                    Question { method: Method::Exact, dangling, residual: 1e-3, ..Question::new(Seeds::single(0)) };
                if let Ok(scores) = answerer.scores(&question) {
                    assert!(scores.scores.iter().all(|&score| score.is_finite() && 0.0 <= score), "byte {at}");
                }
                if let Ok(explanation) = answerer.explain(&question, &sound, &ExplainSettings::default()) {
                    let paths = explanation.results.iter().flat_map(|one| &one.paths);
                    assert!(
                        paths.into_iter().all(|path| 0.0 < path.probability && path.share.is_finite()),
                        "byte {at}"
                    );
                    let parts = explanation.results.iter().flat_map(|one| &one.contributions);
                    assert!(parts.into_iter().all(|part| part.score.is_finite()), "byte {at}");
                }
            }
        }
    }
}
