//! Whether whoever asked still wants the answer.
//!
//! Answers take from microseconds to minutes, and nothing here knows how long one may take: the engine has no clock. So an
//! answerer is lent a flag, and looks at it after every [`LOOK`] edges or so of work, some ten microseconds apart. Where a row
//! is longer than that, it looks when the row is done.
//!
//! **After an interruption nothing is left of the question**: the next answer is the one of a fresh answerer. (Test:
//! `query::tests::halting`.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Edges between one look and the next: 10 µs of a sweep, 50 of a push.
const LOOK: u64 = if cfg!(test) { 16 } else { 1 << 14 };

/// A flag that ends an answer, if there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Halt {
    flag: Option<Arc<AtomicBool>>,
    /// Looks that find nothing before all others find the flag set.
    #[cfg(test)]
    looks: Option<Arc<std::sync::atomic::AtomicU64>>,
}

impl Halt {
    /// Heeds a flag.
    pub(super) fn new(flag: Option<Arc<AtomicBool>>) -> Halt {
        Halt {
            flag,
            #[cfg(test)]
            looks: None,
        }
    }

    /// Ends what is done at the look after so many.
    #[cfg(test)]
    pub(super) fn after(looks: u64) -> Halt {
        Halt { flag: None, looks: Some(Arc::new(looks.into())) }
    }

    /// Looks at the flag.
    ///
    /// # Errors
    /// When it is set.
    #[inline]
    pub(super) fn look(&self) -> Result<()> {
        if self.is_set() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Looks at the flag, which stays as it is once it is set.
    #[cold]
    #[inline(never)]
    pub(super) fn is_set(&self) -> bool {
        #[cfg(test)]
        if let Some(looks) = &self.looks {
            return looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        }
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Begins to count work.
    pub(super) fn pace(&self) -> Pace<'_> {
        Pace { halt: self, done: 0 }
    }
}

/// Counts work from one look to the next.
pub(super) struct Pace<'h> {
    halt: &'h Halt,
    done: u64,
}

impl Pace<'_> {
    /// Counts so many edges. True when it was time to look, and the flag is set.
    #[inline(always)]
    pub(super) fn halts(&mut self, edges: u64) -> bool {
        self.done += edges;
        if self.done < LOOK {
            return false;
        }
        self.done = 0;
        self.halt.is_set()
    }

    /// The same, as an error.
    ///
    /// # Errors
    /// When it was time to look, and the flag is set.
    #[inline(always)]
    pub(super) fn after(&mut self, edges: u64) -> Result<()> {
        if self.halts(edges) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
