//! From a request to a reply.

use std::sync::Arc;
use std::time::Instant;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;
use walkprint_engine::query::{
    Answer, Answerer, Debias, ExplainSettings, Method, PopularityKind, Question, Ranked, Seeds, Status,
};
use walkprint_engine::retrieval::{Ask, Retriever, Sown, fitting, token_count};

use super::request::{Chain, Of, RankBy, RetrieveReply, RetrieveRequest, RetrieveStatus, Retrieved, SeedFound, Step};
use crate::choice::precision_of;
use crate::error::{Error, Result};

/// The most chains of a result.
const MOST_CHAINS: usize = 100;
const USUAL_CHAINS: usize = 2;
const USUAL_TOP: usize = 10;
/// The residual of exact answers: ranks do not depend on what lies below.
const RESIDUAL: f64 = 1e-10;

/// What a retriever works on: all of one store.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Names, mentions and words.
    pub retriever: &'a Retriever,
    /// The ids.
    pub labels: &'a Labels,
    /// The types, if there are any.
    pub kinds: Option<&'a Kinds>,
    /// The texts, if there are any.
    pub passages: Option<&'a Passages>,
}

/// Answers one question. The answerer must be one of the same store and of the request's restart probability.
///
/// # Errors
/// When the request cannot be understood, the store has no passages and those are wanted, or a file is damaged. A question
/// without seeds is none: see [`RetrieveStatus::NoSeeds`].
pub fn retrieve(ground: &Ground<'_>, answerer: &mut Answerer<'_>, request: &RetrieveRequest) -> Result<RetrieveReply> {
    let began = Instant::now();
    let Ground { retriever, labels, .. } = *ground;
    let (of, rank_by) = (request.of.unwrap_or_default(), request.rank_by.unwrap_or_default());
    check(ground, request, of, rank_by)?;
    let scores = passage_scores(labels, request)?;
    let ask = Ask {
        question: request.question.as_deref(),
        entities: &request.entities,
        passages: &scores,
        sowing: request.sowing(),
    };
    let Sown { matches, missing, passages, seeds } = retriever.sow(labels, &ask)?;
    let status = match (&seeds, matches.is_empty()) {
        (None, _) => RetrieveStatus::NoSeeds,
        (Some(_), true) => RetrieveStatus::PassagesOnly,
        (Some(_), false) => RetrieveStatus::Answered,
    };
    let mut found = Vec::with_capacity(matches.len());
    let named: Vec<(NodeId, f64)> = matches.iter().map(|one| (one.node, one.weight)).collect();
    for one in matches {
        let id = labels.id(one.node)?;
        found.push(SeedFound { id, text: one.text, kind: one.kind, score: one.score, weight: one.weight });
    }
    let mut reply = RetrieveReply {
        status,
        seeds: found,
        unknown_entities: missing,
        passage_seeds: passages,
        results: Vec::new(),
        tokens: 0,
        cut: false,
        truncated: true,
        method: None,
        l1_error: None,
        restart_prob: answerer.restart_prob(),
        took_us: 0,
    };
    if let Some(seeds) = seeds {
        answered(ground, answerer, request, seeds, named, &mut reply)?;
    }
    reply.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(reply)
}

fn check(ground: &Ground<'_>, request: &RetrieveRequest, of: Of, rank_by: RankBy) -> Result<()> {
    let refuse = |what: &str| Err(Error::Request { what: what.to_owned() });
    if request.question.is_none() && request.entities.is_empty() && request.passages.is_empty() {
        return refuse("a request has a question, entities, or passages with scores");
    }
    if request.top == Some(0) {
        return refuse("top must be at least 1, got 0");
    }
    if request.chains.is_some_and(|chains| MOST_CHAINS < chains) {
        return refuse("at most 100 chains may be asked for");
    }
    if of == Of::Passages && ground.retriever.mentions().passages().is_empty() {
        return refuse("this store has no passages (nodes of type passage); ask for entities, with --of entities");
    }
    if of == Of::Entities && rank_by == RankBy::Mentions {
        return refuse("only passages may be ranked by what they mention");
    }
    if request.debias.is_some() && rank_by == RankBy::Mentions {
        return refuse(
            "sums of what passages mention are not divided by popularity: leave out debias, or rank by walk",
        );
    }
    Ok(())
}

fn passage_scores(labels: &Labels, request: &RetrieveRequest) -> Result<Vec<(NodeId, f64)>> {
    let mut scores = Vec::with_capacity(request.passages.len());
    for one in &request.passages {
        let node = labels.node(&one.id)?;
        let unknown = || EngineError::UnknownSeed { id: one.id.clone(), hint: String::new() };
        scores.push((node.ok_or_else(unknown)?, one.score));
    }
    Ok(scores)
}

fn answered(
    ground: &Ground<'_>,
    answerer: &mut Answerer<'_>,
    request: &RetrieveRequest,
    seeds: Seeds,
    named: Vec<(NodeId, f64)>,
    reply: &mut RetrieveReply,
) -> Result<()> {
    let mut question = Question::new(seeds);
    question.method = request.method.unwrap_or_default();
    question.precision = precision_of(question.method, None);
    question.residual = RESIDUAL;
    question.top = request.top.unwrap_or(USUAL_TOP);
    let by_mentions = request.rank_by == Some(RankBy::Mentions);
    let answer = if by_mentions {
        summed(ground, answerer, &question)
    } else {
        let retriever = ground.retriever;
        let wanted =
            if request.of == Some(Of::Entities) { retriever.others() } else { retriever.mentions().passages() };
        question.shape.only = Some(Arc::clone(wanted));
        question.shape.debias = request.debias.map(|power| Debias { by: PopularityKind::Degree, power });
        answerer.answer(&question).map_err(Error::from)
    };
    let mut answer = match answer {
        Ok(answer) => answer,
        // None of them can be reached.
        Err(Error::Engine(EngineError::NothingLeft { .. })) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut results = Vec::with_capacity(answer.results.len());
    for ranked in &answer.results {
        results.push(result(ground, request, ranked)?);
    }
    let fit = fitting(request.token_budget, results.iter().map(|result| result.tokens));
    reply.cut = fit < results.len();
    reply.truncated = answer.truncated;
    results.truncate(fit);
    answer.results.truncate(fit);
    let chains = request.chains.unwrap_or(USUAL_CHAINS);
    if chains != 0 && !results.is_empty() {
        // Chains begin at what the question names, as far as it names anything.
        if !named.is_empty() {
            question.seeds = Seeds::from_weights(ground.labels.len(), named)?;
        }
        let told = told(ground, answerer, &question, &answer, by_mentions, chains)?;
        for (result, chains) in results.iter_mut().zip(told) {
            result.chains = chains;
        }
    }
    reply.tokens = results.iter().map(|result| result.tokens).sum();
    reply.results = results;
    reply.method = Some(answer.method);
    reply.l1_error = Some(match answer.status {
        Status::Exact { error_bound, .. } => error_bound,
        Status::Estimated { l1_error, .. } => l1_error,
    });
    Ok(())
}

fn result(ground: &Ground<'_>, request: &RetrieveRequest, ranked: &Ranked) -> Result<Retrieved> {
    let text = ground.passages.and_then(|passages| passages.of(ranked.node));
    let tokens = request.tokens.get(&ranked.id).copied();
    Ok(Retrieved {
        id: ranked.id.clone(),
        kind: ground.kinds.and_then(|kinds| kinds.node_kind(ranked.node)).map(str::to_owned),
        rank: ranked.rank,
        score: ranked.score,
        tokens: tokens.unwrap_or_else(|| token_count(text.unwrap_or(&ranked.id))),
        text: text.filter(|_| request.texts != Some(false)).map(str::to_owned),
        chains: Vec::new(),
    })
}

/// Passages by the sums of the scores of what they mention, as an answer.
fn summed(ground: &Ground<'_>, answerer: &mut Answerer<'_>, question: &Question) -> Result<Answer> {
    let scores = answerer.scores(question)?;
    let sums = ground.retriever.mentions().sums(answerer.graph(), &scores.scores)?;
    let mut ranked = Vec::with_capacity(sums.len());
    for (node, score) in sums {
        ranked.push((score, ground.labels.rank(node)?, node));
    }
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let truncated = ranked.len() < question.top;
    let mut results = Vec::with_capacity(question.top.min(ranked.len()));
    for (rank, (score, _, node)) in (1..).zip(ranked).take(question.top) {
        let id = ground.labels.id(node)?;
        results.push(Ranked { node, id, score, std_error: 0.0, rank, rank_stable: true, support: None });
    }
    Ok(Answer {
        results,
        method: scores.method,
        dangling: scores.dangling,
        mass_accounted: scores.mass_accounted,
        truncated,
        status: scores.status,
    })
}

/// The chains that lead to each result.
fn told(
    ground: &Ground<'_>,
    answerer: &mut Answerer<'_>,
    question: &Question,
    answer: &Answer,
    by_mentions: bool,
    chains: usize,
) -> Result<Vec<Vec<Chain>>> {
    // By mentions, chains lead to what is mentioned: passages themselves may not be reached at all.
    let mut answer = answer.clone();
    if by_mentions {
        let scores = answerer.scores(question)?.scores;
        for result in &mut answer.results {
            let targets = answerer.graph().row(result.node)?.targets;
            let score = |node: NodeId| scores.get(node as usize).copied().unwrap_or(0.0);
            let best = targets.iter().copied().max_by(|&one, &other| score(one).total_cmp(&score(other)));
            if let Some(best) = best {
                (result.node, result.id, result.score) = (best, ground.labels.id(best)?, score(best));
            }
        }
    }
    if answer.method == Method::Block {
        answer.method = Method::Exact;
    }
    let settings = ExplainSettings { paths: chains, seeds: 0, kinds: ground.kinds, ..ExplainSettings::default() };
    let explained = answerer.explain(question, &answer, &settings)?;
    let chain = |path: walkprint_engine::query::Path| {
        let step = |(ends, hop): (&[String], walkprint_engine::query::Hop)| Step {
            source: ends[0].clone(),
            relations: hop.kinds,
            target: ends[1].clone(),
        };
        Chain {
            seed: path.ids.first().cloned().unwrap_or_default(),
            share: path.share,
            steps: path.ids.windows(2).zip(path.edges).map(step).collect(),
        }
    };
    Ok(explained.results.into_iter().map(|one| one.paths.into_iter().map(chain).collect()).collect())
}
