//! From a question in words to seeds, for retrieval over knowledge graphs: which nodes are named in it, how much each of them
//! counts, and which passages share its words.
//!
//! ```text
//! question ─▶ names: the nodes that it names ─────▶ weights by specificity ─▶ ┐
//!     │                                                                      ├─▶ seeds ─▶ query ─▶ passages, entities
//!     └─────▶ lexicon: passages with its words ───▶ a share of the mass ────▶ ┘
//! ```
//!
//! Types say what is what: nodes of type `passage` are texts, and all others but `phrase` may be named (see
//! [`crate::kinds`] for the names of types). Without types every node may be named, and there are no passages.
//!
//! Papers: Gutiérrez, Shu, Gu, Yasunaga & Su, "HippoRAG", NeurIPS 2024 (node specificity, section 2.2); Gutiérrez, Shu, Qi, Zhou &
//! Su, "From RAG to memory" (HippoRAG 2), ICML 2025 (passage nodes and passage seeds, section 3).

mod tokens;

mod names;

mod lexicon;

mod mentions;

mod sowing;

pub use lexicon::Lexicon;
pub use mentions::Mentions;
pub use names::{Match, MatchKind, Names, name_of};
pub use sowing::{Ask, Matched, Retriever, Sowing, Sown};
pub use tokens::{Token, fitting, token_count, tokens};
