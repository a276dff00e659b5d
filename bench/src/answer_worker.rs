//! The hidden command `answer-worker`: Walkprint as a process that speaks [`crate::protocol`], so that it is asked, timed
//! and its memory counted in the same way as its peers.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::Store;

use crate::machine::{forget_peak, proc_kib};
use crate::protocol::{AskedSeeds, Ready, Reply, Request, Setting};

/// What answers.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long)]
    store: PathBuf,
    /// The index; without one only exact answers are possible.
    #[arg(long)]
    index: Option<String>,
    #[arg(long)]
    restart_prob: f64,
}

/// Announces itself and answers until stdin ends.
///
/// # Errors
/// When the store or its index cannot be opened, or stdout is gone.
pub(crate) fn run(options: &Options) -> Result<()> {
    let began = Instant::now();
    let store = Store::open(&options.store)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let index = options.index.as_ref().map(|name| store.index(name, &graph)).transpose()?;
    let mut answerer = Answerer::new(&graph, &labels, index.as_ref(), options.restart_prob)?;
    // Peers turn the graph round before they are asked, too.
    answerer.inflow()?;
    let ready = Ready {
        system: "walkprint".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("Rust, {}", if cfg!(debug_assertions) { "debug" } else { "release" }),
        construction_seconds: began.elapsed().as_secs_f64(),
        resident_kib: proc_kib("/proc/self/status", "VmRSS"),
    };
    serve(&mut answerer, &ready, std::io::stdin().lock(), std::io::stdout().lock())
}

/// Answers line by line.
fn serve(answerer: &mut Answerer<'_>, ready: &Ready, requests: impl BufRead, mut replies: impl Write) -> Result<()> {
    let mut send = |line: String| writeln!(replies, "{line}").and_then(|()| replies.flush()).context("nobody listens");
    send(serde_json::to_string(ready)?)?;
    for line in requests.lines() {
        let line = line.context("could not read a request")?;
        forget_peak();
        let reply =
            match serde_json::from_str(&line).context("this is no request").and_then(|request| ask(answerer, &request))
            {
                Ok(seconds) => Reply::Done { seconds, peak_kib: proc_kib("/proc/self/status", "VmHWM") },
                Err(error) => Reply::Failed { error: format!("{error:#}") },
            };
        send(serde_json::to_string(&reply)?)?;
    }
    Ok(())
}

/// Times complete answers, the ranking of the best included, which peers do not do.
fn ask(answerer: &mut Answerer<'_>, request: &Request) -> Result<Vec<f64>> {
    let mut seconds = Vec::with_capacity(request.questions.len());
    for (number, seeds) in request.questions.iter().enumerate() {
        let question = question(answerer.graph().nodes(), seeds, &request.setting)?;
        let began = Instant::now();
        let answer = answerer.answer(&question)?;
        seconds.push(began.elapsed().as_secs_f64());
        std::hint::black_box(answer);
        if let Some(directory) = &request.scores {
            let scores = answerer.scores(&question)?.scores;
            let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            let path = Path::new(directory).join(format!("{number}.f64"));
            std::fs::write(&path, bytes).with_context(|| format!("{}: could not write", path.display()))?;
        }
    }
    Ok(seconds)
}

/// A question with the setting's method and effort.
///
/// # Errors
/// When seeds or method are none.
fn question(nodes: usize, seeds: &AskedSeeds, setting: &Setting) -> Result<Question> {
    let seeds: Vec<(NodeId, f64)> = seeds.clone();
    let method: Method = setting.method.parse().map_err(anyhow::Error::msg)?;
    let question = Question { method, top: setting.top, ..Question::new(Seeds::from_weights(nodes, seeds)?) };
    Ok(match method {
        Method::Exact => Question { residual: setting.tolerance, ..question },
        _ => Question { precision: setting.precision, ..question },
    })
}

#[cfg(test)]
mod tests {
    use walkprint_cluster::load::store_edges;
    use walkprint_engine::graph::NodeOrder;

    use super::*;
    use crate::exact;
    use crate::metrics::distance;
    use crate::protocol::read_scores;
    use crate::rmat::rmat_nodes;

    #[test]
    fn requests_are_answered_as_power_iteration_would_and_bad_ones_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let edges = rmat_nodes(3, 200, 1500, true).unwrap();
        let store = store_edges(&directory.path().join("test.wp"), edges, NodeOrder::Id).unwrap();
        let (graph, labels) = (store.graph().unwrap(), store.labels().unwrap());
        let mut answerer = Answerer::new(&graph, &labels, None, 0.15).unwrap();
        let ready = Ready {
            system: "walkprint".to_owned(),
            version: String::new(),
            platform: String::new(),
            construction_seconds: 0.0,
            resident_kib: None,
        };
        let questions = vec![vec![(7, 1.0)], vec![(1, 0.25), (150, 0.75)]];
        let request = Request {
            restart_prob: 0.15,
            setting: Setting { method: "exact".to_owned(), tolerance: 1e-12, lanes: 1, precision: None, top: 10 },
            questions: questions.clone(),
            scores: Some(directory.path().to_str().unwrap().to_owned()),
        };
        let lines = format!("{}\nnonsense\n", serde_json::to_string(&request).unwrap());
        let mut replies = Vec::new();
        serve(&mut answerer, &ready, lines.as_bytes(), &mut replies).unwrap();
        let replies = String::from_utf8(replies).unwrap();
        let replies: Vec<&str> = replies.lines().collect();
        assert_eq!(replies.len(), 3);
        assert!(matches!(serde_json::from_str(replies[1]).unwrap(), Reply::Done { seconds, .. } if seconds.len() == 2));
        assert!(matches!(serde_json::from_str(replies[2]).unwrap(), Reply::Failed { .. }));
        let truth = exact::restart_scores(&graph, 0.15, &questions).unwrap();
        for (number, truth) in truth.iter().enumerate() {
            let scores = read_scores(directory.path(), number, graph.nodes()).unwrap();
            assert!(distance(&scores, truth) < 1e-11);
        }
    }
}
