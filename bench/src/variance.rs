//! Suite `variance`: how much better walks are that spread than as many walks that know nothing of each other.
//!
//! The estimate of a source's `q(v)` is `a * visits(v) / R`. Its squared error is the sum over all nodes of
//! (estimate - exact)^2, averaged over keys for each source. A ratio is the mean over sources for independent walks
//! divided by that for walks that spread; its standard error comes from how sources differ (delta method).

use anyhow::{Result, bail};
use clap::Args;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::json;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{Plan, UNITS_PER_WALK};
use walkprint_walkers::baseline;
use walkprint_walkers::kernel::{Kernel, Visited, Walkable};

use crate::exact::{self, LANES};
use crate::figure::{Figure, mean_and_error, median, ratios};
use crate::graphs::{GraphOptions, random_sources};
use crate::report::{Output, Report};

/// A mean that is further from zero than this many standard errors is no accident.
const SIGNIFICANT: f64 = 4.5;
/// A standard error is known from this many sources on.
const LEAST_SOURCES: usize = 10;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Walks of a source, one or several numbers
    #[arg(long, value_delimiter = ',', default_value = "16,64,256")]
    walks: Vec<u32>,
    /// How many random nodes that are not dangling to walk from
    #[arg(long, default_value_t = 100)]
    sources: usize,
    /// Repetitions with another key each [default: about 1600 walks a source]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    keys: Option<u32>,
    /// The chance that a walk ends at a step
    #[arg(long, default_value_t = 0.15)]
    restart_prob: f64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What the walks of one kind did for one source, averaged over keys.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    squared_error: f64,
    steps: f64,
    entries: f64,
    /// Of the nodes besides the source, weighted by their exact values: estimate / exact - 1.
    bias: f64,
    /// Of the sum over all nodes.
    mass_bias: f64,
}

/// One kind of walks and one number of walks: an outcome a source.
type Outcomes = Vec<Outcome>;

/// One estimate of a source's `q`, held against the truth.
struct Truth<'e> {
    exact: &'e [f64],
    source: NodeId,
    /// Sum of squares: of all nodes, and without the source.
    squares: (f64, f64),
    mass: f64,
}

/// Runs the suite.
///
/// # Errors
/// When the graph cannot be had, all its nodes are dangling, or a parameter is outside its range.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let (restart_prob, key) = (options.restart_prob, options.graph.key);
    let plans: Vec<Plan> = options
        .walks
        .iter()
        .map(|&walks| Plan { restart_prob, walks, walks_per_edge: 0.0, rng_key: key, big_moves: 0 })
        .collect();
    plans.iter().try_for_each(Plan::check)?;
    if options.sources < LEAST_SOURCES {
        bail!("--sources must be at least {LEAST_SOURCES}: errors are estimated from how sources differ");
    }
    let (graph, facts) = options.graph.graph()?;
    let mut report = Report::new("variance", facts);
    let sources = random_sources(&graph, options.sources, key)?;
    let rows = graph.walk_rows().in_huge_pages()?.checked()?;
    let mut walkers = Walkers::new(Walkable::new(&rows));
    let keys = |plan: &Plan| options.keys.unwrap_or(1600u32.div_ceil(plan.walks).max(4));
    let mut outcomes: Vec<[Outcomes; 2]> = vec![Default::default(); plans.len()];
    for group in sources.chunks(LANES) {
        for (&source, exact) in group.iter().zip(exact::cores(&graph, restart_prob, group)?) {
            let truth = Truth::new(&exact, source);
            for (plan, [spread, apart]) in plans.iter().zip(&mut outcomes) {
                spread.push(average(keys(plan), |number| walkers.spread(plan, number, &truth)));
                apart.push(average(keys(plan), |number| walkers.apart(plan, number, &truth)));
            }
        }
    }
    report.parameters(json!({
        "restart_prob": restart_prob, "walks": options.walks, "sources": sources.len(), "key": key,
        "keys": plans.iter().map(keys).collect::<Vec<_>>(), "exact_residual": exact::RESIDUAL,
    }));
    for (plan, [spread, apart]) in plans.iter().zip(&outcomes) {
        describe(&mut report, plan.walks, spread, apart);
    }
    report.note("ratios above 1 are in favour of walks that spread; both kinds run the same number of walks");
    report.note("exact values by power iteration, which shares no code with the walks");
    Ok(report)
}

fn describe(report: &mut Report, walks: u32, spread: &Outcomes, apart: &Outcomes) {
    let case = format!("R = {walks}");
    let column = |outcomes: &Outcomes, part: fn(&Outcome) -> f64| outcomes.iter().map(part).collect::<Vec<f64>>();
    let errors = [column(apart, |outcome| outcome.squared_error), column(spread, |outcome| outcome.squared_error)];
    let steps = [column(apart, |outcome| outcome.steps), column(spread, |outcome| outcome.steps)];
    let entries = [column(apart, |outcome| outcome.entries), column(spread, |outcome| outcome.entries)];
    let (gain, gain_error) = ratio_of_means(&errors[0], &errors[1]);
    let (more_steps, _) = ratio_of_means(&steps[0], &steps[1]);
    let ratio = Figure::single(&case, "squared error, independent / spread", "ratio", gain);
    report.figure(ratio.with_std_error(gain_error));
    let at_equal_steps = Figure::single(&case, "the same at equal steps", "ratio", gain * more_steps);
    report.figure(at_equal_steps.with_std_error(gain_error * more_steps));
    let of_sources = median(&ratios(&errors[0], &errors[1]));
    report.figure(Figure::single(&case, "the same, median source", "ratio", of_sources));
    for (kind, at) in [("independent", 0), ("spread", 1)] {
        let (mean, error) = mean_and_error(&errors[at]);
        report.figure(Figure::single(&case, "mean squared error", kind, mean).with_std_error(error));
    }
    for (name, parts) in [("steps a walk", &steps), ("entries a walk", &entries)] {
        for (kind, at) in [("independent", 0), ("spread", 1)] {
            let (mean, error) = mean_and_error(&parts[at]);
            let (mean, error) = (mean / f64::from(walks), error / f64::from(walks));
            report.figure(Figure::single(&case, name, kind, mean).with_std_error(error));
        }
    }
    for (what, outcomes, part) in [
        ("spread walks are unbiased, by node", spread, (|outcome| outcome.bias) as fn(&Outcome) -> f64),
        ("spread walks are unbiased, by mass", spread, |outcome| outcome.mass_bias),
        ("independent walks are unbiased, by node", apart, |outcome| outcome.bias),
        ("independent walks are unbiased, by mass", apart, |outcome| outcome.mass_bias),
    ] {
        let (mean, error) = mean_and_error(&column(outcomes, part));
        // Where walks never end early the mass is right to the last bit; rounding is no bias.
        let passed = mean.abs() <= SIGNIFICANT * error + 1e-9;
        report.check(what, passed, format!("{case}: mean relative error {mean:+.2e} ± {error:.1e}"));
    }
}

/// The ratio of two means over the same sources and its standard error.
fn ratio_of_means(numerators: &[f64], denominators: &[f64]) -> (f64, f64) {
    let ratio = numerators.iter().sum::<f64>() / denominators.iter().sum::<f64>();
    let rest: Vec<f64> =
        numerators.iter().zip(denominators).map(|(numerator, denominator)| numerator - ratio * denominator).collect();
    let (mean, _) = mean_and_error(denominators);
    (ratio, mean_and_error(&rest).1 / mean)
}

/// The mean of what `measure` finds for keys 0, 1, 2, ...
fn average(keys: u32, mut measure: impl FnMut(u32) -> Outcome) -> Outcome {
    let mut sum = Outcome::default();
    for number in 0..keys {
        let one = measure(number);
        sum.squared_error += one.squared_error;
        sum.steps += one.steps;
        sum.entries += one.entries;
        sum.bias += one.bias;
        sum.mass_bias += one.mass_bias;
    }
    let keys = f64::from(keys);
    Outcome {
        squared_error: sum.squared_error / keys,
        steps: sum.steps / keys,
        entries: sum.entries / keys,
        bias: sum.bias / keys,
        mass_bias: sum.mass_bias / keys,
    }
}

impl<'e> Truth<'e> {
    fn new(exact: &'e [f64], source: NodeId) -> Truth<'e> {
        let squares: f64 = exact.iter().map(|value| value * value).sum();
        let others = squares - exact[source as usize].powi(2);
        Truth { exact, source, squares: (squares, others), mass: exact.iter().sum() }
    }

    /// Judges an estimate that is zero at all nodes but these.
    fn judge(&self, steps: u64, estimate: impl Iterator<Item = (NodeId, f64)>) -> Outcome {
        let (mut squared_error, mut products, mut mass, mut entries) = (self.squares.0, 0.0, 0.0, 0.0);
        for (node, value) in estimate {
            let exact = self.exact[node as usize];
            squared_error += value * (value - 2.0 * exact);
            products += if node == self.source { 0.0 } else { value * exact };
            mass += value;
            entries += 1.0;
        }
        let others = self.squares.1;
        let bias = if 0.0 < others { products / others - 1.0 } else { 0.0 };
        Outcome { squared_error, steps: steps as f64, entries, bias, mass_bias: mass / self.mass - 1.0 }
    }
}

/// Both kinds of walks, with room that is reused.
struct Walkers<'g> {
    graph: Walkable<'g>,
    kernel: Kernel,
    visited: Vec<Visited>,
    visits: Vec<u32>,
    touched: Vec<NodeId>,
}

impl<'g> Walkers<'g> {
    fn new(graph: Walkable<'g>) -> Walkers<'g> {
        let (kernel, visited, touched) = (Kernel::default(), Vec::new(), Vec::new());
        Walkers { graph, kernel, visited, visits: vec![0; graph.nodes()], touched }
    }

    /// The production kernel.
    fn spread(&mut self, plan: &Plan, number: u32, truth: &Truth<'_>) -> Outcome {
        let plan = Plan { rng_key: plan.rng_key.wrapping_add(number.into()), ..*plan };
        let unit = plan.restart_prob / (f64::from(UNITS_PER_WALK) * f64::from(plan.walks));
        let before = self.kernel.steps();
        self.visited.clear();
        self.kernel.walk(self.graph, &plan, &[truth.source], &mut self.visited);
        let kernel = &self.kernel;
        let estimate = self.visited.iter().map(|item| (kernel.lane_and_node(item.key).1, f64::from(item.units) * unit));
        truth.judge(kernel.steps() - before, estimate)
    }

    /// The textbook.
    fn apart(&mut self, plan: &Plan, number: u32, truth: &Truth<'_>) -> Outcome {
        let unit = plan.restart_prob / f64::from(plan.walks);
        let key = SplitMix64::seed_from_u64(plan.rng_key.wrapping_add(number.into())).next_u64();
        let mut generator = baseline::generator(key ^ u64::from(truth.source) << 32 ^ u64::from(plan.walks));
        let Walkers { graph, visits, touched, .. } = self;
        let steps =
            baseline::walk_singly(*graph, plan.restart_prob, truth.source, plan.walks, &mut generator, |node| {
                let visits = &mut visits[node as usize];
                if *visits == 0 {
                    touched.push(node);
                }
                *visits += 1;
            });
        let estimate =
            touched.drain(..).map(|node| (node, f64::from(std::mem::take(&mut visits[node as usize])) * unit));
        truth.judge(steps, estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_judged_over_all_nodes() {
        let truth = Truth::new(&[0.5, 0.3, 0.2], 0);
        let right = truth.judge(7, [(0, 0.5), (1, 0.3), (2, 0.2)].into_iter());
        assert!(right.squared_error.abs() < 1e-15 && right.bias.abs() < 1e-12 && right.mass_bias.abs() < 1e-12);
        let wrong = truth.judge(7, [(0, 0.5), (1, 0.5)].into_iter());
        assert!((wrong.squared_error - 0.08).abs() < 1e-15, "a node that was not visited counts");
        assert_eq!((wrong.steps, wrong.entries), (7.0, 2.0));
    }

    #[test]
    fn a_ratio_that_is_the_same_for_all_sources_has_no_error() {
        let (ratio, error) = ratio_of_means(&[2.0, 4.0, 10.0], &[1.0, 2.0, 5.0]);
        assert_eq!((ratio, error), (2.0, 0.0));
        assert!(0.1 < ratio_of_means(&[2.0, 8.0, 10.0], &[1.0, 2.0, 5.0]).1);
    }
}
