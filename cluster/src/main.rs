//! The `walkprint` program: parse what was typed, do it, say it once when it cannot be done.

mod arguments;
mod commands;
mod joining;
mod recommending;
mod serving;
mod shaping;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{Arguments, Command};
use terminal::Outcome;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A worker that panics would leave the others waiting for ever: end the program, and say so in one line.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("walkprint: internal error: {panic}; this is a defect, please report it");
        std::process::exit(2);
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing can be done when not even the usage can be shown.
            let _ = error.print();
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    let done = match arguments.command {
        Command::Load(load) => commands::load::run(*load),
        Command::Gather(gather) => commands::gather::run(gather),
        Command::Index(index) => commands::index::run(index),
        Command::Update(update) => commands::update::run(*update),
        Command::Compact(compact) => commands::compact::run(&compact),
        Command::Query(query) => commands::query::run(query),
        Command::Watch(watch) => commands::watch::run(*watch),
        Command::Batch(batch) => commands::batch::run(batch),
        Command::Retrieve(retrieve) => commands::retrieve::run(&retrieve),
        Command::Recommend(recommend) => commands::recommend::run(*recommend),
        Command::Evaluate { what } => commands::evaluate::run(what),
        Command::RankTerms(rank) => commands::rank_terms::run(&rank),
        Command::Serve(serve) => commands::serve::run(*serve),
        Command::Plan(plan) => commands::plan::run(plan),
        Command::Inspect(inspect) => commands::inspect::run(inspect),
        Command::Verify(verify) => commands::verify::run(verify),
        Command::Quickstart(quickstart) => commands::quickstart::run(quickstart),
        Command::Completions { shell } => commands::completions::run(shell),
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => terminal::report(&error),
    }
}
