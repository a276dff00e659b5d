//! Answers that are interrupted, wherever that may be: nothing of them is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::{Random, World, random_edges};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::plan::Plan;
use crate::query::halt::Halt;
use crate::query::{Answerer, Dangling, Debias, ExplainSettings, Method, PopularityKind, Question, Seeds, Shape};

/// Everything that an answer says. Numbers are shown so that no bit is lost.
type Ask<'q> = Box<dyn Fn(&mut Answerer<'_>) -> Result<String> + 'q>;

fn shown(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// Interrupts `ask` at one look after the other, ever farther apart, and compares what `then` says with what it says to a
/// fresh answerer. Returns at how many looks it was interrupted.
fn interrupt(world: &World, index: &Index, ask: &Ask<'_>, then: &[&Ask<'_>]) -> usize {
    let fresh: Vec<String> = then.iter().map(|ask| ask(&mut world.answerer(Some(index), 0.15)).unwrap()).collect();
    let mut interruptions = 0;
    for looks in (0..6).chain((3..40).map(|power| 1 << power)) {
        for (then, expected) in then.iter().zip(&fresh) {
            let mut answerer = world.answerer(Some(index), 0.15);
            answerer.halt = Halt::after(looks);
            match ask(&mut answerer) {
                Err(Error::Interrupted) => interruptions += 1,
                Err(error) => panic!("{error}"),
                Ok(_) => return interruptions,
            }
            answerer.heed(None);
            assert!(then(&mut answerer).unwrap() == *expected, "after {looks} looks");
        }
    }
    panic!("it never came to an end")
}

#[test]
fn the_answer_after_an_interruption_is_that_of_a_fresh_answerer() {
    let mut random = Random(23);
    for weighted in [false, true] {
        let world = World::new(240, &random_edges(240, 1200, weighted, &mut random));
        let plan = Plan { restart_prob: 0.15, ..Plan::default() };
        let index = world.index(&plan);
        let seeds = Seeds::from_weights(240, vec![(1, 1.0), (7, 2.0), (50, 0.5)]).unwrap();
        let base = Question { top: 12, ..Question::new(seeds) };
        let asked = |change: &dyn Fn(&mut Question)| {
            let mut question = base.clone();
            change(&mut question);
            question
        };
        let page_rank = Some(Debias { by: PopularityKind::GlobalPageRank, power: 0.5 });
        let degree = Some(Debias { by: PopularityKind::Degree, power: 0.5 });
        let narrow = asked(&|question| {
            (question.method, question.push.sweep, question.push.threshold) = (Method::Combine, false, 1e-2);
        });
        let questions = [
            ("lookup", asked(&|question| question.method = Method::Lookup)),
            ("combine narrow", narrow.clone()),
            (
                "combine wide",
                asked(&|question| {
                    (question.method, question.precision) = (Method::Combine, Some(1e-3));
                }),
            ),
            ("combine deep", Question { push: crate::query::PushBound { threshold: 1e-6, ..narrow.push }, ..narrow }),
            ("exact", asked(&|question| question.method = Method::Exact)),
            ("block", asked(&|question| question.method = Method::Block)),
            (
                "settle",
                asked(&|question| {
                    (question.method, question.settle) = (Method::Combine, true);
                }),
            ),
            ("debias by pagerank", asked(&|question| question.shape = Shape { debias: page_rank, ..Shape::default() })),
            ("debias by degree", asked(&|question| question.shape = Shape { debias: degree, ..Shape::default() })),
            (
                "min support",
                asked(&|question| {
                    (question.method, question.shape.min_support) = (Method::Combine, 2);
                }),
            ),
            (
                "uniform",
                asked(&|question| {
                    (question.method, question.dangling) = (Method::Lookup, Dangling::Uniform);
                }),
            ),
        ];
        let mut asks: Vec<(&str, Ask<'_>)> = Vec::new();
        for (name, question) in &questions {
            asks.push((name, Box::new(move |answerer| answerer.answer(question).map(shown))));
        }
        for (name, question) in &questions[..6] {
            asks.push((name, Box::new(move |answerer| answerer.scores(question).map(shown))));
        }
        let batch: Vec<Question> = (0..20).map(|node| Question::new(Seeds::single(node))).collect();
        asks.push(("a block of many", Box::new(move |answerer| answerer.answer_block(&batch).map(shown))));
        for (name, question) in &questions[..6] {
            let answer = world.answerer(Some(&index), 0.15).answer(question).unwrap();
            let settings = ExplainSettings { edges: 300, ..ExplainSettings::default() };
            let ask = move |answerer: &mut Answerer<'_>| answerer.explain(question, &answer, &settings).map(shown);
            asks.push((name, Box::new(ask)));
        }
        // Whatever was interrupted, the same is asked again, and what is left in narrow, wide and block answers is looked for.
        for (name, ask) in &asks {
            let then = [ask, &asks[0].1, &asks[1].1, &asks[12].1, &asks[4].1, &asks[5].1];
            let interruptions = interrupt(&world, &index, ask, &then);
            assert!(2 * then.len() <= interruptions, "{name} was interrupted {interruptions} times");
        }
    }
}

#[test]
fn a_flag_that_is_set_ends_every_answer_and_one_that_is_not_changes_none() {
    let mut random = Random(29);
    let world = World::new(60, &random_edges(60, 240, true, &mut random));
    let index = world.index(&Plan { restart_prob: 0.15, ..Plan::default() });
    let flag = Arc::new(AtomicBool::new(false));
    for method in [Method::Lookup, Method::Combine, Method::Exact, Method::Block] {
        let question = Question { method, ..Question::new(Seeds::single(1)) };
        let mut answerer = world.answerer(Some(&index), 0.15);
        let expected = answerer.answer(&question).unwrap();
        answerer.heed(Some(Arc::clone(&flag)));
        assert_eq!(answerer.answer(&question).unwrap(), expected);
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(answerer.answer(&question), Err(Error::Interrupted)));
        assert!(matches!(answerer.scores(&question), Err(Error::Interrupted)));
        assert!(matches!(answerer.answer_block(std::slice::from_ref(&question)), Err(Error::Interrupted)));
        let explained = answerer.explain(&question, &expected, &ExplainSettings::default());
        assert!(matches!(explained, Err(Error::Interrupted)));
        flag.store(false, Ordering::Relaxed);
        assert_eq!(answerer.answer(&question).unwrap(), expected);
    }
}
