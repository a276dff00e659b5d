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

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::query::{Answer, Method};
use walkprint_engine::store::Store;

pub use connection::ask;
pub use printed::{Provenance, as_json};
pub use question::{Id, Request, Seed, typed_seed};

use crate::choice::{Wanted, choose_index};
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::sharded::budget::{Budget, Measures};
use crate::sharded::lane::{Asked, Lane};
use crate::sharded::tracks::{Block, Next};
use crate::sharded::work::{Job, work};
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
    let (graph, labels) = (store.graph()?, store.labels()?);
    let wanted =
        Wanted { index: options.index.as_deref(), restart_prob: options.restart_prob, method: Method::Combine };
    let (index, _) = choose_index(&store, &graph, wanted)?;
    let index = index.ok_or_else(|| Error::Request { what: "a server needs an index".into() })?;
    let world = Arc::new(World::new(graph, labels, index));
    let (nodes, edges) = world.size();
    let lanes = Budget::new(
        Measures {
            nodes: nodes as u64,
            edges: edges as u64,
            weighted: world.is_weighted(),
            index: world.index().entry(),
            precision: USUAL_PRECISION,
            workers: (processes.workers() as u64, processes.all_workers() as u64),
            besides: if options.uniform { 12 * nodes as u64 } else { 0 },
        },
        options.memory_bytes,
    )?
    .lanes;
    let job = Job {
        owners: world.owners(processes.all_workers()),
        world: Arc::clone(&world),
        workers: processes.workers(),
        uniform: options.uniform,
    };
    let kinds = Arc::new(store.kinds()?);
    let (questions, waiting) = channel();
    let desk = (processes.process() == 0).then(|| {
        let questions = Mutex::new(questions);
        Arc::new(Desk { world: Arc::clone(&world), uniform: options.uniform, questions, worker: OnceLock::new() })
    });
    if let Some(desk) = &desk {
        let path = Path::new("--listen").join(options.listen.to_string());
        let listener = TcpListener::bind(options.listen).map_err(EngineError::io(&path, "listen"))?;
        let address = listener.local_addr().map_err(EngineError::io(&path, "listen"))?;
        connection::listen(listener, Arc::clone(desk), Arc::clone(stop))?;
        ready(address);
    }
    let serving = Serving {
        job,
        kinds,
        desk,
        lanes: usize::try_from(lanes).unwrap_or(usize::MAX),
        waiting: Mutex::new(Some(waiting)),
        stop: Arc::clone(stop),
    };
    let told = processes.run(move |worker| serving.work(worker), tick)?;
    match world.failure() {
        Some(error) => Err(error),
        None => match told.into_iter().flatten().flatten().next() {
            Some(what) => Err(Error::Request { what: format!("another process failed: {what}") }),
            None => Ok(()),
        },
    }
}

/// What the workers of a process do.
struct Serving {
    job: Job,
    kinds: Arc<Option<Kinds>>,
    desk: Option<Arc<Desk>>,
    lanes: usize,
    /// For worker 0.
    waiting: Mutex<Option<Receiver<Waiting>>>,
    stop: Arc<AtomicBool>,
}

impl Serving {
    fn work(&self, worker: &mut Worker) -> Vec<Option<String>> {
        let waiting = match worker.index() {
            0 => self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        if let Some(desk) = self.desk.as_ref().filter(|_| worker.index() == 0) {
            let _ = desk.worker.set(std::thread::current()); // nobody else does
        }
        let (kinds, world) = (Arc::clone(&self.kinds), Arc::clone(&self.job.world));
        let report = Rc::new(move |lane: &Lane, answer: Answer| {
            let printed = as_json(&answer, kinds.as_ref().as_ref(), Provenance::of(world.index().entry()));
            (lane.tag, printed.to_string())
        });
        // Who asked, by tag; only worker 0 has any.
        let askers: Rc<std::cell::RefCell<HashMap<u64, Sender<String>>>> = Rc::default();
        let (asked, mut tag) = (Rc::clone(&askers), 0);
        let plan = self.job.world.index().plan().clone();
        let next = || {
            if self.stop.load(Ordering::Relaxed) {
                return Next::End;
            }
            let mut block = Block::default();
            for Waiting { asked: question, seeds, reply } in
                waiting.iter().flat_map(Receiver::try_iter).take(self.lanes)
            {
                let threshold = first_threshold(&plan, question.precision);
                block.add(Lane { number: 0, tag, asked: question, threshold, key: 0 }, &seeds);
                asked.borrow_mut().insert(tag, reply);
                tag += 1;
            }
            if block.is_empty() { Next::Wait } else { Next::Block(block) }
        };
        work(
            worker,
            &self.job,
            report,
            move |_, answers| {
                let to_first = Exchange::new(|_: &(u64, String)| 0);
                answers.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(to_first, "Reply", move |_, _| {
                    move |input, _output| {
                        input.for_each(|_, answers: &mut Vec<(u64, String)>| {
                            for (tag, answer) in answers.drain(..) {
                                if let Some(asker) = askers.borrow_mut().remove(&tag) {
                                    let _ = asker.send(answer); // who has hung up does not want it
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
