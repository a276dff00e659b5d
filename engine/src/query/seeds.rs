//! Seeds: the weighted set of nodes a question is personalised to.

use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::labels::Labels;

/// How many ids the hint of an unknown seed lists.
const HINTS: usize = 3;
/// How much of an unknown id is compared with known ones.
const HINT_CHARS: usize = 64;

/// A normalised weighted set of nodes: ascending, without repetition, every weight above zero, sum 1.
///
/// ```
/// use walkprint_engine::query::Seeds;
///
/// let seeds = Seeds::from_weights(5, vec![(3, 1.0), (0, 2.0), (3, 1.0), (4, 0.0)])?;
/// assert_eq!(seeds.weights(), [(0, 0.5), (3, 0.5)]);
/// # Ok::<(), walkprint_engine::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Seeds {
    weights: Vec<(NodeId, f64)>,
}

impl Seeds {
    /// Seeds from external ids. Repeated ids add up, weights of zero are left out. Cost: one look-up an id.
    ///
    /// # Errors
    /// [`Error::UnknownSeed`] when an id is no node (with a few ids that begin alike), [`Error::Seeds`] when a weight is
    /// negative, infinite or no number, or when nothing above zero is left.
    pub fn resolve(labels: &Labels, seeds: &[(String, f64)]) -> Result<Seeds> {
        let mut weights = Vec::with_capacity(seeds.len());
        for (id, weight) in seeds {
            check_weight(*weight, || format!("{id:?}"))?;
            match labels.node(id)? {
                Some(node) => weights.push((node, *weight)),
                None => return Err(Error::UnknownSeed { id: id.clone(), hint: hint(labels, id)? }),
            }
        }
        Seeds::normalised(weights)
    }

    /// Seeds from nodes of a graph of `nodes` nodes, in any order. Repeated nodes add up, weights of zero are left out.
    /// Cost: a sort, unless the nodes ascend already; every node of the graph may be a seed.
    ///
    /// # Errors
    /// [`Error::Seeds`] when a node is outside the graph, a weight is negative, infinite or no number, or when nothing
    /// above zero is left.
    pub fn from_weights(nodes: usize, weights: Vec<(NodeId, f64)>) -> Result<Seeds> {
        for &(node, weight) in &weights {
            if nodes <= node as usize {
                return Err(Error::Seeds {
                    what: format!("node {node} is outside the graph, which has {nodes} nodes"),
                });
            }
            check_weight(weight, || format!("node {node}"))?;
        }
        Seeds::normalised(weights)
    }

    /// One seed of weight 1.
    #[must_use]
    pub fn single(node: NodeId) -> Seeds {
        Seeds { weights: vec![(node, 1.0)] }
    }

    /// Nodes and weights: ascending by node, weights above zero, sum 1.
    #[must_use]
    pub fn weights(&self) -> &[(NodeId, f64)] {
        &self.weights
    }

    /// Expects weights that are finite and not negative.
    fn normalised(mut weights: Vec<(NodeId, f64)>) -> Result<Seeds> {
        if weights.is_empty() {
            return Err(Error::Seeds { what: "there are none; name at least one node".to_owned() });
        }
        // Divided by the largest weight first, so that a sum of huge weights stays finite.
        let largest = weights.iter().map(|&(_, weight)| weight).fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(Error::Seeds {
                what: "all weights are zero; give at least one a weight above zero".to_owned(),
            });
        }
        weights.iter_mut().for_each(|(_, weight)| *weight /= largest);
        if !weights.is_sorted_by_key(|&(node, _)| node) {
            weights.sort_by_key(|&(node, _)| node);
        }
        weights.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 += later.1;
            }
            same
        });
        let sum: f64 = weights.iter().map(|&(_, weight)| weight).sum();
        weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
        weights.retain(|&(_, weight)| 0.0 < weight);
        Ok(Seeds { weights })
    }
}

fn check_weight(weight: f64, whose: impl FnOnce() -> String) -> Result<()> {
    if weight.is_finite() && 0.0 <= weight {
        return Ok(());
    }
    let whose = whose();
    Err(Error::Seeds { what: format!("{whose} has weight {weight}; expected a finite number that is not negative") })
}

/// Ids that share the longest beginning with an unknown one, as a phrase to append to the message.
fn hint(labels: &Labels, id: &str) -> Result<String> {
    let trimmed = id.trim();
    if trimmed != id && labels.node(trimmed)?.is_some() {
        return Ok(format!("; {trimmed:?} without blanks around it is"));
    }
    if labels.are_integers() {
        let integer = crate::ids::canonical_integer(id.as_bytes()).is_some();
        return Ok(if integer { String::new() } else { "; its ids are integers".to_owned() });
    }
    let ends: Vec<usize> =
        id.char_indices().map(|(start, letter)| start + letter.len_utf8()).take(HINT_CHARS).collect();
    for &end in ends.iter().rev() {
        let alike = labels.with_prefix(&id[..end], HINTS)?;
        if !alike.is_empty() {
            let quoted: Vec<String> = alike.iter().map(|id| format!("{id:?}")).collect();
            return Ok(format!("; ids that begin alike: {}", quoted.join(", ")));
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ExternalIds, StringTable};

    fn write(ids: &ExternalIds) -> (tempfile::TempDir, Labels) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.wpl");
        let ranks: Vec<u32> = (0..u32::try_from(ids.len()).unwrap()).collect();
        Labels::write(&path, ids, &ranks).unwrap();
        (directory, Labels::open(&path).unwrap())
    }

    fn words() -> (tempfile::TempDir, Labels) {
        let mut table = StringTable::default();
        ["cat", "dog", "dog.n", "dogma", "dot", "ünï"].iter().for_each(|id| table.push(id));
        write(&ExternalIds::Strings(table))
    }

    fn message(labels: &Labels, seeds: &[(&str, f64)]) -> String {
        let seeds: Vec<(String, f64)> = seeds.iter().map(|&(id, weight)| (id.to_owned(), weight)).collect();
        Seeds::resolve(labels, &seeds).unwrap_err().to_string()
    }

    #[test]
    fn repeated_ids_add_up_and_zero_weights_are_left_out() {
        let (_directory, labels) = words();
        let seeds =
            [("dog".to_owned(), 1.0), ("cat".to_owned(), 1.0), ("dog".to_owned(), 2.0), ("dot".to_owned(), 0.0)];
        assert_eq!(Seeds::resolve(&labels, &seeds).unwrap().weights(), [(0, 0.25), (1, 0.75)]);
    }

    #[test]
    fn an_unknown_id_is_named_with_ids_that_begin_alike() {
        let (_directory, labels) = words();
        let text = message(&labels, &[("dogs", 1.0)]);
        assert!(text.contains(r#"seed "dogs" is no node"#) && text.contains(r#""dog", "dog.n", "dogma""#), "{text}");
        assert!(message(&labels, &[("ünknown", 1.0)]).contains("ünï"));
        assert!(message(&labels, &[(" cat ", 1.0)]).contains(r#""cat" without blanks"#));
        assert!(!message(&labels, &[("zebra", 1.0)]).contains(';'));
        assert!(!message(&labels, &[("", 1.0)]).contains(';'));
        let (_directory, labels) = write(&ExternalIds::Integers(vec![1, 2]));
        assert!(message(&labels, &[("one", 1.0)]).contains("integers"));
        assert!(!message(&labels, &[("3", 1.0)]).contains(';'));
    }

    #[test]
    fn weights_that_make_no_distribution_are_refused() {
        let (_directory, labels) = words();
        for weight in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(message(&labels, &[("cat", weight)]).contains(&format!("weight {weight}")));
            assert!(matches!(Seeds::from_weights(3, vec![(1, weight)]), Err(Error::Seeds { .. })));
        }
        assert!(message(&labels, &[]).contains("there are none"));
        assert!(message(&labels, &[("cat", 0.0), ("dog", -0.0)]).contains("all weights are zero"));
        assert!(matches!(Seeds::from_weights(3, vec![(3, 1.0)]), Err(Error::Seeds { .. })));
    }

    #[test]
    fn huge_and_tiny_weights_keep_their_proportions() {
        let huge = Seeds::from_weights(3, vec![(0, f64::MAX), (1, f64::MAX)]).unwrap();
        assert_eq!(huge.weights(), [(0, 0.5), (1, 0.5)]);
        let tiny = Seeds::from_weights(3, vec![(0, f64::MIN_POSITIVE / 4.0), (1, f64::MIN_POSITIVE / 4.0)]).unwrap();
        assert_eq!(tiny.weights(), [(0, 0.5), (1, 0.5)]);
    }
}
