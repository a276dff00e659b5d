//! Suite `recommend`: Gowalla from its raw files to metrics, with settings chosen on train alone, beside published figures; exact
//! and approximate ways side by side; and P3alpha and RP3beta against a dense implementation that shares no code.
//!
//! Truth is of two kinds. Popularity must give the published .0416 / .0317, or the metrics are not those of the papers. And short
//! walks must equal dense matrices to 1e-9 on random small data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::json;
use walkprint_cluster::build::{BuildOptions, BuildProgress, ShardedCut, build_index};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::load::{InteractionJob, load_interactions, store_edges};
use walkprint_cluster::recommend::{
    Audience, ModelKind, Recommender, Settings, Steps, TestSet, TuneOptions, evaluate, tune,
};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::Method;
use walkprint_engine::query::two_sided::{ShortWalker, ShortWalks};
use walkprint_engine::store::Store;
use walkprint_loaders::Format;
use walkprint_loaders::interactions::{InteractionOptions, Interactions, Preparation, read};

use crate::figure::{Figure, Quantity, Target};
use crate::known_graphs::data;
use crate::machine::cores;
use crate::report::{Output, Report, Sheet, SheetRow};

const RECALL: Quantity = ("recall@20", "");
const NDCG: Quantity = ("NDCG@20", "");
const SECONDS: Quantity = ("all users", "s");
const COVERAGE: Quantity = ("coverage@20", "");
/// What the papers and leaderboards print for this split: recall and NDCG at 20.
const PUBLISHED: [(&str, f64, f64); 9] = [
    ("published: ItemPop", 0.0416, 0.0317),
    ("published: ItemKNN", 0.157, 0.1214),
    ("published: SLIM", 0.1699, 0.1382),
    ("published: EASE", 0.1765, 0.1467),
    ("published: NGCF", 0.157, 0.1327),
    ("published: LightGCN", 0.1830, 0.1554),
    ("published: GF-CF", 0.1849, 0.1518),
    ("published: UltraGCN", 0.1862, 0.158),
    ("published: BSPM-EM", 0.1920, 0.1597),
];
/// What popularity must give, to the last digit that was printed.
const POPULAR: (f64, f64) = (0.0416, 0.0317);
const HALF_DIGIT: f64 = 0.5e-4 + 1e-9;
/// What an approximation may cost.
const MAY_COST: f64 = 0.001;
/// Lists of the approximate way.
const NEIGHBORS: usize = 300;
/// Ways that are measured on some of the users only, the first of them to hold the others against.
const IN_PART: [&str; 3] = ["some users: PPR, block", "some users: PPR, combine", "some users: PPR, lookup"];
/// The K of the metrics.
const TOP: usize = 20;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder with train.txt.gz and test.txt.gz in LightGCN's format [default: gowalla in the folder of data]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Users that --tune holds items out of
    #[arg(long, default_value_t = 3000)]
    tune_users: usize,
    /// Of how many users one is asked for by ways that need an index
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    index_every: u32,
    /// Leave out the index and the ways that need one
    #[arg(long)]
    no_index: bool,
    /// Threads [default: all processors]
    #[arg(long)]
    workers: Option<usize>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Runs the suite.
///
/// # Errors
/// When the data are not there, or a file cannot be written.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let data = options.data.clone().unwrap_or_else(|| data().join("gowalla"));
    let (train, test) = (data.join("train.txt.gz"), data.join("test.txt.gz"));
    if !train.is_file() || !test.is_file() {
        bail!("{}: no train.txt.gz and test.txt.gz here; name their folder with --data", data.display());
    }
    let mut report = Report::on_several("recommend");
    let workers = options.workers.unwrap_or_else(cores);
    let never = AtomicBool::new(false);
    let work = (workers, &never);
    let place = tempfile::tempdir()?;
    let path = place.path().join("gowalla.wp");

    let began = Instant::now();
    let job = InteractionJob {
        inputs: vec![train],
        options: InteractionOptions { format: Some(Format::LightGcn), ..InteractionOptions::default() },
        preparation: Preparation::default(),
        held_out: None,
        order: NodeOrder::default(),
        replace: false,
    };
    load_interactions(&path, &job, &never, &|_| {})?;
    let store = Store::open(&path)?;
    let (graph, labels, kinds) = (store.graph()?, store.labels()?, store.kinds()?);
    let audience = Audience::new(&graph, &labels, kinds.as_ref())?;
    let loading = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let tune_options = TuneOptions { users: options.tune_users, top: TOP, ..TuneOptions::default() };
    let tuned = tune(&audience, &tune_options, work, &mut |trial| {
        eprintln!("  {:.4} {:.4} {:.1?} {}", trial.ndcg[0], trial.ndcg[1], trial.took, trial.settings.describe());
    })?;
    let tuning = began.elapsed().as_secs_f64();

    // The test is read after everything was chosen.
    let test_options = InteractionOptions { format: Some(Format::LightGcn), ..InteractionOptions::default() };
    let test = read(&[test], &test_options, &|_| std::ops::ControlFlow::Continue(()))?;
    let test = TestSet::new(&audience, &labels, &test)?;
    report.parameters(json!({
        "workers": workers, "users": test.users.len(), "test_interactions": test.interactions,
        "train_interactions": audience.sides.edges(), "tune_users": tuned.held_out.0, "tuned": tuned.chosen,
    }));

    let usual = Settings::default();
    let ppr = Settings { model: ModelKind::Ppr, ..usual.clone() };
    let mut ways: Vec<(String, Settings)> = vec![
        ("popular".into(), Settings { model: ModelKind::Popular, ..usual.clone() }),
        ("P3: three steps".into(), usual.clone()),
        ("RP3beta 0.3".into(), Settings { popularity_power: 0.3, ..usual.clone() }),
        ("sharp: 3=1,5=-0.4".into(), Settings { steps: Steps(vec![(3, 1.0), (5, -0.4)]), ..usual.clone() }),
        ("PPR restart 0.7, block".into(), ppr.clone()),
        ("chosen by tune".into(), tuned.chosen.clone()),
        ("chosen, lists".into(), Settings { neighbors: Some(NEIGHBORS), ..tuned.chosen.clone() }),
        ("P3, lists".into(), Settings { neighbors: Some(NEIGHBORS), ..usual.clone() }),
    ];
    if !options.no_index {
        let began = Instant::now();
        let build = BuildOptions {
            name: "default".into(),
            plan: Plan { restart_prob: ppr.restart_prob, walks: 256, walks_per_edge: 4.0, ..Plan::default() },
            workers,
            memory_bytes: 2 << 30,
            graph: GraphMode::Auto,
            cut: ShardedCut::default(),
            resume: false,
            replace: false,
            timely_log: None,
        };
        build_index(&path, &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
        report.figure(Figure::single("index for PPR, 256 walks", "built in", "s", began.elapsed().as_secs_f64()));
        ways.push((IN_PART[0].into(), ppr.clone()));
        ways.push((IN_PART[1].into(), Settings { method: Method::Combine, ..ppr.clone() }));
        ways.push((IN_PART[2].into(), Settings { method: Method::Lookup, ..ppr }));
    }
    let store = Store::open(&path)?;
    let some = test.users.iter().step_by(options.index_every as usize).cloned().collect();
    let part = TestSet { users: some, ..test.clone() };
    let mut rows = Vec::new();
    let mut found: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
    for (name, settings) in &ways {
        eprintln!("{name}: {}", settings.describe());
        let began = Instant::now();
        let recommender = Recommender::new((&store, &graph, &labels), &audience, settings, None, work)?;
        let asked = if IN_PART.contains(&name.as_str()) { &part } else { &test };
        let evaluation = evaluate(&recommender, asked, TOP, work)?;
        let seconds = began.elapsed().as_secs_f64();
        let (recall, ndcg) = (evaluation.recall(), evaluation.ndcg());
        found.insert(name.clone(), (recall, ndcg, seconds));
        let mut figures = vec![
            Figure::single(name, RECALL.0, RECALL.1, recall).with_std_error(evaluation.std_error(|user| user.recall)),
            Figure::single(name, NDCG.0, NDCG.1, ndcg).with_std_error(evaluation.std_error(|user| user.ndcg)),
            Figure::single(name, SECONDS.0, SECONDS.1, seconds),
            Figure::single(name, COVERAGE.0, COVERAGE.1, evaluation.coverage),
        ];
        if name == "chosen by tune" {
            figures[0] = figures[0].clone().with_target(Target::AtLeast(0.187));
            figures[1] = figures[1].clone().with_target(Target::AtLeast(0.157));
        }
        figures.into_iter().for_each(|figure| report.figure(figure));
        rows.push(row(name, true));
    }
    for (name, recall, ndcg) in PUBLISHED {
        report.figure(Figure::single(name, RECALL.0, RECALL.1, recall));
        report.figure(Figure::single(name, NDCG.0, NDCG.1, ndcg));
        rows.push(row(name, false));
    }
    report.sheets.push(Sheet {
        title: "Gowalla, LightGCN's split, all users".into(),
        caption: "Settings of \"chosen by tune\" were chosen on train alone. Some users: every so many-th, as the option says.".into(),
        rows,
        word_columns: Vec::new(),
        columns: vec![RECALL, NDCG, COVERAGE, SECONDS],
        folded: false,
    });
    let evaluating = found["chosen by tune"].2;
    for (name, seconds) in [("load", loading), ("tune", tuning), ("recommend and measure", evaluating)] {
        report.figure(Figure::single("raw files to metrics", name, "s", seconds));
    }
    let all = Figure::single("raw files to metrics", "all together", "s", loading + tuning + evaluating);
    report.figure(all.with_target(Target::AtMost(180.0)));

    let (recall, ndcg, _) = found["popular"];
    let good = (recall - POPULAR.0).abs() <= HALF_DIGIT && (ndcg - POPULAR.1).abs() <= HALF_DIGIT;
    report.check("popularity is the published ItemPop", good, format!("{recall:.5} {ndcg:.5}, expected .0416 .0317"));
    let costs = |exact: &str, rough: &str| {
        let (exact, rough) = (found[exact], found.get(rough)?);
        Some((exact.0 - rough.0).max(exact.1 - rough.1))
    };
    for (exact, rough, what) in [
        ("P3: three steps", "P3, lists", "lists cost P3 at most .001"),
        ("chosen by tune", "chosen, lists", "lists cost the chosen settings at most .001"),
        (IN_PART[0], IN_PART[1], "combine costs PPR at most .001"),
    ] {
        if let Some(cost) = costs(exact, rough) {
            report.check(what, cost <= MAY_COST, format!("{cost:.5}"));
        }
    }
    let worst = against_dense()?;
    report.check(
        "P3alpha and RP3beta equal dense matrices",
        worst <= 1e-9,
        format!("largest relative difference {worst:.1e}"),
    );
    report.note(format!("chosen: {}", tuned.chosen.describe()));
    report.note("tuning looked at train only: NDCG@20 on a fifth of the items of some users, drawn by a key, alike and by popularity");
    Ok(report)
}

fn row(name: &str, ours: bool) -> SheetRow {
    SheetRow { case: name.to_owned(), name: name.to_owned(), words: Vec::new(), ours }
}

/// The largest relative difference between short walks over a store and matrices, of random weighted data.
fn against_dense() -> Result<f64> {
    const USERS: usize = 60;
    const ITEMS: usize = 80;
    let mut random = SplitMix64::seed_from_u64(11);
    let mut below = |bound: usize| usize::try_from(random.next_u64() % bound as u64).context("a small number");
    let mut lines = String::from("user_id,item_id,weight\n");
    let mut matrix = vec![vec![0.0f64; ITEMS]; USERS];
    for _ in 0..600 {
        let (user, item, weight) = (below(USERS)?, below(ITEMS)?, 1.0 + below(50)? as f64 / 10.0);
        if matrix[user][item] == 0.0 {
            matrix[user][item] = weight;
            lines += &format!("{user},{item},{weight}\n");
        }
    }
    let place = tempfile::tempdir()?;
    let file = place.path().join("small.csv");
    std::fs::write(&file, lines)?;
    let interactions: Interactions =
        read(&[file], &InteractionOptions::default(), &|_| std::ops::ControlFlow::Continue(()))?;
    let store = store_edges(&place.path().join("small.wp"), interactions.into_edges().0, NodeOrder::default())?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let audience = Audience::new(&graph, &labels, store.kinds()?.as_ref())?;
    let mut worst: f64 = 0.0;
    for (alpha, beta) in [(1.0, 0.0), (0.5, 0.0), (1.7, 0.0), (1.0, 0.5), (0.8, 0.9)] {
        let step = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let of = |row: &Vec<f64>| {
                let sum: f64 = row.iter().sum();
                row.iter().map(|value| if *value == 0.0 { 0.0 } else { (value / sum).powf(alpha) }).collect()
            };
            rows.iter().map(of).collect()
        };
        let across: Vec<Vec<f64>> = (0..ITEMS).map(|item| matrix.iter().map(|row| row[item]).collect()).collect();
        let (onward, back) = (step(&matrix), step(&across));
        let walks = ShortWalks { transition_power: alpha, popularity_power: beta, ..ShortWalks::default() };
        let mut walker = ShortWalker::new(&audience.sides, &walks)?;
        for user in 0..USERS {
            let Some(place) = audience.user(&labels, &user.to_string())? else { continue };
            let scores = walker.scores(&audience.sides.seeds(place))?.to_vec();
            let to_users: Vec<f64> =
                (0..USERS).map(|other| (0..ITEMS).map(|item| onward[user][item] * back[item][other]).sum()).collect();
            for item in 0..ITEMS {
                let Some(at) = audience.item(&labels, &item.to_string())? else { continue };
                let sum: f64 = (0..USERS).map(|other| to_users[other] * onward[other][item]).sum();
                let popularity: f64 = across[item].iter().sum();
                let expected = sum / popularity.powf(beta);
                let off = (scores[at as usize] - expected).abs() / expected.abs().max(1e-12);
                worst = worst.max(off);
            }
        }
    }
    Ok(worst)
}
