//! The users and items of a store: who has what, under which ids, and what everybody has.

use std::sync::Arc;

use roaring::RoaringBitmap;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::canonical_integer;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::two_sided::Sides;
use walkprint_loaders::interactions::{ITEM, ITEM_PREFIX, USER, USER_PREFIX};

use crate::error::{Error, Result};

/// The users and items of a graph.
#[derive(Debug, Clone)]
pub struct Audience {
    /// Users on the left, items on the right.
    pub sides: Arc<Sides>,
    /// The nodes that are items.
    pub items: Arc<RoaringBitmap>,
    /// Items that somebody has, those that most users have first; equal ones by id.
    pub popular: Arc<Vec<u32>>,
}

/// Whom to recommend to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Person {
    /// Her items by place, ascending, with weights above zero.
    pub seeds: Vec<(u32, f64)>,
}

impl Person {
    /// The places of her items, ascending.
    #[must_use]
    pub fn seen(&self) -> Vec<u32> {
        self.seeds.iter().map(|seed| seed.0).collect()
    }
}

impl Audience {
    /// Finds the users and items of a graph by their types.
    ///
    /// # Errors
    /// When the graph has none, or is damaged.
    pub fn new(graph: &Graph, labels: &Labels, kinds: Option<&Kinds>) -> Result<Audience> {
        let of = |kind: &str| kinds.and_then(|kinds| kinds.nodes_of(kind).ok()).filter(|nodes| !nodes.is_empty());
        let (Some(users), Some(items)) = (of(USER), of(ITEM)) else {
            let what = "no users and items here: a store of them is loaded from columns user_id and item_id, or with --format \
                        lightgcn, recbole or interactions"
                .to_owned();
            return Err(Error::Request { what });
        };
        Ok(Audience::of_sides(Sides::new(graph, labels, &users, &items)?, Arc::new(items)))
    }

    fn of_sides(sides: Sides, items: Arc<RoaringBitmap>) -> Audience {
        let places = 0..u32::try_from(sides.right().len()).expect("places are numbered by 32 bits");
        let mut popular: Vec<u32> = places.filter(|&place| sides.popularity(place) != 0).collect();
        popular.sort_by_key(|&place| (std::cmp::Reverse(sides.popularity(place)), place));
        Audience { sides: Arc::new(sides), items, popular: Arc::new(popular) }
    }

    /// The same users and items without some of the edges.
    #[must_use]
    pub fn filtered(&self, keep: impl FnMut(u32, u32) -> bool) -> Audience {
        Audience::of_sides(self.sides.filtered(keep), Arc::clone(&self.items))
    }

    /// The place of a user; `None` when there is no such user.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn user(&self, labels: &Labels, id: &str) -> Result<Option<u32>> {
        let node = labels.node(&format!("{USER_PREFIX}{id}"))?;
        Ok(node.and_then(|node| self.sides.left_place(node)))
    }

    /// The place of an item; `None` when there is no such item.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn item(&self, labels: &Labels, id: &str) -> Result<Option<u32>> {
        let node = labels.node(&format!("{ITEM_PREFIX}{id}"))?;
        Ok(node.and_then(|node| self.sides.right_place(node)))
    }

    /// The id of a user.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn user_id(&self, labels: &Labels, place: u32) -> Result<String> {
        let id = labels.id(self.sides.left()[place as usize])?;
        Ok(id.strip_prefix(USER_PREFIX).map_or(id.clone(), str::to_owned))
    }

    /// The id of an item.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn item_id(&self, labels: &Labels, place: u32) -> Result<String> {
        let id = labels.id(self.sides.right()[place as usize])?;
        Ok(id.strip_prefix(ITEM_PREFIX).map_or(id.clone(), str::to_owned))
    }

    /// How many users there are.
    #[must_use]
    pub fn users(&self) -> usize {
        self.sides.left().len()
    }

    /// All users by place, in an order that people expect: integers by value, else by text.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn users_in_order(&self, labels: &Labels) -> Result<Vec<(u32, String)>> {
        let places = 0..u32::try_from(self.users()).expect("places are numbered by 32 bits");
        let mut users = places.map(|place| Ok((place, self.user_id(labels, place)?))).collect::<Result<Vec<_>>>()?;
        let integers: Option<Vec<i64>> = users.iter().map(|(_, id)| canonical_integer(id.as_bytes())).collect();
        if let Some(integers) = integers {
            users.sort_by_key(|(place, _)| integers[*place as usize]);
        }
        Ok(users)
    }

    /// A user of the graph.
    #[must_use]
    pub fn person(&self, user: u32) -> Person {
        Person { seeds: self.sides.seeds(user) }
    }

    /// Somebody who is not in the graph, from the items that she had to do with: a pair that comes twice adds up. Says which
    /// items are unknown.
    ///
    /// # Errors
    /// When a weight is not above zero and finite.
    pub fn stranger(&self, labels: &Labels, items: &[(String, f64)]) -> Result<(Person, Vec<String>)> {
        let (mut seeds, mut unknown): (Vec<(u32, f64)>, _) = (Vec::new(), Vec::new());
        for (id, weight) in items {
            if !(0.0 < *weight && weight.is_finite()) {
                return Err(Error::Request {
                    what: format!("item {id:?}: a weight is above 0 and finite, not {weight}"),
                });
            }
            match self.item(labels, id)? {
                Some(place) => seeds.push((place, *weight)),
                None => unknown.push(id.clone()),
            }
        }
        seeds.sort_by_key(|seed| seed.0);
        seeds.dedup_by(|again, first| {
            let same = again.0 == first.0;
            if same {
                first.1 += again.1;
            }
            same
        });
        Ok((Person { seeds }, unknown))
    }
}
