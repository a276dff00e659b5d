//! When a rank may be trusted: against the definition, and against the truth.

use super::oracle;
use super::world::{Random, World, random_edges};
use crate::plan::Plan;
use crate::query::{Answer, Answerer, Dangling, Debias, Method, PopularityKind, Question, Seeds, Shape};

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

fn flags(answer: &Answer) -> Vec<bool> {
    answer.results.iter().map(|result| result.rank_stable).collect()
}

/// The candidate below the cut counts: any cut has the flags of the whole answer.
#[test]
fn a_cut_does_not_change_what_is_stable() {
    let mut random = Random(31);
    let world = World::new(40, &random_edges(40, 160, true, &mut random));
    let plan = Plan { walks: 8, ..Plan::default() };
    let index = world.index(&plan);
    let mut answerer = world.answerer(Some(&index), plan.restart_prob);
    let (mut stable, mut all) = (0, 0);
    for method in [Method::Lookup, Method::Combine, Method::Exact] {
        for dangling in POLICIES {
            let mut question = Question { method, dangling, top: 40, ..Question::new(Seeds::single(random.below(20))) };
            question.push.threshold = 0.05;
            let whole = flags(&answerer.answer(&question).unwrap());
            stable += whole.iter().filter(|&&stable| stable).count();
            all += whole.len();
            for top in 1..whole.len() {
                question.top = top;
                assert_eq!(flags(&answerer.answer(&question).unwrap()), whole[..top], "{method} {dangling} {top}");
            }
        }
    }
    assert!(all / 10 < stable && stable < all - all / 10, "{stable} of {all}");
}

/// What an answerer has learned of the index from other questions changes no bit of an answer.
#[test]
fn what_was_asked_before_does_not_change_an_answer() {
    let mut random = Random(37);
    for weighted in [false, true] {
        let world = World::new(60, &random_edges(60, 240, weighted, &mut random));
        let plan = Plan { walks: 8, ..Plan::default() };
        let index = world.index(&plan);
        let mut questions = Vec::new();
        for method in [Method::Lookup, Method::Combine] {
            for seed in [0, 3, 3, 17, 30, 0] {
                let dangling = POLICIES[random.below(4) as usize];
                let mut question = Question { method, dangling, top: 20, ..Question::new(Seeds::single(seed)) };
                (question.push.threshold, question.push.sweep) = (0.05, false);
                questions.push(question);
            }
        }
        let ask = |answerer: &mut Answerer<'_>, question: &Question| {
            // Shown, numbers have all their digits.
            format!("{:?} {:?}", answerer.answer(question).unwrap(), answerer.scores(question).unwrap())
        };
        let fresh = |question| ask(&mut world.answerer(Some(&index), plan.restart_prob), question);
        let expected: Vec<String> = questions.iter().map(fresh).collect();
        let orders: [Vec<usize>; 3] =
            [(0..12).collect(), (0..12).rev().collect(), (0..12).map(|at| at * 5 % 12).collect()];
        for order in orders {
            let mut answerer = world.answerer(Some(&index), plan.restart_prob);
            for at in order.iter().chain(&order) {
                assert!(ask(&mut answerer, &questions[*at]) == expected[*at], "question {at}");
            }
        }
    }
}

/// A flag is the comparison of two neighbours, and of the last with a node that no walk met.
#[test]
fn an_estimated_rank_is_stable_beyond_two_standard_errors() {
    let mut random = Random(32);
    let world = World::new(60, &random_edges(60, 200, true, &mut random));
    let plan = Plan { walks: 4, ..Plan::default() };
    let index = world.index(&plan);
    let mut answerer = world.answerer(Some(&index), plan.restart_prob);
    let mut lasts = 0;
    for seed in 0..40 {
        for debias in [None, Some(Debias { by: PopularityKind::Degree, power: 1.0 })] {
            let shape = Shape { debias, ..Shape::default() };
            let question = Question {
                method: Method::Lookup,
                dangling: Dangling::Drop,
                top: 60,
                shape,
                ..Question::new(Seeds::single(seed))
            };
            let answer = answerer.answer(&question).unwrap();
            for pair in answer.results.windows(2) {
                let (one, two) = (&pair[0], &pair[1]);
                let margin = 2.0 * (one.std_error * one.std_error + two.std_error * two.std_error).sqrt();
                assert_eq!(one.rank_stable, margin < one.score - two.score, "{one:?} {two:?}");
            }
            let last = answer.results.last().unwrap();
            lasts += usize::from(!last.rank_stable);
        }
    }
    assert!(10 < lasts, "a node that few walks met is not surely better than one that none met: {lasts}");
}

/// Of neighbours that are told apart by walks, few stand the wrong way round; without the flag more do.
#[test]
fn stable_ranks_are_right() {
    let mut random = Random(33);
    let (mut wrong_stable, mut stable, mut wrong, mut all) = (0, 0, 0, 0);
    for _ in 0..10 {
        let edges = random_edges(50, 250, true, &mut random);
        let world = World::new(50, &edges);
        for rng_key in 0..5 {
            let plan = Plan { walks: 64, rng_key, ..Plan::default() };
            let index = world.index(&plan);
            let mut answerer = world.answerer(Some(&index), plan.restart_prob);
            for method in [Method::Lookup, Method::Combine] {
                let mut question = Question { method, top: 20, ..Question::new(Seeds::single(random.below(33))) };
                // Walks are to be told apart here, not sweeps.
                question.push.sweep = false;
                question.push.threshold = 0.05;
                let answer = answerer.answer(&question).unwrap();
                let truth = answerer.scores(&Question { method: Method::Exact, ..question }).unwrap().scores;
                for pair in answer.results.windows(2) {
                    let is_wrong = truth[pair[0].node as usize] < truth[pair[1].node as usize];
                    all += 1;
                    wrong += usize::from(is_wrong);
                    stable += usize::from(pair[0].rank_stable);
                    wrong_stable += usize::from(is_wrong && pair[0].rank_stable);
                }
            }
        }
    }
    assert!(all / 10 < stable, "{stable} of {all} are stable");
    assert!(20 * wrong_stable <= stable, "{wrong_stable} of {stable} stable ranks are wrong");
    assert!(
        stable * wrong > 4 * all * wrong_stable,
        "the flag says little: {wrong} of {all}, {wrong_stable} of {stable}"
    );
}

/// Rough exact answers: what is stable stands as the dense definition has it, with and without debias.
#[test]
fn an_exact_rank_is_stable_when_the_error_bound_allows_no_other() {
    let mut random = Random(34);
    let (mut stable, mut unstable) = (0, 0);
    for _ in 0..30 {
        let edges = random_edges(25, 60, true, &mut random);
        let world = World::new(25, &edges);
        let mut answerer = world.answerer(None, 0.2);
        let seed = random.below(25);
        let mut weights = vec![0.0; 25];
        weights[seed as usize] = 1.0;
        for dangling in POLICIES {
            let truth = oracle::scores(25, &edges, &weights, 0.2, dangling);
            let popularity = oracle::scores(25, &edges, &[1.0; 25], 0.2, dangling);
            for residual in [0.3, 0.03, 1e-4] {
                for power in [0.0, 1.0] {
                    let debias = Some(Debias { by: PopularityKind::GlobalPageRank, power });
                    let shape = Shape { debias, ..Shape::default() };
                    let question = Question {
                        method: Method::Exact,
                        dangling,
                        residual,
                        top: 25,
                        shape,
                        ..Question::new(Seeds::single(seed))
                    };
                    // A fresh answerer knows popularity to no more than this residual.
                    let answer = if power == 0.0 {
                        answerer.answer(&question)
                    } else {
                        world.answerer(None, 0.2).answer(&question)
                    };
                    let answer = answer.unwrap();
                    let shaped = |node: u32| truth[node as usize] / popularity[node as usize].powf(power);
                    for pair in answer.results.windows(2) {
                        if pair[0].rank_stable {
                            assert!(
                                shaped(pair[1].node) < shaped(pair[0].node) * (1.0 + 1e-9),
                                "{dangling} {residual} {power}"
                            );
                        }
                        stable += usize::from(pair[0].rank_stable);
                        unstable += usize::from(!pair[0].rank_stable);
                    }
                }
            }
        }
    }
    assert!(300 < stable && 300 < unstable, "{stable} {unstable}");
}

#[test]
fn ties_are_stable_only_if_exact() {
    let star: Vec<(u32, u32, f64)> = (1..6).map(|leaf| (0, leaf, 1.0)).collect();
    let world = World::new(6, &star);
    let plan = Plan { walks: 40, ..Plan::default() };
    let index = world.index_of(
        &plan,
        (0..6u32).map(|source| {
            let leaves = if source == 0 { 1..6 } else { 1..1 };
            let visits = std::iter::once((source, 320)).chain(leaves.map(|leaf| (leaf, 48)));
            (40, visits.map(|(node, units)| crate::fingerprint::Visits { node, units }).collect())
        }),
    );
    let mut answerer = world.answerer(Some(&index), plan.restart_prob);
    let mut ask = |method| {
        let question = Question { method, ..Question::new(Seeds::single(0)) };
        flags(&answerer.answer(&question).unwrap())
    };
    assert_eq!(ask(Method::Exact), [true; 6]);
    assert_eq!(ask(Method::Lookup)[1..5], [false; 4]);
}

/// Settled results are the right ones, and got with no more precision than that takes.
#[test]
fn settled_results_are_right_and_come_early() {
    let mut random = Random(35);
    let (mut early, mut all) = (0, 0);
    for round in 0..12 {
        let edges = random_edges(600, 6000, round % 2 == 0, &mut random);
        let world = World::new(600, &edges);
        let index = world.index(&Plan::default());
        let mut answerer = world.answerer(Some(&index), 0.15);
        for (method, dangling) in [Method::Combine, Method::Block, Method::Exact].into_iter().zip(POLICIES) {
            for top in [1, 5, 20] {
                let shape = Shape { exclude_seeds: top == 5, ..Shape::default() };
                let seeds = Seeds::single(random.below(400));
                let question = Question { method, dangling, top, shape, settle: true, ..Question::new(seeds) };
                let exact = Question { method: Method::Exact, settle: false, ..question.clone() };
                let (settled, exact) = match (answerer.answer(&question), answerer.answer(&exact)) {
                    (Ok(settled), Ok(exact)) => (settled, exact),
                    (settled, exact) => {
                        assert!(settled.is_err() && exact.is_err(), "one of them found something");
                        continue;
                    }
                };
                let ids = |answer: &Answer| {
                    let mut ids: Vec<String> = answer.results.iter().map(|result| result.id.clone()).collect();
                    ids.sort();
                    ids
                };
                assert_eq!(ids(&settled), ids(&exact), "{method} {dangling} {top}");
                all += 1;
                early += usize::from(settled.status != exact.status);
            }
        }
    }
    assert!(all / 2 < early, "{early} of {all} ended early");
    let lookup = Question { method: Method::Lookup, settle: true, ..Question::new(Seeds::single(0)) };
    let world = World::new(3, &[(0, 1, 1.0)]);
    let index = world.index(&Plan::default());
    let refused = world.answerer(Some(&index), 0.15).answer(&lookup).unwrap_err().to_string();
    assert!(refused.contains("settle"), "{refused}");
}

/// Ties at the cut are settled by the error bound of an exact answer, and by ids.
#[test]
fn ties_at_the_cut_are_settled_exactly() {
    let star: Vec<(u32, u32, f64)> = (1..200).flat_map(|leaf| [(0, leaf, 1.0), (leaf, 0, 1.0)]).collect();
    let world = World::new(200, &star);
    let mut answerer = world.answerer(None, 0.15);
    let question = Question { method: Method::Block, top: 4, settle: true, ..Question::new(Seeds::single(0)) };
    let answer = answerer.answer(&question).unwrap();
    let ids: Vec<&str> = answer.results.iter().map(|result| result.id.as_str()).collect();
    assert_eq!(ids, ["0", "1", "2", "3"]);
    assert_eq!(answer.method, Method::Exact);
}

/// Nodes that a rough answer does not reach, or that only filters leave.
#[test]
fn settled_results_are_all_there() {
    let path: Vec<(u32, u32, f64)> = (0..400).map(|node| (node, node + 1, 1.0)).collect();
    let world = World::new(401, &path);
    let index = world.index(&Plan::default());
    let mut answerer = world.answerer(Some(&index), 0.15);
    for method in [Method::Exact, Method::Combine, Method::Block] {
        let question = Question { method, top: 100, settle: true, ..Question::new(Seeds::single(0)) };
        let answer = answerer.answer(&question).unwrap();
        assert_eq!(answer.results.len(), 100, "{method}");
        let only = Some(std::sync::Arc::new([120].into_iter().collect()));
        let far = Question { shape: Shape { only, ..Shape::default() }, top: 1, ..question.clone() };
        let answer = answerer.answer(&far).unwrap();
        assert_eq!(answer.results[0].id, "120", "{method}");
        // There are no more than 401 nodes: the end is found.
        let all = Question { top: 1000, ..question };
        assert!(answerer.answer(&all).unwrap().truncated);
    }
}
