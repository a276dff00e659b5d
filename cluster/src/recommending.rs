//! What may be typed to choose a recommender, the same for `recommend` and `evaluate recommend`; and the recommender that is meant.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use walkprint_cluster::live::Now;
use walkprint_cluster::recommend::{
    Audience, Format, ModelKind, Recommender, Settings, Steps, Trial, TuneOptions, Tuned, tune,
};
use walkprint_engine::graph::Graph;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;

use crate::arguments::{RestartArguments, workers};
use crate::terminal::{duration, note, processors};

/// `walkprint recommend`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true))]
pub(crate) struct RecommendArguments {
    /// The store: interactions of users with items, made by `walkprint load`
    pub(crate) store: PathBuf,
    /// A user; may be given several times
    #[arg(long = "user", value_name = "ID", group = "whom")]
    pub(crate) user: Vec<String>,
    /// A file with a user's id a line
    #[arg(long, value_name = "FILE", group = "whom", conflicts_with = "user")]
    pub(crate) users: Option<PathBuf>,
    /// All users
    #[arg(long, group = "whom", conflicts_with_all = ["user", "users"])]
    pub(crate) all: bool,
    /// Somebody who is not in the graph, by an item that she had to do with; may be given several times, with weights if you like
    #[arg(long = "items", value_name = "ID[=WEIGHT]", group = "whom", conflicts_with_all = ["user", "users", "all"])]
    pub(crate) items: Vec<String>,
    /// How many items for each
    #[arg(long, short = 'k', default_value_t = 10, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: u32,
    /// Write the lists of --neighbors: the items that go with each item. The format is that of the file's name
    #[arg(long, value_name = "FILE", group = "whom")]
    pub(crate) write_lists: Option<PathBuf>,
    /// Items that a user has already may be recommended
    #[arg(long)]
    pub(crate) with_seen: bool,
    /// The file for the recommendations [default: they are printed]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How they are written: parquet, csv, jsonl [default: as the file is called, else parquet]
    #[arg(long, requires = "out")]
    pub(crate) format: Option<Format>,
    /// Write over a file that exists
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl RecommendArguments {
    /// Whether there is anybody to recommend to.
    pub(crate) fn asks_for_somebody(&self) -> bool {
        self.all || self.users.is_some() || !self.user.is_empty() || !self.items.is_empty()
    }
}

/// `walkprint evaluate recommend`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateRecommendArguments {
    /// The store
    pub(crate) store: PathBuf,
    /// What users did that the store does not know, in any format of interactions
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) test: Vec<PathBuf>,
    /// The format of the test: lightgcn, recbole, interactions [default: by its name and header, else as the store was loaded]
    #[arg(long)]
    pub(crate) format: Option<walkprint_loaders::Format>,
    /// How many items for each user: the K of the metrics
    #[arg(long, short = 'k', default_value_t = 20, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: u32,
    /// Write the metrics of each user into a CSV file
    #[arg(long, value_name = "FILE")]
    pub(crate) per_user: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A model and its numbers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArguments {
    /// Settings by name (popular, p3, rp3beta, sharp, pixie, ppr) or from a file, which the options below overrule
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "tune")]
    preset: Option<String>,
    /// Search for the best settings first, on some of the store's interactions that are held out; the test is not looked at
    #[arg(long)]
    tune: bool,
    /// Write the settings that --tune has chosen: TOML, or JSON if the name ends so
    #[arg(long, value_name = "FILE", requires = "tune")]
    write_preset: Option<PathBuf>,
    /// How many users lose a fifth of their items for --tune; at most half of all
    #[arg(long, value_name = "N", default_value_t = 3000, requires = "tune")]
    tune_users: usize,
    /// The key by which --tune draws users and items
    #[arg(long, value_name = "KEY", default_value_t = 0, requires = "tune")]
    tune_key: u64,
    /// walk (few steps), ppr (personalized PageRank), popular [default: walk]
    #[arg(long)]
    model: Option<ModelKind>,
    /// walk: lengths of walks and what each counts, as 3 or 3=1,5=-0.4 [default: 3]
    #[arg(long, value_name = "LENGTH=SHARE,…")]
    steps: Option<Steps>,
    /// walk: the power of the probability of a step (alpha of P3alpha) [default: 1]
    #[arg(long, value_name = "POWER", allow_negative_numbers = true)]
    transition_power: Option<f64>,
    /// walk: the power of the degree of users on the way [default: as --transition-power]
    #[arg(long, value_name = "POWER", allow_negative_numbers = true)]
    user_power: Option<f64>,
    /// walk: the power of the degree of items that walks leave [default: as --transition-power]
    #[arg(long, value_name = "POWER", allow_negative_numbers = true)]
    item_power: Option<f64>,
    /// Divide scores by the item's popularity to this power (beta of RP3beta) [default: 0]
    #[arg(long, value_name = "POWER", allow_negative_numbers = true)]
    popularity_power: Option<f64>,
    /// walk: above 1, items gain that several of the user's items lead to; 2 is Pixie's multi-hit boost [default: 1]
    #[arg(long, value_name = "B")]
    boost: Option<f64>,
    /// walk: make lists of N items for each item and score by them: faster, and approximate [default: no lists]
    #[arg(long, value_name = "N")]
    neighbors: Option<usize>,
    #[command(flatten)]
    restart: RestartArguments,
    /// ppr: how to answer: block, exact, combine, lookup [default: block]; the last two need an index
    #[arg(long)]
    method: Option<Method>,
    /// ppr: the L1 distance from exact scores to aim at [default: 0.0001 for block, 0.05 for combine]
    #[arg(long, value_name = "L1")]
    precision: Option<f64>,
    /// ppr: the index to ask
    #[arg(long, value_name = "NAME")]
    pub(crate) index: Option<String>,
    /// Threads that work [default: all processors]
    #[arg(long, value_parser = workers)]
    workers: Option<usize>,
}

/// A store of users and items, open.
pub(crate) struct Opened {
    pub(crate) store: Store,
    base: Graph,
    /// The graph as it is, when there are events that the one in the store has not absorbed.
    now: Option<Now>,
    pub(crate) labels: Labels,
    pub(crate) audience: Audience,
}

impl Opened {
    /// Opens a store, and finds its users and items, those that came by events as well.
    pub(crate) fn new(path: &Path) -> anyhow::Result<Opened> {
        let store = Store::open(path)?;
        let (base, mut labels, mut kinds) = (store.graph()?, store.labels()?, store.kinds()?);
        let now = Now::of(&store)?;
        if let Some(now) = &now {
            (labels, kinds) = (now.labels.clone(), now.kinds(&base, kinds.as_ref())?);
        }
        let audience = Audience::new(now.as_ref().map_or(&base, |now| &now.graph), &labels, kinds.as_ref())?;
        Ok(Opened { store, base, now, labels, audience })
    }

    /// How many events count that the graph in the store has not absorbed.
    pub(crate) fn events(&self) -> u64 {
        self.now.as_ref().map_or(0, |now| now.events)
    }

    /// The recommender for these settings.
    pub(crate) fn recommender(
        &self,
        settings: &Settings,
        index: Option<&str>,
        work: (usize, &AtomicBool),
    ) -> anyhow::Result<Recommender<'_>> {
        let (store, base, audience) = (&self.store, &self.base, &self.audience);
        Ok(match &self.now {
            Some(now) => Recommender::over((store, base), now, audience, settings, index, work)?,
            None => Recommender::new((store, base, &self.labels), audience, settings, index, work)?,
        })
    }
}

impl ModelArguments {
    /// Threads that work.
    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(processors)
    }

    /// The settings that are meant; and what came of the search, if there was one.
    pub(crate) fn settings(
        &self,
        audience: &Audience,
        top: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<(Settings, Option<Tuned>)> {
        let tuned = self.tune.then(|| {
            let options = TuneOptions { users: self.tune_users, key: self.tune_key, top, ..TuneOptions::default() };
            let began = Instant::now();
            note("walkprint: tuning on a part of the store's own interactions");
            let tuned = tune(audience, &options, (self.workers(), stop), &mut |trial| note(&line(trial)))?;
            note(&format!("walkprint: chosen in {}: {}", duration(began.elapsed()), tuned.chosen.describe()));
            Ok::<_, walkprint_cluster::error::Error>(tuned)
        });
        let tuned = tuned.transpose()?;
        if let (Some(path), Some(tuned)) = (&self.write_preset, &tuned) {
            std::fs::write(path, as_preset(&tuned.chosen, path)?)
                .with_context(|| format!("{}: could not write the preset", path.display()))?;
        }
        let settings = match (&tuned, &self.preset) {
            (Some(tuned), _) => tuned.chosen.clone(),
            (None, Some(name)) => Settings::preset(name)?,
            (None, None) => Settings::default(),
        };
        let settings = self.overruled(settings);
        settings.check()?;
        if matches!(settings.method, Method::Combine | Method::Lookup)
            && settings.model != ModelKind::Ppr
            && self.method.is_some()
        {
            bail!("--method is for --model ppr; walks of few steps take --neighbors N to be fast");
        }
        Ok((settings, tuned))
    }

    fn overruled(&self, settings: Settings) -> Settings {
        // Whoever gives a restart probability means personalized PageRank.
        let restart_prob = self.restart.given();
        let implied = restart_prob.map_or(settings.model, |_| ModelKind::Ppr);
        Settings {
            model: self.model.unwrap_or(implied),
            steps: self.steps.clone().unwrap_or(settings.steps),
            transition_power: self.transition_power.unwrap_or(settings.transition_power),
            user_power: self.user_power.or(settings.user_power),
            item_power: self.item_power.or(settings.item_power),
            popularity_power: self.popularity_power.unwrap_or(settings.popularity_power),
            boost: self.boost.unwrap_or(settings.boost),
            neighbors: self.neighbors.or(settings.neighbors),
            restart_prob: restart_prob.unwrap_or(settings.restart_prob),
            method: self.method.unwrap_or(settings.method),
            precision: self.precision.or(settings.precision),
        }
    }
}

fn line(trial: &Trial) -> String {
    format!(
        "  ndcg {:.4} {:.4}  {:>8}  {}",
        trial.ndcg[0],
        trial.ndcg[1],
        duration(trial.took),
        trial.settings.describe()
    )
}

/// The table of a search, best first. The second half of the users lost items drawn by popularity.
pub(crate) fn table(tuned: &Tuned, top: usize) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["regret", &format!("ndcg@{top}"), "±", "popular", "±", "settings"]);
    let mut trials: Vec<(&Trial, f64)> = tuned.trials.iter().zip(tuned.regrets.iter().copied()).collect();
    trials.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (trial, regret) in trials {
        let numbers = [regret, trial.ndcg[0], trial.std_error[0], trial.ndcg[1], trial.std_error[1]];
        let numbers = numbers.map(|number| format!("{number:.4}"));
        table.add_row(numbers.into_iter().chain([trial.settings.describe()]));
    }
    for column in 0..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\nchosen    {}\n", table.trim_fmt(), tuned.chosen.describe())
}

/// A search as JSON.
pub(crate) fn tuned_as_json(tuned: &Tuned) -> Value {
    let trial = |(trial, regret): (&Trial, &f64)| {
        json!({
            "settings": trial.settings,
            "regret": regret,
            "recall": trial.recall,
            "ndcg": trial.ndcg,
            "seconds": trial.took.as_secs_f64(),
        })
    };
    json!({
        "chosen": tuned.chosen,
        "users": tuned.held_out.0,
        "held_out": tuned.held_out.1,
        "trials": tuned.trials.iter().zip(&tuned.regrets).map(trial).collect::<Vec<_>>(),
    })
}

/// Settings as a file that `--preset` reads.
fn as_preset(settings: &Settings, path: &Path) -> anyhow::Result<String> {
    if path.extension().is_some_and(|extension| extension == "json") {
        return Ok(serde_json::to_string_pretty(settings)? + "\n");
    }
    // Numbers and strings of TOML are written as those of JSON.
    let Value::Object(fields) = serde_json::to_value(settings)? else { bail!("settings are an object") };
    Ok(fields.iter().map(|(name, value)| format!("{name} = {value}\n")).collect())
}
