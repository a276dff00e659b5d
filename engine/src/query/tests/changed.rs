//! Answers about graphs that have changed since their index was built, against exact ones, and against a fresh index.

use proptest::prelude::*;

use super::oracle::{self, l1};
use super::world::{Edges, Random, World, random_edges};
use crate::error::Error;
use crate::index::Index;
use crate::plan::Plan;
use crate::query::dangling::tallied_end;
use crate::query::halt::Halt;
use crate::query::{
    Answerer, ChangedRows, Dangling, Debias, ExplainSettings, Method, PopularityKind, Question, Seeds, Status,
};

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

/// A graph, what it became, and the index of what it was.
struct Changed {
    base: World,
    now: World,
    edges: Edges,
    changes: ChangedRows,
}

impl Changed {
    fn new(base_nodes: u32, base: &Edges, nodes: u32, edges: Edges) -> Changed {
        let (base, now) = (World::new(base_nodes, base), World::new(nodes, &edges));
        let changes = ChangedRows::between(&base.graph, &now.graph).unwrap();
        Changed { base, now, edges, changes }
    }

    fn answerer<'w>(&'w self, index: &'w Index) -> Answerer<'w> {
        let restart_prob = index.plan().restart_prob;
        Answerer::with_changes(&self.now.graph, &self.now.labels, index, &self.changes, restart_prob).unwrap()
    }
}

/// What may happen to a graph.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Some edges more.
    Added,
    /// Some edges less.
    Removed,
    /// Other weights.
    Weighed,
    /// The node with the most out-edges loses half of them, and gets others.
    Hub,
    /// A few nodes lose all their out-edges.
    Ended,
    /// Nodes that were dangling are so no more.
    Began,
    /// New nodes, that lead to old ones and to each other, and that old ones lead to.
    Grown,
    /// A node that is gone: nothing leads there or away.
    Gone,
}

const EVENTS: [Event; 8] =
    [Event::Added, Event::Removed, Event::Weighed, Event::Hub, Event::Ended, Event::Began, Event::Grown, Event::Gone];

/// Lets something happen to a graph, so many times; gives its number of nodes and edges after that.
fn after(event: Event, times: u32, nodes: u32, base: &Edges, random: &mut Random) -> (u32, Edges) {
    let (mut edges, mut grown) = (base.clone(), nodes);
    let hub = (0..nodes).max_by_key(|&node| base.iter().filter(|edge| edge.0 == node).count()).unwrap();
    for _ in 0..times {
        let (one, other) = (random.below(nodes), random.below(nodes));
        match event {
            Event::Added => edges.push((one, other, 1.0)),
            Event::Removed => drop(edges.remove(random.below(u32::try_from(edges.len()).unwrap()) as usize)),
            Event::Weighed => {
                let at = random.below(u32::try_from(edges.len()).unwrap()) as usize;
                edges[at].2 *= 0.2 + 4.0 * random.share();
            }
            Event::Hub => {
                let mut out = 0;
                edges.retain(|edge| {
                    out += u32::from(edge.0 == hub);
                    edge.0 != hub || out % 2 == 0
                });
                edges.push((hub, one, 1.0));
            }
            Event::Ended => edges.retain(|edge| edge.0 != one),
            Event::Began => edges.extend([(nodes - 1 - one % (nodes / 4), other, 1.0), (nodes - 1, one, 1.0)]),
            Event::Grown => {
                edges.extend([(grown, one, 1.0), (grown, other, 1.0), (other, grown, 1.0), (grown - 1, grown, 1.0)]);
                grown += 1;
            }
            Event::Gone => edges.retain(|edge| edge.0 != one && edge.1 != one),
        }
    }
    (grown, edges)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_rows_tell_what_rows_were(key: u64, weighted: bool, event in 0..EVENTS.len(), times in 1u32..4) {
        let mut random = Random(key);
        let base = random_edges(20, 80, weighted, &mut random);
        let (nodes, edges) = after(EVENTS[event], times, 20, &base, &mut random);
        let Changed { base, now, changes, .. } = Changed::new(20, &base, nodes, edges);
        let dense = |world: &World, node: u32| {
            let mut dense = vec![0.0; nodes as usize];
            if (node as usize) < world.graph.nodes() {
                let row = world.graph.row(node).unwrap();
                row.spread(1.0, |target, share| dense[target as usize] = share);
            }
            dense
        };
        for node in 0..nodes {
            let (old, new) = (dense(&base, node), dense(&now, node));
            let mut told: Vec<f64> = new.iter().map(|share| changes.kept(node) * share).collect();
            let (mut rests, mut entries) = (0.0, 0);
            if let Some(place) = changes.place(node) {
                for &(target, rest) in changes.rest(place) {
                    told[target as usize] -= rest;
                    rests += rest.abs();
                    entries += 1;
                }
                prop_assert!((changes.rows()[place].rest - rests).abs() < 1e-12);
                prop_assert_eq!(changes.rows()[place].node, node);
            }
            prop_assert!(l1(&old, &told) < 1e-12, "{node}: {old:?} {told:?}");
            let differs = l1(&old, &new);
            prop_assert_eq!(1e-12 < differs, changes.place(node).is_some());
            prop_assert!(rests <= differs + 1e-12, "{node}: {rests} {differs}");
            // What stayed as it was needs no entry where one edge came or went, of several that weigh as much.
            let alike = |world: &World| {
                let weights = world.graph.row(node).map(|row| (0..row.degree()).map(|at| row.weight(at)).collect::<Vec<_>>());
                weights.is_ok_and(|weights| weights.iter().all(|&weight| weight == weights[0]))
            };
            let came_or_went = matches!(EVENTS[event], Event::Added | Event::Removed) && times == 1;
            if came_or_went && 2 < base.graph.degree(node.min(19)) && alike(&base) && alike(&now) {
                prop_assert!(entries <= 1, "{node}: {entries}");
            }
        }
        let listed = ChangedRows::of_rows(&base.graph, &now.graph, changes.nodes().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(listed.nodes().collect::<Vec<_>>(), changes.nodes().collect::<Vec<_>>());
    }
}

#[test]
fn changes_upon_changes_are_those_from_the_base() {
    let mut random = Random(61);
    let base = random_edges(150, 700, true, &mut random);
    let old = World::new(150, &base);
    let (mut nodes, mut edges, mut changes) =
        (150, base.clone(), ChangedRows::between(&old.graph, &old.graph).unwrap());
    assert!(changes.is_empty());
    for event in EVENTS.into_iter().cycle().take(40) {
        let (grown, next) = match event {
            Event::Grown | Event::Began => after(event, 2, nodes, &edges, &mut random),
            // Back to what it was, at some nodes.
            Event::Gone => {
                let back = random.below(150);
                let now = edges.iter().filter(|edge| edge.0 != back);
                (nodes, now.chain(base.iter().filter(|edge| edge.0 == back)).copied().collect())
            }
            _ => after(event, 3, nodes, &edges, &mut random),
        };
        let (before, now) = (World::new(nodes, &edges), World::new(grown, &next));
        let rows: Vec<u32> = ChangedRows::between(&before.graph, &now.graph).unwrap().nodes().collect();
        changes = changes.updated(&old.graph, &now.graph, rows.into_iter().rev()).unwrap();
        assert_eq!(shown(&changes), shown(&ChangedRows::between(&old.graph, &now.graph).unwrap()));
        (nodes, edges) = (grown, next);
    }
    assert!(10 < changes.len());
}

fn question(method: Method, threshold: f64, dangling: Dangling, seeds: Seeds) -> Question {
    let mut question = Question { method, dangling, ..Question::new(seeds) };
    question.push.threshold = threshold;
    question.push.sweep = false;
    question
}

/// As `estimates::lookup_and_combine_are_unbiased`: the mean over many keys lies within five standard errors of the truth at
/// every node. Cores are looked at, which may be below zero; and nothing is left unsettled.
#[test]
fn answers_from_a_stale_index_are_unbiased() {
    const KEYS: u32 = 300;
    let mut random = Random(91);
    let base = random_edges(12, 36, true, &mut random);
    let cases = [(Method::Lookup, 1.0), (Method::Combine, 10.0), (Method::Combine, 0.02)];
    for event in EVENTS {
        let (nodes, edges) = after(event, 2, 12, &base, &mut random);
        let changed = Changed::new(12, &base, nodes, edges);
        let seeds = Seeds::from_weights(nodes as usize, vec![(0, 3.0), (5, 1.0), (nodes - 1, 1.0)]).unwrap();
        let mut dense = vec![0.0; nodes as usize];
        seeds.weights().iter().for_each(|&(node, weight)| dense[node as usize] = weight);
        let mut truth = oracle::scores(nodes as usize, &changed.edges, &dense, 0.15, Dangling::Drop);
        truth.push(1.0 - truth.iter().sum::<f64>()); // what ends at dangling nodes
        let mut sums = vec![vec![(0.0, 0.0); truth.len()]; cases.len()];
        for key in 0..KEYS {
            let index = changed.base.index(&Plan { walks: 3, rng_key: u64::from(key) << 8, ..Plan::default() });
            let mut answerer = changed.answerer(&index);
            answerer.space.unsettled = 1e-9;
            if key % 2 == 1 {
                answerer.space.few = 1e6; // the residual goes to fingerprints wherever it may
            }
            for ((method, threshold), sums) in cases.into_iter().zip(&mut sums) {
                answerer.core(&question(method, threshold, Dangling::Drop, seeds.clone())).unwrap();
                let ended = answerer.space.ended + tallied_end(answerer.graph, 0.15, &answerer.space).0;
                let cores = (0..nodes).map(|node| answerer.space.core(node)).chain([ended]);
                for (core, sum) in cores.zip(sums) {
                    *sum = (sum.0 + core, sum.1 + core * core);
                }
                answerer.space.clear();
            }
        }
        let (keys, packet) = (f64::from(KEYS), 0.15 / 3.0);
        for (case, sums) in cases.iter().zip(&sums) {
            for (node, (&(sum, squares), truth)) in sums.iter().zip(&truth).enumerate() {
                let mean = sum / keys;
                let error = ((squares / keys - mean * mean).max(packet * truth) / keys).sqrt();
                assert!(
                    (mean - truth).abs() <= 5.0 * error + 1e-8,
                    "{event:?}, {case:?}, node {node}: {mean} {truth} {error}"
                );
            }
        }
    }
}

/// What an answer from a stale index may be off, beside one from a fresh one.
#[derive(Debug, Default, Clone, Copy)]
struct Errors {
    stale: f64,
    fresh: f64,
    scores: u32,
    within: u32,
}

/// Compared with an index that was built anew, in the mean over some seeds and keys; and as sure of themselves as they should be.
#[test]
fn a_stale_index_is_about_as_good_as_a_fresh_one() {
    let mut random = Random(17);
    for (weighted, event, times) in EVENTS.into_iter().flat_map(|event| [(false, event, 1), (true, event, 6)]) {
        let base = random_edges(200, 1200, weighted, &mut random);
        let (nodes, edges) = after(event, times, 200, &base, &mut random);
        let changed = Changed::new(200, &base, nodes, edges);
        let cases = [(Method::Lookup, 1.0), (Method::Combine, 0.003), (Method::Combine, 1e-4)];
        let mut found = [[Errors::default(); POLICIES.len()]; 3];
        for key in 0..8 {
            let plan = Plan { rng_key: key << 20, ..Plan::default() };
            let (stale, fresh) = (changed.base.index(&plan), changed.now.index(&plan));
            let mut answerers = [changed.answerer(&stale), changed.now.answerer(Some(&fresh), 0.15)];
            for seed in [random.below(130), random.below(nodes), nodes - 1] {
                for ((method, threshold), found) in cases.into_iter().zip(&mut found) {
                    for (dangling, found) in POLICIES.into_iter().zip(found) {
                        let question = question(method, threshold, dangling, Seeds::single(seed));
                        let exact = Question { method: Method::Exact, ..question.clone() };
                        let truth = answerers[1].scores(&exact).unwrap();
                        let [got, fresh] = answerers.each_mut().map(|answerer| answerer.scores(&question).unwrap());
                        found.stale += l1(&got.scores, &truth.scores);
                        found.fresh += l1(&fresh.scores, &truth.scores);
                        for ((score, std_error), truth) in got.scores.iter().zip(&got.std_errors).zip(&truth.scores) {
                            if 0.0 < *score {
                                found.scores += 1;
                                found.within += u32::from((score - truth).abs() <= 2.0 * std_error + 1e-9);
                            }
                        }
                        assert!(got.scores.iter().all(|score| 0.0 <= *score));
                        let Status::Estimated { l1_error, .. } = got.status else { panic!("{:?}", got.status) };
                        assert!(l1_error.is_finite() && got.mass_accounted == 1.0);
                    }
                }
            }
        }
        for (case, found) in cases.iter().zip(&found) {
            for (dangling, found) in POLICIES.iter().zip(found) {
                let share = f64::from(found.within) / f64::from(found.scores);
                let told = format!("{event:?}, {weighted}, {case:?}, {dangling}: {found:?}, {share}");
                assert!(found.stale <= 1.2 * found.fresh + 1e-9, "{told}");
                assert!(0.95 <= share, "{told}");
            }
        }
    }
}

#[test]
fn without_changes_every_bit_is_as_ever() {
    let mut random = Random(41);
    for weighted in [false, true] {
        let edges = random_edges(300, 1500, weighted, &mut random);
        let changed = Changed::new(300, &edges, 300, edges.clone());
        assert!(changed.changes.is_empty());
        let index = changed.base.index(&Plan::default());
        let mut stale = changed.answerer(&index);
        let mut fresh = changed.base.answerer(Some(&index), 0.15);
        for method in [Method::Lookup, Method::Combine, Method::Exact, Method::Block] {
            for (dangling, sweep) in POLICIES.into_iter().flat_map(|policy| [(policy, false), (policy, true)]) {
                let mut question = Question { method, dangling, ..Question::new(Seeds::single(random.below(200))) };
                question.push.sweep = sweep;
                assert_eq!(shown(&stale.scores(&question)), shown(&fresh.scores(&question)));
                assert_eq!(shown(&stale.answer(&question)), shown(&fresh.answer(&question)));
            }
        }
    }
}

/// Shown, numbers have all their digits.
fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// The last step of all walks is made along edges that there are.
#[test]
fn what_nothing_leads_to_any_more_has_no_score() {
    let mut random = Random(43);
    for weighted in [false, true] {
        let base = random_edges(120, 700, weighted, &mut random);
        let gone: Vec<u32> = (0..5).map(|_| random.below(120)).filter(|&node| node != 1).collect();
        let edges = base.iter().filter(|edge| !gone.contains(&edge.0) && !gone.contains(&edge.1)).copied().collect();
        let changed = Changed::new(120, &base, 120, edges);
        for key in 0..10 {
            let index = changed.base.index(&Plan { rng_key: key << 20, ..Plan::default() });
            let mut answerer = changed.answerer(&index);
            let scores = answerer.scores(&question(Method::Combine, 0.01, Dangling::Drop, Seeds::single(1))).unwrap();
            assert!(scores.scores.iter().filter(|score| 0.0 < **score).count() > 50, "the last step was made");
            assert!(gone.iter().all(|&node| scores.scores[node as usize] == 0.0), "{gone:?}");
        }
    }
}

/// Questions of every kind, one after the other, interrupted or not.
#[test]
fn nothing_is_left_for_the_next_question() {
    let mut random = Random(47);
    let base = random_edges(300, 1500, true, &mut random);
    for event in [Event::Hub, Event::Grown, Event::Gone] {
        let (nodes, edges) = after(event, 8, 300, &base, &mut random);
        let changed = Changed::new(300, &base, nodes, edges);
        let index = changed.base.index(&Plan::default());
        let mut questions = Vec::new();
        for method in [Method::Lookup, Method::Combine, Method::Combine, Method::Exact, Method::Block] {
            for (dangling, sweep, debias) in [
                (Dangling::Restart, true, None),
                (Dangling::Restart, false, None),
                (Dangling::Uniform, false, None),
                (Dangling::Drop, false, Some(PopularityKind::GlobalPageRank)),
                (Dangling::SelfLoop, true, Some(PopularityKind::Degree)),
            ] {
                let seed = [random.below(200), nodes - 1][questions.len() % 2];
                let mut question = Question { method, dangling, ..Question::new(Seeds::single(seed)) };
                question.push.sweep = sweep;
                question.shape.debias = debias.map(|by| Debias { by, power: 0.5 });
                questions.push(question);
            }
        }
        let mut used = changed.answerer(&index);
        for question in questions.iter().chain(questions.iter().rev()) {
            let expected = shown(&changed.answerer(&index).answer(question));
            for looks in [0, 3, 10, 40, 200] {
                used.halt = Halt::after(looks);
                let interrupted = used.answer(question);
                assert!(matches!(&interrupted, Err(Error::Interrupted)) || shown(&interrupted) == expected);
                used.heed(None);
            }
            assert_eq!(shown(&used.answer(question)), expected, "{question:?}");
        }
    }
}

#[test]
fn explanations_add_up_after_changes_too() {
    let mut random = Random(53);
    let base = random_edges(200, 1000, true, &mut random);
    let (nodes, edges) = after(Event::Grown, 10, 200, &base, &mut random);
    let changed = Changed::new(200, &base, nodes, edges);
    let index = changed.base.index(&Plan { walks: 200, walks_per_edge: 20.0, ..Plan::default() });
    let mut answerer = changed.answerer(&index);
    let seeds = Seeds::from_weights(nodes as usize, vec![(3, 1.0), (nodes - 1, 2.0), (40, 1.0)]).unwrap();
    for (method, dangling) in [Method::Lookup, Method::Combine].into_iter().flat_map(|m| POLICIES.map(|d| (m, d))) {
        let question = question(method, 1e-3, dangling, seeds.clone());
        let answer = answerer.answer(&question).unwrap();
        assert_eq!(answer.results.len(), 10);
        let explained = answerer.explain(&question, &answer, &ExplainSettings::default()).unwrap();
        for (explained, result) in explained.results.iter().zip(&answer.results) {
            let sum: f64 = explained.contributions.iter().map(|one| one.score).sum();
            let error: f64 = explained.contributions.iter().map(|one| one.std_error).sum();
            assert!((sum - result.score).abs() <= 4.0 * (error + result.std_error), "{sum} {result:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// As `precision::estimates_keep_to_the_precision`, with sweeps where they are cheaper.
    #[test]
    fn estimates_keep_to_the_precision(key: u64, weighted: bool, event in 0..EVENTS.len(), times in 1u32..60, policy in 0..4usize) {
        let mut random = Random(key);
        let base = random_edges(1500, 9000, weighted, &mut random);
        let (nodes, edges) = after(EVENTS[event], times, 1500, &base, &mut random);
        let changed = Changed::new(1500, &base, nodes, edges);
        let index = changed.base.index(&Plan::default());
        let mut answerer = changed.answerer(&index);
        let seed = [random.below(1500), nodes - 1][random.below(2) as usize];
        let exact = Question { method: Method::Exact, dangling: POLICIES[policy], ..Question::new(Seeds::single(seed)) };
        let truth = answerer.scores(&exact).unwrap().scores;
        for precision in [0.05, 0.01, 1e-4] {
            let question = Question { method: Method::Combine, precision: Some(precision), ..exact.clone() };
            let got = answerer.scores(&question).unwrap();
            let Status::Estimated { l1_error, .. } = got.status else { panic!("{:?}", got.status) };
            prop_assert!(l1_error <= precision, "it says {l1_error}, asked {precision}");
            let allowed = precision * if POLICIES[policy] == Dangling::SelfLoop { 10.0 } else { 3.0 };
            let error = l1(&got.scores, &truth);
            prop_assert!(error <= allowed, "{precision}: {error}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let edges = vec![(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)];
    let mut more = edges.clone();
    more.push((0, 3, 1.0));
    let changed = Changed::new(3, &edges, 4, more);
    let index = changed.base.index(&Plan::default());
    let Changed { base, now, changes, .. } = &changed;
    let refused = |answerer: crate::error::Result<Answerer<'_>>| match answerer {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was not refused"),
    };
    // The graph of the base instead of the changed one, another restart probability, a smaller graph, a row outside.
    let told = refused(Answerer::with_changes(&base.graph, &base.labels, &index, changes, 0.15));
    assert!(told.contains("after changes"), "{told}");
    let told = refused(Answerer::with_changes(&now.graph, &now.labels, &index, changes, 0.5));
    assert!(told.contains("restart_prob"), "{told}");
    let told = refused(Answerer::with_changes(&now.graph, &base.labels, &index, changes, 0.15));
    assert!(told.contains("labels"), "{told}");
    assert!(matches!(ChangedRows::between(&now.graph, &base.graph), Err(Error::Mismatch { .. })));
    assert!(matches!(ChangedRows::of_rows(&base.graph, &now.graph, [4]), Err(Error::Damaged { .. })));
    // Changes from a graph of another size than that of the index.
    let other = ChangedRows::between(&World::new(2, &[(0, 1, 1.0)]).graph, &now.graph).unwrap();
    let told = refused(Answerer::with_changes(&now.graph, &now.labels, &index, &other, 0.15));
    assert!(told.contains("number of sources"), "{told}");
    // An index that belongs to the base is none of the changed graph.
    assert!(Answerer::new(&now.graph, &now.labels, Some(&index), 0.15).is_err());
}
