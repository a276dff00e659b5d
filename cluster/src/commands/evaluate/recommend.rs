//! `walkprint evaluate recommend`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use serde_json::json;
use walkprint_cluster::error::Error;
use walkprint_cluster::recommend::{Evaluation, Settings, TestSet, Tuned, evaluate};
use walkprint_loaders::interactions::{InteractionOptions, Interactions, are_interactions, read};
use walkprint_loaders::{Format, LoadOptions};

use crate::recommending::{EvaluateRecommendArguments, Opened, table, tuned_as_json};
use crate::terminal::{Outcome, count, duration, print, print_json, stop_flag};

pub(crate) fn run(arguments: EvaluateRecommendArguments) -> anyhow::Result<Outcome> {
    let stop = stop_flag()?;
    let began = Instant::now();
    let opened = Opened::new(&arguments.store)?;
    let top = arguments.top as usize;
    let test = read_test(&arguments, &opened, &stop)?;
    let test = TestSet::new(&opened.audience, &opened.labels, &test)?;
    let opening = began.elapsed();
    let began = Instant::now();
    let (settings, tuned) = arguments.model.settings(&opened.audience, top, &stop)?;
    let tuning = began.elapsed();
    let began = Instant::now();
    let work = (arguments.model.workers(), &*stop);
    let recommender = opened.recommender(&settings, arguments.model.index.as_deref(), work)?;
    let evaluation = evaluate(&recommender, &test, top, work)?;
    let evaluating = began.elapsed();
    if let Some(path) = &arguments.per_user {
        write_per_user(path, &test, &evaluation)?;
    }
    if arguments.json {
        print_json(&json!({
            "metrics": evaluation.as_json(),
            "users": test.users.len(),
            "users_unknown": test.unknown_users,
            "users_without_items": test.without_items,
            "fallbacks": evaluation.fallbacks(),
            "interactions": test.interactions,
            "interactions_with_unknown_item": test.unknown_items,
            "interactions_seen_already": test.already_seen,
            "settings": settings,
            "tuned": tuned.as_ref().map(tuned_as_json),
            "seconds": {
                "opening": opening.as_secs_f64(),
                "tuning": tuning.as_secs_f64(),
                "evaluating": evaluating.as_secs_f64(),
            },
        }))?;
    } else {
        let took = duration(evaluating);
        print(&describe(&test, &evaluation, &settings, tuned.as_ref(), &took))?;
    }
    Ok(Outcome::Done)
}

/// Reads the test: in the format that was typed, or that name and header say, or that the store was loaded from.
fn read_test(
    arguments: &EvaluateRecommendArguments,
    opened: &Opened,
    stop: &AtomicBool,
) -> anyhow::Result<Interactions> {
    let loaded = || {
        let format = opened.store.manifest().graph.loaded.get("format")?.as_str()?;
        format.parse().ok().filter(|format| *format == Format::LightGcn)
    };
    let recognised = arguments.format.is_none() && are_interactions(&arguments.test, &LoadOptions::default())?;
    let format: Option<Format> = if recognised { None } else { arguments.format.or_else(loaded) };
    // What users disliked is no test of what they like, but a rating below zero is told, not skipped.
    let options = InteractionOptions { format, ..InteractionOptions::default() };
    let watch = |_| if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    read(&arguments.test, &options, &watch).map_err(|error| match error {
        walkprint_loaders::Error::Interrupted => Error::Interrupted.into(),
        error => error.into(),
    })
}

fn write_per_user(path: &Path, test: &TestSet, evaluation: &Evaluation) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["user_id", "test_items", "recall", "ndcg", "hit", "mrr", "map", "fallback"])?;
    for (user, metrics) in test.users.iter().zip(&evaluation.users) {
        let numbers = [metrics.recall, metrics.ndcg, metrics.hit, metrics.reciprocal_rank, metrics.average_precision];
        writer.write_field(&user.id)?;
        writer.write_field(user.total.to_string())?;
        numbers.iter().try_for_each(|number| writer.write_field(number.to_string()))?;
        writer.write_field(metrics.fallback.to_string())?;
        writer.write_record(None::<&[u8]>)?;
    }
    let bytes = writer.into_inner().context("memory takes what is flushed")?;
    std::fs::write(path, bytes).with_context(|| format!("{}: could not write the metrics", path.display()))
}

fn describe(test: &TestSet, evaluation: &Evaluation, settings: &Settings, tuned: Option<&Tuned>, took: &str) -> String {
    let mut text = tuned.map(|tuned| table(tuned, evaluation.top) + "\n").unwrap_or_default();
    for (name, value) in evaluation.named() {
        let value = if name.starts_with("popularity") { format!("{value:.1}") } else { format!("{value:.4}") };
        text += &format!("{name:<16}{value:>8}\n");
    }
    text += &format!("model     {}\n", settings.describe());
    text += &format!(
        "test      {} users, {} interactions, answered in {took}\n",
        count(test.users.len() as u64),
        count(test.interactions)
    );
    let fallbacks = evaluation.fallbacks();
    for (number, what) in [
        (test.unknown_users, "users are not in the store"),
        (fallbacks, "users have no items: they got the most popular ones"),
        (test.unknown_items, "interactions are with items that the store does not know: they count as missed"),
        (test.already_seen, "interactions are in the store already: they count as missed"),
        (test.without_items, "users of the test have no items: they are left out"),
    ] {
        if number != 0 {
            text += &format!("note      {} {what}\n", count(number));
        }
    }
    text
}
