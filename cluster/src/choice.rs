//! Which of a store's indexes answers, and with which restart probability.

use walkprint_engine::graph::Graph;
use walkprint_engine::index::{Index, IndexEntry};
use walkprint_engine::plan::Plan;
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;

use crate::error::{Error, Result};

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The index's name.
    pub index: Option<&'a str>,
    /// The restart probability.
    pub restart_prob: Option<f64>,
    /// The method: [`Method::Lookup`] and [`Method::Combine`] need an index.
    pub method: Method,
}

/// The index that answers, and the restart probability: the named index, else `default`, else the first by name that has
/// the restart probability. Without any, answers are exact, if that may be.
///
/// # Errors
/// When there is no index of this name or restart probability and the method needs one, or the index is damaged.
pub fn choose_index(store: &Store, graph: &Graph, wanted: Wanted<'_>) -> Result<(Option<Index>, f64)> {
    let (entry, restart_prob) = choose_entry(store, wanted)?;
    Ok((entry.map(|entry| store.index(&entry.name, graph)).transpose()?, restart_prob))
}

/// [`choose_index`], without opening it.
///
/// # Errors
/// When there is no index of this name or restart probability and the method needs one.
pub fn choose_entry<'s>(store: &'s Store, wanted: Wanted<'_>) -> Result<(Option<&'s IndexEntry>, f64)> {
    let fits = |plan: &Plan| wanted.restart_prob.is_none_or(|wanted| (plan.restart_prob - wanted).abs() < 1e-12);
    if let Some(name) = wanted.index {
        let entry = store.index_entry(name)?;
        let built = entry.plan.restart_prob;
        return match wanted.restart_prob.filter(|_| !fits(&entry.plan)) {
            None => Ok((Some(entry), built)),
            Some(restart_prob) if matches!(wanted.method, Method::Exact | Method::Block) => Ok((None, restart_prob)),
            Some(restart_prob) => Err(Error::Request {
                what: format!(
                    "index {name:?} has restart probability {built}, not {restart_prob}; leave out one of the two"
                ),
            }),
        };
    }
    let mut fitting = store.manifest().indexes.iter().filter(|entry| fits(&entry.plan));
    let default = fitting.clone().find(|entry| entry.name == "default");
    if let Some(entry) = default.or_else(|| fitting.next()) {
        return Ok((Some(entry), entry.plan.restart_prob));
    }
    if matches!(wanted.method, Method::Auto | Method::Exact | Method::Block) {
        return Ok((None, wanted.restart_prob.unwrap_or(Plan::default().restart_prob)));
    }
    let path = store.path().display();
    Err(Error::Request {
        what: match wanted.restart_prob {
            Some(restart_prob) => format!(
                "{path}: no index with restart probability {restart_prob}; build one with `walkprint index \
                 --restart-prob {restart_prob} --name NAME`, or ask with --method exact"
            ),
            None => {
                format!("{path}: no index yet; build one with `walkprint index {path}`, or ask with --method exact")
            }
        },
    })
}

/// The L1 error that answers aim at unless somebody asks for another.
const USUAL_PRECISION: f64 = 0.05;

/// The L1 distance from exact scores that a question aims at: 0.05, unless another was asked for. Whoever asks for a look-up or
/// an exact answer takes what it gives.
#[must_use]
pub fn precision_of(method: Method, asked: Option<f64>) -> Option<f64> {
    match method {
        Method::Lookup | Method::Exact => asked,
        Method::Auto | Method::Combine | Method::Block => Some(asked.unwrap_or(USUAL_PRECISION)),
    }
}
