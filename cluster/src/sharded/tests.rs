//! Answers over shards are the same for any number of workers, and right: held against exact answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::ids::{ExternalIds, NodeId};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answer, Answerer, Dangling, Method, Question, Seeds, Status};
use walkprint_engine::store::Store;

use super::first_threshold;
use super::lane::{Asked, Lane};
use super::tracks::{Block, Next};
use super::work::{Job, Prepared, answer, prepare};
use super::world::World;
use crate::build::{BuildOptions, BuildProgress, ShardedCut, build_index};
use crate::choice::Wanted;
use crate::graph_mode::GraphMode;
use crate::load::store_edges;
use crate::processes::Processes;

const NODES: u32 = 1500;

/// What a graph is like.
#[derive(Debug, Clone, Copy)]
struct Kind {
    weighted: bool,
    undirected: bool,
}

const KINDS: [Kind; 4] = [
    Kind { weighted: false, undirected: false },
    Kind { weighted: true, undirected: false },
    Kind { weighted: false, undirected: true },
    Kind { weighted: true, undirected: true },
];

fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 29
}

/// Edges to near and far nodes, more to nodes of low number; every ninth node has none, every fifth has one to itself.
fn edges(kind: Kind) -> EdgeList {
    let (mut sources, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |from: u32, to: u32, weight: f64| {
        sources.push(from);
        targets.push(to);
        weights.push(weight);
    };
    for node in (0..NODES).filter(|node| node % 9 != 4) {
        for edge in 0..=u64::from(node % 7) * 2 {
            let number = mixed(u64::from(node) << 8 | edge);
            let any = u32::try_from(number >> 40).unwrap() % NODES;
            let target = match number % 3 {
                0 => (node + 1 + any % 9) % NODES,
                1 => any % (1 + any % 97),
                _ => any,
            };
            let weight = 0.25 + (number >> 8 & 63) as f64 / 16.0;
            add(node, target, weight);
            if kind.undirected {
                add(target, node, weight);
            }
        }
        if node % 5 == 0 {
            add(node, node, 1.5);
        }
    }
    let ids = ExternalIds::Integers((0..i64::from(NODES)).map(|node| node * 7 % 1501).collect());
    EdgeList { ids, sources, targets, weights: kind.weighted.then_some(weights), kinds: KindLists::default() }
}

fn store(kind: Kind) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s.wp");
    store_edges(&path, edges(kind), NodeOrder::BreadthFirst).unwrap();
    let options = BuildOptions {
        name: "default".into(),
        plan: Plan::default(),
        workers: 2,
        memory_bytes: 1 << 30,
        graph: GraphMode::Replicated,
        cut: ShardedCut::default(),
        resume: false,
        replace: false,
        timely_log: None,
    };
    build_index(&path, &options, &Arc::new(BuildProgress::default()), &mut |_| {}).unwrap();
    place
}

fn open(place: &TempDir) -> Store {
    Store::open(&place.path().join("s.wp")).unwrap()
}

fn world(store: &Store) -> World {
    let wanted = Wanted { index: None, restart_prob: None, method: Method::Combine };
    World::open(store, wanted, true).unwrap()
}

/// A question of these tests.
#[derive(Debug, Clone)]
struct Asking {
    seeds: Seeds,
    asked: Asked,
}

fn asking(seeds: &[(NodeId, f64)], dangling: Dangling, precision: f64, top: usize) -> Asking {
    let seeds = Seeds::from_weights(NODES as usize, seeds.to_vec()).unwrap();
    Asking { seeds, asked: Asked { top, dangling, precision } }
}

/// Some single seeds, some seed sets, all policies.
fn askings(precision: f64, top: usize) -> Vec<Asking> {
    let policies = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];
    let single = (0..12).map(|at| asking(&[(at * 121, 1.0)], policies[at as usize % 4], precision, top));
    let several = policies.iter().map(|&policy| asking(&[(3, 1.0), (700, 2.0), (1499, 0.5)], policy, precision, top));
    single.chain(several).collect()
}

/// The answers of so many workers, in blocks of so many lanes.
fn answers(store: &Store, askings: &[Asking], workers: usize, lanes: usize) -> Vec<Answer> {
    let world = Arc::new(world(store));
    let job = Job { world: Arc::clone(&world), workers, uniform: true };
    let found: Arc<Mutex<BTreeMap<u64, Answer>>> = Arc::default();
    let (kept, askings) = (Arc::clone(&found), askings.to_vec());
    let work = move |worker: &mut timely::worker::Worker| {
        let kept = Arc::clone(&kept);
        let Prepared { worked, .. } = prepare(worker, &job, |_| Ok(())).map_err(|told| panic!("{told:?}")).unwrap();
        let report = Rc::new(move |lane: &Lane, answer: Answer| {
            kept.lock().unwrap().insert(lane.tag, answer);
            lane.tag
        });
        let rest = RefCell::new(askings.iter().zip(0..));
        let next = || {
            let mut block = Block::default();
            for (asking, tag) in rest.borrow_mut().by_ref().take(lanes) {
                let threshold = first_threshold(&job.world.index().entry().plan, asking.asked.precision);
                block.add(Lane { number: 0, tag, asked: asking.asked, threshold, key: 0 }, asking.seeds.weights());
            }
            if block.is_empty() { Next::End } else { Next::Block(block) }
        };
        let _told = answer(
            worker,
            &worked,
            report,
            |_, tags| {
                tags.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(Exchange::new(|_: &u64| 0), "All", |_, _| {
                    |input, _output| input.for_each(|_, tags: &mut Vec<u64>| tags.clear())
                })
            },
            next,
        );
    };
    Processes::alone(workers).run(work, &mut || {}).unwrap();
    assert!(world.failure().is_none());
    let found = std::mem::take(&mut *found.lock().unwrap());
    found.into_values().collect()
}

/// The exact scores, by node.
fn exact(store: &Store, asking: &Asking) -> Vec<f64> {
    let (graph, labels) = (store.graph().unwrap(), store.labels().unwrap());
    let mut answerer = Answerer::new(&graph, &labels, None, Plan::default().restart_prob).unwrap();
    let mut question = Question::new(asking.seeds.clone());
    (question.method, question.dangling) = (Method::Exact, asking.asked.dangling);
    answerer.scores(&question).unwrap().scores
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    for kind in [KINDS[0], KINDS[3]] {
        let place = store(kind);
        let (store, askings) = (open(&place), askings(0.01, 40));
        let expected = answers(&store, &askings, 1, 100);
        assert_eq!(expected.len(), askings.len());
        for (workers, lanes) in [(1, 3), (2, 100), (3, 5), (5, 1)] {
            assert_eq!(answers(&store, &askings, workers, lanes), expected, "{kind:?} {workers} {lanes}");
        }
    }
}

#[test]
fn answers_are_as_near_to_exact_ones_as_was_asked() {
    for kind in KINDS {
        let place = store(kind);
        let store = open(&place);
        for precision in [0.1, 0.003] {
            let askings = askings(precision, NODES as usize);
            let (mut scores, mut beyond) = (0, 0);
            for (asking, answer) in askings.iter().zip(answers(&store, &askings, 3, 7)) {
                let mut wrong = exact(&store, asking);
                for result in &answer.results {
                    let off = &mut wrong[result.node as usize];
                    *off -= result.score;
                    scores += 1;
                    beyond += usize::from(2.0 * result.std_error + 1e-9 < off.abs());
                }
                let l1: f64 = wrong.iter().map(|off| off.abs()).sum();
                // Dividing the core by what it sums to, or by the restart probability, makes errors larger.
                let larger = if asking.asked.dangling == Dangling::SelfLoop { 3.0 } else { 1.6 };
                assert!(l1 <= larger * precision, "{kind:?} {:?}: {l1}", asking.asked);
                let Status::Estimated { l1_error, .. } = answer.status else { panic!("{:?}", answer.status) };
                assert!(l1_error <= precision && 1.0 - 1e-9 < answer.mass_accounted, "{answer:?}");
            }
            assert!(beyond * 20 <= scores, "{kind:?} {precision}: {beyond} of {scores} beyond two standard errors");
        }
    }
}

#[test]
fn damaged_fingerprints_are_reported_and_nobody_waits() {
    let place = store(KINDS[1]);
    let store = open(&place);
    let entry = &store.manifest().indexes[0];
    for segment in &entry.segments {
        damage(&store.path().join(&entry.directory).join(&segment.file));
    }
    for workers in [1, 3] {
        let world = Arc::new(world(&store));
        let job = Job { world: Arc::clone(&world), workers, uniform: false };
        let work = move |worker: &mut timely::worker::Worker| {
            let mut asked = false;
            let next = || {
                if std::mem::replace(&mut asked, true) {
                    return Next::Wait; // until the error has stopped the job
                }
                let mut block = Block::default();
                let asked = Asked { top: 3, dangling: Dangling::Drop, precision: 0.1 };
                block.add(Lane { number: 0, tag: 0, asked, threshold: 0.01, key: 0 }, &[(1, 1.0)]);
                Next::Block(block)
            };
            let prepared = prepare(worker, &job, |_| Ok(()));
            let Prepared { worked, .. } = prepared.map_err(|told| panic!("{told:?}")).unwrap();
            let _told = answer(worker, &worked, Rc::new(|_, _| ()), |_, tags| tags, next);
        };
        Processes::alone(workers).run(work, &mut || {}).unwrap();
        assert!(world.failure().is_some_and(|error| error.to_string().contains("fingerprint")));
    }
}

/// Changes the last hundred thousand bytes of a file, which are packed fingerprints.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let from = bytes.len() / 2;
    bytes[from..].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(path, bytes).unwrap();
}
