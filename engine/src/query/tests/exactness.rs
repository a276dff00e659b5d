//! `exact` against the dense solve.

use super::oracle::{self, l1};
use super::world::{Edges, Random, World, random_edges};
use crate::ids::NodeId;
use crate::plan::Plan;
use crate::query::{Dangling, Method, Question, Seeds, Status};

fn exact(seeds: Seeds, residual: f64) -> Question {
    Question { method: Method::Exact, dangling: Dangling::Drop, residual, ..Question::new(seeds) }
}

fn dense(nodes: u32, seeds: &Seeds) -> Vec<f64> {
    let mut dense = vec![0.0; nodes as usize];
    seeds.weights().iter().for_each(|&(node, weight)| dense[node as usize] = weight);
    dense
}

#[test]
fn the_core_agrees_with_a_dense_solve() {
    let mut random = Random(1);
    for restart_prob in [0.01, 0.05, 0.15, 0.5, 0.85, 1.0] {
        for (nodes, edges, weighted) in [(1, 0, false), (2, 3, true), (9, 14, false), (30, 60, true), (40, 300, true)] {
            let edges = random_edges(nodes, edges, weighted, &mut random);
            let world = World::new(nodes, &edges);
            let mut answerer = world.answerer(None, restart_prob);
            for seeds in [
                Seeds::single(random.below(nodes)),
                Seeds::from_weights(nodes as usize, (0..nodes).map(|node| (node, random.share() + 1e-9)).collect())
                    .unwrap(),
            ] {
                let expected =
                    oracle::scores(nodes as usize, &edges, &dense(nodes, &seeds), restart_prob, Dangling::Drop);
                let got = answerer.scores(&exact(seeds, 1e-14)).unwrap();
                let error = l1(&got.scores, &expected);
                assert!(error <= 1e-13, "{nodes} nodes, restart_prob {restart_prob}: {error:e}");
                let Status::Exact { residual, error_bound } = got.status else { panic!("{:?}", got.status) };
                assert!(residual <= 1e-14 && residual == error_bound);
                assert_eq!(got.mass_accounted, 1.0 - residual);
                assert!(got.std_errors.iter().all(|&std_error| std_error == 0.0));
            }
        }
    }
}

/// A ring with chords, large enough that answers start local, and narrow enough that pushing stays local for a while.
fn ring(nodes: u32) -> Edges {
    let chords = (0..nodes).step_by(5).map(|node| (node, (node * 7 + 3) % nodes, 0.5));
    (0..nodes).map(|node| (node, (node + 1) % nodes, 1.0)).chain(chords).collect()
}

#[test]
fn the_residual_bounds_the_error_and_is_reached() {
    let world = World::new(400, &ring(400));
    let mut answerer = world.answerer(None, 0.1);
    let truth = answerer.scores(&exact(Seeds::single(7), 1e-15)).unwrap().scores;
    for target in [0.9, 0.3, 1e-2, 1e-5, 1e-9] {
        let got = answerer.scores(&exact(Seeds::single(7), target)).unwrap();
        let Status::Exact { residual, .. } = got.status else { panic!("{:?}", got.status) };
        assert!(residual <= target, "{residual:e} is above {target:e}");
        let error = l1(&truth, &got.scores);
        assert!(0.0 < error && error <= residual * (1.0 + 1e-9), "{error:e} {residual:e}");
    }
}

#[test]
fn a_component_of_its_own_is_answered_alone() {
    // The ring beyond node 10 is out of reach; an answer that stays local does not touch it.
    let mut edges: Edges =
        ring(400).into_iter().map(|(source, target, weight)| (source + 10, target + 10, weight)).collect();
    edges.extend([(0, 1, 1.0), (1, 2, 1.0), (2, 0, 2.0), (2, 3, 1.0)]);
    let world = World::new(410, &edges);
    let got = world.answerer(None, 0.15).scores(&exact(Seeds::single(0), 1e-14)).unwrap();
    let expected = oracle::scores(4, &edges[edges.len() - 4..], &[1.0, 0.0, 0.0, 0.0], 0.15, Dangling::Drop);
    assert!(l1(&got.scores[..4], &expected) <= 1e-13);
    assert!(got.scores[4..].iter().all(|&score| score == 0.0));
}

#[test]
fn an_answer_leaves_nothing_behind_for_the_next() {
    let mut random = Random(9);
    let world = World::new(300, &random_edges(300, 700, true, &mut random));
    let plan = Plan::default();
    let mut questions = Vec::new();
    for dangling in [Dangling::Uniform, Dangling::Restart, Dangling::SelfLoop, Dangling::Drop] {
        for method in [Method::Lookup, Method::Combine, Method::Exact] {
            let mut question =
                Question { method, dangling, top: 50, ..Question::new(Seeds::single(random.below(300))) };
            question.push.threshold = 10f64.powf(-5.0 * random.share());
            question.push.sweep = false;
            questions.push(question);
        }
    }
    let all = Seeds::from_weights(300, (0..300).map(|node: NodeId| (node, 1.0)).collect()).unwrap();
    questions.push(Question { method: Method::Lookup, ..Question::new(all) });
    compare_with_fresh(&world, &plan, &questions);
    // The same where answers stay local: nothing is cleared but what was touched.
    let world = World::new(4000, &ring(4000));
    questions.iter_mut().for_each(|question| question.push.threshold = 0.02);
    questions.retain(|question| question.dangling != Dangling::Uniform && question.method != Method::Exact);
    compare_with_fresh(&world, &Plan { walks: 4, ..plan }, &questions);
}

fn compare_with_fresh(world: &World, plan: &Plan, questions: &[Question]) {
    let index = world.index(plan);
    let mut used = world.answerer(Some(&index), plan.restart_prob);
    for question in questions.iter().chain(questions.iter().rev()) {
        let fresh = world.answerer(Some(&index), plan.restart_prob).answer(question).unwrap();
        assert_eq!(used.answer(question).unwrap(), fresh);
        let bad = Question { top: 0, ..question.clone() };
        assert!(used.answer(&bad).is_err());
    }
}

#[test]
fn a_vanishing_restart_probability_ends_all_the_same() {
    // 1 - 1e-17 is 1 in f64: nothing ever leaves the ring, and both nodes are visited as often.
    let world = World::new(2, &[(0, 1, 1.0), (1, 0, 1.0)]);
    let mut answerer = world.answerer(None, 1e-17);
    let got = answerer.scores(&exact(Seeds::single(0), 1e-3)).unwrap();
    let Status::Exact { residual, .. } = got.status else { panic!("{:?}", got.status) };
    assert!(residual.is_finite() && l1(&got.scores, &[0.5, 0.5]) <= residual.max(1e-15), "{residual:e} {got:?}");
}
