//! Ranking candidate terms anew by how much their words matter, given a graph of related words and a few terms that are known
//! to be right.
//!
//! The method is SemRe-Rank: Zhang, Gao & Ciravegna, "SemRe-Rank: Improving Automatic Term Extraction By Incorporating Semantic
//! Relatedness With Personalised PageRank", ACM TKDD 12(5), 2018 (arXiv 1711.03373), section 4, as the authors' program
//! computes it. Some other method has given every candidate term `t` a base score. For each document `d`, personalized
//! PageRank (damping .85) runs over the graph of related words of `d`, with the words of known terms as seeds:
//!
//! ```text
//! rank(w, d)  = q(words of seeds in d)(w) / the largest in d
//! smi(w)      = sum over documents d:  rank(w, d)                       semantic importance of a word
//! nsmi(w)     = smi(w) / the largest smi
//! nate(t)     = base(t) / the largest base score
//! revised(t)  = (1 + sum over words w of t:  nsmi(w) / number of words of t) * nate(t)
//! ```
//!
//! The graph of a document has the words of the candidate terms that occur in it, and the edges that the store has between them;
//! words without any are left out, and a document without a seed is ranked without personalization, as in the authors'
//! program. Without documents, the whole store is the graph of the one document. In the paper two words are related when their
//! embeddings are close; here a store says which are, by whatever means.

mod input;

mod importance;

mod revision;

pub use importance::{Importances, word_importances};
pub use input::{Document, Term, read_documents, read_seeds, read_terms, words_of};
pub use revision::{RevisedTerm, revise};
