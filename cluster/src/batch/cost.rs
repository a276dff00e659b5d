//! What a batch will cost: a *pilot* answers a few of its sources by every method that will do, before it starts.
//!
//! All workers take part, so that what they take from each other, in caches and memory, is measured too. Sources lie at
//! multiples of the golden ratio in the list, which covers it evenly however many there is time for; every method answers
//! the same ones, in turns. Each method's first answer on a worker warms it up and does not count. An answer that takes far
//! longer than the others is asked for again, and the quicker time counts: that tells an interruption of the machine from
//! one of the heavy sources that every graph has.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answer, LEAST_PRECISION, Method, Shape, Status};

use super::answering::{Answering, Asked, World};
use super::cut::Cut;
use super::options::BatchProgress;
use super::{in_memory, in_order};
use crate::error::{Error, Result};
use crate::workers::watch;

/// From this many sources on there is a pilot; for fewer it would take longer than it saves.
const ENOUGH_SOURCES: usize = 1000;
/// The longest that a pilot takes, unless its least number of rounds takes longer.
const LONGEST: Duration = Duration::from_secs(6);
/// The share of the batch that it may take.
const SHARE: f64 = 0.02;
/// Sources that every worker answers at least, by every method that is not far behind.
const LEAST_ROUNDS: u32 = 5;
/// Rounds of local methods alone, which tell whether the others are worth a try.
const LOCAL_ROUNDS: u32 = 3;
/// A method is left out of further rounds when its quickest answer took this many times the mean of another.
const FAR_BEHIND: f64 = 4.0;
/// `exact` and `block` are not even tried when one answer will take more than this share of the batch by another method.
const TOO_SLOW: f64 = 0.1;
/// Seconds that a sweep takes for an edge: for that guess alone.
const EDGE_SECONDS: f64 = 1e-9;
/// Seconds that a sweep of a whole block takes for an edge, and how many sweeps a block takes: for another guess.
const BLOCK_EDGE_SECONDS: f64 = 3e-9;
const BLOCK_SWEEPS: f64 = 7.0;
/// An answer that took this many times the mean so far may have been interrupted.
const SUSPICIOUS: f64 = 4.0;
/// A method that aims at a precision hits it on the average, not always: a miss by this factor counts as a hit.
const NEAR_MISS: f64 = 1.2;

/// What a pilot measured.
#[derive(Debug, Clone)]
pub struct Pilot {
    /// One entry a method that was tried.
    pub measured: Vec<Measured>,
    /// The method that the batch takes.
    pub chosen: Method,
    /// How long the pilot took, in seconds.
    pub seconds: f64,
}

/// What a method takes.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The method.
    pub method: Method,
    /// Seconds that one worker takes for a source.
    pub seconds_per_source: f64,
    /// Seconds that all workers take for the whole batch.
    pub predicted_seconds: f64,
    /// Mean L1 distance from exact scores, over all nodes and before they are shaped: a bound for `exact`, an estimate for the
    /// others.
    pub estimated_l1: f64,
    /// Answers that were timed.
    pub sampled: u64,
}

/// Decides the method of a batch, on this process's workers for all. `None` for the pilot when there was none: a few sources take what [`Method::Auto`] does.
///
/// # Errors
/// When a question cannot be answered, or the job is to stop.
pub(super) fn choose(
    world: &Arc<World>,
    asked: &Asked,
    sources: &[NodeId],
    cut: &Cut,
    (workers, all_workers): (usize, usize),
    progress: &BatchProgress,
    tick: &mut dyn FnMut(),
) -> Result<(Method, Option<Pilot>)> {
    let precision = asked.precision;
    let candidates = candidates(asked.method, world.index.is_some(), precision);
    if sources.len() < ENOUGH_SOURCES {
        // An answer tells what `auto` means here; and that the method can be had at all.
        let (mut answering, bare) = (Answering::new(world)?, Asked { shape: Shape::default(), ..asked.clone() });
        let mut first =
            |asked| -> Result<Option<Answer>> { Ok(answering.answer(asked, &sources[..1])?.pop().flatten()) };
        let found = match first(asked)? {
            None => first(&bare)?, // filters left nothing for this source
            found => found,
        };
        let Some(found) = found else { return Ok((Method::Exact, None)) };
        refuse_rough(found.method, l1_error(&found), precision)?;
        return Ok((found.method, None));
    }
    let began = Instant::now();
    let sort = |sources: &mut [(NodeId, u32)]| world.sort(Method::Block, sources);
    let together: Option<Vec<NodeId>> =
        candidates.contains(&Method::Block).then(|| in_order(sort, sources, cut).map(|(node, _)| node).collect());
    let together = together.as_deref();
    let survey = Survey { world, asked, candidates: &candidates, sources, together, cut, workers, progress };
    let taken = watch(|| survey.take(), tick)??;
    let mut measured = Vec::new();
    for (&method, Sample { seconds, l1_errors, .. }) in candidates.iter().zip(taken) {
        if let Some(seconds_per_source) = mean(&seconds) {
            let estimated_l1 = mean(&l1_errors).unwrap_or(f64::INFINITY);
            let predicted_seconds = seconds_per_source * sources.len() as f64 / all_workers as f64;
            let sampled = seconds.len() as u64;
            measured.push(Measured { method, seconds_per_source, predicted_seconds, estimated_l1, sampled });
        }
    }
    let chosen = best(&measured, precision).expect("the first candidate is always measured");
    if let Some(one) = measured.iter().find(|one| one.method == chosen) {
        refuse_rough(chosen, one.estimated_l1, precision)?;
    }
    let pilot = Pilot { measured, chosen, seconds: began.elapsed().as_secs_f64() };
    Ok((chosen, Some(pilot)))
}

/// The L1 error of an answer: a bound for an exact one, an estimate for others.
fn l1_error(answer: &Answer) -> f64 {
    match answer.status {
        Status::Exact { error_bound, .. } => error_bound,
        Status::Estimated { l1_error, .. } => l1_error,
    }
}

/// Refuses look-ups that are not precise enough for whoever named a precision beside them. Other methods go on until they are.
fn refuse_rough(method: Method, reached: f64, precision: Option<f64>) -> Result<()> {
    match precision {
        Some(asked) if method == Method::Lookup && NEAR_MISS * asked < reached => {
            Err(EngineError::Imprecise { asked, reached }.into())
        }
        _ => Ok(()),
    }
}

/// The methods that come into question, the most local one first.
fn candidates(asked: Method, has_index: bool, precision: Option<f64>) -> Vec<Method> {
    let mut candidates = match (asked, has_index) {
        (Method::Auto, false) if precision.is_some() => vec![Method::Block, Method::Exact],
        (Method::Auto, false) => vec![Method::Exact],
        // A look-up is rough: nobody gets it who did not say how rough it may be.
        (Method::Auto, true) if precision.is_some() => {
            vec![Method::Lookup, Method::Combine, Method::Block, Method::Exact]
        }
        (Method::Auto, true) => vec![Method::Combine, Method::Block, Method::Exact],
        (chosen, _) => return vec![chosen],
    };
    candidates
        .retain(|&method| method != Method::Block || precision.is_none_or(|precision| LEAST_PRECISION <= precision));
    candidates
}

/// The fastest method that is precise enough, or the most precise one when none is.
fn best(measured: &[Measured], precision: Option<f64>) -> Option<Method> {
    let enough = |one: &&Measured| precision.is_none_or(|precision| one.estimated_l1 <= NEAR_MISS * precision);
    let fastest = measured.iter().filter(enough).min_by(|a, b| a.seconds_per_source.total_cmp(&b.seconds_per_source));
    let found = fastest.or_else(|| measured.iter().min_by(|a, b| a.estimated_l1.total_cmp(&b.estimated_l1)));
    found.map(|one| one.method)
}

/// What a survey asks, and of whom.
struct Survey<'a> {
    world: &'a Arc<World>,
    asked: &'a Asked,
    candidates: &'a [Method],
    sources: &'a [NodeId],
    /// The same as `block` answers them.
    together: Option<&'a [NodeId]>,
    cut: &'a Cut,
    workers: usize,
    progress: &'a BatchProgress,
}

/// What was seen of one method.
#[derive(Debug, Clone, Default)]
struct Sample {
    /// How many answers there were.
    answers: u32,
    /// Seconds a source, one entry an answer.
    seconds: Vec<f64>,
    /// L1 errors: bounds of exact answers, estimates of others.
    l1_errors: Vec<f64>,
}

impl Sample {
    /// The mean L1 error; infinite before there is one.
    fn l1(&self) -> f64 {
        mean(&self.l1_errors).unwrap_or(f64::INFINITY)
    }
}

impl Survey<'_> {
    /// Samples on all workers; one entry a candidate.
    fn take(&self) -> Result<Vec<Sample>> {
        let parts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.workers).map(|worker| scope.spawn(move || self.rounds(worker))).collect();
            let joined = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect::<Result<Vec<_>>>()
        })?;
        let mut all = vec![Sample::default(); self.candidates.len()];
        for (sample, part) in parts.into_iter().flat_map(|part| part.into_iter().enumerate()) {
            all[sample].seconds.extend(part.seconds);
            all[sample].l1_errors.extend(part.l1_errors);
        }
        Ok(all)
    }

    /// What one worker does: rounds of one source each, until it is enough.
    fn rounds(&self, worker: usize) -> Result<Vec<Sample>> {
        let mut answering = Answering::new(self.world)?;
        let mut samples = vec![Sample::default(); self.candidates.len()];
        let mut in_race = vec![true; self.candidates.len()];
        let local_rounds = if self.candidates.iter().any(|&method| is_local(method)) { LOCAL_ROUNDS } else { 0 };
        let began = Instant::now();
        for round in 0.. {
            let place = spread(u64::from(round) * self.workers as u64 + worker as u64, self.sources.len());
            for turn in 0..self.candidates.len() {
                // Who comes first finds a cold cache.
                let at = (turn + round as usize) % self.candidates.len();
                if self.progress.stop.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                if round < local_rounds && !is_local(self.candidates[at]) {
                    continue;
                }
                in_race[at] &= samples[at].answers != 0 || !self.is_hopeless(at, &samples);
                if in_race[at] {
                    self.sample(&mut answering, &mut samples[at], self.candidates[at], place)?;
                }
            }
            let elapsed = began.elapsed();
            // The first rounds tell little: they are cold.
            if local_rounds < round || LONGEST < elapsed {
                let quickest = self.quickest(&samples);
                leave_out_the_slow(quickest, &samples, &mut in_race);
                let allowed = self.batch_seconds(quickest) * SHARE;
                let allowed = LONGEST.min(Duration::try_from_secs_f64(allowed).unwrap_or(LONGEST));
                let enough = local_rounds + LEAST_ROUNDS < round && allowed < elapsed;
                if local_rounds < round && (LONGEST < elapsed || enough) {
                    break;
                }
            }
        }
        Ok(samples)
    }

    /// Adds one answer of a method to what was seen of it.
    fn sample(&self, answering: &mut Answering<'_>, sample: &mut Sample, method: Method, place: usize) -> Result<()> {
        let (mut seconds, answer) = self.time(answering, method, place)?;
        if mean(&sample.seconds).is_some_and(|mean| SUSPICIOUS * mean < seconds) {
            seconds = seconds.min(self.time(answering, method, place)?.0);
        }
        if sample.answers == 1 {
            sample.seconds.clear(); // the first answer warmed up
        }
        sample.answers += 1;
        sample.seconds.push(seconds);
        sample.l1_errors.extend(answer.as_ref().map(l1_error));
        Ok(())
    }

    fn time(&self, answering: &mut Answering<'_>, method: Method, place: usize) -> Result<(f64, Option<Answer>)> {
        let sources = match self.together {
            Some(sources) if method == Method::Block => &sources[in_memory(self.cut.task_around(place as u64))],
            _ => &self.sources[place..],
        };
        let asked = Asked { method, ..self.asked.clone() };
        let sources = &sources[..self.world.together(&asked, sources)];
        let began = Instant::now();
        let answers = answering.answer(&asked, sources)?;
        let seconds = began.elapsed().as_secs_f64() / sources.len() as f64;
        Ok((seconds, answers.into_iter().flatten().next_back()))
    }

    /// Whether a method takes so long that one answer costs too much: `exact` or `block` on a large graph, beside another method.
    fn is_hopeless(&self, at: usize, samples: &[Sample]) -> bool {
        let graph = &self.world.graph;
        let guess = match self.candidates[at] {
            Method::Exact => exact_seconds(graph, self.world.restart_prob, self.asked.residual),
            Method::Block => (graph.edges() + graph.nodes()) as f64 * BLOCK_EDGE_SECONDS * BLOCK_SWEEPS,
            Method::Auto | Method::Lookup | Method::Combine => return false,
        };
        TOO_SLOW * self.batch_seconds(self.quickest(samples)) < guess
    }

    fn quickest(&self, samples: &[Sample]) -> f64 {
        quickest(self.candidates, samples, self.asked.precision)
    }

    fn batch_seconds(&self, seconds_per_source: f64) -> f64 {
        seconds_per_source * self.sources.len() as f64 / self.workers as f64
    }
}

/// The mean seconds of the quickest method that was tried. A look-up that is too rough to be chosen sets no pace for others.
fn quickest(candidates: &[Method], samples: &[Sample], precision: Option<f64>) -> f64 {
    let is_rough = |sample: &Sample| precision.is_some_and(|precision| NEAR_MISS * precision < sample.l1());
    let fit = candidates.iter().zip(samples).filter(|(method, sample)| **method != Method::Lookup || !is_rough(sample));
    fit.filter_map(|(_, sample)| mean(&sample.seconds)).fold(f64::INFINITY, f64::min)
}

/// Takes methods out of the race whose quickest answer is far behind the mean of the quickest method.
fn leave_out_the_slow(quickest: f64, samples: &[Sample], in_race: &mut [bool]) {
    for (sample, in_race) in samples.iter().zip(in_race) {
        let least = sample.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        *in_race &= sample.answers == 0 || least <= FAR_BEHIND * quickest;
    }
}

/// A guess at the seconds of one exact answer that reaches the whole graph: the passes that `walkprint_engine::query` states.
fn exact_seconds(graph: &Graph, restart_prob: f64, residual: f64) -> f64 {
    let passes = (-residual.ln() / (2.0 * restart_prob)).max(1.0);
    graph.edges() as f64 * passes * EDGE_SECONDS
}

/// The place of the `number`-th sample among `count`.
fn spread(number: u64, count: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place below the count")]
    let place = ((number as f64 * 0.618_033_988_749_894_9).fract() * count as f64) as usize;
    place.min(count - 1)
}

/// `None` without values.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Whether the time of an answer depends on how far it reaches, rather than on the size of the graph.
fn is_local(method: Method) -> bool {
    matches!(method, Method::Lookup | Method::Combine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(method: Method, seconds_per_source: f64, estimated_l1: f64) -> Measured {
        Measured { method, seconds_per_source, predicted_seconds: 0.0, estimated_l1, sampled: 1 }
    }

    #[test]
    fn the_fastest_method_that_is_precise_enough_is_chosen() {
        let all = [
            measured(Method::Lookup, 1e-6, 0.5),
            measured(Method::Combine, 1e-3, 0.02),
            measured(Method::Exact, 1e-1, 1e-12),
        ];
        assert_eq!(best(&all, None), Some(Method::Lookup));
        assert_eq!(best(&all, Some(0.1)), Some(Method::Combine));
        assert_eq!(best(&all, Some(0.01)), Some(Method::Exact));
        assert_eq!(best(&all, Some(1e-15)), Some(Method::Exact), "none will do: the most precise");
        assert_eq!(best(&[], None), None);
    }

    #[test]
    fn nobody_gets_a_look_up_unasked() {
        assert_eq!(candidates(Method::Auto, false, None), [Method::Exact]);
        assert_eq!(candidates(Method::Auto, false, Some(0.5)), [Method::Block, Method::Exact]);
        assert!(!candidates(Method::Auto, true, None).contains(&Method::Lookup));
        assert!(candidates(Method::Auto, true, Some(0.5)).contains(&Method::Lookup));
        assert_eq!(candidates(Method::Lookup, true, None), [Method::Lookup]);
    }

    fn sample(seconds: &[f64], l1: f64) -> Sample {
        Sample { answers: 1, seconds: seconds.to_vec(), l1_errors: vec![l1] }
    }

    #[test]
    fn the_slow_leave_the_race() {
        let mut in_race = [true; 4];
        let samples =
            [sample(&[1.0, 1.2], 0.0), sample(&[4.0, 90.0], 0.0), sample(&[9.0, 8.0], 0.0), Sample::default()];
        let methods = [Method::Combine, Method::Block, Method::Exact, Method::Auto];
        let quickest = quickest(&methods, &samples, None);
        assert!((quickest - 1.1).abs() < 1e-12);
        leave_out_the_slow(quickest, &samples, &mut in_race);
        assert_eq!(in_race, [true, true, false, true], "who was not tried yet stays");
    }

    #[test]
    fn a_look_up_that_is_too_rough_sets_no_pace() {
        let samples = [sample(&[1e-6], 0.5), sample(&[1e-3], 0.02), Sample::default()];
        let methods = [Method::Lookup, Method::Combine, Method::Block];
        assert_eq!(quickest(&methods, &samples, Some(0.05)), 1e-3);
        assert_eq!(quickest(&methods, &samples, Some(0.5)), 1e-6);
        assert_eq!(quickest(&methods, &[Sample::default(), samples[1].clone()], Some(0.5)), 1e-3, "not tried yet");
    }

    #[test]
    fn samples_are_spread_over_the_batch() {
        let mut tenths = [0; 10];
        (0..100).for_each(|number| tenths[spread(number, 1000) / 100] += 1);
        assert!(tenths.iter().all(|&count| (8..=12).contains(&count)), "{tenths:?}");
        assert_eq!(spread(u64::MAX, 1), 0);
    }
}
