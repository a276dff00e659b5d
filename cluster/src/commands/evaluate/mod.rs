//! `walkprint evaluate`: how good answers are, against what is known.

mod recommend;

pub(crate) mod senses;

pub(crate) mod retrieve;

use crate::arguments::Evaluated;
use crate::terminal::Outcome;

pub(crate) fn run(what: Evaluated) -> anyhow::Result<Outcome> {
    match what {
        Evaluated::Recommend(arguments) => recommend::run(*arguments),
        Evaluated::Senses(arguments) => senses::run(&arguments),
        Evaluated::Retrieve(arguments) => retrieve::run(&arguments),
    }
}
