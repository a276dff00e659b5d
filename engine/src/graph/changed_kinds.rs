//! The types of nodes and edges after rows have changed.

use std::collections::{BTreeMap, BTreeSet};

use super::changed::ChangedRows;
use super::rows::Graph;
use crate::error::{Error, Result};
use crate::ids::{NodeId, StringTable};
use crate::kinds::{Codes, KindList, KindSets, KindTables};

/// What changed of the types of nodes and edges. Names need not have occurred before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedKinds {
    /// The types of nodes that have another one than before, or none any more.
    pub nodes: BTreeMap<NodeId, Option<String>>,
    /// The types of edges that have others than before, by source and target. Other edges of changed rows keep theirs, and
    /// have none where they are new.
    pub edges: BTreeMap<(NodeId, NodeId), BTreeSet<String>>,
}

impl KindTables {
    /// The types after some rows of `before` were replaced to make `after`: see [`Graph::with_rows`]. A name stays when nothing
    /// has its type any more. Cost: codes are copied; two passes over those of edges.
    ///
    /// # Errors
    /// When there are too many types, or a graph is damaged or is another than the tables are of.
    pub fn changed(
        &self,
        before: &Graph,
        after: &Graph,
        rows: &ChangedRows,
        changes: &ChangedKinds,
    ) -> Result<KindTables> {
        let foreign = |what: &str| Err(Error::Graph { what: format!("its types are not of its {what}") });
        if self.nodes.as_ref().is_some_and(|list| list.codes.len() != before.nodes()) {
            return foreign("nodes");
        }
        if self.edges.as_ref().is_some_and(|(.., codes)| codes.len() != before.edges()) {
            return foreign("edges");
        }
        Ok(KindTables {
            nodes: changed_nodes(self.nodes.as_ref(), before.nodes(), after.nodes(), &changes.nodes)?,
            edges: changed_edges(self.edges.as_ref(), before, after, rows, &changes.edges)?,
        })
    }
}

fn changed_nodes(
    list: Option<&KindList>,
    before: usize,
    after: usize,
    changes: &BTreeMap<NodeId, Option<String>>,
) -> Result<Option<KindList>> {
    let none = StringTable::default();
    let old = list.map_or(&none, |list| &list.names);
    let names = with_names(old, changes.values().flatten());
    if list.is_none() && names.is_empty() {
        return Ok(None);
    }
    let mut codes = list.map_or_else(|| Codes::zeros(before), |list| list.codes.clone());
    if names.len() != old.len() {
        let places = places_in(&names, old);
        let code_of = |code: u32| if code == 0 { 0 } else { places[code as usize - 1] + 1 };
        codes = codes.recoded(largest(&names)?, code_of);
    }
    (before..after).for_each(|_| codes.push(0));
    for (&node, kind) in changes {
        if codes.len() <= node as usize {
            return Err(Error::Graph { what: format!("node {node}, which has a type, is none") });
        }
        codes.set(node as usize, kind.as_ref().map_or(0, |kind| place(&names, kind) + 1));
    }
    // As wide as the names need, as in a graph that was built.
    let codes = codes.recoded(largest(&names)?, |code| code);
    Ok(Some(KindList { names, codes }))
}

fn changed_edges(
    table: Option<&(StringTable, KindSets, Codes)>,
    before: &Graph,
    after: &Graph,
    rows: &ChangedRows,
    changes: &BTreeMap<(NodeId, NodeId), BTreeSet<String>>,
) -> Result<Option<(StringTable, KindSets, Codes)>> {
    let none = (StringTable::default(), KindSets::of_single(0), Codes::zeros(0));
    let (old, old_sets, old_codes) = table.unwrap_or(&none);
    let names = with_names(old, changes.values().flatten());
    if table.is_none() && names.is_empty() {
        return Ok(None);
    }
    let places = places_in(&names, old);
    let mut sets = KindSets::of_names(&names)?;
    let number_of: Vec<u32> = (0..old_sets.len())
        .map(|set| {
            #[expect(clippy::cast_possible_truncation, reason = "sets are numbered in 32 bits")]
            let members = old_sets.members(set as u32).iter().map(|&place| places[place as usize]);
            sets.of(&members.collect::<Vec<u32>>())
        })
        .collect();
    let zeros = Codes::zeros(if table.is_none() { before.edges() } else { 0 });
    let old_codes = if table.is_none() { &zeros } else { old_codes };
    let same = number_of.iter().zip(0..).all(|(&new, old)| new == old);
    let recoded = (!same).then(|| {
        let largest = u32::try_from(sets.len()).unwrap_or(u32::MAX);
        old_codes.clone().recoded(largest, |set| number_of[set as usize])
    });
    let old_codes = recoded.as_ref().unwrap_or(old_codes);

    let mut codes = Codes::default();
    codes.reserve_exact(after.edges());
    let mut copied = 0;
    let changed = rows.keys().map(|&node| (node, true)).chain(changes.keys().map(|&(node, _)| (node, false)));
    for (node, _) in changed.collect::<BTreeMap<NodeId, bool>>() {
        let old =
            if (node as usize) < before.nodes() { before.row_range(node)? } else { before.edges()..before.edges() };
        if old.start < copied || old_codes.len() < old.end {
            return Err(before.damaged_row(node));
        }
        codes.extend_from(old_codes, copied..old.start);
        copied = old.end;
        let old_targets = &before.targets()[old.clone()];
        for &target in after.row(node)?.targets {
            codes.push(match changes.get(&(node, target)) {
                Some(kinds) => sets.of(&kinds.iter().map(|kind| place(&names, kind)).collect::<Vec<u32>>()),
                None => old_targets.binary_search(&target).map_or(0, |at| old_codes.get(old.start + at)),
            });
        }
    }
    codes.extend_from(old_codes, copied..old_codes.len());
    if codes.len() != after.edges() {
        return Err(Error::Graph { what: "the types of its edges are not those of its rows".to_owned() });
    }
    let (sets, codes) = sets.in_order(codes);
    Ok(Some((names, sets, codes)))
}

/// Names and those that are new, ascending.
fn with_names<'n>(names: &'n StringTable, new: impl Iterator<Item = &'n String>) -> StringTable {
    let all: BTreeSet<&str> = names.iter().chain(new.map(String::as_str)).collect();
    let mut table = StringTable::with_capacity(all.len(), all.iter().map(|name| name.len()).sum());
    all.iter().for_each(|name| table.push(name));
    table
}

fn place(names: &StringTable, name: &str) -> u32 {
    let place = names.rank(name).expect("all names were put among them");
    u32::try_from(place).expect("types are numbered in 32 bits")
}

/// Where each of some names is among all.
fn places_in(names: &StringTable, old: &StringTable) -> Vec<u32> {
    old.iter().map(|name| place(names, name)).collect()
}

fn largest(names: &StringTable) -> Result<u32> {
    u32::try_from(names.len()).map_err(|_| Error::Graph { what: "nodes have more than 2^32 types".to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{NodeOrder, build};
    use crate::kinds::Kinds;

    const NAMES: [&str; 5] = ["b", "c", "d", "a", "e"];

    type Edges = BTreeMap<(u32, u32), BTreeSet<String>>;

    /// A graph of these edges with their types, and those of nodes; each edge is there once for each type.
    fn built(
        nodes: u32,
        edges: &Edges,
        of_nodes: &[Option<&str>],
        names: [&BTreeSet<String>; 2],
    ) -> (Graph, KindTables) {
        let (mut list, mut codes) = (Vec::new(), Codes::default());
        let table = |names: &BTreeSet<String>| with_names(&StringTable::default(), names.iter());
        let [node_names, edge_names] = names.map(table);
        for (&(source, target), kinds) in edges {
            // Weight 2 in all, so that merging does not show in the weights.
            let weight = 2.0 / kinds.len().max(1) as f64;
            let own: Vec<u32> = kinds.iter().map(|kind| place(&edge_names, kind) + 1).collect();
            for code in if own.is_empty() { vec![0] } else { own } {
                list.push((source, target, weight));
                codes.push(code);
            }
        }
        let mut edge_list = EdgeList::numbered(nodes, &list, true);
        edge_list.kinds.edges = (!edge_names.is_empty()).then_some(KindList { names: edge_names, codes });
        if !node_names.is_empty() {
            let mut codes = Codes::default();
            of_nodes.iter().for_each(|kind| codes.push(kind.map_or(0, |kind| place(&node_names, kind) + 1)));
            edge_list.kinds.nodes = Some(KindList { names: node_names, codes });
        }
        let built = build(edge_list, NodeOrder::Id).unwrap();
        (built.graph, built.kinds)
    }

    fn written(tables: &KindTables) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("types.wpt");
        tables.write(&path).unwrap();
        std::fs::read(&path).unwrap()
    }

    fn edges() -> impl Strategy<Value = BTreeMap<(u32, u32), u8>> {
        prop::collection::btree_map((0u32..8, 0u32..8), 0u8..8, 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Oracle: the same edges with the same types, built.
        #[test]
        fn types_follow_their_edges(
            base in edges(),
            changed in edges(),
            of_nodes in prop::collection::vec(0usize..4, 6),
            changed_nodes in prop::collection::btree_map(0u32..8, 0usize..6, 0..5),
            (typed, retyped) in (any::<bool>(), any::<bool>()),
        ) {
            let kinds = |code: u8, names: &[&str]| -> BTreeSet<String> {
                (0..3).filter(|bit| code >> bit & 1 == 1).map(|bit| names[bit].to_owned()).collect()
            };
            let before: Edges = base.into_iter().filter(|&((source, target), _)| source < 6 && target < 6)
                .map(|(edge, code)| (edge, if typed { kinds(code, &NAMES[..3]) } else { BTreeSet::new() })).collect();
            let name = |code: usize| code.checked_sub(1).map(|place| NAMES[place]);
            let mut node_kinds: Vec<Option<&str>> = of_nodes.iter().map(|&code| name(code).filter(|_| typed)).collect();
            let names_of = |kinds: &[Option<&str>]| kinds.iter().flatten().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
            let all_kinds = |edges: &Edges| edges.values().flatten().cloned().collect::<BTreeSet<_>>();
            let (mut node_names, mut edge_names) = (names_of(&node_kinds), all_kinds(&before));
            let (graph, tables) = built(6, &before, &node_kinds, [&node_names, &edge_names]);
            let mut after = before.clone();
            let mut changes = ChangedKinds::default();
            // Codes 0 and 1 remove an edge, 2 leaves its types.
            for (edge, code) in changed {
                if code < 2 {
                    after.remove(&edge);
                } else if code == 2 {
                    after.entry(edge).or_default();
                } else if retyped {
                    after.insert(edge, kinds(code, &NAMES[2..]));
                    changes.edges.insert(edge, kinds(code, &NAMES[2..]));
                }
            }
            node_kinds.resize(8, None);
            for (node, code) in changed_nodes.into_iter().filter(|_| retyped) {
                node_kinds[node as usize] = name(code);
                changes.nodes.insert(node, name(code).map(str::to_owned));
            }
            let row_of = |edges: &Edges, node: u32| -> Vec<(u32, f64)> {
                edges.keys().filter(|edge| edge.0 == node).map(|edge| (edge.1, 2.0)).collect()
            };
            let rows: ChangedRows = (0..8).map(|node| (node, row_of(&after, node)))
                .filter(|(node, row)| row_of(&before, *node) != *row).collect();
            let new = graph.with_rows(8, &rows).unwrap();
            let got = tables.changed(&graph, &new, &rows, &changes).unwrap();
            node_names.extend(changes.nodes.values().flatten().cloned());
            edge_names.extend(changes.edges.values().flatten().cloned());
            let expected = built(8, &after, &node_kinds, [&node_names, &edge_names]).1;
            prop_assert!(written(&got) == written(&expected), "{:?}\n{:?}", got, expected);
            let held = Kinds::from(&got);
            prop_assert!(held.tables().unwrap() == got || got.is_empty());
            for (node, kind) in (0..8).zip(&node_kinds) {
                prop_assert_eq!(held.node_kind(node), *kind);
            }
            for ((position, edge), kinds) in (0..).zip(after.keys()).zip(after.values()) {
                prop_assert!(held.edge_kinds(position).eq(kinds), "{:?}", edge);
            }
        }
    }
}
