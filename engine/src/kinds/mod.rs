//! Types of nodes and edges, as users call them: `person`, `cites`. In the code a type is a *kind*, because `type` is a word
//! of the language.
//!
//! A loader hands over [`KindLists`]: names, and a small code for each node and each input edge. The graph builder carries
//! the codes along while it sorts; where it adds parallel edges up, the edge that remains has the [set](KindSets) of their
//! types. [`KindTables::write`] makes a file of the result, and [`Kinds`] reads it.
//!
//! File `types-G.wpt` (container: [`crate::file`]), *n* nodes, *m* edges:
//!
//! ```text
//! section  element          count    what and why
//!       1  u8               ...      names of node types, ascending, one after the other (UTF-8)    (1 to 3: only when
//!       2  u32              k        where each name ends                                             nodes have types)
//!       3  u8, u16 or u32   n        0 for a node without a type, else 1 + the place of its name
//!       4  u8               ...      names of edge types                                            (4 to 8: only when
//!       5  u32              l        where each name ends                                             edges have types)
//!       6  u32              s        where each set of edge types ends in section 7
//!       7  u32              ...      sets, one after the other: places of names, ascending in each
//!       8  u8, u16 or u32   m        the set of each edge, by its place in the graph's rows
//! ```
//!
//! Codes are as wide as the largest needs: up to 255 types cost a byte a node, and a byte an edge.

mod codes;

mod lists;

mod stored;

pub use codes::Codes;
pub use lists::{KindList, KindLists, KindSets, KindTables};
pub use stored::{KindCount, Kinds};
