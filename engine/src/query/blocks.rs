//! The best nodes for many questions, in [blocks](super::block).

use super::answer::{Answer, Status};
use super::answerer::{Answerer, Core, Errors, FEW_NODES, USUAL_PRECISION};
use super::block::{Block, Found, LEAST_PRECISION, Wanted, share_lanes};
use super::question::{Method, Question};
use crate::error::{Error, Result};
use crate::ids::NodeId;

impl Answerer<'_> {
    /// The best nodes for each of many questions, in blocks of [`LANES`](super::LANES) lanes by [`Method::Block`], whatever
    /// method they name, settled or not. Precision is that of the most demanding question of a block. The inner result is an
    /// error where the filters of one question leave nothing, which is no reason to give up on the others.
    ///
    /// Cost: a quarter or so of asking one after the other; less where questions have single seeds that are twins, which
    /// share what they have in common if they come close together.
    ///
    /// # Errors
    /// As [`Answerer::answer`].
    pub fn answer_block(&mut self, questions: &[Question]) -> Result<Vec<Result<Answer>>> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            self.prepare(question)?;
        }
        while answers.len() < questions.len() {
            let rest = &questions[answers.len()..];
            self.halt.look()?;
            let lanes = share_lanes(&*self.sweeper.inflow()?, rest.iter().map(|question| question.seeds.weights()));
            let done = self.ranked_block(&rest[..lanes.len()], &lanes, &mut answers);
            self.space.clear();
            done?;
        }
        Ok(answers)
    }

    fn ranked_block(
        &mut self,
        questions: &[Question],
        lanes: &[usize],
        answers: &mut Vec<Result<Answer>>,
    ) -> Result<()> {
        // Support is counted by asking for each seed alone, which would use up the block.
        let supporters = questions.iter().map(|question| self.supporters(question)).collect::<Result<Vec<_>>>()?;
        self.solve_block(questions, lanes)?;
        // One more than is shown: whether the last one's rank is stable depends on it.
        let tops = questions.iter().filter(|question| question.ranks_by_core()).map(|question| question.top);
        let top = tops.max().map(|top| top.saturating_add(1).min(self.graph.nodes().max(1)));
        let used = lanes.iter().max().map_or(0, |last| last + 1);
        let block = self.block.as_ref().expect("it has just been solved");
        let best = top.map(|top| block.best(used, top)).unwrap_or_default();
        for ((question, &lane), supporters) in questions.iter().zip(lanes).zip(supporters) {
            let wanted = match (top, &question.shape.only) {
                (Some(top), _) if question.ranks_by_core() => Wanted::Places(&best[lane], top),
                (_, Some(only)) if only.len() < self.graph.nodes() as u64 / FEW_NODES => Wanted::Nodes(only),
                _ => Wanted::All,
            };
            let core = self.take_lane(question, lane, wanted);
            let mut answer = self.rank(question, core, supporters.as_deref()).map(|ranked| ranked.answer);
            self.space.clear();
            if let (Err(Error::NothingLeft { .. }), Wanted::Nodes(_)) = (&answer, wanted) {
                // The message tells of all nodes.
                let core = self.take_lane(question, lane, Wanted::All);
                answer = self.rank(question, core, supporters.as_deref()).map(|ranked| ranked.answer);
                self.space.clear();
            }
            match answer {
                Err(error) if !matches!(error, Error::NothingLeft { .. }) => return Err(error),
                answer => answers.push(answer),
            }
        }
        Ok(())
    }

    /// Sweeps for a block of questions, each in its lane.
    pub(super) fn solve_block(&mut self, questions: &[Question], lanes: &[usize]) -> Result<()> {
        let precisions = questions.iter().map(|question| question.precision.unwrap_or(USUAL_PRECISION));
        let precision = precisions.fold(1.0, f64::min);
        if precision < LEAST_PRECISION {
            let expected = "at least 1e-5 for block, which computes in single precision; take combine or exact";
            return Err(Error::Parameter { name: "precision", expected, got: precision.to_string() });
        }
        let block = match self.block.take() {
            Some(block) => block,
            None => Block::new(self.sweeper.inflow()?)
                .map_err(Error::io(self.graph.path(), "make room for a block of answers"))?,
        };
        let block = self.block.insert(block);
        let mut seeds: Vec<&[(NodeId, f64)]> = Vec::new();
        for (question, &lane) in questions.iter().zip(lanes) {
            if lane == seeds.len() {
                seeds.push(question.seeds.weights());
            }
        }
        let solved = block.solve(self.restart_prob, &seeds, precision, &self.halt)?;
        let sound = solved.iter().all(|lane| lane.outlook.estimate.is_finite());
        if sound { Ok(()) } else { Err(Error::damaged(self.graph.path(), "mass is lost on its edges")) }
    }

    /// Puts one lane of the block into the workspace, as far as it is wanted.
    pub(super) fn take_lane(&mut self, question: &Question, lane: usize, wanted: Wanted<'_>) -> Core {
        let core = self.lane_core(lane);
        let block = self.block.as_ref().expect("it has just been solved");
        let space = &mut self.space;
        block.spell_out(lane, question.seeds.weights(), wanted, |Found { node, value, error }| {
            space.touch(node);
            space.answer[node as usize] = value;
            space.tally[node as usize].variance = error * error;
        });
        core
    }

    /// What is known of one lane of the block as a whole.
    pub(super) fn lane_core(&mut self, lane: usize) -> Core {
        let state = self.block.as_ref().expect("it has just been solved").lane(lane);
        self.space.ended = state.ended;
        let status = Status::Estimated { sampled: 0.0, l1_error: state.outlook.estimate };
        let mut core = Core::new(Method::Block, 0.0, status, Errors::Block);
        core.mass = Some(state.mass);
        core
    }
}
