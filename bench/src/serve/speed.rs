//! Parts `lookup` and `combine`: how many answers a second, and how long one takes at half that rate.

use std::time::Duration;

use anyhow::Result;
use walkprint_engine::query::Method;

use super::Scene;
use super::load::{Ask, KEPT_EVERY, Load, Pace};
use super::program::Server;
use super::truth::{Truth, compare};
use crate::figure::{Figure, Target, quantile, ratios};
use crate::known_graphs::Known;
use crate::machine::processor_seconds;
use crate::report::Report;

/// So many different questions are asked in turn.
const QUESTIONS: usize = 10_000;
/// The server and its caches are asked for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// The shortest answer that there is: what HTTP itself takes on this machine at this moment.
const BASELINE: &str = "/livez";

/// Of the time of a loop, the baseline's is one in so many.
const BASELINE_SHARE: u32 = 4;

/// What is asked of which graph, and what should come of it.
pub(super) struct Case {
    pub(super) known: Known,
    pub(super) method: Method,
    pub(super) top: usize,
    /// Requests a second, and milliseconds of the 99th percentile at half the rate.
    pub(super) targets: Option<(f64, f64)>,
}

/// Look-ups on a graph of people.
pub(super) const LOOKUP: &[Case] =
    &[Case { known: Known::Epinions, method: Method::Lookup, top: 20, targets: Some((20_000.0, 10.0)) }];
/// The usual method on a web crawl, and on the graph of people.
pub(super) const COMBINE: &[Case] = &[
    Case { known: Known::Cnr, method: Method::Combine, top: 10, targets: Some((1_500.0, 20.0)) },
    Case { known: Known::Epinions, method: Method::Combine, top: 10, targets: None },
];

/// What rounds gave.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    /// Answers a second to [`BASELINE`], in the same round.
    baseline: Vec<f64>,
    offered: Vec<f64>,
    p50: Vec<f64>,
    p90: Vec<f64>,
    p99: Vec<f64>,
    longest: Vec<f64>,
    /// Microseconds of processor time a request, in the closed loop.
    server: Vec<f64>,
    generator: Vec<f64>,
}

/// Measures some cases.
///
/// # Errors
/// When a store cannot be had or the server does not start.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>, cases: &[Case]) -> Result<()> {
    cases.iter().try_for_each(|case| measure(report, scene, case))
}

fn measure(report: &mut Report, scene: &Scene<'_>, case: &Case) -> Result<()> {
    let options = scene.options;
    let path = scene.stores.of(case.known)?;
    let truth = Truth::open(&path)?;
    let singles = truth.singles(case.method, case.top, QUESTIONS, options.key)?;
    let asks = singles.iter().map(|single| Ask::post("/v1/stores/g/query", &single.request()));
    let asks = asks.collect::<Result<_>>()?;
    let server = Server::start(&scene.program, &[format!("g={}", path.display())])?;
    let load = Load { address: server.address, asks, connections: options.connections.into() };
    let baseline = Load { asks: [Ask::get(BASELINE)?].into(), ..load.clone() };
    let runtime = scene.runtime()?;
    let time = Duration::from_secs(options.seconds.into());
    let (mut rounds, mut failures, mut failed, mut answered) = (Rounds::default(), Vec::new(), 0, 0);
    let mut compared: Result<usize> = Ok(0);
    runtime.block_on(load.run(Pace::Closed, WARM_UP, usize::MAX))?;
    for _ in 0..options.rounds {
        let used = || Some((server.processor_seconds()?, processor_seconds()?));
        let before = used();
        let closed = runtime.block_on(load.run(Pace::Closed, time, KEPT_EVERY))?;
        let count = closed.answered as f64;
        if let (Some(before), Some(after)) = (before, used()) {
            rounds.server.push((after.0 - before.0) * 1e6 / count);
            rounds.generator.push((after.1 - before.1) * 1e6 / count);
        }
        let rate = count / closed.seconds;
        rounds.rates.push(rate);
        let plain = runtime.block_on(baseline.run(Pace::Closed, time / BASELINE_SHARE, usize::MAX))?;
        failed += plain.failed;
        rounds.baseline.push(plain.answered as f64 / plain.seconds);
        let open = runtime.block_on(load.run(Pace::Open(rate / 2.0), time, KEPT_EVERY))?;
        rounds.offered.push(rate / 2.0);
        let quantiles = [(&mut rounds.p50, 0.5), (&mut rounds.p90, 0.9), (&mut rounds.p99, 0.99)];
        quantiles.into_iter().for_each(|(of, share)| of.push(quantile(&open.latencies, share)));
        rounds.longest.push(quantile(&open.latencies, 1.0));
        for came in [closed, open] {
            failed += came.failed;
            answered += came.answered;
            failures.extend(came.failures);
            let more = compare(&truth, &came.kept, &singles);
            compared = compared.and_then(|count| Ok(count + more?));
        }
    }
    rounds.describe(report, case);
    let evidence = format!("{case}: {answered} answers, {failed} failed {}", failures.join("; "));
    report.check("every answer has status 200", failed == 0, evidence);
    let is_same = compared.as_ref().is_ok_and(|&count| 0 < count);
    let evidence = match compared {
        Ok(count) => format!("{case}: {count} answers compared"),
        Err(error) => format!("{case}: {error:#}"),
    };
    report.check("answers are the engine's, bit for bit", is_same, evidence);
    let complaints = server.complaints();
    report.check("the server complains of nothing", complaints.is_empty(), complaints.join("; "));
    server.stop()?;
    Ok(())
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, top {}", self.method, self.known, self.top)
    }
}

impl Rounds {
    fn describe(self, report: &mut Report, case: &Case) {
        let judged = |figure: Figure, target: Option<Target>| match target {
            Some(target) => figure.with_target(target),
            None => figure,
        };
        let rate = case.targets.map(|(rate, _)| Target::AtLeast(rate));
        let latency = case.targets.map(|(_, latency)| Target::AtMost(latency));
        let shares = ratios(&self.rates, &self.baseline);
        for (name, unit, trials, target) in [
            ("closed loop", "requests/s", self.rates, rate),
            ("closed loop of GET /livez", "requests/s", self.baseline, None),
            ("answers by those of GET /livez", "ratio", shares, None),
            ("server's processor time a request", "µs", self.server, None),
            ("generator's processor time a request", "µs", self.generator, None),
            ("open loop, offered", "requests/s", self.offered, None),
            ("open loop, from when due, p50", "ms", self.p50, None),
            ("open loop, from when due, p90", "ms", self.p90, None),
            ("open loop, from when due, p99", "ms", self.p99, latency),
            ("open loop, from when due, longest", "ms", self.longest, None),
        ] {
            if !trials.is_empty() {
                report.figure(judged(Figure::trials(case, name, unit, trials), target));
            }
        }
    }
}
