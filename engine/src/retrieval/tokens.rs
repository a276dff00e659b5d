//! Words of a text, and how many tokens a language model takes for it, about.

/// How many bytes of text a token stands for, about: the usual rule of thumb for English.
const BYTES_A_TOKEN: u64 = 4;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word in small letters.
    pub text: String,
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The words of a text: what stands between characters that are neither letters nor digits, in small letters.
///
/// ```
/// let words: Vec<String> = walkprint_engine::retrieval::tokens("What's in Köln?").into_iter().map(|t| t.text).collect();
/// assert_eq!(words, ["what", "s", "in", "köln"]);
/// ```
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, letter.is_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                found.push(Token { text: text[first..at].to_lowercase(), start: first, end: at });
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// How many tokens a text has: a quarter of its bytes in UTF-8, rounded up. Language models count otherwise, each in its own
/// way; whoever knows better gives the numbers along.
#[must_use]
pub fn token_count(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_A_TOKEN)
}

/// How many of these fit into a budget, one after the other: all before the first that does not.
///
/// ```
/// assert_eq!(walkprint_engine::retrieval::fitting(Some(10), [4, 6, 1]), 2);
/// ```
#[must_use]
pub fn fitting(budget: Option<u64>, tokens: impl IntoIterator<Item = u64>) -> usize {
    let mut left = budget.unwrap_or(u64::MAX);
    let fits = |&tokens: &u64| {
        let enough = tokens <= left;
        left = left.saturating_sub(tokens);
        enough
    };
    tokens.into_iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_lie_where_they_say(text in "\\PC{0,60}") {
            let words = tokens(&text);
            for word in &words {
                prop_assert_eq!(&text[word.start..word.end].to_lowercase(), &word.text);
                prop_assert!(text[word.start..word.end].chars().all(char::is_alphanumeric));
            }
            let between: String = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
            let joined: String = words.iter().map(|word| &text[word.start..word.end]).collect();
            prop_assert_eq!(between, joined);
        }

        #[test]
        fn what_fits_is_as_much_as_possible(budget in 0u64..50, sizes in prop::collection::vec(0u64..20, 0..12)) {
            let count = fitting(Some(budget), sizes.iter().copied());
            prop_assert!(sizes[..count].iter().sum::<u64>() <= budget);
            prop_assert!(count == sizes.len() || budget < sizes[..=count].iter().sum::<u64>());
            prop_assert_eq!(fitting(None, sizes.iter().copied()), sizes.len());
        }
    }
}
