//! What users did that the graph does not know: the other half of an evaluation.

use std::collections::{BTreeMap, BTreeSet};

use walkprint_engine::labels::Labels;
use walkprint_loaders::interactions::Interactions;

use super::audience::Audience;
use crate::error::{Error, Result};

/// A user's test items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestUser {
    /// Her id.
    pub id: String,
    /// Her place; `None` when the graph does not know her.
    pub place: Option<u32>,
    /// Places of her test items that the graph knows, ascending.
    pub items: Vec<u32>,
    /// How many test items she has, known or not.
    pub total: usize,
}

/// All users with test items, by the order of the test file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestSet {
    /// The users.
    pub users: Vec<TestUser>,
    /// Different pairs of user and item.
    pub interactions: u64,
    /// Pairs whose item the graph does not know: they can't be found, and count as missed.
    pub unknown_items: u64,
    /// Users that the graph does not know.
    pub unknown_users: u64,
    /// Pairs that the graph has already: they are not recommended, and count as missed.
    pub already_seen: u64,
    /// Users of the test file without items: they are left out.
    pub without_items: u64,
}

impl TestSet {
    /// Finds users and items of the test in the graph. A pair that comes twice counts once.
    ///
    /// # Errors
    /// When the test has no interaction, or labels are damaged.
    pub fn new(audience: &Audience, labels: &Labels, test: &Interactions) -> Result<TestSet> {
        let items = (0..test.items.len()).map(|at| audience.item(labels, test.items.get(at)));
        let places = items.collect::<Result<Vec<Option<u32>>>>()?;
        let mut of_user: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for row in &test.rows {
            of_user.entry(row.user).or_default().insert(row.item);
        }
        let mut set = TestSet { without_items: (test.users.len() - of_user.len()) as u64, ..TestSet::default() };
        for (user, items) in of_user {
            let id = test.users.get(user as usize).to_owned();
            let place = audience.user(labels, &id)?;
            let mut known: Vec<u32> = items.iter().filter_map(|&item| places[item as usize]).collect();
            known.sort_unstable();
            set.interactions += items.len() as u64;
            set.unknown_items += (items.len() - known.len()) as u64;
            set.unknown_users += u64::from(place.is_none());
            if let Some(place) = place {
                let seen = audience.sides.row(place);
                set.already_seen += known.iter().filter(|item| seen.binary_search(item).is_ok()).count() as u64;
            }
            set.users.push(TestUser { id, place, items: known, total: items.len() });
        }
        if set.users.is_empty() {
            return Err(Error::Request { what: "the test has no interactions: nothing can be measured".to_owned() });
        }
        Ok(set)
    }
}
