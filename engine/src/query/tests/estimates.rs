//! Answers from fingerprints: unbiased, with honest error bars, and certified where mass was left out.

use super::oracle::{self, l1};
use super::world::{Edges, Random, World, random_edges};
use crate::error::Error;
use crate::fingerprint::Visits;
use crate::plan::{Plan, UNITS_PER_WALK};
use crate::query::{Answerer, Dangling, Method, Question, Scores, Seeds, Status};

fn question(method: Method, threshold: f64) -> Question {
    let seeds = Seeds::from_weights(12, vec![(0, 3.0), (5, 1.0)]).unwrap();
    let mut question = Question { method, dangling: Dangling::Drop, ..Question::new(seeds) };
    question.push.threshold = threshold;
    question.push.sweep = false;
    question
}

fn graph() -> (Edges, World, Vec<f64>) {
    let edges = random_edges(12, 30, true, &mut Random(5));
    let world = World::new(12, &edges);
    let mut seeds = vec![0.0; 12];
    (seeds[0], seeds[5]) = (0.75, 0.25);
    let truth = oracle::scores(12, &edges, &seeds, 0.15, Dangling::Drop);
    (edges, world, truth)
}

/// The mean over many keys lies within five standard errors of the truth, at every node: for 12 nodes and unbiased means,
/// one such test in 10^5 fails. The standard error is that of the sample, or of the packets that were expected where
/// hardly any came: a variance of at most a packet's size, times the truth.
#[test]
fn lookup_and_combine_are_unbiased() {
    const KEYS: u32 = 300;
    let (_, world, truth) = graph();
    let cases = [(Method::Lookup, 1.0), (Method::Combine, 10.0), (Method::Combine, 0.02)];
    let mut sums = [[(0.0, 0.0); 12]; 3];
    for key in 0..KEYS {
        let index = world.index(&Plan { walks: 3, rng_key: u64::from(key) << 8, ..Plan::default() });
        let mut answerer = world.answerer(Some(&index), 0.15);
        for ((method, threshold), sums) in cases.into_iter().zip(&mut sums) {
            let scores = answerer.scores(&question(method, threshold)).unwrap();
            assert_eq!(scores.mass_accounted, 1.0);
            for (sum, score) in sums.iter_mut().zip(&scores.scores) {
                *sum = (sum.0 + score, sum.1 + score * score);
            }
        }
    }
    let (keys, packet) = (f64::from(KEYS), 0.15 / 3.0);
    for (case, sums) in cases.iter().zip(&sums) {
        for (node, (&(sum, squares), truth)) in sums.iter().zip(&truth).enumerate() {
            let mean = sum / keys;
            let error = ((squares / keys - mean * mean).max(packet * truth) / keys).sqrt();
            assert!((mean - truth).abs() <= 5.0 * error + 1e-12, "{case:?}, node {node}: {mean} {truth} {error}");
        }
    }
}

/// Packets that know nothing of each other are the worst case of the formula. Ninety-five in a hundred scores, over
/// sparse, dense, weighted and clumping graphs, lie within two standard errors, and the answer is not so sure of itself
/// only by claiming nothing: standard errors are at most five times the root mean square of the errors, at nodes of high score.
#[test]
fn exact_scores_lie_within_two_standard_errors() {
    let mut random = Random(6);
    let looping: Edges = (0..60).flat_map(|node| [(node, node, 3.0), (node, (node + 1) % 60, 1.0)]).collect();
    let pairs: Edges = (0..60).flat_map(|node| [(node, node ^ 1, 8.0), (node, random.below(60), 1.0)]).collect();
    let graphs = [
        random_edges(60, 150, false, &mut random),
        random_edges(60, 900, false, &mut random),
        random_edges(60, 300, true, &mut random),
        looping,
        pairs,
    ];
    for (place, edges) in graphs.iter().enumerate() {
        let world = World::new(60, edges);
        let cases: Vec<(Method, f64, Dangling)> =
            [(Method::Lookup, 1.0), (Method::Combine, 0.05), (Method::Combine, 0.003)]
                .into_iter()
                .flat_map(|(method, threshold)| POLICIES.map(|dangling| (method, threshold, dangling)))
                .collect();
        let mut found = vec![Found::default(); cases.len()];
        for key in 0..30 {
            let index = world.index(&Plan { rng_key: key << 20, ..Plan::default() });
            let mut answerer = world.answerer(Some(&index), 0.15);
            for (&(method, threshold, dangling), found) in cases.iter().zip(&mut found) {
                let mut question = Question { method, dangling, ..Question::new(Seeds::single(random.below(40))) };
                question.push.threshold = threshold;
                question.push.sweep = false;
                let got = answerer.scores(&question).unwrap();
                let truth = answerer.scores(&Question { method: Method::Exact, ..question }).unwrap();
                found.record(&got, &truth);
            }
        }
        for (case, found) in cases.iter().zip(&found) {
            let share = f64::from(found.within) / f64::from(found.scores);
            assert!(0.95 <= share, "graph {place}, {case:?}: {share}");
            assert!(
                found.variances <= 25.0 * found.squares || found.squares <= 1e-9,
                "graph {place}, {case:?}: {found:?}"
            );
        }
    }
}

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

/// How well standard errors describe errors.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Scores above zero.
    scores: u32,
    /// Those within two standard errors.
    within: u32,
    /// The sums of squared errors and of squared standard errors at nodes of high score.
    squares: f64,
    variances: f64,
}

impl Found {
    fn record(&mut self, got: &Scores, truth: &Scores) {
        for ((score, std_error), truth) in got.scores.iter().zip(&got.std_errors).zip(&truth.scores) {
            let error = score - truth;
            if 0.0 < *score {
                self.scores += 1;
                self.within += u32::from(error.abs() <= 2.0 * std_error + 1e-9);
            }
            if 0.02 < *truth {
                self.squares += error * error;
                self.variances += std_error * std_error;
            }
        }
    }
}

/// Walks that never come back leave the seed's core without any error, but `restart` divides it by the sum of all scores,
/// which depends on how long the walks happened to be.
#[test]
fn the_error_of_the_sum_is_in_the_standard_error() {
    let world = World::new(2, &[(0, 1, 1.0), (1, 1, 1.0)]);
    let mut within = 0;
    for key in 0..100 {
        let index = world.index(&Plan { rng_key: key << 20, ..Plan::default() });
        let question = Question { method: Method::Lookup, ..Question::new(Seeds::single(0)) };
        let got = world.answerer(Some(&index), 0.15).scores(&question).unwrap();
        within += u32::from((got.scores[0] - 0.15).abs() <= 2.0 * got.std_errors[0] - 1e-9);
    }
    assert!(90 <= within, "{within} of 100");
}

#[test]
fn what_was_left_out_is_certified() {
    let edges = random_edges(200, 600, false, &mut Random(7));
    let world = World::new(200, &edges);
    let index = world.index(&Plan::default());
    let mut answerer = world.answerer(Some(&index), 0.15);
    let mut question =
        Question { method: Method::Combine, dangling: Dangling::Drop, ..Question::new(Seeds::single(0)) };
    question.push.threshold = 0.02;
    question.push.sweep = false;
    let whole = answerer.scores(&question).unwrap();
    assert_eq!(whole.mass_accounted, 1.0);
    let mut before = 1.0;
    for drop in [0.01, 0.1, 0.4, 0.99] {
        question.push.drop = drop;
        let cut = answerer.scores(&question).unwrap();
        let lacking = 1.0 - cut.mass_accounted;
        assert!(lacking <= drop && cut.mass_accounted <= before, "{drop}: {lacking}");
        // Nothing is added elsewhere, and what is missing is what the fingerprints would have added: at most the mass in
        // the mean, and in this index.
        let missing: f64 = whole.scores.iter().sum::<f64>() - cut.scores.iter().sum::<f64>();
        assert!(missing <= 1.1 * lacking, "{drop}: {missing} {lacking}");
        before = cut.mass_accounted;
    }
    assert!(before < 1.0, "the last question leaves out whatever it may");
    let Status::Estimated { sampled, .. } = answerer.scores(&question).unwrap().status else { panic!("no estimate") };
    assert_eq!(sampled, 0.0);
}

#[test]
fn what_is_certain_has_no_standard_error() {
    // Node 1 dangles: one visit is all there is. Node 0 leads nowhere else.
    let world = World::new(2, &[(0, 1, 1.0)]);
    let index = world.index(&Plan::default());
    let mut answerer = world.answerer(Some(&index), 0.15);
    for method in [Method::Lookup, Method::Combine] {
        let question = Question { method, dangling: Dangling::Drop, ..Question::new(Seeds::single(1)) };
        let answer = answerer.answer(&question).unwrap();
        assert_eq!((answer.results.len(), answer.results[0].score, answer.results[0].std_error), (1, 0.15, 0.0));
    }
    let mut question =
        Question { method: Method::Combine, dangling: Dangling::Drop, ..Question::new(Seeds::single(0)) };
    question.push.threshold = 0.5;
    question.push.sweep = false;
    let scores = answerer.scores(&question).unwrap();
    assert!(l1(&scores.scores, &[0.15, 0.85 * 0.15]) <= 1e-15 && scores.std_errors == [0.0, 0.0]);
}

#[test]
fn a_method_without_its_index_is_refused() {
    let (_, world, _) = graph();
    for method in [Method::Lookup, Method::Combine] {
        let asked = world.answerer(None, 0.15).answer(&question(method, 0.1));
        assert!(matches!(asked, Err(Error::NeedsIndex { .. })));
    }
    assert_eq!(world.answerer(None, 0.15).answer(&question(Method::Auto, 0.1)).unwrap().method, Method::Exact);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (_, world, _) = graph();
    let index = world.index(&Plan::default());
    let refused = |answerer: Result<Answerer<'_>, Error>| answerer.err().expect("it does not fit").to_string();
    for restart_prob in [0.0, -1.0, 1.5, f64::NAN] {
        assert!(refused(Answerer::new(&world.graph, &world.labels, None, restart_prob)).contains("restart_prob"));
    }
    assert!(refused(Answerer::new(&world.graph, &world.labels, Some(&index), 0.2)).contains("built with"));
    let other = World::new(5, &[(0, 1, 1.0)]);
    assert!(refused(Answerer::new(&world.graph, &other.labels, None, 0.15)).contains("number of labels"));
    assert!(refused(Answerer::new(&other.graph, &other.labels, Some(&index), 0.15)).contains("number of sources"));
    let mapped = world.mapped(&world.graph_bytes()).unwrap();
    assert!(refused(Answerer::new(&mapped, &world.labels, Some(&index), 0.15)).contains("built from graph"));
    let mut answerer = other.answerer(None, 0.15);
    assert!(matches!(answerer.answer(&question(Method::Exact, 0.1)), Err(Error::Seeds { .. })));
}

#[test]
fn a_fingerprint_that_names_no_node_is_damage() {
    let (_, world, _) = graph();
    let plan = Plan::default();
    let visits = |source: u32| vec![Visits { node: source, units: UNITS_PER_WALK }, Visits { node: 99, units: 6 }];
    let index = world.index_of(&plan, (0..12).map(|source| (1, visits(source))));
    for (method, threshold) in [(Method::Lookup, 1.0), (Method::Combine, 10.0), (Method::Combine, 1e-3)] {
        let asked = world.answerer(Some(&index), 0.15).answer(&question(method, threshold));
        assert!(matches!(asked, Err(Error::Damaged { .. })), "{method} {threshold}: {asked:?}");
    }
}
