//! Sweeps by several hands.

use std::sync::Arc;

use super::oracle::{self, l1};
use super::world::{Random, World, random_edges};
use crate::ids::NodeId;
use crate::query::{Crew, Dangling, Method, Question, Scores, Seeds, Status};

/// So many hands, one after the other, the last one first.
#[derive(Debug)]
struct InTurns(usize);

impl Crew for InTurns {
    fn hands(&self) -> usize {
        self.0
    }

    fn all(&self, work: &(dyn Fn(usize) + Sync)) {
        (0..self.0).rev().for_each(work);
    }
}

#[test]
fn any_number_of_hands_gives_the_same_bits() {
    let mut random = Random(4);
    for weighted in [false, true] {
        let nodes = 300;
        let edges = random_edges(nodes, 2500, weighted, &mut random);
        let world = World::new(nodes, &edges);
        let weights: Vec<(NodeId, f64)> = (0..40).map(|_| (random.below(nodes), 0.1 + random.share())).collect();
        for seeds in [Seeds::single(7), Seeds::from_weights(nodes as usize, weights.clone()).unwrap()] {
            let mut dense = vec![0.0; nodes as usize];
            seeds.weights().iter().for_each(|&(node, weight)| dense[node as usize] = weight);
            let expected = oracle::scores(nodes as usize, &edges, &dense, 0.15, Dangling::Restart);
            for residual in [1e-3, 1e-12] {
                let question = Question { method: Method::Exact, residual, ..Question::new(seeds.clone()) };
                let by = |hands: usize| -> Scores {
                    let answerer = world.answerer(None, 0.15).with_crew(Arc::new(InTurns(hands)));
                    { answerer }.scores(&question).unwrap()
                };
                let one = by(1);
                let Status::Exact { error_bound, .. } = one.status else { panic!("{:?}", one.status) };
                let error = l1(&one.scores, &expected);
                assert!(error <= error_bound + 1e-12, "{error:e} is above {error_bound:e}");
                for hands in [2, 3, 8, 11] {
                    assert_eq!(by(hands).scores, one.scores, "{hands} hands");
                }
                let alone = world.answerer(None, 0.15).scores(&question).unwrap();
                assert!(alone.scores != one.scores, "the crew was not asked");
                assert!(l1(&alone.scores, &one.scores) <= 2.0 * error_bound + 1e-12);
            }
        }
    }
}
