//! From interactions to a graph: nodes with the types `user` and `item`, every interaction walked both ways.

use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::{Codes, KindList, KindLists};

pub use walkprint_engine::kinds::{ITEM, ITEM_PREFIX, USER, USER_PREFIX};

use super::{Interactions, Reading};
use crate::LoadReport;

impl Interactions {
    /// The graph, and what a load reports of it. Users and items without interactions are nodes too. Edges have weights unless
    /// all would weigh 1. Memory: 32 bytes an interaction beside its own, and the ids.
    #[must_use]
    pub fn into_edges(self) -> (EdgeList, LoadReport) {
        let Interactions { users, items, rows, timed, rated, read } = self;
        // "item:" comes before "user:".
        let (item_order, item_rank) = ascending(&items, 0);
        let (user_order, user_rank) = ascending(&users, items.len());
        let nodes = items.len() + users.len();
        let mut ids = StringTable::default();
        let mut push = |prefix: &str, texts: &StringTable, order: &[u32]| {
            order.iter().for_each(|&at| ids.push(&format!("{prefix}{}", texts.get(at as usize))));
        };
        push(ITEM_PREFIX, &items, &item_order);
        push(USER_PREFIX, &users, &user_order);
        let mut names = StringTable::default();
        names.push(ITEM);
        names.push(USER);
        let mut codes = Codes::with_capacity(nodes, 2);
        (0..nodes).for_each(|node| codes.push(if node < items.len() { 1 } else { 2 }));
        let mut sources = Vec::with_capacity(2 * rows.len());
        let mut targets = Vec::with_capacity(2 * rows.len());
        let mut weights =
            (rated && rows.iter().any(|row| row.weight != 1.0)).then(|| Vec::with_capacity(2 * rows.len()));
        for row in &rows {
            let (user, item) = (user_rank[row.user as usize], item_rank[row.item as usize]);
            sources.extend([user, item]);
            targets.extend([item, user]);
            if let Some(weights) = &mut weights {
                weights.extend([row.weight; 2]);
            }
        }
        let zeros = rows.iter().filter(|row| row.weight == 0.0).count() as u64;
        let mut report = report(read, users.len(), items.len(), rated, timed);
        (report.edges_read, report.zero_weight_edges) = (rows.len() as u64, zeros);
        let nodes = Some(KindList { names, codes });
        let ids = ExternalIds::Strings(ids);
        (EdgeList { ids, sources, targets, weights, kinds: KindLists { nodes, edges: None } }, report)
    }
}

/// The places of a table's texts in ascending order, and the rank of each place, counted from `first`.
fn ascending(texts: &StringTable, first: usize) -> (Vec<u32>, Vec<u32>) {
    let count = u32::try_from(texts.len()).expect("ids are numbered by 32 bits");
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by(|&a, &b| texts.get(a as usize).cmp(texts.get(b as usize)));
    let mut rank = vec![0; texts.len()];
    for (at, &place) in order.iter().enumerate() {
        rank[place as usize] = u32::try_from(first + at).expect("fewer users and items than nodes can be numbered");
    }
    (order, rank)
}

fn report(read: Reading, users: usize, items: usize, rated: bool, timed: bool) -> LoadReport {
    let columns = read.columns;
    let mut notes = vec![format!("{users} users and {items} items, each with ids of their own: user:ID and item:ID")];
    if read.below_rating != 0 {
        notes.push(format!("{} interactions left out because of their rating", read.below_rating));
    }
    if columns.weight.is_some() && !rated {
        notes.push("ratings are not looked at".to_owned());
    }
    if let Some(time) = columns.time.filter(|_| timed) {
        notes.push(format!("times in the column {time}"));
    }
    LoadReport {
        format: read.format,
        files: read.files,
        bytes_read: read.bytes_read,
        bytes_parsed: read.bytes_parsed,
        lines: read.lines,
        comment_lines: 0,
        malformed: 0,
        edges_read: 0,
        self_loops: 0,
        zero_weight_edges: 0,
        source_column: columns.user,
        target_column: columns.item,
        weight_column: columns.weight.filter(|_| rated),
        type_column: None,
        types_used: false,
        edge_types: 0,
        typed_edges: 0,
        node_types: 2,
        typed_nodes: (users + items) as u64,
        ignored_columns: columns.ignored,
        weight_min: read.rating_range.map(|(low, _)| low).filter(|_| rated),
        weight_max: read.rating_range.map(|(_, high)| high).filter(|_| rated),
        nodes: (users + items) as u64,
        integer_ids: false,
        notes,
    }
}
