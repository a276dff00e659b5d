//! A server over a sharded graph: processes that keep running, of which process 0 takes questions.
//!
//! ```text
//!   asker ── a question a line ──▶ connection ──▶ worker 0 ──▶ the dataflow of [`crate::sharded`] on all processes
//!         ◀── an answer a line ───            ◀───────────────────┘
//! ```
//!
//! Questions that wait at the same moment are answered together, as lanes of one block. Who may ask: programs of this
//! machine, since the server listens at a loopback address only and asks for no key. **A bad question gets an error, and
//! nobody else notices.** (Test: `tests/tests/serve.rs`.)

mod connection;

mod printed;

mod question;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use serde_json::Value;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::KindParts;
use walkprint_engine::query::{Answer, Method};
use walkprint_engine::store::Store;

pub use connection::ask;
pub use printed::{Budgeted, Origin, Printed, Provenance, Triple, as_json};
pub use question::{Id, Request, Seed, typed_seed};

use crate::choice::Wanted;
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::sharded::budget::{Budget, Measures};
use crate::sharded::lane::{Asked, Lane};
use crate::sharded::tracks::{Block, Next};
use crate::sharded::work::{Job, Prepared, Told, answer, prepare};
use crate::sharded::world::World;
use crate::sharded::{USUAL_PRECISION, first_threshold};

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where process 0 listens: a loopback address.
    pub listen: SocketAddr,
    /// The index to ask; without a name, `default` or one that fits.
    pub index: Option<String>,
    /// The restart probability; without it, the index's own.
    pub restart_prob: Option<f64>,
    /// Whether questions may ask for [`walkprint_engine::query::Dangling::Uniform`], which takes some time before the first
    /// question and 12 bytes a node.
    pub uniform: bool,
    /// The most memory a process may hold, in bytes.
    pub memory_bytes: u64,
}

/// A question on its way to worker 0.
struct Waiting {
    asked: Asked,
    seeds: Vec<(NodeId, f64)>,
    reply: Sender<String>,
}

/// What connections share.
struct Desk {
    world: Arc<World>,
    uniform: bool,
    questions: Mutex<Sender<Waiting>>,
    /// Worker 0, which may be asleep.
    worker: OnceLock<Thread>,
}

impl Desk {
    /// Hands a question over; the reply is an answer as JSON. Nobody replies when the server ends.
    fn ask(&self, asked: Asked, seeds: Vec<(NodeId, f64)>) -> Option<Receiver<String>> {
        let (reply, answer) = channel();
        let waiting = Waiting { asked, seeds, reply };
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).send(waiting).ok()?;
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
        Some(answer)
    }
}

/// Serves until `stop` is set on process 0, which `tick` may do; it is called about ten times a second from this thread.
/// `ready` is told where process 0 listens, before it answers.
///
/// # Errors
/// When there is no index, the address is no loopback address or is taken, the budget is too small, or a file is damaged.
pub fn serve(
    store: &Path,
    options: &ServeOptions,
    processes: &Processes,
    stop: &Arc<AtomicBool>,
    ready: &mut dyn FnMut(SocketAddr),
    tick: &mut dyn FnMut(),
) -> Result<()> {
    if !options.listen.ip().is_loopback() {
        let what = format!("--listen {} is no loopback address; take 127.0.0.1 or [::1]", options.listen);
        return Err(Error::Request { what });
    }
    let store = Store::open(store)?;
    let (process, wanted) = (processes.process(), Method::Combine);
    let wanted = Wanted { index: options.index.as_deref(), restart_prob: options.restart_prob, method: wanted };
    let world = Arc::new(World::open(&store, wanted, process == 0)?);
    let job = Job { world: Arc::clone(&world), workers: processes.workers(), uniform: options.uniform };
    let (questions, waiting) = channel();
    let desk = (process == 0).then(|| {
        let questions = Mutex::new(questions);
        Arc::new(Desk { world: Arc::clone(&world), uniform: options.uniform, questions, worker: OnceLock::new() })
    });
    // Before the long way of rows and labels: an address that is taken is known at once.
    let listener = match &desk {
        None => None,
        Some(_) => {
            let path = Path::new("--listen").join(options.listen.to_string());
            let listener = TcpListener::bind(options.listen).map_err(EngineError::io(&path, "listen"))?;
            let address = listener.local_addr().map_err(EngineError::io(&path, "listen"))?;
            Some((listener, address))
        }
    };
    let (opening, opened) = channel();
    let serving = Serving {
        job,
        kinds: Arc::new(if process == 0 { types_to_print(&store)? } else { None }),
        desk,
        options: options.clone(),
        workers: (processes.workers() as u64, processes.all_workers() as u64),
        waiting: Mutex::new(Some(waiting)),
        listener: Mutex::new(listener.map(|(listener, address)| (listener, address, opening))),
        stop: Arc::clone(stop),
    };
    let mut tick = || {
        opened.try_iter().for_each(&mut *ready);
        tick();
    };
    let tick = &mut tick;
    let told = processes.run(move |worker| serving.work(worker), tick)?;
    match world.failure() {
        Some(error) => Err(error),
        None => match told.into_iter().flatten().flatten().next() {
            Some(what) => Err(Error::Request { what: format!("another process failed: {what}") }),
            None => Ok(()),
        },
    }
}

/// The types that answers have with their results; `None` when there are none, or those of some shards are in other
/// directories: then no answer has any, rather than some results of some answers.
///
/// # Errors
/// When a file of types is damaged, or is not the one that the manifest lists.
fn types_to_print(store: &Store) -> Result<Option<Kinds>> {
    let KindParts { kinds, missing } = KindParts::open(store)?;
    Ok(kinds.filter(|_| missing.is_empty()))
}

/// What the workers of a process do.
struct Serving {
    job: Job,
    /// On process 0, whence answers leave.
    kinds: Arc<Option<Kinds>>,
    desk: Option<Arc<Desk>>,
    options: ServeOptions,
    /// Workers of a process, and of all.
    workers: (u64, u64),
    /// For worker 0.
    waiting: Mutex<Option<Receiver<Waiting>>>,
    /// For worker 0: where it listens, and whom it tells that it does.
    listener: Mutex<Option<(TcpListener, SocketAddr, Sender<SocketAddr>)>>,
    stop: Arc<AtomicBool>,
}

impl Serving {
    /// Reckons the memory. Gives the lanes of a block.
    fn begin(&self, world: &World) -> Result<usize> {
        let (nodes, edges) = world.size();
        let measures = Measures {
            nodes: nodes as u64,
            edges: edges as u64,
            weighted: world.is_weighted(),
            index: world.index().entry(),
            precision: USUAL_PRECISION,
            workers: self.workers,
            besides: if self.options.uniform { 12 * nodes as u64 } else { 0 },
            in_shards: world.in_shards(),
        };
        let lanes = Budget::new(measures, self.options.memory_bytes)?.lanes;
        Ok(usize::try_from(lanes).unwrap_or(usize::MAX))
    }

    /// Takes connections from now on.
    fn open(&self) -> Result<()> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(((listener, address, opening), desk)) = listener.zip(self.desk.as_ref()) {
            connection::listen(listener, Arc::clone(desk), Arc::clone(&self.stop))?;
            let _ = opening.send(address); // who has gone does not want to know
        }
        Ok(())
    }

    fn work(&self, worker: &mut Worker) -> Told {
        let Prepared { worked, begun } = match prepare(worker, &self.job, |world| self.begin(world)) {
            Ok(prepared) => prepared,
            Err(told) => return told,
        };
        let lanes = begun.unwrap_or(1);
        let waiting = match worker.index() {
            0 => self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        if let Some(desk) = self.desk.as_ref().filter(|_| worker.index() == 0) {
            let _ = desk.worker.set(std::thread::current()); // nobody else does
            if let Err(error) = self.open() {
                self.job.world.fail(error);
            }
        }
        let world = Arc::clone(&self.job.world);
        let report = Rc::new(move |lane: &Lane, answer: Answer| {
            let printed = as_json(&answer, None, Provenance::of(world.index().entry()));
            let nodes: Vec<NodeId> = answer.results.iter().map(|result| result.node).collect();
            (lane.tag, printed.to_string(), nodes)
        });
        // Who asked, by tag; only worker 0 has any.
        let askers: Rc<std::cell::RefCell<HashMap<u64, Sender<String>>>> = Rc::default();
        let (asked, mut tag) = (Rc::clone(&askers), 0);
        let plan = self.job.world.index().entry().plan.clone();
        let next = || {
            if self.stop.load(Ordering::Relaxed) {
                return Next::End;
            }
            let mut block = Block::default();
            for Waiting { asked: question, seeds, reply } in waiting.iter().flat_map(Receiver::try_iter).take(lanes) {
                let threshold = first_threshold(&plan, question.precision);
                block.add(Lane { number: 0, tag, asked: question, threshold, key: 0 }, &seeds);
                asked.borrow_mut().insert(tag, reply);
                tag += 1;
            }
            if block.is_empty() { Next::Wait } else { Next::Block(block) }
        };
        let (kinds, world) = (Arc::clone(&self.kinds), Arc::clone(&self.job.world));
        answer(
            worker,
            &worked,
            report,
            move |_, answers| {
                let to_first = Exchange::new(|_: &Reply| 0);
                answers.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(to_first, "Reply", move |_, _| {
                    move |input, _output| {
                        input.for_each(|_, answers: &mut Vec<Reply>| {
                            for (tag, answer, nodes) in answers.drain(..) {
                                let Some(asker) = askers.borrow_mut().remove(&tag) else { continue };
                                match completed(answer, &nodes, world.labels(), kinds.as_ref().as_ref()) {
                                    Ok(answer) => drop(asker.send(answer)), // who has hung up does not want it
                                    Err(error) => world.fail(error),
                                }
                            }
                        });
                    }
                })
            },
            next,
        )
    }
}

/// An answer on its way to the first worker: who asked, the answer as it is printed, and the nodes of its results.
type Reply = (u64, String, Vec<NodeId>);

/// Gives results their ids where those who put the answer together could not, and their types.
fn completed(printed: String, nodes: &[NodeId], labels: &Labels, kinds: Option<&Kinds>) -> Result<String> {
    let damaged = || Error::Request { what: "an answer came damaged from another process".into() };
    let mut answer: Value = serde_json::from_str(&printed).map_err(|_| damaged())?;
    let results = answer["results"].as_array_mut().filter(|results| results.len() == nodes.len());
    let mut changed = false;
    for (result, &node) in results.ok_or_else(damaged)?.iter_mut().zip(nodes) {
        if result["id"] == "" {
            result["id"] = labels.id(node)?.into();
            changed = true;
        }
        if let Some(kind) = kinds.and_then(|kinds| kinds.node_kind(node)) {
            result["type"] = kind.into();
            changed = true;
        }
    }
    Ok(if changed { answer.to_string() } else { printed })
}
