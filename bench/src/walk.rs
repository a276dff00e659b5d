//! Suite `walk`: how fast walks are, one core and in memory.
//!
//! A **step** is one move of one landing: of one walk in the baseline, of one packet or merged group of units in the
//! kernel. Units are never counted, so a group that carries ten walks over one edge makes one step. Because of that,
//! walks per second stand beside steps per second: they say how much work was done from end to end.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use walkprint_engine::fingerprint::Fingerprint;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{Plan, UNITS_PER_WALK};
use walkprint_walkers::baseline;
use walkprint_walkers::kernel::{Kernel, Walkable};
use walkprint_walkers::tally::{Packed, WALKS_TOGETHER, Walker};

use crate::figure::{Figure, Target, median, ratios};
use crate::graphs::GraphOptions;
use crate::machine::cores;
use crate::report::{Output, Report};

/// The fastest variant of one thread runs at least this long in each trial.
const LEAST_SECONDS: f64 = 0.3;
/// Consecutive sources that are walked as one piece, as a build does.
const STRETCH: u32 = 500;
/// Visits per walk of two independent ways may differ by this share: at the default size some eight standard errors.
const VISITS_TOLERANCE: f64 = 0.01;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Rounds; each runs every variant once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The least number of walks of a source
    #[arg(long, default_value_t = 64)]
    walks: u32,
    /// Walks for each out-edge of a source
    #[arg(long, default_value_t = 0.0)]
    walks_per_edge: f64,
    /// The chance that a walk ends at a step
    #[arg(long, default_value_t = 0.15)]
    restart_prob: f64,
    /// Sources to walk in each trial [default: enough to keep the kernel busy for 0.3 s]
    #[arg(long)]
    sources: Option<u64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What one variant did in one trial.
#[derive(Debug, Default, Clone, Copy)]
struct Trial {
    seconds: f64,
    steps: u64,
    /// Visits in units.
    units: u64,
    entries: u64,
    bytes: u64,
}

impl Trial {
    fn steps_per_second(trials: &[Trial]) -> Vec<f64> {
        trials.iter().map(|trial| trial.steps as f64 / trial.seconds / 1e6).collect()
    }
}

/// Runs the suite.
///
/// # Errors
/// When the graph cannot be had or a parameter is outside its range.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let Options { walks, walks_per_edge, restart_prob, runs, .. } = *options;
    let plan = Plan { restart_prob, walks, walks_per_edge, rng_key: options.graph.key, big_moves: 0 };
    plan.check()?;
    let (graph, facts) = options.graph.graph()?;
    if graph.edges() == 0 {
        bail!("the graph has no edge");
    }
    let loaded = graph.walk_rows().checked()?;
    let copied = graph.walk_rows().in_huge_pages()?.checked()?;
    let mut report = Report::new("walk", facts);
    let (ordinary, huge) = (Walkable::new(&loaded), Walkable::new(&copied));
    let nodes = NodeId::try_from(graph.nodes())?;
    let sources = options.sources.unwrap_or_else(|| enough_sources(huge, &plan, nodes));
    let stretches = stretches(nodes, sources);
    let sources: u64 = stretches.iter().map(|stretch| u64::from(stretch.end - stretch.start)).sum();
    let total_walks: u64 =
        stretches.iter().cloned().flatten().map(|source| u64::from(plan.walks_of(graph.degree(source)))).sum();
    let threads = cores().min(2);

    let mut variants: [Vec<Trial>; 4] = Default::default();
    for run in 0..runs {
        variants[0].push(singly(ordinary, &plan, &stretches, u64::from(run)));
        variants[1].push(kernel_alone(huge, &plan, &stretches));
        variants[2].push(fingerprints(huge, &plan, &stretches, 1)?);
        if threads == 2 {
            variants[3].push(fingerprints(huge, &plan, &stretches, 2)?);
        }
    }
    report.parameters(json!({
        "plan": plan, "runs": runs, "sources": sources, "walks": total_walks, "threads": threads,
    }));
    let seconds = |trials: &[Trial]| trials.iter().map(|trial| trial.seconds).collect::<Vec<_>>();
    let names = ["textbook, one walk at a time", "kernel", "kernel and fingerprints", "the same, 2 threads"];
    for (name, trials) in names.iter().zip(&variants).filter(|(_, trials)| !trials.is_empty()) {
        report.figure(Figure::trials(name, "speed", "M steps/s", Trial::steps_per_second(trials)));
        let walks = seconds(trials).iter().map(|seconds| total_walks as f64 / seconds / 1e6).collect();
        report.figure(Figure::trials(name, "speed", "M walks/s", walks));
        report.figure(Figure::single(name, "steps a walk", "steps", trials[0].steps as f64 / total_walks as f64));
        report.figure(Figure::trials(name, "time", "s", seconds(trials)));
    }
    add_ratios(&mut report, &variants);
    let packed = &variants[2][0];
    report.figure(Figure::single("fingerprints", "size", "bytes/entry", packed.bytes as f64 / packed.entries as f64));
    report.figure(Figure::single("fingerprints", "size", "entries/source", packed.entries as f64 / sources as f64));
    add_checks(&mut report, &variants, total_walks);
    report.note("a step is one move of one landing (one walk, or one packet or merged group); units are never counted");
    report.note(
        "the textbook walks the graph as loaded (ordinary pages), all others a copy in huge pages, as a build does",
    );
    Ok(report)
}

fn add_ratios(report: &mut Report, variants: &[Vec<Trial>; 4]) {
    let [singly, kernel, packed, both] = variants.each_ref().map(|trials| Trial::steps_per_second(trials));
    let [singly_time, kernel_time, packed_time, _] =
        variants.each_ref().map(|trials| trials.iter().map(|trial| trial.seconds).collect::<Vec<_>>());
    let case = "ratios, round by round";
    let steps = Figure::trials(case, "kernel / textbook", "by steps/s", ratios(&kernel, &singly));
    report.figure(steps.with_target(Target::AtLeast(7.0)));
    report.figure(Figure::trials(case, "kernel / textbook", "by walks/s", ratios(&singly_time, &kernel_time)));
    let left = Figure::trials(case, "with fingerprints / kernel", "by steps/s", ratios(&packed, &kernel));
    report.figure(left.with_target(Target::AtLeast(0.5)));
    report.figure(Figure::trials(
        case,
        "with fingerprints / textbook",
        "by walks/s",
        ratios(&singly_time, &packed_time),
    ));
    if !both.is_empty() {
        report.figure(Figure::trials(case, "2 threads / 1", "by steps/s", ratios(&both, &packed)));
    }
}

fn add_checks(report: &mut Report, variants: &[Vec<Trial>; 4], total_walks: u64) {
    let visits = |trial: &Trial| trial.units as f64 / f64::from(UNITS_PER_WALK) / total_walks as f64;
    let singly = median(&variants[0].iter().map(visits).collect::<Vec<_>>());
    let kernel = visits(&variants[1][0]);
    let off = (kernel / singly - 1.0).abs();
    report.check(
        "visits a walk agree",
        off <= VISITS_TOLERANCE,
        format!("textbook {singly:.4}, kernel {kernel:.4}: {:.3} % apart", off * 100.0),
    );
    let reference = &variants[1][0];
    let same = |trial: &Trial| {
        (trial.steps, trial.units, trial.entries) == (reference.steps, reference.units, reference.entries)
    };
    report.check(
        "every run of the kernel made the same steps, and packed fingerprints hold its visits",
        variants[1..].iter().flatten().all(same),
        format!("{} steps, {} units, {} entries", reference.steps, reference.units, reference.entries),
    );
}

/// The textbook. Its random numbers differ from run to run, so that agreement is no accident.
fn singly(graph: Walkable<'_>, plan: &Plan, stretches: &[Range<NodeId>], run: u64) -> Trial {
    let mut generator = baseline::generator(plan.rng_key.wrapping_add(run));
    let (mut steps, mut visits, mut sink) = (0, 0u64, 0u32);
    let began = Instant::now();
    for source in stretches.iter().cloned().flatten() {
        let walks = plan.walks_of(graph.degree(source));
        steps += baseline::walk_singly(graph, plan.restart_prob, source, walks, &mut generator, |node| {
            visits += 1;
            sink ^= node;
        });
    }
    std::hint::black_box(sink);
    let seconds = began.elapsed().as_secs_f64();
    Trial { seconds, steps, units: visits * u64::from(UNITS_PER_WALK), ..Trial::default() }
}

/// The kernel over batches of sources as a build makes them; what it visited is looked at and dropped.
fn kernel_alone(graph: Walkable<'_>, plan: &Plan, stretches: &[Range<NodeId>]) -> Trial {
    let (mut kernel, mut visited, mut batch) = (Kernel::default(), Vec::new(), Vec::new());
    let mut trial = Trial::default();
    let began = Instant::now();
    for stretch in stretches {
        let mut walks = 0;
        for source in stretch.clone() {
            walks += u64::from(plan.walks_of(graph.degree(source)));
            batch.push(source);
            if WALKS_TOGETHER <= walks || source + 1 == stretch.end {
                visited.clear();
                kernel.walk(graph, plan, &batch, &mut visited);
                trial.entries += visited.len() as u64;
                trial.units += visited.iter().map(|visited| u64::from(visited.units)).sum::<u64>();
                batch.clear();
                walks = 0;
            }
        }
    }
    Trial { seconds: began.elapsed().as_secs_f64(), steps: kernel.steps(), ..trial }
}

/// The kernel and complete packed fingerprints, which are read back once the clock has stopped.
fn fingerprints(graph: Walkable<'_>, plan: &Plan, stretches: &[Range<NodeId>], threads: usize) -> Result<Trial> {
    let began = Instant::now();
    let packed: Vec<Packed> = std::thread::scope(|scope| {
        let walk = |first| {
            let mut walker = Walker::default();
            let own = stretches.iter().skip(first).step_by(threads);
            own.map(|stretch| walker.fingerprints(graph, plan, stretch.start, stretch.end)).collect::<Vec<_>>()
        };
        if threads == 1 {
            return walk(0);
        }
        let handles: Vec<_> = (0..threads).map(|first| scope.spawn(move || walk(first))).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("walking does not panic")).collect()
    });
    let mut trial = Trial { seconds: began.elapsed().as_secs_f64(), ..Trial::default() };
    for packed in &packed {
        trial.steps += packed.steps;
        trial.bytes += packed.bytes.len() as u64;
        let mut start = 0;
        for &end in &packed.ends {
            let bytes = &packed.bytes[start..end as usize];
            start = end as usize;
            let read = Fingerprint::decode(bytes).is_some_and(|fingerprint| {
                fingerprint.for_each(|_, units| {
                    trial.entries += 1;
                    trial.units += u64::from(units);
                })
            });
            if !read {
                bail!("a packed fingerprint cannot be read back: this is a defect of walkprint");
            }
        }
    }
    Ok(trial)
}

/// As many sources as keep the kernel busy for [`LEAST_SECONDS`], by trying.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of sources")]
fn enough_sources(graph: Walkable<'_>, plan: &Plan, nodes: NodeId) -> u64 {
    let mut sources = 10 * u64::from(STRETCH);
    loop {
        let seconds = kernel_alone(graph, plan, &stretches(nodes, sources)).seconds;
        if LEAST_SECONDS <= seconds {
            return sources;
        }
        let factor = (1.3 * LEAST_SECONDS / seconds.max(1e-6)).clamp(1.2, 10.0);
        sources = (sources as f64 * factor) as u64;
    }
}

/// About `sources` sources as stretches spread evenly over the graph; the whole graph, several times if need be, when
/// it has fewer.
fn stretches(nodes: NodeId, sources: u64) -> Vec<Range<NodeId>> {
    let (length, nodes) = (u64::from(STRETCH), u64::from(nodes));
    let (count, passes) = if nodes <= sources {
        (nodes.div_ceil(length), sources.div_ceil(nodes))
    } else {
        (sources.div_ceil(length), 1)
    };
    let start = |number: u64| number * nodes / count;
    let one = (0..count).map(|number| start(number)..(start(number) + length).min(start(number + 1)));
    let one: Vec<Range<NodeId>> = one
        .map(|Range { start, end }| {
            let node = |at| NodeId::try_from(at).expect("stretches end at the number of nodes");
            node(start)..node(end)
        })
        .collect();
    (0..passes).flat_map(|_| one.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_small_graphs_and_sample_large_ones() {
        let small: Vec<NodeId> = stretches(1234, 3000).into_iter().flatten().collect();
        assert_eq!(small, (0..3).flat_map(|_| 0..1234).collect::<Vec<_>>());
        let large = stretches(1_000_000, 4000);
        assert_eq!(large.len(), 8);
        assert_eq!(large[7], 875_000..875_500);
        assert!(stretches(1, 1).into_iter().flatten().eq([0]));
    }
}
