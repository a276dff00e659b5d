//! Recommendations: items for a user of the store, or for somebody who comes with the items that she had to do with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walkprint_engine::query::Method;

use super::app::App;
use super::compute::{Length, Turn};
use super::incoming::{Arrival, JsonBody, Names};
use super::metering::Stages;
use super::problem::{Kind, Problem, ProblemBody};
use super::reply::{json_response, printed};
use super::request::{Id, Seed};
use super::settings::Bounds;
use super::shelf::Shelf;
use super::world::World;
use crate::choice::Wanted;
use crate::recommend::{Audience, ModelKind, PRESETS, Person, Pick, Recommender, Settings, personalized};

/// Whom to recommend to, and how. Without settings and preset: walks of three steps.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendRequest {
    /// A user of the store. Who is not known gets what most users have.
    #[serde(default)]
    #[schema(value_type = Option<super::openapi::IdSchema>)]
    user: Option<Id>,
    /// Instead of a user: the items that somebody had to do with.
    #[serde(default)]
    #[schema(value_type = Vec<super::openapi::SeedSchema>)]
    items: Vec<Seed>,
    /// How many items [default: 10].
    #[serde(default)]
    #[schema(minimum = 1)]
    top: Option<usize>,
    /// Items that she has already may be recommended [default: false].
    #[serde(default)]
    with_seen: bool,
    /// Settings by name: popular, p3, rp3beta, sharp, pixie, ppr.
    #[serde(default)]
    preset: Option<String>,
    /// Settings, instead of a preset; `neighbors` is for the program only.
    #[serde(default)]
    settings: Option<Settings>,
}

/// An item that is recommended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendedItem {
    /// The item's id.
    pub item_id: String,
    /// Its score, above others'.
    pub score: f64,
    /// Its place, from 1.
    pub rank: u32,
}

/// What is recommended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendBody {
    /// The items, best first.
    pub results: Vec<RecommendedItem>,
    /// True when nothing is known of the user, and these are what most users have.
    pub fallback: bool,
    /// The settings by which items were scored.
    pub settings: Settings,
    /// The generation of the store.
    pub generation: u64,
    /// Microseconds of scoring.
    pub took_us: u64,
}

/// Which items should she see next?
#[utoipa::path(
    post, path = "/v1/stores/{store}/recommend", tag = "questions",
    params(("store" = String, Path, description = "The store's name", example = "likes")),
    request_body = RecommendRequest,
    responses(
        (status = 200, body = RecommendBody, description = "The best items, best first"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "What is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Busy (with `Retry-After`), too slow, or broken"),
    )
)]
pub(super) async fn recommend(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(store): Names<String>,
    JsonBody(request): JsonBody<RecommendRequest>,
) -> Result<Response, Problem> {
    let settings = request.settings(&app.settings.bounds)?;
    let shelf: Arc<Shelf> = app.shelf(&store).await?;
    let world = shelf.world();
    let seeds = request.items.len().max(1);
    let method = if settings.model == ModelKind::Ppr { settings.method } else { Method::Exact };
    let done =
        app.compute.run(Length::Long, arrival.deadline, move |turn| answer(&request, settings, &world, turn)).await;
    let (json, stages) = done.map_err(|refusal| app.refused(refusal))??;
    app.metering.answered(method, seeds, &stages);
    Ok(json_response(json))
}

impl RecommendRequest {
    /// The settings that are meant, when everything is in its range.
    fn settings(&self, bounds: &Bounds) -> Result<Settings, Problem> {
        if self.user.is_some() != self.items.is_empty() {
            return Err(Problem::invalid("user", "give a user, or items, and not both"));
        }
        if bounds.seeds < self.items.len() {
            let what = format!("{} items are more than this server takes: {}", self.items.len(), bounds.seeds);
            return Err(Problem::invalid("items", what));
        }
        for (at, item) in self.items.iter().enumerate() {
            if !(0.0 < item.weight && item.weight.is_finite()) {
                let what = format!("a weight is above 0 and finite; this one is {}", item.weight);
                return Err(Problem::invalid(format!("items[{at}].weight"), what));
            }
        }
        match self.top {
            Some(0) => return Err(Problem::invalid("top", "at least one result is asked for")),
            Some(top) if bounds.top < top => {
                let what = format!("{top} results are more than this server gives: {}", bounds.top);
                return Err(Problem::invalid("top", what));
            }
            _ => {}
        }
        let settings = match (&self.preset, &self.settings) {
            (Some(_), Some(_)) => return Err(Problem::invalid("preset", "give a preset, or settings, and not both")),
            // Files of the server are nobody's business.
            (Some(name), None) if PRESETS.contains(&name.as_str()) => Settings::preset(name)?,
            (Some(name), None) => {
                let what = format!("there is no preset {name:?}; there are {}", PRESETS.join(", "));
                return Err(Problem::invalid("preset", what));
            }
            (None, settings) => settings.clone().unwrap_or_default(),
        };
        if settings.neighbors.is_some() {
            return Err(Problem::invalid("settings.neighbors", "a server makes no lists; leave it out"));
        }
        settings.check().map_err(|error| Problem::invalid("settings", error.to_string()))?;
        Ok(settings)
    }

    /// Whom it is about.
    fn person(&self, world: &World, audience: &Audience) -> Result<Person, Problem> {
        if let Some(Id(user)) = &self.user {
            let place = audience.user(world.labels(), user)?;
            return Ok(place.map_or(Person::default(), |place| audience.person(place)));
        }
        let items: Vec<(String, f64)> = self.items.iter().map(|item| (item.id.clone(), item.weight)).collect();
        let (person, unknown) = audience.stranger(world.labels(), &items)?;
        match unknown.first() {
            None => Ok(person),
            Some(id) => {
                Err(Problem::new(Kind::UnknownId, format!("there is no item {id:?}")).at("items").about(id.clone()))
            }
        }
    }
}

fn answer(
    request: &RecommendRequest,
    settings: Settings,
    world: &World,
    Turn { cancelled, waited }: Turn,
) -> Result<(Vec<u8>, Stages), Problem> {
    let began = Instant::now();
    let audience = world.audience()?;
    let person = request.person(world, &audience)?;
    let top = request.top.unwrap_or(10);
    let resolve = began.elapsed();
    let began = Instant::now();
    let (picks, fallback) = if settings.model == ModelKind::Ppr && !person.seeds.is_empty() {
        let wanted = Wanted { index: None, restart_prob: Some(settings.restart_prob), method: settings.method };
        let chosen = world.choose(wanted)?;
        let picks = world.with_answerer(chosen, cancelled, |answerer| {
            personalized(answerer, &audience, &settings, &[&person], top, request.with_seen)
        })??;
        (picks.into_iter().next().unwrap_or_default(), false)
    } else {
        walked(&audience, &settings, person, (top, request.with_seen), cancelled)?
    };
    let answered = began.elapsed();
    let began = Instant::now();
    let mut results = Vec::with_capacity(picks.len());
    for (rank, Pick { place, score }) in (1..).zip(picks) {
        results.push(RecommendedItem { item_id: audience.item_id(world.labels(), place)?, score, rank });
    }
    let took_us = u64::try_from(answered.as_micros()).unwrap_or(u64::MAX);
    let body = RecommendBody { results, fallback, settings, generation: world.generation(), took_us };
    let json = printed(&body)?;
    let stages = Stages { queue: waited, resolve, answer: answered, print: began.elapsed(), ..Stages::default() };
    Ok((json, stages))
}

fn walked(
    audience: &Audience,
    settings: &Settings,
    person: Person,
    (top, with_seen): (usize, bool),
    cancelled: Arc<AtomicBool>,
) -> Result<(Vec<Pick>, bool), Problem> {
    let recommender = Recommender::walking(audience, settings, (1, &cancelled))?;
    let mut scorer = recommender.scorer()?;
    scorer.heed(Some(Arc::clone(&cancelled)));
    let recommended = scorer.recommend(&[person], top, with_seen)?.into_iter().next();
    let recommended = recommended.ok_or_else(|| Problem::new(Kind::Internal, "there is no answer"))?;
    Ok((recommended.picks, recommended.fallback))
}
