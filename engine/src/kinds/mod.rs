//! Types of nodes and edges, as users call them: `person`, `cites`. In the code a type is a *kind*, because `type` is a word
//! of the language.
//!
//! A loader hands over [`KindLists`]: names, and a small code for each node and each input edge. The graph builder carries
//! the codes along while it sorts; where it adds parallel edges up, the edge that remains has the [set](KindSets) of their
//! types. [`KindTables::write`] makes a file of the result, and [`Kinds`] reads it.
//!
//! File `types-G.wpt` (container: [`crate::file`]), *n* nodes, *m* edges; or `types-G-SSS.wpt` of the nodes of a shard and the
//! edges that leave them, in which names are those of all shards and sets those that occur in this one:
//!
//! ```text
//! section  element          count    what and why
//!       1  u8               ...      names of node types, ascending, one after the other (UTF-8)    (1 to 3: only when
//!       2  u32              k        where each name ends                                             nodes have types)
//!       3  u8, u16 or u32   n        0 for a node without a type, else 1 + the place of its name
//!       4  u8               ...      names of edge types                                            (4 to 8: only when
//!       5  u32              l        where each name ends                                             edges have types)
//!       6  u32              s        where each set of edge types ends in section 7
//!       7  u32              ...      sets, one after the other: places of names, ascending in each. First none, then
//!                                    each name alone, then all larger sets that an edge has, ascending
//!       8  u8, u16 or u32   m        the set of each edge, by its place in the graph's rows
//! ```
//!
//! Codes are as wide as the number of names or sets needs: up to 255 cost a byte a node, and a byte an edge. **What is in the
//! file follows from the types of nodes and edges alone**, so that [`gathered`](Kinds::gather) shards give the file of the
//! whole graph. (Tests: `shards_are_pieces_of_the_whole_graph`, `tests/tests/sharded_load.rs`.)

mod codes;

mod lists;

mod kind_file;

mod stored;

mod gather;

mod tables;

/// The type of nodes that stand for a text.
pub const PASSAGE: &str = "passage";
/// The type of nodes that stand for something with a name.
pub const ENTITY: &str = "entity";
/// The type of nodes that were found as a subject or an object, but not as a name.
pub const PHRASE: &str = "phrase";
/// The type of nodes that stand for a literal of RDF.
pub const LITERAL: &str = "literal";
/// The type of edges that lead from a passage to what it mentions.
pub const MENTIONS: &str = "mentions";
/// The type of edges between nodes that mean the same.
pub const SYNONYM: &str = "synonym";
/// The type of nodes that are users.
pub const USER: &str = "user";
/// The type of nodes that are items.
pub const ITEM: &str = "item";
/// What the id of a user's node begins with.
pub const USER_PREFIX: &str = "user:";
/// What the id of an item's node begins with.
pub const ITEM_PREFIX: &str = "item:";

pub use codes::Codes;
pub use kind_file::KindFile;
pub use lists::{KindList, KindLists, KindSets, KindTables};
pub use stored::{KindCount, Kinds};
