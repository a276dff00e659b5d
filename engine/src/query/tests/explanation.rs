//! Explanations: contributions against dense solves, paths against all paths there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::oracle;
use super::world::{Edges, Random, World, random_edges};
use crate::ids::NodeId;
use crate::plan::Plan;
use crate::query::{
    Answer, Dangling, Debias, ExplainSettings, Explanation, Method, PathStatus, PopularityKind, Question, Seeds, Shape,
};

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];
const EVERY_PATH: ExplainSettings<'_> =
    ExplainSettings { paths: usize::MAX, least: 0.0, seeds: 64, edges: 1_000_000, work: 1_000_000, kinds: None };

fn random_seeds(nodes: u32, count: u32, random: &mut Random) -> Seeds {
    let weights = (0..count).map(|_| (random.below(nodes), 0.01 + random.share())).collect();
    Seeds::from_weights(nodes as usize, weights).unwrap()
}

fn dense(nodes: u32, seeds: &[(NodeId, f64)]) -> Vec<f64> {
    let mut dense = vec![0.0; nodes as usize];
    seeds.iter().for_each(|&(node, weight)| dense[node as usize] = weight);
    dense
}

fn explain(
    world: &World,
    restart_prob: f64,
    question: &Question,
    settings: &ExplainSettings<'_>,
) -> (Answer, Explanation) {
    let mut answerer = world.answerer(None, restart_prob);
    let answer = answerer.answer(question).unwrap();
    let explanation = answerer.explain(question, &answer, settings).unwrap();
    assert_eq!(answerer.answer(question).unwrap(), answer, "explaining left something behind");
    assert!(explanation.results.iter().map(|one| one.node).eq(answer.results.iter().map(|one| one.node)));
    (answer, explanation)
}

#[test]
fn contributions_are_those_of_dense_solves_and_add_up_to_the_score() {
    let mut random = Random(11);
    for round in 0..40 {
        let nodes = 5 + random.below(30);
        let edges = random_edges(nodes, 3 * nodes, round % 2 == 0, &mut random);
        let world = World::new(nodes, &edges);
        let restart_prob = 0.05 + 0.9 * random.share();
        let seeds = random_seeds(nodes, 1 + random.below(6), &mut random);
        let core = oracle::scores(nodes as usize, &edges, &dense(nodes, seeds.weights()), restart_prob, Dangling::Drop);
        for dangling in POLICIES {
            let question =
                Question { method: Method::Exact, dangling, top: 100, residual: 1e-14, ..Question::new(seeds.clone()) };
            let (_, explanation) = explain(&world, restart_prob, &question, &ExplainSettings::default());
            for one in &explanation.results {
                assert_eq!((one.contributions.len(), one.others), (seeds.weights().len(), None));
                let sum: f64 = one.contributions.iter().map(|contribution| contribution.score).sum();
                assert!((sum - one.score).abs() <= 1e-12, "{dangling}: {one:?}");
                assert!(one.contributions.iter().all(|part| part.share == part.score / one.score));
                assert!(one.contributions.is_sorted_by(|a, b| b.score <= a.score));
            }
            for &(seed, weight) in seeds.weights() {
                // `restart` is linear but for the division; the others are linear as they are.
                let (policy, scale) = match dangling {
                    Dangling::Restart => (Dangling::Drop, 1.0 / core.iter().sum::<f64>()),
                    other => (other, 1.0),
                };
                let alone = dense(nodes, &[(seed, 1.0)]);
                let expected = oracle::scores(nodes as usize, &edges, &alone, restart_prob, policy);
                let dropped = oracle::scores(nodes as usize, &edges, &alone, restart_prob, Dangling::Drop);
                for one in &explanation.results {
                    let got = one.contributions.iter().find(|contribution| contribution.seed == seed).unwrap();
                    let at = one.node as usize;
                    assert!((got.score - weight * scale * expected[at]).abs() <= 1e-12, "{dangling}: {got:?}");
                    let again = if dangling == Dangling::Uniform { weight * (expected[at] - dropped[at]) } else { 0.0 };
                    assert!((got.restarted - again).abs() <= 1e-12, "{dangling}: {got:?} {again}");
                    assert!((got.weight - weight).abs() <= 1e-15 && got.std_error == 0.0);
                }
            }
        }
    }
}

#[test]
fn contributions_by_walks_add_up_within_their_errors() {
    let mut random = Random(12);
    let world = World::new(200, &random_edges(200, 900, true, &mut random));
    let plan = Plan { walks: 64, ..Plan::default() };
    let index = world.index(&plan);
    let mut answerer = world.answerer(Some(&index), plan.restart_prob);
    for (method, dangling) in
        POLICIES.into_iter().flat_map(|policy| [(Method::Lookup, policy), (Method::Combine, policy)])
    {
        let seeds = random_seeds(200, 5, &mut random);
        let mut question = Question { method, dangling, top: 20, ..Question::new(seeds) };
        (question.push.threshold, question.push.sweep) = (0.02, false);
        let answer = answerer.answer(&question).unwrap();
        let explanation = answerer.explain(&question, &answer, &ExplainSettings::default()).unwrap();
        for (one, result) in explanation.results.iter().zip(&answer.results) {
            let sum: f64 = one.contributions.iter().map(|contribution| contribution.score).sum();
            let variance: f64 = one.contributions.iter().map(|contribution| contribution.std_error.powi(2)).sum();
            let error =
                if method == Method::Lookup { 1e-12 } else { 4.0 * (variance + result.std_error.powi(2)).sqrt() };
            assert!((sum - one.score).abs() <= error, "{method} {dangling}: {sum} is not {} +- {error}", one.score);
        }
        // Where all edges are swept, errors are those that were asked for.
        let mut precise = Question { precision: Some(1e-6), ..question.clone() };
        precise.push.sweep = true;
        precise.precision = precise.precision.filter(|_| method == Method::Combine);
        let answer = answerer.answer(&precise).unwrap();
        for one in answerer.explain(&precise, &answer, &ExplainSettings::default()).unwrap().results {
            let sum: f64 = one.contributions.iter().map(|contribution| contribution.score).sum();
            let error = if method == Method::Lookup { 1e-12 } else { 1e-5 };
            assert!((sum - one.score).abs() <= error, "{method} {dangling}: {sum} is not {}", one.score);
        }
        // A single seed has it all.
        let question = Question { seeds: Seeds::single(3), ..question };
        let answer = answerer.answer(&question).unwrap();
        let explanation = answerer.explain(&question, &answer, &ExplainSettings::default()).unwrap();
        assert!(explanation.results.iter().all(|one| (one.contributions[0].share - 1.0).abs() < 1e-12));
    }
}

#[test]
fn scores_that_were_divided_by_popularity_are_explained_as_they_are_shown() {
    let mut random = Random(16);
    let world = World::new(40, &random_edges(40, 150, true, &mut random));
    for (by, dangling) in [PopularityKind::Degree, PopularityKind::GlobalPageRank].into_iter().zip(POLICIES) {
        let debias = Some(Debias { by, power: 0.5 });
        let excluded: roaring::RoaringBitmap = [3, 7].into_iter().collect();
        let question = Question {
            method: Method::Exact,
            dangling,
            residual: 1e-14,
            shape: Shape { debias, exclude: Some(Arc::new(excluded)), exclude_seeds: true, ..Shape::default() },
            ..Question::new(random_seeds(40, 4, &mut random))
        };
        let (answer, explanation) = explain(&world, 0.15, &question, &ExplainSettings::default());
        assert!(!answer.results.is_empty());
        for one in &explanation.results {
            let sum: f64 = one.contributions.iter().map(|contribution| contribution.score).sum();
            assert!((sum - one.score).abs() <= 1e-6 * one.score, "{by:?}: {sum} {}", one.score);
            let shares: f64 = one.paths.iter().map(|path| path.share).sum();
            assert!(0.0 < shares && shares <= 1.0 + 1e-9, "{one:?}");
        }
    }
}

#[test]
fn of_many_seeds_those_on_paths_and_the_heaviest_are_told() {
    let mut random = Random(13);
    let world = World::new(60, &random_edges(60, 200, true, &mut random));
    let seeds = Seeds::from_weights(60, (0..50).map(|node| (node, 1.0 + f64::from(node))).collect()).unwrap();
    let question = Question { method: Method::Exact, top: 5, ..Question::new(seeds.clone()) };
    let settings = ExplainSettings { seeds: 20, paths: 1, ..ExplainSettings::default() };
    let (_, explanation) = explain(&world, 0.2, &question, &settings);
    let (_, whole) = explain(&world, 0.2, &question, &ExplainSettings::default());
    for (one, whole) in explanation.results.iter().zip(&whole.results) {
        let others = one.others.unwrap();
        assert_eq!((one.contributions.len(), others.seeds), (20, 30));
        let on_path = one.paths[0].nodes[0];
        assert!(one.contributions.iter().any(|contribution| contribution.seed == on_path));
        assert!(one.contributions.iter().any(|contribution| contribution.seed == 49), "the heaviest");
        let told: Vec<NodeId> = one.contributions.iter().map(|contribution| contribution.seed).collect();
        let rest = whole.contributions.iter().filter(|contribution| !told.contains(&contribution.seed));
        assert!((rest.map(|contribution| contribution.score).sum::<f64>() - others.score).abs() <= 1e-12);
    }
}

/// All paths from the seeds to a node that visit no node twice, the most probable first.
fn every_path(
    nodes: u32,
    edges: &Edges,
    seeds: &[(NodeId, f64)],
    goal: NodeId,
    restart_prob: f64,
) -> Vec<(f64, Vec<NodeId>)> {
    let mut rows = vec![BTreeMap::new(); nodes as usize];
    edges.iter().for_each(|&(source, target, weight)| *rows[source as usize].entry(target).or_insert(0.0) += weight);
    let mut found = Vec::new();
    let mut open: Vec<(f64, Vec<NodeId>)> = seeds.iter().map(|&(seed, weight)| (weight, vec![seed])).collect();
    while let Some((probability, path)) = open.pop() {
        let at = *path.last().unwrap();
        if at == goal {
            found.push((probability, path));
            continue;
        }
        let row: &BTreeMap<u32, f64> = &rows[at as usize];
        let total: f64 = row.values().sum();
        for (&target, &weight) in row.iter().filter(|(target, _)| !path.contains(target)) {
            let longer = path.iter().copied().chain([target]).collect();
            open.push((probability * (1.0 - restart_prob) * weight / total, longer));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

#[test]
fn paths_are_the_best_of_all_there_are() {
    let mut random = Random(14);
    let mut compared = 0;
    for round in 0..60 {
        let nodes = 4 + random.below(6);
        let edges = random_edges(nodes, 2 * nodes + random.below(nodes), round % 2 == 0, &mut random);
        let world = World::new(nodes, &edges);
        let restart_prob = 0.05 + 0.9 * random.share();
        let seeds = random_seeds(nodes, 1 + random.below(3), &mut random);
        let question = Question { method: Method::Exact, top: 100, ..Question::new(seeds.clone()) };
        let (_, all) = explain(&world, restart_prob, &question, &EVERY_PATH);
        for paths in [1, 2, 5] {
            let settings = ExplainSettings { paths, ..EVERY_PATH };
            let (_, few) = explain(&world, restart_prob, &question, &settings);
            for (few, all) in few.results.iter().zip(&all.results) {
                let probability =
                    |paths: &[crate::query::Path]| -> Vec<f64> { paths.iter().map(|path| path.probability).collect() };
                let (few, all) = (probability(&few.paths), probability(&all.paths));
                assert_eq!(few.len(), paths.min(all.len()));
                assert!(few.iter().zip(&all).all(|(few, all)| (few - all).abs() <= 1e-12 * all));
            }
        }
        for one in &all.results {
            let expected = every_path(nodes, &edges, seeds.weights(), one.node, restart_prob);
            assert_eq!(one.paths.len(), expected.len());
            assert_eq!(one.status, PathStatus::Best);
            for (got, expected) in one.paths.iter().zip(&expected) {
                assert!((got.probability - expected.0).abs() <= 1e-12 * expected.0, "{got:?} {expected:?}");
            }
            let mut got: Vec<&[NodeId]> = one.paths.iter().map(|path| path.nodes.as_slice()).collect();
            let mut expected: Vec<&[NodeId]> = expected.iter().map(|(_, nodes)| nodes.as_slice()).collect();
            got.sort_unstable();
            expected.sort_unstable();
            assert_eq!(got, expected);
            for path in &one.paths {
                let weight = seeds.weights().iter().find(|seed| seed.0 == path.nodes[0]).unwrap().1;
                let product: f64 = path.edges.iter().map(|edge| edge.probability * (1.0 - restart_prob)).product();
                assert!((weight * product - path.probability).abs() <= 1e-12 * path.probability);
                assert_eq!(path.edges.len() + 1, path.nodes.len());
                assert!(path.ids.iter().zip(&path.nodes).all(|(id, node)| *id == node.to_string()));
                compared += 1;
            }
            assert!(one.paths.iter().map(|path| path.share).sum::<f64>() <= 1.0 + 1e-9, "{one:?}");
        }
    }
    assert!(500 < compared, "{compared}");
}

#[test]
fn what_a_bounded_search_calls_best_is_best_and_nothing_above_the_floor_is_missed() {
    let mut random = Random(15);
    let mut seen = BTreeMap::new();
    for round in 0..150 {
        let nodes = 6 + random.below(5);
        let edges = random_edges(nodes, 3 * nodes, round % 2 == 0, &mut random);
        let world = World::new(nodes, &edges);
        let seeds = random_seeds(nodes, 1 + random.below(4), &mut random);
        // Seeds that are no results are not known to the search from the beginning.
        let shape = Shape { exclude_seeds: round % 3 != 0, ..Shape::default() };
        let question = Question { method: Method::Exact, top: 100, shape, ..Question::new(seeds.clone()) };
        if world.answerer(None, 0.15).answer(&question).is_err() {
            continue; // nothing is left
        }
        let bounds = ExplainSettings {
            paths: 3,
            edges: 1 + random.below(12) as usize,
            work: 1 + u64::from(random.below(20)),
            ..EVERY_PATH
        };
        let (_, explanation) = explain(&world, 0.15, &question, &bounds);
        for one in &explanation.results {
            let all = every_path(nodes, &edges, seeds.weights(), one.node, 0.15);
            let floor = explanation.searched.floor;
            for (place, expected) in all.iter().take(3).enumerate() {
                if floor * (1.0 + 1e-9) < expected.0 || one.status == PathStatus::Best && place < one.paths.len() {
                    assert!((one.paths[place].probability - expected.0).abs() <= 1e-12 * expected.0, "{one:?} {floor}");
                }
            }
            if matches!(one.status, PathStatus::Beyond | PathStatus::Unreachable) {
                assert!(one.paths.is_empty() && all.first().is_none_or(|best| best.0 <= floor));
            }
            *seen.entry(format!("{:?}", one.status)).or_insert(0) += 1;
        }
    }
    assert!(["Best", "Bounded", "Beyond"].iter().all(|status| 10 < seen[*status]), "{seen:?}");
}

#[test]
fn nodes_that_no_path_leads_to_are_said_to_be_unreachable() {
    let world = World::new(4, &[(0, 1, 1.0), (2, 3, 1.0)]);
    let question = Question { method: Method::Exact, dangling: Dangling::Uniform, ..Question::new(Seeds::single(0)) };
    let (_, explanation) = explain(&world, 0.15, &question, &ExplainSettings::default());
    let status: BTreeMap<NodeId, PathStatus> = explanation.results.iter().map(|one| (one.node, one.status)).collect();
    assert_eq!(status[&1], PathStatus::Best);
    assert_eq!((status[&2], status[&3]), (PathStatus::Unreachable, PathStatus::Unreachable));
    // With a restart probability of 1 no walk leaves its seed.
    let (_, explanation) = explain(&world, 1.0, &question, &ExplainSettings::default());
    assert!(explanation.results.iter().all(|one| one.paths.is_empty() != (one.node == 0)));
}

#[test]
fn unlikely_paths_are_left_out() {
    let world = World::new(4, &[(0, 1, 1000.0), (0, 2, 1.0), (2, 1, 1.0), (1, 3, 1.0)]);
    let question = Question { method: Method::Exact, ..Question::new(Seeds::single(0)) };
    let lengths = |least: f64| -> Vec<usize> {
        let (_, explanation) = explain(&world, 0.5, &question, &ExplainSettings { least, ..EVERY_PATH });
        let to_last = explanation.results.into_iter().find(|one| one.node == 3).unwrap();
        to_last.paths.iter().map(|path| path.edges.len()).collect()
    };
    assert_eq!((lengths(1e-2), lengths(1e-4)), (vec![2], vec![2, 3]));
    assert_eq!(lengths(1.0), [2]);
}

#[test]
fn a_long_chain_and_a_crowd_of_seeds_are_explained_in_time() {
    let chain: Edges = (0..3000).map(|node| (node, node + 1, 1.0)).collect();
    let world = World::new(3001, &chain);
    let question = Question { method: Method::Exact, top: 3001, ..Question::new(Seeds::single(0)) };
    let (answer, explanation) = explain(&world, 0.05, &question, &ExplainSettings::default());
    assert!(500 < answer.results.len());
    assert!(explanation.results.iter().enumerate().all(|(place, one)| one.paths[0].edges.len() == place));
    let all = Seeds::from_weights(3001, (0..3001).map(|node| (node, 1.0)).collect()).unwrap();
    let question = Question { method: Method::Exact, top: 20, ..Question::new(all) };
    let settings = ExplainSettings { seeds: 4, edges: 100, ..ExplainSettings::default() };
    let (_, explanation) = explain(&world, 0.05, &question, &settings);
    assert!(explanation.searched.edges < 200, "most seeds are no part of the neighbourhood");
    assert!(explanation.results.iter().all(|one| one.others.unwrap().seeds == 2997 && !one.paths.is_empty()));
}

#[test]
fn settings_and_answers_are_checked() {
    let world = World::new(3, &[(0, 1, 1.0), (1, 2, 1.0)]);
    let question = Question::new(Seeds::single(0));
    let mut answerer = world.answerer(None, 0.15);
    let answer = answerer.answer(&question).unwrap();
    for least in [-0.1, 1.1, f64::NAN] {
        let settings = ExplainSettings { least, ..ExplainSettings::default() };
        let refused = answerer.explain(&question, &answer, &settings).unwrap_err().to_string();
        assert!(refused.contains("least"), "{refused}");
    }
    let mut strange = answer.clone();
    strange.results[0].node = 3;
    let refused = answerer.explain(&question, &strange, &ExplainSettings::default()).unwrap_err().to_string();
    assert!(refused.contains("answer"), "{refused}");
}
