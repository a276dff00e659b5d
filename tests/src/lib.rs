//! What no single crate can check: the parts together, the program from outside, and the repository itself.
//!
//! The tests are in `tests/tests/`, one subject a file. This library is what they share, in reading order: fixed
//! [`draws`] to make cases from, small [`graphs`], a [`dense`] solver that shares no code with the engine, the
//! estimates of [`fingerprints`], [`stores`] in temporary directories, the [`golden`] stores that are checked in, the
//! [`program`] as a user runs it, a [`team`] of its processes, [`answers`] in bulk, an [`http_server`], and
//! [`hostile_requests`] to it.

pub mod damage;

pub mod draws;

pub mod graphs;

pub mod dense;

pub mod fingerprints;

pub mod stores;

pub mod golden;

pub mod program;

pub mod team;

pub mod answers;

pub mod http_server;

pub mod hostile_requests;
