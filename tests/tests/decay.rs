//! Keeps: **weights that decay are, at any time, those that halve with every half-life of their age**, up to one factor for all; they are the
//! same to the last bit whether events are absorbed at once, by and by or not at all; and what decays otherwise is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use walkprint_cluster::error::Error;
use walkprint_cluster::live::{CompactOptions, LogOptions, Missing, Now, Taker, begin_decay};
use walkprint_engine::events::{Decay, Event, Operation};
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::labels::Labels;
use walkprint_engine::store::Store;
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::run;
use walkprint_tests::stores::{TempStore, build, options};

const DECAY: Decay = Decay { half_life: 86_400.0, from: 1_700_000_000.0 };
const OPTIONS: CompactOptions = CompactOptions { workers: 2, memory_bytes: 1 << 30 };

type Edges = BTreeMap<(String, String), f64>;

fn edges(graph: &Graph, labels: &Labels) -> Edges {
    let mut edges = Edges::new();
    for node in 0..u32::try_from(graph.nodes()).unwrap() {
        let row = graph.row(node).unwrap();
        for (at, &target) in row.targets.iter().enumerate() {
            edges.insert((labels.id(node).unwrap(), labels.id(target).unwrap()), row.weight(at));
        }
    }
    edges
}

/// Transition probabilities: of each edge the share of what leaves its source.
fn shares(edges: &Edges) -> Edges {
    let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
    edges.iter().for_each(|((source, _), weight)| *totals.entry(source).or_default() += weight);
    edges.iter().map(|(pair, weight)| (pair.clone(), weight / totals[pair.0.as_str()])).collect()
}

/// The weights as they are at one moment, followed the other way round: what is there decays as time passes, and what comes counts as it
/// is. Times may come in any order.
struct Backward {
    edges: Edges,
    at: f64,
}

impl Backward {
    fn worth(&self, time: f64) -> f64 {
        (-(self.at - time) / DECAY.half_life).exp2()
    }

    fn follow(&mut self, event: &Event, pair: (String, String), weight: Option<f64>) {
        let worth = event.time.map_or(0.0, |time| self.worth(time));
        match (event.operation, weight) {
            (Operation::Add, weight) => *self.edges.entry(pair).or_default() += weight.unwrap_or(1.0) * worth,
            (Operation::Set, weight) => drop(self.edges.insert(pair, weight.unwrap_or(1.0) * worth)),
            (Operation::Remove, None) => drop(self.edges.remove(&pair)),
            (Operation::Remove, Some(weight)) => *self.edges.get_mut(&pair).unwrap() -= weight * worth,
        }
    }
}

/// Random events of three weeks, not in the order of their times, and what they come to.
fn story(base: Edges, key: u64) -> (Vec<Event>, Edges) {
    let mut draws = Draws::new(key);
    let mut now = Backward { edges: base, at: DECAY.from + 21.0 * 86_400.0 };
    // Those of the loaded graph count as of the beginning.
    let worth = now.worth(DECAY.from);
    now.edges.values_mut().for_each(|weight| *weight *= worth);
    let mut events = Vec::new();
    for number in 0..300 {
        let time = DECAY.from + f64::from(draws.below(21 * 86_400));
        let weight = draws.chance(0.7).then(|| f64::from(1 + draws.below(40)) / 8.0);
        let any = draws.below(u32::try_from(now.edges.len()).unwrap()) as usize;
        let there = now.edges.iter().nth(any).map(|(pair, weight)| (pair.clone(), *weight)).unwrap();
        let new = (draws.below(130).to_string(), draws.below(130).to_string());
        let (operation, pair, weight) = match draws.below(6) {
            0 => (Operation::Remove, there.0, None),
            // A third of what there is at that time.
            1 => (Operation::Remove, there.0, Some(there.1 / now.worth(time) / 3.0)),
            2 => (Operation::Set, if draws.chance(0.5) { there.0 } else { new }, weight),
            3 => (Operation::Add, there.0, weight),
            _ => (Operation::Add, new, weight),
        };
        let event = Event::edge(operation, &pair.0, &pair.1).named(number.to_string());
        let event = if operation == Operation::Remove && weight.is_none() { event } else { event.at(time) };
        let event = weight.map_or(event.clone(), |weight| event.weighing(weight));
        now.follow(&event, pair, weight);
        events.push(event);
    }
    (events, now.edges)
}

fn take(store: &Path, events: &[Event]) -> Taker {
    let (mut taker, _) = Taker::open(store, LogOptions::default(), 1).unwrap();
    for batch in events.chunks(17) {
        taker.take(batch, Missing::Refuse).unwrap();
    }
    taker
}

fn compact(taker: Taker) {
    assert!(taker.compact(&OPTIONS, &Arc::default(), &mut |_| {}).unwrap().is_some());
}

fn now(store: &Path) -> Edges {
    let store = Store::open(store).unwrap();
    match Now::of(&store).unwrap() {
        Some(now) => edges(&now.graph, &now.labels),
        None => edges(&store.graph().unwrap(), &store.labels().unwrap()),
    }
}

#[test]
fn weights_halve_with_every_half_life_of_their_age() {
    for key in [1, 2, 3] {
        let base = TempStore::of(&sprawling(key, 120, 4, key == 2), NodeOrder::default());
        build(&base.path(), &options(&walkprint_engine::plan::Plan::default())).unwrap();
        let (events, then) = story(now(&base.path()), key);
        begin_decay(&base.path(), DECAY).unwrap();
        let by_and_by = TempStore::copy_of(&base.path());

        drop(take(&base.path(), &events));
        let waiting = now(&base.path());
        let (got, expected) = (shares(&waiting), shares(&then));
        assert!(got.keys().eq(expected.keys()));
        for (pair, share) in &got {
            let other = expected[pair];
            assert!((share - other).abs() <= 1e-12 * other.max(1e-3), "{key}, {pair:?}: {share} {other}");
        }

        // Absorbed at once, by and by, and opened anew: every bit is the same.
        compact(take(&base.path(), &events));
        for part in events.chunks(90) {
            compact(take(&by_and_by.path(), part));
        }
        drop(take(&by_and_by.path(), &events));
        let bits = |edges: &Edges| edges.values().map(|weight| weight.to_bits()).collect::<Vec<_>>();
        for store in [&base, &by_and_by] {
            let absorbed = now(&store.path());
            assert!(absorbed.keys().eq(waiting.keys()) && bits(&absorbed) == bits(&waiting));
        }
        let digest = |store: &TempStore| store.open().manifest().graph.digest.clone();
        assert_eq!(digest(&base), digest(&by_and_by));
        assert_eq!(by_and_by.open().manifest().live.as_ref().unwrap().decay, Some(DECAY));
    }
}

#[test]
fn what_is_left_of_an_edge_may_be_taken_at_any_time() {
    let store = TempStore::of(&sprawling(4, 50, 3, false), NodeOrder::default());
    begin_decay(&store.path(), DECAY).unwrap();
    let at = |days: f64| DECAY.from + days * DECAY.half_life;
    let edge = |operation, weight| Event::edge(operation, "1000", "1001").weighing(weight);
    let mut taker = take(&store.path(), &[edge(Operation::Add, 1.0).at(at(0.3))]);
    // After 2.4 half-lives an eighth of it and a bit more is left.
    let left = (-2.4f64).exp2();
    let refused = taker.take(&[edge(Operation::Remove, left * 1.01).at(at(2.7))], Missing::Refuse).unwrap_err();
    assert!(refused.why.to_string().contains("weighs 0.189"), "{}", refused.why);
    taker.take(&[edge(Operation::Remove, left).at(at(2.7))], Missing::Refuse).unwrap();
    let gone = taker.take(&[edge(Operation::Remove, 0.1).at(at(2.7))], Missing::Refuse).unwrap_err();
    assert!(gone.why.to_string().contains("no edge"), "{}", gone.why);
    // Far away, where numbers would not do any more.
    let far = taker.take(&[edge(Operation::Add, 1.0).at(at(901.0))], Missing::Refuse).unwrap_err();
    assert!(far.why.to_string().contains("900 half-lives"), "{}", far.why);
    taker.take(&[edge(Operation::Add, 1.0).at(at(900.0))], Missing::Refuse).unwrap();
    compact(taker);
    assert!(now(&store.path()).values().all(|weight| weight.is_finite()));
}

#[test]
fn a_half_life_is_said_once_and_first() {
    let store = TempStore::of(&sprawling(5, 50, 3, false), NodeOrder::default());
    begin_decay(&store.path(), DECAY).unwrap();
    begin_decay(&store.path(), DECAY).unwrap();
    let other = Decay { half_life: 1.0, ..DECAY };
    let refused = |error: Result<(), Error>| error.unwrap_err().to_string();
    assert!(refused(begin_decay(&store.path(), other)).contains("half-life of 86400"));
    let taker = take(&store.path(), &[Event::edge(Operation::Add, "1", "2").at(DECAY.from)]);
    assert!(matches!(begin_decay(&store.path(), DECAY), Err(Error::EventsLocked { .. })));
    drop(taker);
    begin_decay(&store.path(), DECAY).unwrap();

    let plain = TempStore::of(&sprawling(6, 50, 3, false), NodeOrder::default());
    drop(take(&plain.path(), &[]));
    begin_decay(&plain.path(), DECAY).unwrap();
    let plain = TempStore::of(&sprawling(6, 50, 3, false), NodeOrder::default());
    drop(take(&plain.path(), &[Event::edge(Operation::Add, "1", "2")]));
    assert!(refused(begin_decay(&plain.path(), DECAY)).contains("do not decay"));
}

#[test]
fn the_program_does_as_it_is_told() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    std::fs::write(place.join("g.csv"), "source,target\na,b\na,c\nb,a\n").unwrap();
    let _ = run(place, &["load", "g.csv", "--into", "g.wp"]).done();
    let update = |events: &str, more: &[&str]| {
        std::fs::write(place.join("e.csv"), format!("source,target,time\n{events}")).unwrap();
        run(place, &[&["update", "g.wp", "--edges", "e.csv"], more].concat())
    };
    update("a,b,\n", &["--half-life", "1d"]).refused(&["e.csv:2", "--decay-from"]);
    update("a,b,0\n", &["--half-life", "soon"]).refused(&["--half-life", "30d"]);
    update("a,b,0\n", &["--decay-from", "0"]).refused(&["--half-life"]);
    let said = update("a,b,1000\na,c,87400\n", &["--half-life", "1d"]).done();
    assert!(said.contains("halve every 86400 from 1000 on"), "{said}");
    // b: 1 + 1, c: 1 + 2.
    let query = ["query", "g.wp", "--seed", "a", "--method", "exact", "--json", "--dangling", "drop"];
    let answer: serde_json::Value = serde_json::from_str(&run(place, &query).done()).unwrap();
    let score = |id: &str| {
        let results = answer["results"].as_array().unwrap();
        results.iter().find(|result| result["id"] == id).unwrap()["score"].as_f64().unwrap()
    };
    assert!((score("c") / score("b") - 1.5).abs() < 1e-9, "{answer}");
    // It goes on without being said again.
    update("a,b,\n", &[]).refused(&["e.csv:2", "expected a time", "half-life of 86400"]);
    update("a,b,1e30\n", &[]).refused(&["e.csv:2", "900 half-lives"]);
    update("a,b,2000\n", &["--half-life", "2d"]).refused(&["half-life of 86400", "172800"]);
    update("a,b,2000\n", &["--half-life", "1d", "--decay-from", "7"]).refused(&["from 1000 on"]);
    let _ = update("a,b,2000\n", &["--half-life", "1d"]).done();
    let _ = run(place, &["compact", "g.wp"]).done();
    update("a,b,\n", &[]).refused(&["expected a time"]);
    let json: serde_json::Value = serde_json::from_str(&update("a,b,3000\n", &["--json"]).done()).unwrap();
    assert_eq!(json["decay"], serde_json::json!({ "half_life": 86400.0, "from": 1000.0 }));
}
