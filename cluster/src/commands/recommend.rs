//! `walkprint recommend`.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use walkprint_cluster::recommend::{
    Audience, Format, LISTED, OutputFile, RECOMMENDED, Recommender, Row, Settings, write_all,
};
use walkprint_engine::ids::canonical_integer;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::two_sided::Lists;

use crate::recommending::{Opened, RecommendArguments, table as tuning_table, tuned_as_json};
use crate::terminal::{Outcome, count, duration, print, print_json, stop_flag};

pub(crate) fn run(arguments: RecommendArguments) -> anyhow::Result<Outcome> {
    let stop = stop_flag()?;
    let opened = Opened::new(&arguments.store)?;
    let (audience, labels) = (&opened.audience, &opened.labels);
    let top = arguments.top as usize;
    let strangers = typed_items(&arguments.items, audience, labels)?;
    let (settings, tuned) = arguments.model.settings(audience, top, &stop)?;
    let began = Instant::now();
    let work = (arguments.model.workers(), &*stop);
    let recommender = opened.recommender(&settings, arguments.model.index.as_deref(), work)?;
    if let Some(path) = &arguments.write_lists {
        write_lists(path, &recommender, labels, arguments.replace)?;
        if !arguments.asks_for_somebody() {
            let entries = recommender.lists().map_or(0, Lists::entries);
            print(&format!("written   {} entries to {}\n", count(entries as u64), path.display()))?;
            return Ok(Outcome::Done);
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut written = 0;
    let (asked, fallbacks);
    if !strangers.is_empty() {
        let (person, unknown) = audience.stranger(labels, &strangers)?;
        if !unknown.is_empty() {
            bail!("there is no item {}", unknown.iter().map(|id| format!("{id:?}")).collect::<Vec<_>>().join(", "));
        }
        let recommended = recommender.scorer()?.recommend(&[person], top, arguments.with_seen)?;
        for (rank, pick) in (1..).zip(recommended.iter().flat_map(|one| &one.picks)) {
            let item_id = audience.item_id(labels, pick.place)?;
            rows.push(Row { user_id: String::new(), item_id, score: pick.score, rank, fallback: false });
        }
        (asked, fallbacks) = (1, 0);
    } else {
        let users = whom(&arguments, audience, labels)?;
        let mut file = match &arguments.out {
            Some(path) => {
                let format = arguments.format.or_else(|| Format::of(path)).unwrap_or(Format::Parquet);
                let integers =
                    [integers(users.iter().map(|(_, id)| Ok(id.clone())))?, items_are_integers(audience, labels)?];
                Some(OutputFile::create(path, format, (RECOMMENDED, integers), arguments.replace)?)
            }
            None => None,
        };
        asked = users.len();
        fallbacks = write_all(&recommender, labels, &users, (top, arguments.with_seen), work, |more| {
            written += more.len();
            match &mut file {
                Some(file) => file.write(more),
                None => {
                    rows.extend(more);
                    Ok(())
                }
            }
        })?;
        if let Some(file) = file {
            file.finish()?;
        }
    }
    let took = began.elapsed();
    if arguments.json {
        let mut printed = json!({
            "settings": settings,
            "users": asked,
            "fallbacks": fallbacks,
            "events": opened.events(),
            "seconds": took.as_secs_f64(),
        });
        printed["tuned"] = tuned.as_ref().map_or(Value::Null, tuned_as_json);
        match &arguments.out {
            Some(path) => (printed["out"], printed["rows"]) = (json!(path), json!(written)),
            None => printed["results"] = json!(rows),
        }
        print_json(&printed)?;
        return Ok(Outcome::Done);
    }
    let mut text = tuned.as_ref().map(|tuned| tuning_table(tuned, top) + "\n").unwrap_or_default();
    if arguments.out.is_none() {
        text += &table(&rows, !strangers.is_empty());
    }
    text += &summary(&arguments, &settings, asked, written, fallbacks);
    if opened.events() != 0 {
        text += &format!("events    {} count that the graph has not absorbed\n", count(opened.events()));
    }
    text += &format!("took      {}\n", duration(took));
    print(&text)?;
    Ok(Outcome::Done)
}

/// Writes the items that go with each item.
fn write_lists(path: &Path, recommender: &Recommender<'_>, labels: &Labels, replace: bool) -> anyhow::Result<()> {
    let Some(lists) = recommender.lists() else {
        bail!("--write-lists writes the lists of --neighbors N: say how long")
    };
    let audience = recommender.audience();
    let integers = items_are_integers(audience, labels)?;
    let format = Format::of(path).unwrap_or(Format::Parquet);
    let mut file = OutputFile::create(path, format, (LISTED, [integers; 2]), replace)?;
    for place in 0..u32::try_from(lists.len())? {
        let user_id = audience.item_id(labels, place)?;
        let mut rows = Vec::new();
        for (rank, best) in (1..).zip(lists.list(place)) {
            let item_id = audience.item_id(labels, best.place)?;
            rows.push(Row { user_id: user_id.clone(), item_id, score: best.score, rank, fallback: false });
        }
        file.write(rows)?;
    }
    Ok(file.finish()?)
}

/// `ID=WEIGHT`, or an id.
fn typed_items(items: &[String], audience: &Audience, labels: &Labels) -> anyhow::Result<Vec<(String, f64)>> {
    let mut typed = Vec::with_capacity(items.len());
    for text in items {
        let weighted = text.rsplit_once('=').and_then(|(id, weight)| Some((id, weight.parse::<f64>().ok()?)));
        // The whole is an id, if there is one.
        typed.push(match weighted {
            Some((id, weight)) if audience.item(labels, text)?.is_none() => (id.to_owned(), weight),
            _ => (text.clone(), 1.0),
        });
    }
    Ok(typed)
}

/// The users that were asked for, with their places; in the order of their ids where all are.
fn whom(
    arguments: &RecommendArguments,
    audience: &Audience,
    labels: &Labels,
) -> anyhow::Result<Vec<(Option<u32>, String)>> {
    if arguments.all {
        let users = audience.users_in_order(labels)?;
        return Ok(users.into_iter().map(|(place, id)| (Some(place), id)).collect());
    }
    let ids: Vec<String> = match &arguments.users {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{}: could not read the users", file.display()))?;
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        None => arguments.user.clone(),
    };
    if ids.is_empty() {
        bail!("no user was named: the file of --users has none");
    }
    ids.into_iter().map(|id| Ok((audience.user(labels, &id)?, id))).collect()
}

fn integers(mut ids: impl Iterator<Item = anyhow::Result<String>>) -> anyhow::Result<bool> {
    ids.try_fold(true, |all, id| Ok(all && canonical_integer(id?.as_bytes()).is_some()))
}

fn items_are_integers(audience: &Audience, labels: &Labels) -> anyhow::Result<bool> {
    let places = 0..u32::try_from(audience.sides.right().len())?;
    integers(places.map(|place| Ok(audience.item_id(labels, place)?)))
}

fn table(rows: &[Row], stranger: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["user", "rank", "score", "item"]);
    for row in rows {
        let user = if stranger { "-".to_owned() } else { row.user_id.clone() };
        let score = format!("{:.6}", row.score);
        let item = if row.fallback { format!("{}  (popular)", row.item_id) } else { row.item_id.clone() };
        table.add_row([user, row.rank.to_string(), score, item]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}

fn summary(
    arguments: &RecommendArguments,
    settings: &Settings,
    asked: usize,
    written: usize,
    fallbacks: u64,
) -> String {
    let mut text = format!("model     {}\n", settings.describe());
    if let Some(path) = &arguments.out {
        let (users, rows) = (count(asked as u64), count(written as u64));
        text += &format!("written   {rows} rows for {users} users to {}\n", path.display());
    }
    if fallbacks != 0 {
        text += &format!(
            "note      {} of them unknown or without items: they got what most users have\n",
            count(fallbacks)
        );
    }
    text
}
