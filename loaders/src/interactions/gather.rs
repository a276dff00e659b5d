//! What is gathered while reading: ids with their numbers, interactions, counts.

use walkprint_engine::ids::StringTable;

use super::names::Names;
use super::{ColumnsFound, Interaction, InteractionOptions, Interactions, Reading};
use crate::Format;
use crate::error::{Problem, quoted};

/// Takes interactions in.
pub(super) struct Gatherer {
    users: Names,
    items: Names,
    pub(super) rows: Vec<Interaction>,
    /// Whether there are ratings and times; `None` before the first file.
    layout: Option<(bool, bool)>,
    columns: ColumnsFound,
    least: Option<f64>,
    /// The user of the row before: files are often sorted by user.
    last_user: (Vec<u8>, u32),
    pub(super) lines: u64,
    pub(super) bytes_parsed: u64,
    below_rating: u64,
    silent_users: u64,
    seen: (u64, u64),
    range: Option<(f64, f64)>,
}

impl Gatherer {
    pub(super) fn new(options: &InteractionOptions) -> Gatherer {
        Gatherer {
            users: Names::default(),
            items: Names::default(),
            rows: Vec::new(),
            layout: None,
            columns: ColumnsFound::default(),
            least: options.min_rating,
            last_user: (Vec::new(), 0),
            lines: 0,
            bytes_parsed: 0,
            below_rating: 0,
            silent_users: 0,
            seen: (0, 0),
            range: None,
        }
    }

    /// Begins a file with these columns. All files have ratings or none has; the same for times.
    pub(super) fn begin(&mut self, found: ColumnsFound) -> Result<(), Problem> {
        self.seen = (self.below_rating, self.silent_users);
        let layout = (found.weight.is_some(), found.time.is_some());
        match self.layout {
            None => (self.layout, self.columns) = (Some(layout), found),
            Some(first) if first == layout => {}
            Some((rated, _)) => {
                let what = if rated == layout.0 { "times" } else { "ratings" };
                let has = |has: bool| if has { "some" } else { "none" };
                let (expected, got) = if rated == layout.0 {
                    (self.layout.is_some_and(|first| first.1), layout.1)
                } else {
                    (rated, layout.0)
                };
                let expected = format!("{what} as in the first file, which has {}", has(expected));
                return Err(Problem::new(expected, has(got)));
            }
        }
        Ok(())
    }

    /// Interactions of this file that were left out.
    pub(super) fn left_out_since(&self) -> u64 {
        self.below_rating - self.seen.0
    }

    /// Users of this file that came without items.
    pub(super) fn silent_users_since(&self) -> u64 {
        self.silent_users - self.seen.1
    }

    /// The number of a user.
    pub(super) fn user(&mut self, id: &[u8]) -> Result<u32, Problem> {
        if self.last_user.0 == id && !id.is_empty() {
            return Ok(self.last_user.1);
        }
        let number = self.users.number(id, "the id of a user")?;
        self.last_user.0.clear();
        self.last_user.0.extend_from_slice(id);
        self.last_user.1 = number;
        Ok(number)
    }

    /// A user who came without items.
    pub(super) fn silent_user(&mut self) {
        self.silent_users += 1;
    }

    /// Takes an interaction of a user.
    pub(super) fn take(
        &mut self,
        user: u32,
        item: &[u8],
        weight: Option<f64>,
        time: Option<f64>,
    ) -> Result<(), Problem> {
        let weight = match weight {
            None => 1.0,
            Some(rating) => {
                let (low, high) = self.range.unwrap_or((rating, rating));
                self.range = Some((low.min(rating), high.max(rating)));
                match self.least {
                    Some(least) if rating < least => {
                        self.below_rating += 1;
                        return Ok(());
                    }
                    None if rating < 0.0 => {
                        let expected =
                            "a rating of at least 0 (--min-rating R leaves out and counts what is rated below R)";
                        return Err(Problem::new(expected, rating.to_string()));
                    }
                    _ => rating + 0.0,
                }
            }
        };
        let item = self.items.number(item, "the id of an item")?;
        self.rows.push(Interaction { user, item, weight, time: time.unwrap_or(0.0) });
        Ok(())
    }

    pub(super) fn finish(self, format: Format, files: usize, bytes_read: u64) -> Interactions {
        let (rated, timed) = self.layout.unwrap_or((false, false));
        let read = Reading {
            format,
            files,
            lines: self.lines,
            bytes_read,
            bytes_parsed: self.bytes_parsed,
            interactions: self.rows.len() as u64 + self.below_rating,
            below_rating: self.below_rating,
            rating_range: self.range,
            columns: self.columns,
        };
        let (users, items): (StringTable, StringTable) = (self.users.texts, self.items.texts);
        Interactions { users, items, rows: self.rows, timed, rated, read }
    }
}

/// A finite number as text.
pub(super) fn number(text: &[u8], what: &'static str) -> Result<f64, Problem> {
    let parsed = std::str::from_utf8(text.trim_ascii()).ok().and_then(|text| text.parse::<f64>().ok());
    match parsed {
        Some(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::new(what, quoted(text))),
    }
}

/// What a rating is, for messages.
pub(super) const RATING: &str = "a rating (a finite number)";
/// What a time is.
pub(super) const TIME: &str = "a time (a number of seconds, say since 1970)";
