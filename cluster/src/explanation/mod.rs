//! Explanations for people: as [`text()`], as a graph for Graphviz ([`dot()`]), as a drawing ([`svg()`]).
//!
//! Both pictures show the same [`Picture`]: seeds, results, and the nodes and edges of the best paths between them.
//!
//! **Ids are the user's own bytes and may hold anything**: what is printed of them is made [`visible`], shortened in the
//! middle where they are long, and then quoted as the format wants it. (Test: `explanation::tests`.)

mod text;

mod picture;

mod dot;

mod layout;

mod svg;

#[cfg(test)]
mod tests;

pub use dot::dot;
pub use picture::{Picture, PictureEdge, PictureNode};
pub use svg::svg;
pub use text::text;

/// A text in which every character can be seen and none does anything: control characters become their pictures (`␊`),
/// others that XML forbids, or that turn the direction of writing, become `�`.
#[must_use]
pub fn visible(text: &str) -> String {
    let picture = |letter: char| match letter {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        plain => plain,
    };
    text.chars().map(picture).collect()
}

/// A text of at most `most` characters: the middle of a longer one is replaced by `…`.
fn shorten(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_owned();
    }
    let (head, tail) = (most / 2, most.saturating_sub(1) - most / 2);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(letters - tail).collect();
    format!("{start}…{end}")
}

/// A share for people: `62 %`, `6.2 %`, `0.62 %`.
fn percent(share: f64) -> String {
    let percent = (share * 100.0).max(0.0);
    match percent {
        _ if percent == 0.0 => "0 %".to_owned(),
        _ if percent < 0.01 => "<0.01 %".to_owned(),
        _ if percent < 0.995 => format!("{percent:.2} %"),
        _ if percent < 9.95 => format!("{percent:.1} %"),
        _ if (99.5..100.0 - 1e-6).contains(&percent) => ">99 %".to_owned(),
        _ => format!("{percent:.0} %"),
    }
}

/// A number of three digits: `0.0523`, `1.20e-7`.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e5).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between -2 and 6")]
    let decimals = (2.0 - value.abs().log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
