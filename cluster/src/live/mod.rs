//! Graphs that live: events arrive, answers stay right, the indexes catch up.
//!
//! ```text
//! events ─▶ Taker: checked ─▶ EventLog: kept ─▶ LiveGraph: counted ─▶ Now: answered from
//!                                                    │
//!                                                    └─▶ Changes ─▶ compact: a new generation, every index repaired
//! ```
//!
//! [`EventLog`] is where events are kept: a batch that it has taken is not lost any more. [`Batches`] reads them again, beside
//! the program that takes them. [`EventIds`] knows which events have come before. [`LiveGraph`] counts them by a differential
//! [`Dataflow`]; [`Edits`] follows them one by one, and is what it is compared with. [`Changes`] is what they come to: new rows, by
//! node number, and new nodes. [`compact()`] makes a new generation of a store of them: graph, labels, types, and every index
//! repaired. [`Now`] is the graph with its events, for who asks meanwhile; [`Overlay`] is the same from batch to batch, and a
//! [`Follower`] has it again and again.

mod record;

mod ids;

mod reading;

mod log;

mod changes;

mod edits;

mod dataflow;

mod graph;

mod overlay;

mod compact;

mod now;

mod taking;

mod decaying;

mod following;

pub use changes::Changes;
pub use compact::{CompactOptions, CompactOutcome, RepairedIndex, compact};
pub use dataflow::{Batch as PairBatch, Changed, Dataflow, Pair, PairChange, PairNow, RowNow};
pub use decaying::begin_decay;
pub use edits::{Edited, Edits};
pub use following::{Followed, Follower};
pub use graph::{LiveGraph, Missing, Refused, Staged};
pub use ids::{EventIds, MOST_IDS};
pub use log::{Appended, EventLog, Fsync, LogOptions, Opened, Sealed};
pub(crate) use now::replay;
pub use now::{Now, waiting};
pub use overlay::{Overlaid, Overlay};
pub(crate) use reading::check_from;
pub use reading::{Batch, Batches, Checked, Torn, check, extent};
pub use record::MOST_BATCH_BYTES;
pub use taking::{Absorbing, SoFar, Taken, Taker, absorb};
