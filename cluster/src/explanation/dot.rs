//! An explanation as a graph for Graphviz: `walkprint query … --explain dot | dot -Tpdf`.

use std::fmt::Write as _;

use super::picture::Picture;
use super::{number, shorten, visible};

const LONGEST_ID: usize = 40;
const LONGEST_KINDS: usize = 30;

/// A picture in the DOT language: seeds as boxes, results as circles whose area goes by the score, the others plain; edges
/// as wide as probable, with their types.
#[must_use]
pub fn dot(picture: &Picture) -> String {
    let mut out = String::from("digraph explanation {\n  rankdir=LR;\n");
    out += "  node [fontname=\"Helvetica\", fontsize=11, style=filled, fillcolor=\"#e5e7eb\", shape=ellipse];\n";
    out += "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#64748b\"];\n";
    let largest = picture.largest_score();
    for (place, node) in picture.nodes.iter().enumerate() {
        let mut label = quote(&shorten(&visible(&node.id), LONGEST_ID));
        let mut more = String::new();
        if let Some((rank, score)) = node.result {
            let _ = write!(label, "\\n{rank}. {}", number(score)); // writing to a string cannot fail
            let _ = write!(more, ", width={:.2}, fillcolor=\"#93c5fd\"", 0.4 + 1.2 * (score / largest).sqrt());
        }
        if node.seed {
            more += ", shape=box, fillcolor=\"#fcd34d\"";
        }
        let tooltip = quote(&visible(&node.id));
        let _ = writeln!(out, "  n{place} [label=\"{label}\", tooltip=\"{tooltip}\"{more}];");
    }
    let largest = picture.largest_flow();
    for edge in &picture.edges {
        let width = 0.6 + 4.4 * (edge.flow / largest).sqrt();
        let label = quote(&shorten(&visible(&edge.label()), LONGEST_KINDS));
        let tooltip = format!("probability {}, weight {}", number(edge.flow), number(edge.weight));
        let (source, target) = (edge.source, edge.target);
        let _ =
            writeln!(out, "  n{source} -> n{target} [label=\"{label}\", tooltip=\"{tooltip}\", penwidth={width:.2}];");
    }
    out + "}\n"
}

/// A visible text inside quotes. Graphviz reads backslashes and entities in labels.
fn quote(text: &str) -> String {
    text.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
}
