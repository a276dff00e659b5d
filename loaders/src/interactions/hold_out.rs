//! Taking interactions away, to see later whether they would have been recommended.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Interaction, Interactions};
use crate::Error;

/// Which interactions of each user are held out. Every user keeps at least one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HoldOut {
    /// The so many newest; of equally old ones those that came last in the input.
    Last(u32),
    /// This share, rounded, drawn by a key: which ones depends on the key and the ids of user and item alone.
    Random(f64),
}

/// A text that is no [`HoldOut`].
#[derive(Debug, thiserror::Error)]
#[error("expected last=COUNT or random=SHARE (above 0, below 1), got {0:?}")]
pub struct UnknownHoldOut(pub String);

impl FromStr for HoldOut {
    type Err = UnknownHoldOut;

    fn from_str(text: &str) -> Result<Self, UnknownHoldOut> {
        let unknown = || UnknownHoldOut(text.to_owned());
        match text.split_once('=').ok_or_else(unknown)? {
            ("last", count) => {
                let count = count.parse().ok().filter(|&count| 0 < count);
                count.map(HoldOut::Last).ok_or_else(unknown)
            }
            ("random", share) => {
                let share = share.parse().ok().filter(|&share| 0.0 < share && share < 1.0);
                share.map(HoldOut::Random).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for HoldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldOut::Last(count) => write!(f, "last={count}"),
            HoldOut::Random(share) => write!(f, "random={share}"),
        }
    }
}

impl Interactions {
    /// Takes some of each user's interactions out, and hands them over in the order of the input.
    ///
    /// # Errors
    /// When the newest are asked for and there are no times, or nothing is left to hold out.
    pub fn hold_out(&mut self, which: HoldOut, key: u64) -> Result<Vec<Interaction>, Error> {
        if matches!(which, HoldOut::Last(_)) {
            self.check_timed("--hold-out last")?;
        }
        let mut of_user: Vec<Vec<usize>> = vec![Vec::new(); self.users.len()];
        for (at, row) in self.rows.iter().enumerate() {
            of_user[row.user as usize].push(at);
        }
        let mut held = vec![false; self.rows.len()];
        for rows in &mut of_user {
            let count = match which {
                HoldOut::Last(count) => {
                    // A stable sort: what came last in the input stays last.
                    rows.sort_by(|&a, &b| self.rows[a].time.total_cmp(&self.rows[b].time));
                    count as usize
                }
                HoldOut::Random(share) => {
                    rows.sort_by_cached_key(|&at| (self.draw(&self.rows[at], key), at));
                    share_of(rows.len(), share)
                }
            };
            let first = rows.len() - count.min(rows.len().saturating_sub(1));
            rows[first..].iter().for_each(|&at| held[at] = true);
        }
        if !held.contains(&true) {
            let got = "no user with two interactions or more".to_owned();
            return Err(Error::Option { option: "--hold-out", expected: "something to hold out", got });
        }
        let mut flags = held.iter();
        let out = self.rows.iter().zip(&held).filter(|(_, held)| **held).map(|(row, _)| *row).collect();
        self.rows.retain(|_| flags.next() == Some(&false));
        Ok(out)
    }

    /// A number that depends on the key and the two ids alone.
    fn draw(&self, row: &Interaction, key: u64) -> u64 {
        let (user, item) = (self.users.get(row.user as usize), self.items.get(row.item as usize));
        // A NUL, which no id has, keeps ("ab", "c") and ("a", "bc") apart.
        xxh3_64_with_seed([user.as_bytes(), b"\0", item.as_bytes()].concat().as_slice(), key)
    }
}

/// A share of a count, rounded.
fn share_of(count: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
    let rounded = (count as f64 * share).round() as usize;
    rounded.min(count)
}
