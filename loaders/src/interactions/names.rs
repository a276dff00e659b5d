//! Ids in the order in which they come, each with its number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use walkprint_engine::ids::{MAX_NODES, StringTable};

use crate::error::{Problem, quoted};

/// The ids of users or of items.
#[derive(Default)]
pub(super) struct Names {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    pub(super) texts: StringTable,
}

impl Names {
    /// The number of an id; `what` says what it is the id of.
    pub(super) fn number(&mut self, id: &[u8], what: &'static str) -> Result<u32, Problem> {
        if id.is_empty() {
            return Err(Problem::new(what, "nothing"));
        }
        let (hasher, texts) = (&self.hasher, &self.texts);
        let hash = hasher.hash_one(id);
        if let Some(&number) = self.index.find(hash, |&number| texts.get(number as usize).as_bytes() == id) {
            return Ok(number);
        }
        let text = std::str::from_utf8(id).map_err(|_| Problem::new("an id in UTF-8", quoted(id)))?;
        if memchr::memchr(0, id).is_some() {
            return Err(Problem::new("an id without NUL bytes", quoted(id)));
        }
        let number = u32::try_from(texts.len()).ok().filter(|&number| u64::from(number) < MAX_NODES);
        let number = number.ok_or_else(|| Problem::new(format!("at most {MAX_NODES} different ids"), "one more"))?;
        self.texts.push(text);
        let texts = &self.texts;
        self.index.insert_unique(hash, number, |&number| hasher.hash_one(texts.get(number as usize).as_bytes()));
        Ok(number)
    }
}
