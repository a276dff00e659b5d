//! The scores of a few nodes for many questions, without ranking: word senses ask for the senses of one word, link
//! prediction for the place of one tail.

use super::answerer::Answerer;
use super::block::share_lanes;
use super::question::{Method, Question};
use crate::error::Result;
use crate::ids::NodeId;

impl Answerer<'_> {
    /// The scores of some nodes for each of many questions: of the nodes at the same place, in their order, 0 for nodes that no
    /// walk from the seeds meets. Shapes, `top` and `settle` have no part in it.
    ///
    /// If the first question asks for [`Method::Block`], all are answered in blocks, as by [`Answerer::answer_block`]; else each
    /// is answered by its own method. Cost: that of the answers, and a few nanoseconds a node.
    ///
    /// **Under [`Dangling::Drop`](super::Dangling::Drop), and on graphs without dangling nodes, scores are linear in the seeds**:
    /// those of a mixture of seed sets are the mixture of their scores. So what many questions have in common need be asked only
    /// once. (Test: `query::tests::pointwise`.)
    ///
    /// # Errors
    /// As [`Answerer::answer_block`] and [`Answerer::answer`].
    ///
    /// # Panics
    /// When there are not as many lists of nodes as questions, or a node is outside the graph.
    pub fn scores_at(&mut self, questions: &[Question], nodes: &[&[NodeId]]) -> Result<Vec<Vec<f64>>> {
        assert_eq!(questions.len(), nodes.len(), "one list of nodes a question");
        if questions.first().is_none_or(|first| first.method != Method::Block) {
            let scores = |(question, nodes): (&Question, &&[NodeId])| -> Result<Vec<f64>> {
                Ok(self.parts(question, nodes)?.into_iter().map(|part| part.score).collect())
            };
            return questions.iter().zip(nodes).map(scores).collect();
        }
        for question in questions {
            self.prepare_dangling(question)?;
        }
        let mut scores = Vec::with_capacity(questions.len());
        while scores.len() < questions.len() {
            let rest = scores.len()..;
            let lanes = {
                let inflow = self.sweeper.inflow()?;
                share_lanes(&inflow, questions[rest.clone()].iter().map(|question| question.seeds.weights()))
            };
            let (questions, nodes) = (&questions[rest.clone()][..lanes.len()], &nodes[rest]);
            let done = self.solve_block(questions, &lanes).and_then(|()| {
                for ((question, &lane), nodes) in questions.iter().zip(&lanes).zip(nodes) {
                    scores.push(self.lane_scores(question, lane, nodes)?);
                }
                Ok(())
            });
            self.space.clear();
            done?;
        }
        Ok(scores)
    }

    fn lane_scores(&mut self, question: &Question, lane: usize, nodes: &[NodeId]) -> Result<Vec<f64>> {
        let core = self.lane_core(lane);
        let scaling = self.scaling(question.dangling, &core)?;
        let block = self.block.as_ref().expect("it has just been solved");
        let seeds = question.seeds.weights();
        Ok(nodes.iter().map(|&node| scaling.score(self.graph, node, block.value(lane, seeds, node))).collect())
    }
}
