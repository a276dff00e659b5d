//! One file a command: from its arguments to what the user sees.

mod events;

pub(crate) mod load;

pub(crate) mod gather;

pub(crate) mod index;

pub(crate) mod update;

pub(crate) mod compact;

pub(crate) mod plan;

#[cfg(feature = "client")]
mod asking;

pub(crate) mod query;

pub(crate) mod watch;

pub(crate) mod batch;

pub(crate) mod recommend;

pub(crate) mod rank_terms;

pub(crate) mod retrieve;

pub(crate) mod evaluate;

pub(crate) mod serve;

pub(crate) mod inspect;

pub(crate) mod verify;

pub(crate) mod quickstart;

pub(crate) mod completions;
