//! An explanation in lines for a terminal.

use walkprint_engine::query::{Contribution, Explained, Explanation, Hop, Path, PathStatus, Searched};

use super::{number, percent, shorten, visible};

/// Lines are broken before they get longer, as far as ids allow.
const WIDTH: usize = 100;
/// Longer ids are shortened: the table of results has them whole.
const LONGEST_ID: usize = 60;
/// Contributions of this share at least are told one by one, ...
const LEAST_SHARE: f64 = 0.005;
/// ... this many at most.
const MOST_SEEDS: usize = 5;
/// What the other seeds contribute is told from this share on.
const LEAST_TOLD: f64 = 1e-6;

/// An explanation as text: for each result what seeds contribute, then its paths, with the share of the score that walks
/// along the very path have, and the path's probability. At most 100 columns wide, unless ids are long.
#[must_use]
pub fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    for (place, result) in explanation.results.iter().enumerate() {
        out += &format!("{}  {}\n", place + 1, name(&result.id));
        wrap(&mut out, "   ", contributions(result).split_inclusive(", "));
        for path in &result.paths {
            let head = format!("   {:>8}  {:<9} ", percent(path.share), number(path.probability));
            wrap(&mut out, &head, steps(path).iter().map(String::as_str));
        }
        if let Some(note) = note(result, &explanation.searched) {
            out += &format!("   {note}\n");
        }
    }
    out += "\nBefore each path: the share of the score that walks along this very path have, and its probability.\n";
    out
}

fn name(id: &str) -> String {
    shorten(&visible(id), LONGEST_ID)
}

/// Puts parts on lines, the first after `head`, the others below it.
fn wrap<'p>(out: &mut String, head: &str, parts: impl Iterator<Item = &'p str>) {
    let indent = head.chars().count();
    *out += head;
    let mut at = indent;
    for part in parts {
        let width = part.trim_end().chars().count();
        if indent < at && WIDTH < at + width {
            out.truncate(out.trim_end().len());
            *out += "\n";
            *out += &" ".repeat(indent);
            at = indent;
        }
        *out += part;
        at += part.chars().count();
    }
    out.truncate(out.trim_end().len());
    *out += "\n";
}

/// `62 % from bank.n.02, 30 % from money.n.01, 8.0 % from 3 other seeds`
fn contributions(result: &Explained) -> String {
    let told = |one: &&Contribution| LEAST_SHARE <= one.share;
    let mut shown = result.contributions.iter().filter(told).count().min(MOST_SEEDS);
    // A single seed more is told by its name, if it contributes anything.
    if let (Some(last), None) = (result.contributions.get(shown), result.others)
        && shown + 1 == result.contributions.len()
        && LEAST_TOLD <= last.share
    {
        shown += 1;
    }
    let (shown, rest) = result.contributions.split_at(shown);
    let mut parts: Vec<String> = shown.iter().map(contribution).collect();
    let seeds = rest.len() + result.others.map_or(0, |others| others.seeds);
    let share = rest.iter().map(|one| one.share).sum::<f64>() + result.others.map_or(0.0, |others| others.share);
    if 0 < seeds && LEAST_TOLD <= share {
        let what = match (seeds, shown.is_empty()) {
            (1, _) => "1 other seed".to_owned(),
            (_, true) => format!("{seeds} seeds together"),
            (_, false) => format!("{seeds} other seeds together"),
        };
        parts.push(format!("{} from {what}", percent(share)));
    }
    parts.join(", ")
}

fn contribution(one: &Contribution) -> String {
    let from = format!("{} from {}", percent(one.share), name(&one.id));
    if one.restarted == 0.0 {
        return from;
    }
    // Under `uniform` some walks began again at any node.
    let again = one.restarted / one.score * one.share;
    format!("{from} ({} of it begun again anywhere)", percent(again))
}

/// The first node, then an arrow and a node each.
fn steps(path: &Path) -> Vec<String> {
    let mut ids = path.ids.iter().map(|id| name(id));
    let mut parts: Vec<String> = ids.next().into_iter().collect();
    if path.edges.is_empty() {
        parts.push(" is a seed itself".to_owned());
    }
    parts.extend(path.edges.iter().zip(ids).map(|(edge, id)| format!(" {} {id}", arrow(edge))));
    parts
}

/// `->`, `-[hypernym]->`, `-[2.5]->`, `-[rates 4]->`
fn arrow(edge: &Hop) -> String {
    let mut words: Vec<String> = Vec::new();
    if !edge.kinds.is_empty() {
        words.push(name(&edge.kinds.join(", ")));
    }
    if edge.weight != 1.0 {
        words.push(number(edge.weight));
    }
    if words.is_empty() { "->".to_owned() } else { format!("-[{}]->", words.join(" ")) }
}

fn note(result: &Explained, searched: &Searched) -> Option<String> {
    let (read, floor) = (searched.edges_read, number(searched.floor));
    match result.status {
        PathStatus::Best => None,
        PathStatus::Bounded => {
            Some(format!("better paths are possible: {read} edges were read, which shows all above {floor}"))
        }
        PathStatus::Beyond => {
            Some(format!("no path was met: {read} edges were read, which shows all of a probability above {floor}"))
        }
        PathStatus::Unreachable => Some("no path from the seeds leads here".to_owned()),
    }
}
