//! At any time the truth is what was answered plus the answers to the residual.

use super::oracle::{self, l1};
use super::world::{Random, World, random_edges};
use crate::query::Dangling;
use crate::query::halt::Halt;
use crate::query::push::{self, MOST_ROUNDS, Pusher, Stop};
use crate::query::workspace::Workspace;

#[test]
fn the_residual_holds_what_the_answer_lacks() {
    let (mut random, halt) = (Random(4), Halt::default());
    for round in 0..30 {
        let edges = random_edges(25, 60, round % 2 == 0, &mut random);
        let world = World::new(25, &edges);
        let restart_prob = 0.05 + 0.9 * random.share();
        let pusher = Pusher::new(&world.graph, restart_prob, &halt);
        let mut space = Workspace::new(25);
        space.sow(&[(3, 0.25), (20, 0.75)]);
        let mut weights = vec![0.0; 25];
        (weights[3], weights[20]) = (0.25, 0.75);
        let truth = oracle::scores(25, &edges, &weights, restart_prob, Dangling::Drop);
        let check = |space: &Workspace| {
            let mut whole = space.answer.clone();
            for (node, &mass) in space.residual.iter().enumerate() {
                let mut seed = vec![0.0; 25];
                seed[node] = 1.0;
                let answer = oracle::scores(25, &edges, &seed, restart_prob, Dangling::Drop);
                whole.iter_mut().zip(&answer).for_each(|(whole, answer)| *whole += mass * answer);
            }
            assert!(l1(&whole, &truth) <= 1e-13);
            let mass: f64 = space.answer.iter().sum::<f64>() + space.residual.iter().sum::<f64>() + space.ended;
            assert!((mass - 1.0).abs() <= 1e-13 && pusher.check_balance(space).is_ok());
        };
        check(&space);
        for threshold in [0.1, 0.03, 0.01, 1e-3] {
            let rounds = 1 + random.next() % MOST_ROUNDS;
            let stop = Stop { threshold, left: 0.0, work: u64::MAX, rounds, narrow: random.below(2) == 0 };
            push::local(pusher, &mut space, stop).unwrap();
            check(&space);
        }
    }
}
