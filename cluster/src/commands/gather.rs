//! `walkprint gather`.

use serde_json::json;
use walkprint_cluster::gather::gather_store;

use crate::arguments::GatherArguments;
use crate::terminal::{Outcome, count, print, print_json, size, stop_flag};

pub(crate) fn run(arguments: GatherArguments) -> anyhow::Result<Outcome> {
    let stop = stop_flag()?;
    let manifest = gather_store(&arguments.parts, &arguments.into, arguments.replace, &stop)?;
    let graph = &manifest.graph;
    if arguments.json {
        print_json(&json!({
            "store": arguments.into.display().to_string(),
            "graph": graph.report,
            "digest": graph.digest,
            "bytes": graph.bytes + graph.labels_bytes,
            "indexes": manifest.indexes.iter().map(|index| &index.name).collect::<Vec<_>>(),
        }))?;
        return Ok(Outcome::Done);
    }
    let mut text = format!(
        "graph     {} nodes, {} directed edges, {}, all checksums fit\nstored    {}\n",
        count(graph.report.nodes),
        count(graph.report.edges),
        size(graph.bytes + graph.labels_bytes),
        arguments.into.display()
    );
    for index in &manifest.indexes {
        text += &format!("index     {:?}: {} entries in {}\n", index.name, count(index.entries), size(index.bytes));
    }
    print(&text)?;
    Ok(Outcome::Done)
}
