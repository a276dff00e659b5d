//! `walkprint inspect`.

use serde_json::json;
use walkprint_cluster::live::check;
use walkprint_cluster::load::imbalance;
use walkprint_engine::kinds::KindCount;
use walkprint_engine::parts::KindParts;
use walkprint_engine::store::{ShardEntry, Store};

use crate::arguments::InspectArguments;
use crate::terminal::{Outcome, count, print, print_json, size};

/// How many types are listed for people; `--json` has all.
const SHOWN: usize = 12;

pub(crate) fn run(arguments: InspectArguments) -> anyhow::Result<Outcome> {
    let store = Store::open(&arguments.store)?;
    let manifest = store.manifest();
    let (graph, report) = (&manifest.graph, &manifest.graph.report);
    let KindParts { kinds, missing } = KindParts::open(&store)?;
    let is_here = |shard: &ShardEntry| {
        let types = shard.types.as_ref().map(|types| &types.file);
        [&shard.file, &shard.labels_file].into_iter().chain(types).all(|file| store.path().join(file).exists())
    };
    if arguments.json {
        let mut described = serde_json::to_value(report)?;
        described["digest"] = json!(graph.digest);
        described["bytes"] = json!(graph.bytes);
        described["labels_bytes"] = json!(graph.labels_bytes);
        described["loaded"] = graph.loaded.clone();
        if store.is_sharded() {
            let shards = graph.shards.iter().map(|shard| {
                let mut described = serde_json::to_value(shard).expect("plain fields serialize");
                described["here"] = json!(is_here(shard));
                described
            });
            described["shards"] = json!(shards.collect::<Vec<_>>());
        }
        described["types"] = json!(kinds.as_ref().map(|kinds| {
            json!({ "nodes": kinds.count_nodes(), "edges": kinds.count_edges(), "bytes": kinds.bytes(),
                "shards_elsewhere": missing.len() })
        }));
        described["passages"] = json!(graph.passages.as_ref().map(|passages| passages.bytes));
        let indexes: Vec<_> = manifest
            .indexes
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name,
                    "generation": entry.generation,
                    "plan": entry.plan,
                    "entries": entry.entries,
                    "bytes": entry.bytes,
                    "segments": entry.segments.len(),
                    "fingerprint_digest": entry.fingerprint_digest,
                })
            })
            .collect();
        let mut printed = json!({ "generation": manifest.generation, "graph": described, "indexes": indexes });
        if let Some(live) = &manifest.live {
            let waiting = Waiting::of(&store)?;
            printed["events"] = json!({
                "waiting": waiting.events, "bytes": waiting.bytes, "absorbed": live.first_sequence, "decay": live.decay,
            });
        }
        print_json(&printed)?;
        return Ok(Outcome::Done);
    }
    let weights = match report.weight_range {
        Some((low, high)) if report.weighted => format!("weighted from {low} to {high}"),
        _ => "unweighted".into(),
    };
    let mut text = format!(
        "store     {}, generation {}\n\
         graph     {} nodes, {} directed edges, {weights}\n\
         \u{20}         {} dangling nodes, {} self-loops, largest out-degree {}, {} order\n\
         \u{20}         {} on disk, labels {}, digest {}\n",
        store.path().display(),
        manifest.generation,
        count(report.nodes),
        count(report.edges),
        count(report.dangling_nodes),
        count(report.self_loops),
        count(report.largest_degree),
        report.order,
        size(graph.bytes),
        size(graph.labels_bytes),
        &graph.digest[..16.min(graph.digest.len())],
    );
    if store.is_sharded() {
        let present = graph.shards.iter().filter(|shard| is_here(shard)).count();
        text += &format!(
            "shards    {}, of which {present} here; the largest {:.2} times the mean\n",
            graph.shards.len(),
            imbalance(&graph.shards)
        );
    }
    if let Some(kinds) = &kinds {
        let here = if missing.is_empty() { "" } else { " (of the shards that are here)" };
        text += &describe_kinds("node types", here, &kinds.count_nodes());
        text += &describe_kinds("edge types", here, &kinds.count_edges());
    }
    if let Some(passages) = store.passages()? {
        let bytes = graph.passages.as_ref().map_or(0, |entry| entry.bytes);
        text += &format!("passages  {} texts, {}\n", count(passages.len() as u64), size(bytes));
    }
    for entry in &manifest.indexes {
        text += &format!(
            "index     {:?}, generation {}: {}\n\
             \u{20}         {} entries in {} ({:.2} bytes an entry, {} segments), digest {}\n",
            entry.name,
            entry.generation,
            super::index::describe_plan(&entry.plan),
            count(entry.entries),
            size(entry.bytes),
            entry.bytes as f64 / entry.entries.max(1) as f64,
            entry.segments.len(),
            &entry.fingerprint_digest[..16.min(entry.fingerprint_digest.len())],
        );
    }
    if manifest.indexes.is_empty() {
        text += &format!("index     none yet: walkprint index {}\n", store.path().display());
    }
    if let Some(live) = &manifest.live {
        let Waiting { events, bytes } = Waiting::of(&store)?;
        let (events, absorbed) = (count(events), count(live.first_sequence));
        text += &format!("events    {events} wait ({}), {absorbed} were absorbed\n", size(bytes));
        if let Some(decay) = &live.decay {
            text += &format!("          weights halve every {} from {} on\n", decay.half_life, decay.from);
        }
    }
    print(&text)?;
    Ok(Outcome::Done)
}

/// Events that the graph has not absorbed.
struct Waiting {
    events: u64,
    bytes: u64,
}

impl Waiting {
    /// Reads the log of a store.
    fn of(store: &Store) -> anyhow::Result<Waiting> {
        let mut events = 0;
        let checked = check(store.path(), &mut |batch| {
            events += batch.events.len() as u64;
            Ok(())
        })?;
        Ok(Waiting { events, bytes: checked.files.iter().map(|(.., bytes)| bytes).sum() })
    }
}

/// The commonest types and how often they occur.
fn describe_kinds(what: &str, here: &str, counts: &[KindCount]) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let mut counts: Vec<&KindCount> = counts.iter().collect();
    counts.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    let shown: Vec<String> =
        counts.iter().take(SHOWN).map(|kind| format!("{} ({})", kind.name, count(kind.count))).collect();
    let more = match counts.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {} more (--json has all)", count(more as u64)),
    };
    format!("types     {} {what}{here}: {}{more}\n", count(counts.len() as u64), shown.join(", "))
}
