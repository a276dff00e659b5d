//! Filters and shaping against brute force: all scores by the dense definition (or all of an estimate), then everything that
//! a [`Shape`] says by the letter.

use std::sync::Arc;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::oracle;
use super::world::{Edges, Random, World, random_edges};
use crate::error::Error;
use crate::plan::Plan;
use crate::query::{Answer, Dangling, Debias, Method, PopularityKind, Question, SUPPORT_SHARE, Seeds, Shape};

const NODES: u32 = 20;
const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

/// Most nodes, or a few.
fn some_nodes(random: &mut Random) -> Arc<RoaringBitmap> {
    let most = random.below(2) == 0;
    Arc::new((0..NODES).filter(|_| if most { random.below(3) != 0 } else { random.below(8) == 0 }).collect())
}

fn random_shape(random: &mut Random, seeds: usize) -> Shape {
    Shape {
        only: (random.below(2) == 0).then(|| some_nodes(random)),
        exclude: (random.below(3) == 0).then(|| some_nodes(random)),
        exclude_seeds: random.below(3) == 0,
        exclude_neighbors: random.below(3) == 0,
        debias: (random.below(2) == 0).then(|| Debias {
            by: if random.below(2) == 0 { PopularityKind::Degree } else { PopularityKind::GlobalPageRank },
            power: [0.0, 0.5, 1.0, 1.7][random.below(4) as usize],
        }),
        min_support: if random.below(2) == 0 { random.below(1 + u32::try_from(seeds).unwrap()) as usize } else { 0 },
    }
}

/// What a shape makes of all scores, by brute force.
struct Brute<'b> {
    edges: &'b Edges,
    restart_prob: f64,
    weights: Vec<f64>,
}

impl Brute<'_> {
    fn scores(&self, weights: &[f64], policy: Dangling) -> Vec<f64> {
        oracle::scores(NODES as usize, self.edges, weights, self.restart_prob, policy)
    }

    /// How many seeds support a node; and whether one of them is so near the border that rounding decides.
    fn support(&self, node: usize, policy: Dangling) -> (usize, bool) {
        let linear = if policy == Dangling::Restart { Dangling::Drop } else { policy };
        let total: f64 = self.weights.iter().sum();
        let seeds: Vec<usize> = (0..self.weights.len()).filter(|&seed| self.weights[seed] != 0.0).collect();
        let least = SUPPORT_SHARE * self.scores(&self.weights, linear)[node] / seeds.len() as f64;
        let (mut support, mut close) = (0, false);
        for seed in seeds {
            let mut alone = vec![0.0; self.weights.len()];
            alone[seed] = 1.0;
            let contribution = self.weights[seed] / total * self.scores(&alone, linear)[node];
            support += usize::from(least <= contribution);
            close |= (least - contribution).abs() < 1e-9 * least;
        }
        (support, close)
    }

    fn divisor(&self, node: usize, debias: Option<Debias>, policy: Dangling) -> f64 {
        let Some(Debias { by, power }) = debias else { return 1.0 };
        let popularity = match by {
            PopularityKind::GlobalPageRank => self.scores(&vec![1.0; NODES as usize], policy)[node],
            PopularityKind::Degree => {
                let sources: std::collections::BTreeSet<u32> = self
                    .edges
                    .iter()
                    .filter(|edge| edge.1 as usize == node && edge.2 != 0.0)
                    .map(|edge| edge.0)
                    .collect();
                sources.len().max(1) as f64
            }
        };
        popularity.powf(power)
    }

    fn allowed(&self, node: u32, shape: &Shape, policy: Dangling) -> bool {
        let is_seed = |node: u32| self.weights[node as usize] != 0.0;
        let neighbor = self.edges.iter().any(|&(source, target, _)| is_seed(source) && target == node);
        let left_out = shape.exclude.as_ref().is_some_and(|exclude| exclude.contains(node))
            || (shape.exclude_seeds && is_seed(node))
            || (shape.exclude_neighbors && neighbor);
        shape.only.as_ref().is_none_or(|only| only.contains(node))
            && !left_out
            && (shape.min_support == 0 || shape.min_support <= self.support(node as usize, policy).0)
    }
}

fn sound(answer: &Answer) -> bool {
    answer.results.iter().all(|result| {
        0.0 < result.score && result.score.is_finite() && 0.0 <= result.std_error && result.std_error.is_finite()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_exact_answer_is_what_brute_force_finds(
        density in 1u32..5, key: u64, restart_prob in 0.05f64..0.9, top in 1usize..25, seeds in 1u32..4,
    ) {
        let mut random = Random(key);
        let edges = random_edges(NODES, NODES * density, false, &mut random);
        let world = World::new(NODES, &edges);
        let mut weights = vec![0.0; NODES as usize];
        (0..seeds).for_each(|_| weights[random.below(NODES) as usize] = 0.01 + random.share());
        let brute = Brute { edges: &edges, restart_prob, weights };
        let seeds = Seeds::from_weights(NODES as usize, (0..NODES).zip(brute.weights.iter().copied()).collect()).unwrap();
        let mut answerer = world.answerer(None, restart_prob);
        for dangling in POLICIES {
            let shape = random_shape(&mut random, seeds.weights().len());
            let close = 0 < shape.min_support && (0..NODES as usize).any(|node| brute.support(node, dangling).1);
            let question = Question {
                method: Method::Exact, residual: 1e-14, top, dangling, shape: shape.clone(), ..Question::new(seeds.clone())
            };
            let plain = brute.scores(&brute.weights, dangling);
            let shaped: Vec<f64> = (0..NODES as usize)
                .map(|node| plain[node] / brute.divisor(node, shape.debias, dangling))
                .collect();
            // Nodes that are hardly reached: brute force cannot tell them from others.
            let close = close || plain.iter().any(|&score| 1e-15 < score && score < 1e-11);
            let allowed: Vec<u32> =
                (0..NODES).filter(|&node| 1e-13 < plain[node as usize] && brute.allowed(node, &shape, dangling)).collect();
            let mut expected: Vec<f64> = allowed.iter().map(|&node| shaped[node as usize]).collect();
            expected.sort_by(|one, two| two.total_cmp(one));
            let least_divisor = (0..NODES as usize).map(|node| brute.divisor(node, shape.debias, dangling)).fold(1.0, f64::min);
            let near = |score: f64| 1e-9 * score + 1e-12 / least_divisor;
            if close {
                continue;
            }
            match answerer.answer(&question) {
                Err(Error::NothingLeft { .. }) => prop_assert!(allowed.is_empty(), "{shape:?}"),
                Err(other) => prop_assert!(false, "{other}"),
                Ok(answer) => {
                    prop_assert!(sound(&answer));
                    prop_assert_eq!(answer.results.len(), top.min(allowed.len()), "{:?} {}", shape, dangling);
                    prop_assert_eq!(answer.truncated, allowed.len() < top);
                    for (result, expected) in answer.results.iter().zip(&expected) {
                        prop_assert!(allowed.contains(&result.node));
                        prop_assert!((result.score - expected).abs() <= near(*expected), "{result:?} {expected} {shape:?}");
                        prop_assert!((result.score - shaped[result.node as usize]).abs() <= near(*expected));
                        let support = brute.support(result.node as usize, dangling).0;
                        prop_assert_eq!(result.support, (shape.min_support != 0).then_some(support));
                    }
                }
            }
        }
    }

    /// Estimates are shaped like exact scores, and standard errors go along. Filters neither add nor lose a node.
    #[test]
    fn an_estimate_is_shaped_like_all_its_scores(key: u64, top in 1usize..25) {
        let mut random = Random(key);
        let edges = random_edges(NODES, 60, true, &mut random);
        let world = World::new(NODES, &edges);
        let plan = Plan { walks: 4, rng_key: key, ..Plan::default() };
        let index = world.index(&plan);
        let mut answerer = world.answerer(Some(&index), plan.restart_prob);
        let seed = random.below(NODES);
        let mut weights = vec![0.0; NODES as usize];
        weights[seed as usize] = 1.0;
        let brute = Brute { edges: &edges, restart_prob: plan.restart_prob, weights };
        for (method, dangling) in [Method::Lookup, Method::Combine].into_iter().flat_map(|method| POLICIES.map(|dangling| (method, dangling))) {
            let mut question = Question { method, dangling, top, ..Question::new(Seeds::single(seed)) };
            question.push.threshold = 0.1;
            let all = answerer.scores(&question).unwrap();
            // The seed is all there is to support a node, so that support changes nothing.
            question.shape = random_shape(&mut random, 1);
            let shape = &question.shape;
            let divisor = |node: u32| brute.divisor(node as usize, shape.debias, dangling);
            let unsupported = Shape { min_support: 0, ..shape.clone() };
            let mut expected: Vec<f64> = (0..NODES)
                .filter(|&node| 0.0 < all.scores[node as usize] && brute.allowed(node, &unsupported, dangling))
                .map(|node| all.scores[node as usize] / divisor(node))
                .collect();
            expected.sort_by(|one, two| two.total_cmp(one));
            expected.truncate(top);
            match answerer.answer(&question) {
                Err(Error::NothingLeft { .. }) => prop_assert!(expected.is_empty()),
                Err(other) => prop_assert!(false, "{other}"),
                Ok(answer) => {
                    prop_assert!(sound(&answer));
                    prop_assert_eq!(answer.results.len(), expected.len(), "{:?}", shape);
                    for (result, expected) in answer.results.iter().zip(&expected) {
                        prop_assert!((result.score - expected).abs() <= 1e-8 * expected);
                        let std_error = all.std_errors[result.node as usize] / divisor(result.node);
                        prop_assert!((result.std_error - std_error).abs() <= 1e-8 * std_error, "{result:?} {std_error}");
                        prop_assert_eq!(result.support, (shape.min_support != 0).then_some(1));
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_left_says_which_filter_and_how_many() {
    // 0 leads to 1, 2 and 3; 4 leads nowhere and to it leads nothing.
    let world = World::new(5, &[(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0)]);
    let mut answerer = world.answerer(None, 0.15);
    let mut ask = |shape: Shape| {
        let question = Question { method: Method::Exact, shape, ..Question::new(Seeds::single(0)) };
        answerer.answer(&question).unwrap_err().to_string()
    };
    let only = |nodes: &[u32]| Some(Arc::new(nodes.iter().copied().collect()));
    assert_eq!(
        ask(Shape { only: only(&[4]), ..Shape::default() }),
        "no result is left: 4 nodes have a score, only leaves none"
    );
    let shape = Shape { only: only(&[0, 1, 4]), exclude: only(&[1]), exclude_seeds: true, ..Shape::default() };
    assert_eq!(
        ask(shape),
        "no result is left: 4 nodes have a score, only leaves 2, exclude leaves 1, exclude-seeds leaves none"
    );
    let shape = Shape { only: only(&[1, 2]), exclude_neighbors: true, min_support: 1, ..Shape::default() };
    assert_eq!(ask(shape), "no result is left: 4 nodes have a score, only leaves 2, exclude-neighbors leaves none");
}

#[test]
fn a_node_that_one_seed_alone_reaches_has_one_supporter() {
    // Seeds 0 and 1 share 2; 3 is the first's own, 4 the second's.
    let edges = [(0, 2, 1.0), (1, 2, 1.0), (0, 3, 1.0), (1, 4, 1.0)];
    let world = World::new(5, &edges);
    let seeds = Seeds::from_weights(5, vec![(0, 1.0), (1, 1.0)]).unwrap();
    let ask = |min_support, weights: Seeds| {
        let shape = Shape { min_support, ..Shape::default() };
        let question = Question { method: Method::Exact, shape, ..Question::new(weights) };
        let answer = world.answerer(None, 0.15).answer(&question).unwrap();
        answer.results.into_iter().map(|result| (result.node, result.support)).collect::<Vec<_>>()
    };
    assert_eq!(ask(2, seeds.clone()), [(2, Some(2))]);
    assert_eq!(ask(1, seeds.clone()), [(0, Some(1)), (1, Some(1)), (2, Some(2)), (3, Some(1)), (4, Some(1))]);
    assert_eq!(ask(0, seeds)[2], (2, None));
    // A twentieth of the score is exactly a tenth of an equal share of two; less is no support.
    let weighted = |weight| Seeds::from_weights(5, vec![(0, weight), (1, 1.0 - weight)]).unwrap();
    assert_eq!(ask(1, weighted(0.06))[0], (1, Some(1)));
    assert!(ask(2, weighted(0.06)).contains(&(2, Some(2))));
    assert!(ask(1, weighted(0.04)).contains(&(2, Some(1))));
}

#[test]
fn support_is_not_counted_for_too_many_seeds() {
    let nodes = 1002;
    let world = World::new(nodes, &(1..nodes).map(|node| (node, 0, 1.0)).collect::<Vec<_>>());
    let ask = |count: u32, min_support| {
        let seeds = Seeds::from_weights(nodes as usize, (1..=count).map(|node| (node, 1.0)).collect()).unwrap();
        let shape = Shape { min_support, ..Shape::default() };
        world.answerer(None, 0.15).answer(&Question { method: Method::Exact, top: 1, shape, ..Question::new(seeds) })
    };
    assert_eq!(ask(1000, 1000).unwrap().results[0].support, Some(1000));
    let refused = ask(1001, 1).unwrap_err().to_string();
    assert!(refused.contains("1000 seeds") && refused.contains("1001"), "{refused}");
    assert_eq!(ask(1001, 0).unwrap().results[0].node, 0);
}
