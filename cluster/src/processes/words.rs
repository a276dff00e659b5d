//! What processes say to one another besides timely's data: what they agree on, signs of life, how they end.

use super::loss::{Loss, LossKind};

/// Labelled values that must be the same in all processes of a job.
pub(super) type Agreement = Vec<(String, String)>;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// What must be equal, and the wall clock in seconds since 1970.
    Agreement { clock: u64, values: Agreement },
    /// The connection is not wanted, and why.
    Refusal(String),
    /// The connection is accepted.
    Welcome,
    /// Still here.
    Beat,
    /// Connected with all others.
    Ready,
    /// Ended well.
    Done,
    /// A process is lost, perhaps the one that says so.
    Lost(Loss),
}

impl Word {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Word::Agreement { clock, values } => {
                bytes.push(0);
                bytes.extend(clock.to_le_bytes());
                for text in values.iter().flat_map(|(label, value)| [label, value]) {
                    put(&mut bytes, text);
                }
            }
            Word::Refusal(why) => {
                bytes.push(1);
                put(&mut bytes, why);
            }
            Word::Welcome => bytes.push(2),
            Word::Beat => bytes.push(3),
            Word::Ready => bytes.push(4),
            Word::Done => bytes.push(5),
            Word::Lost(loss) => {
                bytes.push(6);
                bytes.extend(u32::try_from(loss.process).unwrap_or(u32::MAX).to_le_bytes());
                bytes.push(match loss.kind {
                    LossKind::Gone => 0,
                    LossKind::Failed => 1,
                    LossKind::Interrupted => 2,
                });
                put(&mut bytes, &loss.address);
                put(&mut bytes, &loss.reason);
            }
        }
        bytes
    }

    /// `None` for bytes that are no message.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Word> {
        let bytes = &mut bytes;
        let word = match take(bytes, 1)?[0] {
            0 => {
                let clock = u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?);
                let mut values = Agreement::new();
                while !bytes.is_empty() {
                    values.push((text(bytes)?, text(bytes)?));
                }
                Word::Agreement { clock, values }
            }
            1 => Word::Refusal(text(bytes)?),
            2 => Word::Welcome,
            3 => Word::Beat,
            4 => Word::Ready,
            5 => Word::Done,
            6 => {
                let process = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize;
                let kind = match take(bytes, 1)?[0] {
                    0 => LossKind::Gone,
                    1 => LossKind::Failed,
                    2 => LossKind::Interrupted,
                    _ => return None,
                };
                Word::Lost(Loss { process, kind, address: text(bytes)?, reason: text(bytes)? })
            }
            _ => return None,
        };
        bytes.is_empty().then_some(word)
    }
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("texts of processes are short");
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize;
    String::from_utf8(take(bytes, length)?.to_vec()).ok()
}

/// What two processes do not agree on: the first label that differs, with both values. `None` where all is equal.
pub(super) fn difference(here: &Agreement, there: &Agreement) -> Option<(String, String, String)> {
    const NOTHING: &str = "nothing";
    let find = |values: &Agreement, label: &str| values.iter().find(|(key, _)| key == label).map(|pair| pair.1.clone());
    let labels = here.iter().chain(there).map(|(label, _)| label);
    labels.map(|label| (label, find(here, label), find(there, label))).find(|(_, here, there)| here != there).map(
        |(label, here, there)| {
            let or_nothing = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
            (label.clone(), or_nothing(here), or_nothing(there))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: &[(&str, &str)]) -> Agreement {
        values.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn words_survive_the_way_and_nothing_else_does() {
        let loss = |kind| Loss { process: 2, kind, address: "a:1".into(), reason: "disk full".into() };
        let words = [
            Word::Agreement { clock: 1_790_000_000, values: pairs(&[("plan", "ab"), ("graph", "")]) },
            Word::Agreement { clock: 0, values: Agreement::new() },
            Word::Refusal("ünwanted".into()),
            Word::Welcome,
            Word::Beat,
            Word::Ready,
            Word::Done,
            Word::Lost(loss(LossKind::Gone)),
            Word::Lost(loss(LossKind::Failed)),
            Word::Lost(loss(LossKind::Interrupted)),
        ];
        for word in words {
            let bytes = word.encode();
            assert_eq!(Word::decode(&bytes).as_ref(), Some(&word));
            for length in 0..bytes.len() {
                assert_ne!(Word::decode(&bytes[..length]).as_ref(), Some(&word), "{length} bytes of {word:?}");
            }
            for bit in 0..8 * bytes.len() {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(Word::decode(&bytes).as_ref(), Some(&word), "bit {bit} of {word:?}"); // and no panic
            }
            assert_eq!(Word::decode(&[&bytes[..], &[0]].concat()), None);
        }
        assert_eq!(Word::decode(&[]), None);
        assert_eq!(Word::decode(&[9]), None);
        assert_eq!(Word::decode(&[1, 255, 255, 255, 255]), None);
    }

    #[test]
    fn the_first_difference_counts() {
        let here = pairs(&[("version", "1"), ("plan", "a"), ("graph", "x")]);
        assert_eq!(difference(&here, &here), None);
        let there = pairs(&[("version", "1"), ("plan", "b"), ("graph", "y")]);
        assert_eq!(difference(&here, &there), Some(("plan".into(), "a".into(), "b".into())));
        let less = pairs(&[("version", "1"), ("plan", "a")]);
        assert_eq!(difference(&here, &less), Some(("graph".into(), "x".into(), "nothing".into())));
        assert_eq!(difference(&less, &here), Some(("graph".into(), "nothing".into(), "x".into())));
    }
}
