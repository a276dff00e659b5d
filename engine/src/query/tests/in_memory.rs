//! A graph that was never written answers as its file does.

use super::world::{Random, World, random_edges};
use crate::edges::EdgeList;
use crate::graph::Graph;
use crate::labels::Labels;
use crate::query::{Answerer, Dangling, ExplainSettings, Method, Question, Seeds};

#[test]
fn a_graph_in_memory_has_the_answers_of_its_file() {
    let mut random = Random(31);
    for weighted in [false, true] {
        let mut edges = random_edges(80, 300, weighted, &mut random);
        edges.extend_from_within(..20); // parallel ones
        let world = World::new(80, &edges);
        let mapped = world.mapped(&world.graph_bytes()).unwrap();
        let list = EdgeList::numbered(80, &edges, weighted);
        let labels = Labels::in_order(&list.ids).unwrap();
        let graph = Graph::in_memory(list).unwrap();
        let mut held = Answerer::new(&graph, &labels, None, 0.15).unwrap();
        let mut filed = Answerer::new(&mapped, &world.labels, None, 0.15).unwrap();
        for method in [Method::Exact, Method::Block] {
            for dangling in [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform] {
                let question = Question { method, dangling, ..Question::new(Seeds::single(random.below(80))) };
                let answer = held.answer(&question).unwrap();
                // Shown, numbers have all their digits.
                assert_eq!(format!("{answer:?}"), format!("{:?}", filed.answer(&question).unwrap()));
                let [held, filed] = [&mut held, &mut filed]
                    .map(|answerer| answerer.explain(&question, &answer, &ExplainSettings::default()).unwrap());
                assert_eq!(format!("{held:?}"), format!("{filed:?}"));
            }
        }
    }
}
