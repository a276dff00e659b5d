//! Ranking: ties, cuts, truncation.

use super::world::{Edges, World};
use crate::graph::NodeOrder;
use crate::query::{Answer, Dangling, Method, Question, Seeds};

fn both_ways(edges: &[(u32, u32)]) -> Edges {
    edges.iter().flat_map(|&(one, two)| [(one, two, 1.0), (two, one, 1.0)]).collect()
}

fn ask(world: &World, seed: &str, top: usize, dangling: Dangling) -> Answer {
    let seeds = Seeds::resolve(&world.labels, &[(seed.to_owned(), 1.0)]).unwrap();
    let question = Question { method: Method::Exact, top, dangling, ..Question::new(seeds) };
    world.answerer(None, 0.15).answer(&question).unwrap()
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.results.iter().map(|result| result.id.as_str()).collect()
}

#[test]
fn nodes_that_the_graph_cannot_tell_apart_rank_by_id() {
    // Integers rank as numbers: 9 before 10. In a complete graph neighbours push into each other, so that plain
    // Gauss-Seidel leaves them different residuals.
    let complete: Vec<(u32, u32)> = (0..12).flat_map(|one| (one + 1..12).map(move |two| (one, two))).collect();
    let ring: Vec<(u32, u32)> = (0..9).map(|node| (node, (node + 1) % 9)).collect();
    let star: Vec<(u32, u32)> = (0..12).filter(|&leaf| leaf != 5).map(|leaf| (5, leaf)).collect();
    for order in [NodeOrder::Id, NodeOrder::Degree, NodeOrder::BreadthFirst] {
        let world = World::ordered(12, &both_ways(&complete), order);
        let answer = ask(&world, "5", 12, Dangling::Restart);
        assert_eq!(ids(&answer), ["5", "0", "1", "2", "3", "4", "6", "7", "8", "9", "10", "11"]);
        assert!(answer.results[1..].iter().all(|result| result.score == answer.results[1].score));
        let world = World::ordered(9, &both_ways(&ring), order);
        assert_eq!(ids(&ask(&world, "4", 9, Dangling::Restart)), ["4", "3", "5", "2", "6", "1", "7", "0", "8"]);
        let world = World::ordered(12, &both_ways(&star), order);
        assert_eq!(ids(&ask(&world, "5", 4, Dangling::Restart)), ["5", "0", "1", "2"]);
    }
}

#[test]
fn ties_hold_under_the_uniform_policy() {
    let mut edges: Edges = (1..8).map(|leaf| (0, leaf, 1.0)).collect();
    edges.push((7, 0, 1.0));
    let world = World::ordered(12, &edges, NodeOrder::Degree);
    let answer = ask(&world, "0", 12, Dangling::Uniform);
    assert_eq!(ids(&answer)[2..], ["2", "3", "4", "5", "6", "7", "8", "9", "10", "11"][..].to_vec());
    assert_eq!(ids(&answer)[..2], ["0", "1"]);
}

#[test]
fn every_cut_is_the_beginning_of_the_whole() {
    let complete: Vec<(u32, u32)> = (0..40).flat_map(|one| (one + 1..40).map(move |two| (one, two))).collect();
    let world = World::ordered(40, &both_ways(&complete), NodeOrder::Degree);
    let whole = ask(&world, "17", 40, Dangling::Drop);
    assert!(!whole.truncated && whole.results.len() == 40);
    for top in 1..40 {
        let cut = ask(&world, "17", top, Dangling::Drop);
        assert_eq!(cut.results, whole.results[..top]);
        assert!(!cut.truncated);
    }
}

#[test]
fn an_answer_ends_where_scores_end() {
    let world = World::new(5, &[(0, 1, 1.0), (2, 0, 1.0)]);
    let answer = ask(&world, "0", 5, Dangling::Restart);
    assert_eq!(ids(&answer), ["0", "1"]);
    assert!(answer.truncated);
    let answer = ask(&world, "0", usize::MAX, Dangling::Uniform);
    assert!(answer.truncated && answer.results.len() == 5);
}
