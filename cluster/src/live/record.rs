//! A batch of events as bytes: what a log consists of.
//!
//! ```text
//! offset  bytes  field
//!      0      4  length of the events in bytes, u32
//!      4      4  number of events, u32, at least 1
//!      8      8  sequence number of the first one, u64       so that no batch is left out, nor comes twice
//!     16      8  XXH3-64 of bytes 0..16                       so that a length is believed before its end is looked for
//!     24      n  the events, one after the other
//!   24+n      8  XXH3-64 of bytes 0..24+n
//! ```
//!
//! The seed of both checksums is the number of the file, so that a batch of another file is none of this one. An event:
//!
//! ```text
//!      0      1  operation: 0 add, 1 remove, 2 set
//!      1      1  what there is: 1 a node (else an edge), 2 weight, 4 type, 8 time, 16 event id
//!      2    ...  source and target, or the node; then type and event id: each 2 bytes of length, u16, and UTF-8
//!    ...    ...  weight, then time: 8 bytes each, f64
//! ```
//!
//! All numbers are little-endian. **Whatever the bytes, what is read is a good event or an error** (Kept by
//! `no_bytes_are_a_panic_or_a_bad_event`).

use walkprint_engine::events::{Event, Operation, Subject};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The most bytes of a batch. A larger one is to be sent in parts.
pub const MOST_BATCH_BYTES: usize = 64 << 20;

/// Bytes before the events.
pub(super) const HEAD_BYTES: usize = 24;
/// Bytes behind them.
pub(super) const TAIL_BYTES: usize = 8;
/// Bytes of which the first checksum is.
const SUMMED_BYTES: usize = 16;

const NODE: u8 = 1;
const WEIGHT: u8 = 2;
const KIND: u8 = 4;
const TIME: u8 = 8;
const EVENT_ID: u8 = 16;

/// What stands before the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Length of the events.
    pub(super) bytes: usize,
    pub(super) events: u32,
    pub(super) sequence: u64,
}

impl Head {
    /// Reads a head; `None` when it is none.
    pub(super) fn read(bytes: &[u8], seed: u64) -> Option<Head> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        let summed = xxh3_64_with_seed(&bytes[..SUMMED_BYTES], seed);
        let head = Head { bytes: u32_at(bytes, 0) as usize, events: u32_at(bytes, 4), sequence: u64_at(bytes, 8) };
        let whole = u64_at(bytes, SUMMED_BYTES) == summed && head.events != 0 && head.bytes <= MOST_BATCH_BYTES;
        whole.then_some(head)
    }

    /// Length of the record.
    pub(super) fn record_bytes(self) -> usize {
        HEAD_BYTES + self.bytes + TAIL_BYTES
    }
}

/// Begins a record at the end of `buffer`; says where it begins.
pub(super) fn begin(buffer: &mut Vec<u8>) -> usize {
    let at = buffer.len();
    buffer.resize(at + HEAD_BYTES, 0);
    at
}

/// Ends the record that begins at `at`. Its events were appended.
///
/// # Panics
/// When they are longer than [`MOST_BATCH_BYTES`].
pub(super) fn end(buffer: &mut Vec<u8>, at: usize, events: u32, sequence: u64, seed: u64) {
    let bytes = buffer.len() - at - HEAD_BYTES;
    assert!(bytes <= MOST_BATCH_BYTES, "the caller has looked");
    let bytes = u32::try_from(bytes).expect("a batch is far below 4 GiB");
    let head = &mut buffer[at..at + HEAD_BYTES];
    head[..4].copy_from_slice(&bytes.to_le_bytes());
    head[4..8].copy_from_slice(&events.to_le_bytes());
    head[8..16].copy_from_slice(&sequence.to_le_bytes());
    let summed = xxh3_64_with_seed(&head[..SUMMED_BYTES], seed);
    head[16..24].copy_from_slice(&summed.to_le_bytes());
    let checksum = xxh3_64_with_seed(&buffer[at..], seed);
    buffer.extend_from_slice(&checksum.to_le_bytes());
}

/// The events of a whole record, or what is wrong with it.
pub(super) fn read(record: &[u8], head: Head, seed: u64) -> Result<Vec<Event>, &'static str> {
    let (summed, checksum) = record.split_at(record.len() - TAIL_BYTES);
    if u64_at(checksum, 0) != xxh3_64_with_seed(summed, seed) {
        return Err("a batch's checksum does not fit");
    }
    let mut rest = &summed[HEAD_BYTES..];
    // An event has at least five bytes, whatever the number says.
    let mut events = Vec::with_capacity((head.events as usize).min(rest.len() / 5));
    for _ in 0..head.events {
        events.push(read_event(&mut rest).ok_or("an event cannot be read")?);
    }
    if rest.is_empty() { Ok(events) } else { Err("bytes are left over behind the events of a batch") }
}

/// Appends an event, which has been [checked](Event::check).
pub(super) fn write_event(event: &Event, buffer: &mut Vec<u8>) {
    write(event, event.event_id.as_deref(), buffer);
}

/// A digest of an event but for its id, to tell whether one that comes again is the same.
pub(super) fn content(event: &Event, room: &mut Vec<u8>) -> u64 {
    room.clear();
    write(event, None, room);
    xxh3_64(room)
}

fn write(event: &Event, event_id: Option<&str>, buffer: &mut Vec<u8>) {
    let Event { operation, subject, time, event_id: _ } = event;
    let (node, weight, kind) = match subject {
        Subject::Edge { weight, kind, .. } => (0, *weight, kind),
        Subject::Node { kind, .. } => (NODE, None, kind),
    };
    let bit = |there: bool, bit: u8| if there { bit } else { 0 };
    let flags = node
        | bit(weight.is_some(), WEIGHT)
        | bit(kind.is_some(), KIND)
        | bit(time.is_some(), TIME)
        | bit(event_id.is_some(), EVENT_ID);
    let operation = match operation {
        Operation::Add => 0,
        Operation::Remove => 1,
        Operation::Set => 2,
    };
    buffer.extend([operation, flags]);
    let mut name = |name: &str| {
        let bytes = u16::try_from(name.len()).expect("names were checked");
        buffer.extend_from_slice(&bytes.to_le_bytes());
        buffer.extend_from_slice(name.as_bytes());
    };
    match subject {
        Subject::Edge { source, target, .. } => [source, target].into_iter().for_each(|id| name(id)),
        Subject::Node { id, .. } => name(id),
    }
    kind.iter().for_each(|kind| name(kind));
    event_id.into_iter().for_each(name);
    for number in [weight, *time].into_iter().flatten() {
        buffer.extend_from_slice(&number.to_le_bytes());
    }
}

/// Takes a good event off the front of the bytes.
fn read_event(rest: &mut &[u8]) -> Option<Event> {
    let (&[operation, flags], after) = rest.split_first_chunk()?;
    *rest = after;
    let operation = *Operation::ALL.get(usize::from(operation))?;
    if flags & !(NODE | WEIGHT | KIND | TIME | EVENT_ID) != 0 || flags & NODE != 0 && flags & WEIGHT != 0 {
        return None;
    }
    let mut name = || {
        let (bytes, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*bytes)))?;
        *rest = after;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    };
    let first = name()?;
    let second = if flags & NODE == 0 { Some(name()?) } else { None };
    let kind = if flags & KIND != 0 { Some(name()?) } else { None };
    let event_id = if flags & EVENT_ID != 0 { Some(name()?) } else { None };
    let mut number = || {
        let (bytes, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(f64::from_le_bytes(*bytes))
    };
    let weight = if flags & WEIGHT != 0 { Some(number()?) } else { None };
    let time = if flags & TIME != 0 { Some(number()?) } else { None };
    let subject = match second {
        Some(target) => Subject::Edge { source: first, target, weight, kind },
        None => Subject::Node { id: first, kind },
    };
    let event = Event { operation, subject, time, event_id };
    event.check().is_ok().then_some(event)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were sliced"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Event> {
        let edge = |operation| Event::edge(operation, "a", "bé");
        vec![
            edge(Operation::Add).weighing(2.5).of_kind("likes").at(-1.5).named("id"),
            edge(Operation::Remove),
            edge(Operation::Set).weighing(0.0),
            Event::node(Operation::Add, "x").of_kind("k"),
            Event::node(Operation::Remove, "x".repeat(65_535)).named("y"),
        ]
    }

    fn written(events: &[Event]) -> Vec<u8> {
        let mut buffer = vec![9, 9];
        let at = begin(&mut buffer);
        events.iter().for_each(|event| write_event(event, &mut buffer));
        end(&mut buffer, at, u32::try_from(events.len()).unwrap(), 77, 5);
        buffer.split_off(at)
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let record = written(&sample());
        let head = Head::read(&record, 5).unwrap();
        assert_eq!((head.events, head.sequence, head.record_bytes()), (5, 77, record.len()));
        assert_eq!(read(&record, head, 5), Ok(sample()));
        assert_eq!(Head::read(&record, 6), None, "of another file");
    }

    #[test]
    fn the_content_of_an_event_is_everything_but_its_id() {
        let mut room = Vec::new();
        let mut of = |event: &Event| content(event, &mut room);
        let event = Event::edge(Operation::Add, "a", "b");
        assert_eq!(of(&event), of(&event.clone().named("e")));
        for other in [
            Event::edge(Operation::Set, "a", "b"),
            Event::edge(Operation::Add, "ab", "b"),
            Event::edge(Operation::Add, "b", "a"),
            event.clone().weighing(1.0),
            event.clone().at(1.0),
            event.clone().of_kind("b"),
            Event::node(Operation::Add, "a"),
        ] {
            assert_ne!(of(&event), of(&other), "{other:?}");
        }
    }

    #[test]
    fn no_bytes_are_a_panic_or_a_bad_event() {
        let mut bytes = Vec::new();
        sample()[..4].iter().for_each(|event| write_event(event, &mut bytes));
        let all = |bytes: &[u8]| {
            let mut rest = bytes;
            while let Some(event) = read_event(&mut rest) {
                assert_eq!(event.check(), Ok(()));
            }
        };
        for at in 0..bytes.len() {
            all(&bytes[..at]);
            for flip in 1..=255 {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                all(&flipped);
            }
        }
    }
}
