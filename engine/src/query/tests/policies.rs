//! The four dangling policies against their dense definitions, and what must hold of any answer.

use proptest::prelude::*;

use super::oracle::{self, l1};
use super::world::{Random, World, random_edges};
use crate::plan::Plan;
use crate::query::{Dangling, Debias, Method, PopularityKind, Question, Seeds, Status};

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

#[test]
fn every_policy_is_what_its_dense_definition_says() {
    let mut random = Random(2);
    for restart_prob in [0.01, 0.15, 0.6, 1.0] {
        for (nodes, edges, weighted) in [(1, 0, false), (3, 2, false), (12, 20, true), (30, 90, true), (30, 20, false)]
        {
            let edges = random_edges(nodes, edges, weighted, &mut random);
            let world = World::new(nodes, &edges);
            let mut answerer = world.answerer(None, restart_prob);
            let weights: Vec<f64> = (0..nodes).map(|_| random.share() * f64::from(random.below(2))).collect();
            let weights = if weights.iter().all(|&weight| weight == 0.0) { vec![1.0; nodes as usize] } else { weights };
            let seeds = Seeds::from_weights(nodes as usize, (0..nodes).zip(weights.iter().copied()).collect()).unwrap();
            for dangling in POLICIES {
                let question =
                    Question { method: Method::Exact, dangling, residual: 1e-14, ..Question::new(seeds.clone()) };
                let got = answerer.scores(&question).unwrap();
                let expected = oracle::scores(nodes as usize, &edges, &weights, restart_prob, dangling);
                let Status::Exact { error_bound, .. } = got.status else { panic!("{:?}", got.status) };
                let error = l1(&got.scores, &expected);
                assert!(
                    error <= error_bound + 1e-13_f64.max(2e-14 / restart_prob),
                    "{nodes} nodes, {restart_prob}, {dangling}: {error:e} {error_bound:e}"
                );
            }
        }
    }
}

#[test]
fn answers_do_not_depend_on_the_questions_before() {
    let mut random = Random(11);
    let edges = random_edges(300, 1500, true, &mut random);
    let world = World::new(300, &edges);
    let index = world.index(&Plan::default());
    let mut questions = Vec::new();
    for method in [Method::Lookup, Method::Combine, Method::Exact, Method::Block] {
        for (dangling, residual, settle, debias) in [
            (Dangling::Uniform, 1e-3, false, None),
            (Dangling::Uniform, 1e-12, true, None),
            (Dangling::Restart, 1e-14, false, Some(PopularityKind::GlobalPageRank)),
            (Dangling::Uniform, 1e-6, false, Some(PopularityKind::GlobalPageRank)),
            (Dangling::Drop, 1e-12, true, Some(PopularityKind::Degree)),
        ] {
            let mut question = Question::new(Seeds::single(random.below(200)));
            (question.method, question.dangling, question.residual) = (method, dangling, residual);
            question.settle = settle && method != Method::Lookup;
            question.shape.debias = debias.map(|by| Debias { by, power: 0.5 });
            questions.push(question);
        }
    }
    let mut used = world.answerer(Some(&index), Plan::default().restart_prob);
    for question in questions.iter().chain(questions.iter().rev()) {
        let mut fresh = world.answerer(Some(&index), Plan::default().restart_prob);
        assert_eq!(used.answer(question).unwrap(), fresh.answer(question).unwrap(), "{question:?}");
    }
}

#[test]
fn a_rough_answer_keeps_its_error_bound_under_every_policy() {
    let mut random = Random(3);
    for _ in 0..20 {
        let edges = random_edges(25, 40, true, &mut random);
        let world = World::new(25, &edges);
        let mut answerer = world.answerer(None, 0.2);
        let seed = random.below(25);
        for dangling in POLICIES {
            for residual in [0.5, 0.05, 1e-3] {
                let question =
                    Question { method: Method::Exact, dangling, residual, ..Question::new(Seeds::single(seed)) };
                let mut weights = vec![0.0; 25];
                weights[seed as usize] = 1.0;
                let expected = oracle::scores(25, &edges, &weights, 0.2, dangling);
                let got = answerer.scores(&question).unwrap();
                let Status::Exact { error_bound, .. } = got.status else { panic!("{:?}", got.status) };
                assert!(l1(&got.scores, &expected) <= error_bound + 1e-13, "{dangling} at {residual}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scores_are_a_distribution_and_linear_in_the_seeds(
        nodes in 1u32..25, density in 0u32..5, weighted: bool, key: u64, restart_prob in 0.02f64..1.0,
    ) {
        let mut random = Random(key);
        let world = World::new(nodes, &random_edges(nodes, nodes * density, weighted, &mut random));
        let mut answerer = world.answerer(None, restart_prob);
        let (first, second, share) = (random.below(nodes), random.below(nodes), random.share());
        let mixed = Seeds::from_weights(nodes as usize, vec![(first, share), (second, 1.0 - share)]).unwrap();
        for dangling in POLICIES {
            let mut scores = |seeds: Seeds| {
                let question = Question { method: Method::Exact, dangling, ..Question::new(seeds) };
                answerer.scores(&question).unwrap().scores
            };
            let (one, two) = (scores(Seeds::single(first)), scores(Seeds::single(second)));
            let sum: f64 = one.iter().sum();
            prop_assert!(one.iter().all(|score| score.is_finite() && 0.0 <= *score));
            prop_assert!(if dangling == Dangling::Drop { sum <= 1.0 + 1e-12 } else { (sum - 1.0).abs() <= 1e-9 }, "{dangling} {sum}");
            // `restart` sends walks back to the seeds, so that it is not linear in them.
            if dangling != Dangling::Restart {
                let expected: Vec<f64> = one.iter().zip(&two).map(|(one, two)| share * one + (1.0 - share) * two).collect();
                prop_assert!(l1(&scores(mixed.clone()), &expected) <= 1e-9, "{dangling}");
            }
        }
    }

    #[test]
    fn every_answer_has_its_status_and_no_nan(
        nodes in 1u32..25, density in 0u32..5, key: u64, restart_prob in 0.02f64..=1.0, top in 1usize..40,
    ) {
        let mut random = Random(key);
        let world = World::new(nodes, &random_edges(nodes, nodes * density, true, &mut random));
        let plan = Plan { restart_prob, walks: 1 + random.below(20), rng_key: key, ..Plan::default() };
        let index = world.index(&plan);
        let mut answerer = world.answerer(Some(&index), restart_prob);
        for method in [Method::Auto, Method::Lookup, Method::Combine, Method::Exact] {
            for dangling in POLICIES {
                let mut question = Question { method, dangling, top, ..Question::new(Seeds::single(random.below(nodes))) };
                question.push.threshold = 10f64.powf(-6.0 * random.share());
                question.push.sweep = false;
                question.push.drop = random.share() * 0.3;
                let answer = answerer.answer(&question).unwrap();
                prop_assert!(answer.method != Method::Auto);
                prop_assert_eq!(answer.method == Method::Exact, matches!(answer.status, Status::Exact { .. }));
                prop_assert_eq!(answer.truncated, answer.results.len() < top);
                prop_assert!(0.0 < answer.mass_accounted && answer.mass_accounted <= 1.0);
                prop_assert!(answer.results.is_sorted_by(|first, second| second.score <= first.score));
                for (place, result) in answer.results.iter().enumerate() {
                    prop_assert_eq!(result.rank, place + 1);
                    prop_assert!(result.score.is_finite() && 0.0 < result.score);
                    prop_assert!(result.std_error.is_finite() && 0.0 <= result.std_error);
                    prop_assert_eq!(&result.id, &result.node.to_string());
                }
            }
        }
    }
}
