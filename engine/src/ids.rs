//! External ids as the user wrote them, and the dense numbers the engine works with.
//!
//! A [`NodeId`] is a node's place in the graph's rows. An [`ExternalIds`] holds the user's ids of *n* nodes in
//! ascending order; the position of an id in that order is its **rank**, and ties between equal scores are broken by
//! the smaller rank (integers compare as numbers, strings as bytes).

/// A node's dense number in the graph: `0..nodes`.
pub type NodeId = u32;

/// The largest number of nodes of one graph. One value is kept free as "no node".
pub const MAX_NODES: u64 = u32::MAX as u64 - 1;

/// The user's ids of all nodes of a graph, ascending and without repetition.
///
/// Either every id is an integer that is written the way `i64` prints it (so `7` but not `007` or `+7`), or all ids
/// are strings. Either way an id is given back as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalIds {
    /// Integers, ascending.
    Integers(Vec<i64>),
    /// Strings, ascending by bytes.
    Strings(StringTable),
}

impl ExternalIds {
    /// How many ids there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            ExternalIds::Integers(ids) => ids.len(),
            ExternalIds::Strings(table) => table.len(),
        }
    }

    /// True when there is no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at a rank, as text.
    ///
    /// # Panics
    /// When `rank` is not below [`ExternalIds::len`].
    #[must_use]
    pub fn text(&self, rank: usize) -> String {
        match self {
            ExternalIds::Integers(ids) => ids[rank].to_string(),
            ExternalIds::Strings(table) => table.get(rank).to_owned(),
        }
    }

    /// The rank of an id written as text. Cost: a binary search.
    #[must_use]
    pub fn rank(&self, text: &str) -> Option<usize> {
        match self {
            ExternalIds::Integers(ids) => ids.binary_search(&canonical_integer(text.as_bytes())?).ok(),
            ExternalIds::Strings(table) => table.rank(text),
        }
    }
}

/// Many strings in one allocation: the bytes one after the other, and where each ends.
///
/// Memory: the bytes plus eight bytes a string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringTable {
    bytes: String,
    ends: Vec<usize>,
}

impl StringTable {
    /// An empty table with room for `strings` strings of `bytes` bytes together.
    #[must_use]
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        StringTable { bytes: String::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// Appends a string.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at an index.
    ///
    /// # Panics
    /// When `index` is not below [`StringTable::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// All strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The index of a string in an ascending table, by binary search.
    #[must_use]
    pub fn rank(&self, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The integer that a text stands for, if it is written exactly as `i64` prints it.
///
/// `-0`, `+1`, `01` and anything outside the range of `i64` are no integers here: they would not come back as they
/// were written.
#[must_use]
pub fn canonical_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] if negative => return None,
        [b'0', _, ..] => return None,
        _ => {}
    }
    let mut value: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Accumulated below zero, because the negative half has one value more.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_canonical_exactly_when_it_prints_as_it_was_written() {
        for text in ["0", "7", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(canonical_integer(text.as_bytes()).map(|value| value.to_string()).as_deref(), Some(text));
        }
        for text in ["", "-", "-0", "+1", "01", "007", "1.0", "1e3", " 1", "9223372036854775808", "٣"] {
            assert_eq!(canonical_integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_table_finds_what_it_holds_and_nothing_else() {
        let mut table = StringTable::default();
        for text in ["", "a", "ab", "b", "ü"] {
            table.push(text);
        }
        for (rank, text) in table.iter().enumerate() {
            assert_eq!(table.rank(text), Some(rank));
        }
        assert_eq!(table.rank("aa"), None);
        assert_eq!(table.rank("z"), None);
    }
}
