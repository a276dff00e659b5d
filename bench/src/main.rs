//! `walkprint-bench`: what Walkprint takes and what it gives, measured beside a baseline in the same run.
//!
//! Every suite reports its trials, verifies what it timed by another method, and stands beside one good thread. The
//! modules in reading order: [`figure`] (trials and medians), [`machine`], [`report`] (table and JSON), [`rmat`] and
//! [`graphs`] and [`known_graphs`] (what is measured on), [`exact`] (the truth that estimates are held against), then one module a suite.
//!
//! Exit code 0: measured; 1: measured, but a check failed; 2: could not measure.

mod figure;

mod machine;

mod plot;

mod page;

mod report;

mod rmat;

mod graphs;

mod known_graphs;

mod exact;

mod metrics;

mod protocol;

mod venv;

mod answer_worker;

mod walk;

mod variance;

mod build;

mod job;

mod shards_same;

mod shards;

mod timely_log;

mod scale_model;

mod scale_paper;

mod scale;

mod namespaces;

mod faults_report;

mod faults;

mod indexed;

mod query;

mod errors;

mod contenders;

mod peer_graph;

mod peer_report;

mod batch_output;

mod batch;

mod choice;

mod peers;

mod serve;

mod live;

mod recommend;

mod senses;

mod triples;

mod terms;

mod retrieve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Walkprint: speed beside a baseline in the same run, accuracy beside the truth.
#[derive(Debug, Parser)]
#[command(name = "walkprint-bench", version, max_term_width = 120)]
struct Command {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Steps per second and core: textbook walks, the kernel, the kernel with fingerprints.
    Walk(walk::Options),
    /// Squared error of walks that spread against as many independent walks.
    Variance(variance::Options),
    /// Whole index builds, by number of workers.
    Build(build::Options),
    /// Answers from an index: time, and error against the exact answer.
    Query(query::Options),
    /// Standard errors and marks of stable ranks, held against exact answers.
    Errors(errors::Options),
    /// The best nodes of many or all sources as Parquet: time, memory, accuracy, beside igraph (needs python3).
    Batch(batch::Options),
    /// What the cost model of batches chooses, on several graphs, beside each method alone.
    Choice(choice::Options),
    /// The same questions to Walkprint and to igraph, scipy, scikit-network and networkx (needs python3).
    Peers(peers::Options),
    /// Builds by several processes: sharded against replicated, blocks under way, a hub, memory, same bytes.
    Shards(shards::Options),
    /// The cost model of sharded builds: its constants measured, its predictions beside other builds.
    Scale(scale::Options),
    /// Builds by several processes, one of which is killed or cut off; resumed by others (runs the walkprint program).
    Faults(faults::Options),
    /// The query server, asked over HTTP: rates, latencies, new generations, hostile bytes, signals, memory.
    Serve(serve::Options),
    /// Graphs that live: answers while events wait, time to absorb an edge, repair beside a rebuild, kills.
    Live(live::Options),
    /// Recommendations on Gowalla: metrics beside published ones, times, exact and approximate.
    Recommend(recommend::Options),
    /// Word senses by WordNet: F1, agreement with UKB, time beside power iteration.
    Senses(senses::Options),
    /// Ranks of the tails of typed triples, by untyped and typed walks.
    Triples(triples::Options),
    /// Candidate terms ranked anew: precision at N, base and revised.
    Terms(terms::Options),
    /// Passages that answer questions over a knowledge graph: recall step by step, and speed beside igraph (needs python3).
    Retrieve(retrieve::Options),
    /// One build, for `build`: in a process of its own, because peak memory is known by process only.
    #[command(hide = true)]
    BuildOnce(build::OnceOptions),
    /// One process of a build, for `shards`.
    #[command(hide = true)]
    ShareOnce(job::ShareOptions),
    /// One job, for `batch`.
    #[command(hide = true)]
    BatchOnce(batch::OnceOptions),
    /// Answers questions from stdin, for `peers`.
    #[command(hide = true)]
    AnswerWorker(answer_worker::Options),
}

fn main() -> ExitCode {
    let outcome = match Command::parse().suite {
        Suite::Walk(options) => walk::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Variance(options) => variance::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Build(options) => build::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Shards(options) => shards::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Scale(options) => scale::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Faults(options) => faults::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::ShareOnce(options) => job::run_share(&options).map(|()| true),
        Suite::Query(options) => query::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Errors(options) => errors::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Batch(options) => batch::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Choice(options) => choice::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::BatchOnce(options) => batch::run_once(&options).map(|()| true),
        Suite::Peers(options) => peers::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Serve(options) => serve::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Live(options) => live::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Recommend(options) => recommend::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Senses(options) => senses::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Triples(options) => triples::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Terms(options) => terms::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::Retrieve(options) => retrieve::run(&options).and_then(|report| report.publish(&options.output)),
        Suite::AnswerWorker(options) => answer_worker::run(&options).map(|()| true),
        Suite::BuildOnce(options) => build::run_once(&options).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("walkprint-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
