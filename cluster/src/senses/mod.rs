//! Word senses: which sense a word has in a context, by personalized PageRank over a graph of senses.
//!
//! The method is `ppr_w2w` of Agirre, López de Lacalle & Soroa, "Random walks for knowledge-based word sense disambiguation",
//! Computational Linguistics 40(1), 2014, sections 4.1 and 4.3, as UKB carries it out. For a target word of a context, the seeds
//! are the senses of all *other* words, each word's mass divided among its senses by their prior; the target's senses are ranked
//! by score times prior:
//!
//! ```text
//! prior(s | w)   = (count(w, s) + smoothing) / sum over senses of w
//! seeds_w        = sum over words v of the context, v != w:  times(v) * sum over s:  prior(s | v) * e_s
//! value(s | w)   = prior(s | w) * q(seeds_w)(s)
//! ```
//!
//! A word that occurs several times in a context is one word with a larger weight, and all its occurrences have one sense. A
//! [`Dictionary`] says which senses a lemma has, [`read_contexts`] reads texts in UKB's form, [`disambiguate`] answers for all
//! of them, and [`Score`] holds the answers against a key.
//!
//! **Linearity**: `q` is linear in its seeds, so `q(seeds_w)` is the weighted sum of the answers for single words. These are
//! asked for once a word of the *whole input*, sixteen at a time, however many contexts it occurs in and however many targets it
//! is seed for: 2,808 answers instead of 7,253 on the usual evaluation data. The sums are exact up to the rounding of the
//! answers. (Test: `tests/tests/senses.rs` compares with one answer a target, by a dense solve.)

mod dictionary;

mod contexts;

mod ranking;

mod scoring;

pub use contexts::{Context, Word, read_contexts};
pub use dictionary::{Dictionary, Entry, Lemma};
pub use ranking::{Disambiguated, SenseSettings, disambiguate};
pub use scoring::{Keys, Score, Tally, read_keys, read_sense_keys};
