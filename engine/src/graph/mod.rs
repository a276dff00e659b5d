//! A weighted directed graph as compressed sparse rows (CSR): built once, mapped ever after.
//!
//! [`build`] turns an [`EdgeList`](crate::edges::EdgeList) into rows in a [`NodeOrder`] that keeps neighbours close in
//! memory; [`Graph::write`] and [`Graph::open`] are its file; [`Graph::row`] is what everything else reads. When edges come
//! and go, [`Graph::with_rows`] replaces rows of a graph.
//!
//! File `graph.wpg` (container: [`crate::file`]), *n* nodes, *m* edges:
//!
//! ```text
//! section  element          count    what and why
//!       1  u64              n + 1    row v is edges offsets[v] .. offsets[v + 1]
//!       2  u32              m        targets, ascending in each row, no repetition
//!       3  f32 or f64       m        weights, > 0; f32 when every weight is exactly an f32   (weighted graphs only)
//!       4  f64              n        sum of each row's weights, 0 for dangling nodes          (weighted graphs only)
//!       5  f64, u32, u32    m        alias table of each row: share, target, alias            (weighted graphs only)
//!                                    16 bytes, so that no slot lies across two cache lines
//!       6  u64              2        digest of the graph, low half first: see RowsDigest      (absent in the oldest files,
//!                                    whose digest is the file's)
//! ```
//!
//! A graph that was loaded by several processes lies in shards instead: see [`ShardFile`].
//!
//! **A row never has two edges to one target, nor an edge of weight zero.** (Test: `graph::builder::tests`.)

mod builder;
mod changed;
mod changed_kinds;
mod digest;
mod gather;
mod inflow;
mod order;
mod owners;
mod rows;
mod shard;
mod shard_builder;
mod shard_file;
mod shared_inflow;
mod twins;
mod walk_rows;

pub use builder::{BuildReport, BuiltGraph, build};
pub use changed::ChangedRows;
pub use changed_kinds::ChangedKinds;
pub use digest::RowsDigest;
pub use inflow::Inflow;
pub(crate) use inflow::{InWeights, Region, SLICE, Stretch};
pub use order::NodeOrder;
pub use owners::{CHUNK, Owners};
pub use rows::{Graph, Row, RowWeights};
pub use shard::{GraphShard, RowsToOwn};
pub use shard_builder::{BuiltShard, ShardBuilder};
pub use shard_file::{ShardFile, ShardId};
pub use shared_inflow::SharedInflow;
pub use walk_rows::{AliasSlot, CheckedRows, Steps, WalkRows};
