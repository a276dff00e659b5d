//! From settings to scores: what all threads share, and what each needs for itself.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walkprint_engine::graph::{Graph, Inflow};
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::two_sided::{Best, Lists, ShortWalker};
use walkprint_engine::query::{Answerer, ChangedRows, Debias, Method, PopularityKind, Question, Seeds, Shape};
use walkprint_engine::store::Store;

use super::audience::{Audience, Person};
use super::in_order::in_order;
use super::settings::{ModelKind, Settings};
use crate::choice::{Wanted, choose_index};
use crate::error::Result;
use crate::live::Now;

/// Items whose lists a thread makes at a time.
const LISTS_AT_ONCE: usize = 256;
/// The L1 error of blocks: ranks are then those of exact scores but for ties.
const BLOCK_PRECISION: f64 = 1e-4;
/// The L1 error of `combine`.
const COMBINE_PRECISION: f64 = 0.05;

/// An item and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// The item's place.
    pub place: u32,
    /// Its score: above others', no more; of a fallback the number of users.
    pub score: f64,
}

/// What is recommended to one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommended {
    /// The items, best first.
    pub picks: Vec<Pick>,
    /// True when nothing is known of her, and these are the most popular items.
    pub fallback: bool,
}

/// A model that is ready, for any number of threads.
pub struct Recommender<'s> {
    ground: Option<(&'s Graph, &'s Labels)>,
    /// What differs from the graph that the index is of.
    changes: Option<&'s ChangedRows>,
    audience: &'s Audience,
    settings: Settings,
    index: Option<Index>,
    inflow: Option<Arc<Inflow>>,
    lists: Option<Lists>,
}

impl<'s> Recommender<'s> {
    /// Makes ready what the settings ask for: lists, an index, the graph turned round. `index` names an index of the store.
    ///
    /// # Errors
    /// When a setting is outside its range, the method needs an index and there is none, or a file is damaged.
    pub fn new(
        (store, graph, labels): (&Store, &'s Graph, &'s Labels),
        audience: &'s Audience,
        settings: &Settings,
        index: Option<&str>,
        work: (usize, &AtomicBool),
    ) -> Result<Recommender<'s>> {
        Recommender::ready((store, graph), (graph, labels, None), audience, settings, index, work)
    }

    /// The same for a store with events that its graph, which is `base`, has not absorbed. The audience is that of the graph as it is
    /// now.
    ///
    /// # Errors
    /// As [`Recommender::new`].
    pub fn over(
        (store, base): (&Store, &Graph),
        now: &'s Now,
        audience: &'s Audience,
        settings: &Settings,
        index: Option<&str>,
        work: (usize, &AtomicBool),
    ) -> Result<Recommender<'s>> {
        let ground = (&now.graph, &now.labels, Some(&now.changes));
        Recommender::ready((store, base), ground, audience, settings, index, work)
    }

    fn ready(
        (store, base): (&Store, &Graph),
        (graph, labels, changes): (&'s Graph, &'s Labels, Option<&'s ChangedRows>),
        audience: &'s Audience,
        settings: &Settings,
        index: Option<&str>,
        work: (usize, &AtomicBool),
    ) -> Result<Recommender<'s>> {
        let mut recommender = Recommender::walking(audience, settings, work)?;
        (recommender.ground, recommender.changes) = (Some((graph, labels)), changes);
        if settings.model == ModelKind::Ppr {
            let method = settings.method;
            if matches!(method, Method::Combine | Method::Lookup) {
                let wanted = Wanted { index, restart_prob: Some(settings.restart_prob), method };
                recommender.index = choose_index(store, base, wanted)?.0;
            }
            recommender.inflow = Some(Answerer::new(graph, labels, None, settings.restart_prob)?.inflow()?);
        }
        Ok(recommender)
    }

    /// A recommender that only walks: for [`ModelKind::Walk`] and [`ModelKind::Popular`].
    ///
    /// # Errors
    /// When a setting is outside its range; when the flag is set.
    pub fn walking(audience: &'s Audience, settings: &Settings, work: (usize, &AtomicBool)) -> Result<Recommender<'s>> {
        settings.check()?;
        let lists = match (settings.model, settings.neighbors) {
            (ModelKind::Walk, Some(keep)) => Some(make_lists(audience, settings, keep, work)?),
            _ => None,
        };
        let settings = settings.clone();
        Ok(Recommender { ground: None, changes: None, audience, settings, index: None, inflow: None, lists })
    }

    /// The lists, if the model has some.
    #[must_use]
    pub fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    /// The users and items.
    #[must_use]
    pub fn audience(&self) -> &'s Audience {
        self.audience
    }

    /// What one thread needs to score.
    ///
    /// # Errors
    /// When graph, labels and index do not belong together.
    pub fn scorer(&self) -> Result<Scorer<'_>> {
        let way = match (self.settings.model, &self.lists, self.ground) {
            (ModelKind::Walk, Some(lists), _) => Way::Lists(lists, Vec::new()),
            (ModelKind::Walk, None, _) => {
                Way::Walk(Box::new(ShortWalker::new(&self.audience.sides, &self.settings.walks())?))
            }
            (ModelKind::Ppr, _, Some((graph, labels))) => {
                let (index, restart_prob) = (self.index.as_ref(), self.settings.restart_prob);
                let answerer = Answerer::about(graph, labels, index, self.changes, restart_prob)?;
                Way::Ppr(Box::new(match &self.inflow {
                    Some(inflow) => answerer.with_inflow(Arc::clone(inflow)),
                    None => answerer,
                }))
            }
            (ModelKind::Ppr | ModelKind::Popular, ..) => Way::Popular,
        };
        Ok(Scorer { audience: self.audience, settings: &self.settings, way })
    }
}

fn make_lists(audience: &Audience, settings: &Settings, keep: usize, work: (usize, &AtomicBool)) -> Result<Lists> {
    let walks = settings.walks();
    let items = audience.sides.right().len();
    let mut lists = Lists::new(&walks, keep)?;
    let walker = ShortWalker::new(&audience.sides, &walks)?;
    in_order(
        work,
        items.div_ceil(LISTS_AT_ONCE),
        || Ok(walker.another()),
        |walker, chunk| {
            let mut lists = Lists::new(&walks, keep)?;
            for place in chunk * LISTS_AT_ONCE..items.min((chunk + 1) * LISTS_AT_ONCE) {
                lists.push(walker, u32::try_from(place).expect("places are numbered by 32 bits"))?;
            }
            Ok(lists)
        },
        |more| {
            lists.append(&more);
            Ok(())
        },
    )?;
    Ok(lists)
}

enum Way<'r> {
    Walk(Box<ShortWalker<'r>>),
    Lists(&'r Lists, Vec<f64>),
    Ppr(Box<Answerer<'r>>),
    Popular,
}

/// What one thread scores with.
pub struct Scorer<'r> {
    audience: &'r Audience,
    settings: &'r Settings,
    way: Way<'r>,
}

impl Scorer<'_> {
    /// Takes a flag to look at, or none again: once it is set, what is under way ends with
    /// [`Error::Interrupted`](walkprint_engine::error::Error::Interrupted).
    pub fn heed(&mut self, flag: Option<Arc<AtomicBool>>) {
        match &mut self.way {
            Way::Walk(walker) => walker.heed(flag),
            Way::Ppr(answerer) => answerer.heed(flag),
            Way::Lists(..) | Way::Popular => {}
        }
    }

    /// The `top` best items for each of some people; without the items they have, unless `with_seen`. People are best given
    /// sixteen at a time: personalized PageRank is computed for them together.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn recommend(&mut self, people: &[Person], top: usize, with_seen: bool) -> Result<Vec<Recommended>> {
        let known: Vec<&Person> = people.iter().filter(|person| !person.seeds.is_empty()).collect();
        let mut picks = match &mut self.way {
            Way::Ppr(answerer) => personalized(answerer, self.audience, self.settings, &known, top, with_seen)?,
            _ => Vec::new(),
        }
        .into_iter();
        let mut all = Vec::with_capacity(people.len());
        for person in people {
            let excluded = if with_seen { Vec::new() } else { person.seen() };
            let popular = |fallback| Recommended { picks: most_popular(self.audience, &excluded, top), fallback };
            let pick = |best: Vec<Best>| Recommended {
                picks: best.into_iter().map(|Best { place, score }| Pick { place, score }).collect(),
                fallback: false,
            };
            all.push(match &mut self.way {
                _ if person.seeds.is_empty() => popular(true),
                Way::Popular => popular(false),
                Way::Walk(walker) => pick(walker.best(&person.seeds, &excluded, top)?),
                Way::Lists(lists, room) => {
                    pick(lists.best(&self.audience.sides, &person.seeds, &excluded, top, room)?)
                }
                Way::Ppr(_) => {
                    Recommended { picks: picks.next().expect("one answer a person with items"), fallback: false }
                }
            });
        }
        Ok(all)
    }
}

/// What most users have, without `excluded` (ascending).
pub(super) fn most_popular(audience: &Audience, excluded: &[u32], top: usize) -> Vec<Pick> {
    let fresh = audience.popular.iter().filter(|place| excluded.binary_search(place).is_err());
    fresh.take(top).map(|&place| Pick { place, score: audience.sides.popularity(place) as f64 }).collect()
}

/// The question whose answer is a person's items by personalized PageRank.
fn question(
    audience: &Audience,
    nodes: usize,
    settings: &Settings,
    person: &Person,
    top: usize,
    with_seen: bool,
) -> Result<Question> {
    let node = |&(place, weight): &(u32, f64)| (audience.sides.right()[place as usize], weight);
    let mut question = Question::new(Seeds::from_weights(nodes, person.seeds.iter().map(node).collect())?);
    question.top = top.max(1);
    question.method = if settings.method == Method::Auto { Method::Block } else { settings.method };
    question.residual = 1e-9;
    question.precision = match question.method {
        Method::Block => Some(settings.precision.unwrap_or(BLOCK_PRECISION)),
        Method::Combine => Some(settings.precision.unwrap_or(COMBINE_PRECISION)),
        _ => None,
    };
    let power = settings.popularity_power;
    question.shape = Shape {
        only: Some(Arc::clone(&audience.items)),
        exclude_seeds: !with_seen,
        debias: (power != 0.0).then_some(Debias { by: PopularityKind::Degree, power }),
        ..Shape::default()
    };
    Ok(question)
}

/// What is recommended to people with items, by personalized PageRank: for all of them together, by `block`.
///
/// # Errors
/// When a file is damaged, or the method needs an index and there is none.
pub(crate) fn personalized(
    answerer: &mut Answerer<'_>,
    audience: &Audience,
    settings: &Settings,
    people: &[&Person],
    top: usize,
    with_seen: bool,
) -> Result<Vec<Vec<Pick>>> {
    let nodes = answerer.graph().nodes();
    let questions = people
        .iter()
        .map(|person| question(audience, nodes, settings, person, top, with_seen))
        .collect::<Result<Vec<_>>>()?;
    let answers = match questions.first().map(|question| question.method) {
        None => Vec::new(),
        Some(Method::Block) => answerer.answer_block(&questions)?,
        Some(_) => questions.iter().map(|question| answerer.answer(question)).collect(),
    };
    let mut picks = Vec::with_capacity(people.len());
    for answer in answers {
        // Whoever has seen everything has nothing left, which is no error here.
        let results = match answer {
            Err(walkprint_engine::error::Error::NothingLeft { .. }) => Vec::new(),
            answer => answer?.results,
        };
        let place = |ranked: &walkprint_engine::query::Ranked| {
            Some(Pick { place: audience.sides.right_place(ranked.node)?, score: ranked.score })
        };
        picks.push(results.iter().filter_map(place).take(top).collect());
    }
    Ok(picks)
}
