//! Whose answers a batch gives, in the order in which they are written: by external id.

use std::path::Path;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::Seeds;
use walkprint_engine::store::Store;
use xxhash_rust::xxh3::Xxh3;

use super::options::{BatchOptions, Sources, Unknown};
use crate::error::{Error, Result};

/// The sources of a batch.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Ascending by external id.
    pub(crate) nodes: Vec<NodeId>,
    /// Lines of the list that are no nodes and were left out.
    pub(crate) skipped_unknown: u64,
}

impl Resolved {
    /// Finds all sources. Memory: 4 bytes a source; 12 more for each of a list.
    ///
    /// # Errors
    /// When a list cannot be read, names a node twice, or names what is no node and that is not to be skipped; when no node
    /// has the type.
    pub(crate) fn new(options: &BatchOptions, store: &Store, labels: &Labels) -> Result<Resolved> {
        let resolved = match &options.sources {
            Sources::Kind(name) => Resolved { nodes: of_kind(name, store, labels)?, skipped_unknown: 0 },
            Sources::All => Resolved { nodes: all(labels)?, skipped_unknown: 0 },
            Sources::File(file) => read(file, options.unknown, labels)?,
        };
        if resolved.nodes.is_empty() {
            let what = match resolved.skipped_unknown {
                0 => "there are no sources; name at least one".into(),
                skipped => format!("there are no sources: none of {skipped} ids is a node of this graph"),
            };
            return Err(Error::Request { what });
        }
        Ok(resolved)
    }

    /// A digest of who the sources are.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Xxh3::new();
        self.nodes.iter().for_each(|node| hasher.update(&node.to_le_bytes()));
        format!("{:032x}", hasher.digest128())
    }
}

/// All nodes by rank.
fn all(labels: &Labels) -> Result<Vec<NodeId>> {
    let nodes = NodeId::try_from(labels.len()).expect("nodes are numbered in 32 bits");
    let mut by_rank = vec![0; labels.len()];
    for node in 0..nodes {
        let rank = labels.rank(node)? as usize;
        // A damaged label file may hold any rank.
        *by_rank.get_mut(rank).ok_or_else(|| Error::Request {
            what: format!("rank {rank} of node {node} is outside the graph; try `walkprint verify`"),
        })? = node;
    }
    Ok(by_rank)
}

fn of_kind(name: &str, store: &Store, labels: &Labels) -> Result<Vec<NodeId>> {
    let Some(kinds) = store.kinds()? else {
        let path = store.path().display();
        let what =
            format!("{path}: its nodes have no types; load it with --node-types FILE, or name the sources in a file");
        return Err(Error::Request { what });
    };
    let nodes = kinds.nodes_of(name)?.into_iter().map(|node| Ok((labels.rank(node)?, node)));
    let mut by_rank = nodes.collect::<Result<Vec<(u32, NodeId)>>>()?;
    by_rank.sort_unstable();
    Ok(by_rank.into_iter().map(|(_, node)| node).collect())
}

fn read(file: &Path, unknown: Unknown, labels: &Labels) -> Result<Resolved> {
    let bytes = std::fs::read(file).map_err(EngineError::io(file, "read the sources"))?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes); // a byte order mark
    let refuse = |line, what| Err(Error::SourceLine { file: file.to_owned(), line, what });
    let mut listed: Vec<(u32, u64, NodeId)> = Vec::new();
    let mut skipped_unknown = 0;
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = at as u64 + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let Ok(id) = std::str::from_utf8(line) else {
            return refuse(number, format!("expected an id in UTF-8, got {:?}", String::from_utf8_lossy(line)));
        };
        match labels.node(id)? {
            Some(node) => listed.push((labels.rank(node)?, number, node)),
            None if unknown == Unknown::Skip => skipped_unknown += 1,
            None => return refuse(number, describe_unknown(labels, id)),
        }
    }
    listed.sort_unstable();
    let repeated = listed.windows(2).filter(|pair| pair[0].0 == pair[1].0).min_by_key(|pair| pair[1].1);
    if let Some(&[(_, first, node), (_, again, _)]) = repeated {
        return refuse(again, format!("{:?} is on line {first} already; name every source once", labels.id(node)?));
    }
    Ok(Resolved { nodes: listed.into_iter().map(|(_, _, node)| node).collect(), skipped_unknown })
}

/// The engine's words for a seed that is no node, with its hint, for a source.
fn describe_unknown(labels: &Labels, id: &str) -> String {
    let hint = match Seeds::resolve(labels, &[(id.to_owned(), 1.0)]) {
        Err(EngineError::UnknownSeed { hint, .. }) => hint,
        _ => String::new(),
    };
    format!("{id:?} is no node of this graph{hint}; correct it, or give --unknown skip")
}

#[cfg(test)]
mod tests {
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::NodeOrder;
    use walkprint_engine::ids::{ExternalIds, StringTable};
    use walkprint_engine::kinds::KindLists;

    use super::*;
    use crate::load::store_edges;

    /// A store of ant, bee, cat and dog, in this order of degree: nodes 3, 2, 0, 1.
    fn animals(path: &Path) -> Store {
        let mut table = StringTable::default();
        ["ant", "bee", "cat", "dog"].iter().for_each(|id| table.push(id));
        let edges = EdgeList {
            ids: ExternalIds::Strings(table),
            sources: vec![2, 2, 2, 3, 3, 1],
            targets: vec![0, 1, 3, 0, 1, 0],
            weights: None,
            kinds: KindLists::default(),
        };
        store_edges(path, edges, NodeOrder::Degree).unwrap();
        Store::open(path).unwrap()
    }

    fn resolve(list: Option<&[u8]>, unknown: Unknown) -> std::result::Result<(Vec<String>, u64), String> {
        let directory = tempfile::tempdir().unwrap();
        let mut options = BatchOptions::new(directory.path());
        options.unknown = unknown;
        if let Some(list) = list {
            let file = directory.path().join("list.txt");
            std::fs::write(&file, list).unwrap();
            options.sources = Sources::File(file);
        }
        let store = animals(&directory.path().join("a.wp"));
        let labels = store.labels().unwrap();
        let named = |node: NodeId| labels.id(node).unwrap();
        let resolved = Resolved::new(&options, &store, &labels);
        resolved.map(|found| (found.nodes.into_iter().map(named).collect(), found.skipped_unknown)).map_err(|error| {
            let text = error.to_string();
            text.split_once("list.txt:").map_or(text.clone(), |(_, rest)| rest.to_owned())
        })
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn sources_stand_in_the_order_of_their_ids() {
        assert_eq!(resolve(None, Unknown::Refuse), Ok((ids(&["ant", "bee", "cat", "dog"]), 0)));
        assert_eq!(resolve(Some(b"dog\nant\r\n\ncat"), Unknown::Refuse), Ok((ids(&["ant", "cat", "dog"]), 0)));
        assert_eq!(resolve(Some(b"\xEF\xBB\xBFdog\n"), Unknown::Refuse), Ok((ids(&["dog"]), 0)));
    }

    #[test]
    fn lists_that_cannot_be_used_are_refused_by_line() {
        let refused = |list: &[u8]| resolve(Some(list), Unknown::Refuse).unwrap_err();
        assert!(refused(b"dog\ncow\n").starts_with("2: \"cow\" is no node"));
        assert!(refused(b"dog\ndo\n").contains("\"dog\""), "no hint");
        assert!(refused(b"dog\ncat\n\ncat\ndog\n").starts_with("4: \"cat\" is on line 2"));
        assert!(refused(b"dog\n\xFF\n").starts_with("2: expected an id in UTF-8"));
        assert!(refused(b"\n\n").contains("no sources"));
    }

    #[test]
    fn unknown_ids_may_be_skipped_and_are_counted() {
        assert_eq!(resolve(Some(b"cow\ndog\nelk\n"), Unknown::Skip), Ok((ids(&["dog"]), 2)));
        assert!(resolve(Some(b"cow\n"), Unknown::Skip).unwrap_err().contains("none of 1 ids"));
    }

    #[test]
    fn the_digest_tells_sources_apart() {
        let of = |nodes: Vec<NodeId>| Resolved { nodes, skipped_unknown: 0 }.digest();
        assert_eq!(of(vec![1, 2]), of(vec![1, 2]));
        assert!(of(vec![1, 2]) != of(vec![2, 1]) && of(vec![1, 2]) != of(vec![1]));
    }
}
