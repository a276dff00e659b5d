//! Scores of some nodes: those of the whole answer, by any method, and linear in the seeds.

use super::world::{Random, World, random_edges};
use crate::ids::NodeId;
use crate::query::{Dangling, Method, Question, Seeds};

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

fn question(seeds: Seeds, method: Method, dangling: Dangling) -> Question {
    Question { method, dangling, precision: Some(1e-5), ..Question::new(seeds) }
}

#[test]
fn some_scores_are_those_of_the_whole_answer() {
    let mut random = Random(7);
    let world = World::new(60, &random_edges(60, 240, true, &mut random));
    let mut answerer = world.answerer(None, 0.2);
    // More seed sets than lanes, twins among them (isolated nodes), and seeds that are asked for.
    let seed_sets: Vec<Seeds> = (0..40)
        .map(|set| {
            if set % 3 == 0 {
                return Seeds::single(random.below(60));
            }
            let weights = (0..4).map(|_| (random.below(60), 0.1 + random.share())).collect();
            Seeds::from_weights(60, weights).unwrap()
        })
        .collect();
    let all: Vec<NodeId> = (0..60).collect();
    let nodes: Vec<&[NodeId]> = (0..40).map(|set| if set % 4 == 0 { &all[10..30] } else { &all[..] }).collect();
    for dangling in POLICIES {
        let exact: Vec<Vec<f64>> = seed_sets
            .iter()
            .map(|seeds| answerer.scores(&question(seeds.clone(), Method::Exact, dangling)).unwrap().scores)
            .collect();
        for (method, tolerance) in [(Method::Exact, 1e-12), (Method::Block, 5e-5)] {
            let questions: Vec<Question> =
                seed_sets.iter().map(|seeds| question(seeds.clone(), method, dangling)).collect();
            let scores = answerer.scores_at(&questions, &nodes).unwrap();
            for ((scores, nodes), exact) in scores.iter().zip(&nodes).zip(&exact) {
                assert_eq!(scores.len(), nodes.len());
                let off: f64 =
                    scores.iter().zip(*nodes).map(|(score, &node)| (score - exact[node as usize]).abs()).sum();
                assert!(off < tolerance, "{method}, {dangling}: off by {off}");
            }
        }
    }
}

#[test]
fn scores_are_linear_in_the_seeds_where_mass_is_dropped() {
    let mut random = Random(8);
    let world = World::new(40, &random_edges(40, 150, true, &mut random));
    let mut answerer = world.answerer(None, 0.15);
    let all: Vec<NodeId> = (0..40).collect();
    let ask = |weights: Vec<(NodeId, f64)>| {
        question(Seeds::from_weights(40, weights).unwrap(), Method::Exact, Dangling::Drop)
    };
    let questions = [ask(vec![(1, 3.0), (2, 1.0)]), ask(vec![(3, 1.0)]), ask(vec![(1, 0.3), (2, 0.1), (3, 0.6)])];
    let scores = answerer.scores_at(&questions, &[&all, &all, &all]).unwrap();
    for (node, together) in scores[2].iter().enumerate() {
        let mixed = 0.4 * scores[0][node] + 0.6 * scores[1][node];
        assert!((mixed - together).abs() < 1e-12, "node {node}");
    }
}

#[test]
fn parameters_are_checked_whatever_the_method() {
    let world = World::new(3, &[(0, 1, 1.0)]);
    let mut answerer = world.answerer(None, 0.15);
    for method in [Method::Exact, Method::Block] {
        let outside = question(Seeds::single(3), method, Dangling::Restart);
        assert!(answerer.scores_at(&[outside], &[&[0]]).is_err());
        assert_eq!(answerer.scores_at(&[], &[]).unwrap(), Vec::<Vec<f64>>::new());
    }
    let too_precise = Question { precision: Some(1e-9), ..question(Seeds::single(0), Method::Block, Dangling::Drop) };
    assert!(answerer.scores_at(&[too_precise], &[&[0]]).is_err());
}
