//! Sorting by a key of known width, lowest digit first: a third of what a comparison sort takes on lists that fit the cache.

/// The most bits of a digit: the places of all digits' values stay in the first-level cache, and what is written to them in
/// the second.
const MOST_BITS: u32 = 11;
/// Lists shorter than this are not worth so many places.
const SHORT: usize = 1 << 12;
const MOST_BITS_OF_SHORT: u32 = 8;

/// Sorts by the key's bits `low..high`, stably. `scratch` is room, reused from call to call.
///
/// Cost: a pass for every eleven bits, eight in short lists.
pub(crate) fn sort<T: Copy>(items: &mut Vec<T>, scratch: &mut Vec<T>, low: u32, high: u32, key: impl Fn(&T) -> u64) {
    for digit in Digit::all(items.len(), low, high) {
        pass(&[&*items], scratch, digit, &key);
        std::mem::swap(items, scratch);
    }
}

/// Sorts what lies in several lists into one, as [`sort`] does; what `items` held is lost. The lists are read twice, and not
/// copied before.
pub(crate) fn gather<T: Copy>(
    lists: &[impl AsRef<[T]>],
    items: &mut Vec<T>,
    scratch: &mut Vec<T>,
    low: u32,
    high: u32,
    key: impl Fn(&T) -> u64,
) {
    let length = lists.iter().map(|list| list.as_ref().len()).sum();
    let mut digits = Digit::all(length, low, high);
    let Some(first) = digits.next() else {
        items.clear();
        return lists.iter().for_each(|list| items.extend_from_slice(list.as_ref()));
    };
    pass(lists, items, first, &key);
    for digit in digits {
        pass(&[&*items], scratch, digit, &key);
        std::mem::swap(items, scratch);
    }
}

/// Some bits of a key.
#[derive(Debug, Clone, Copy)]
struct Digit {
    shift: u32,
    width: u32,
}

impl Digit {
    /// The digits by which so many items are sorted, lowest first.
    fn all(items: usize, low: u32, high: u32) -> impl Iterator<Item = Digit> {
        let most_bits = if items < SHORT { MOST_BITS_OF_SHORT } else { MOST_BITS };
        let passes = if items == 0 { 0 } else { high.saturating_sub(low).div_ceil(most_bits) };
        let width = high.saturating_sub(low).div_ceil(passes.max(1));
        (0..passes)
            .map(move |pass| low + pass * width)
            .map(move |shift| Digit { shift, width: width.min(high - shift) })
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a digit has a few bits")]
    fn of(self, key: u64) -> usize {
        (key >> self.shift & ((1u64 << self.width) - 1)) as usize
    }
}

/// Deals the items of some lists out by one digit, each behind those before it.
fn pass<T: Copy>(lists: &[impl AsRef<[T]>], sorted: &mut Vec<T>, digit: Digit, key: impl Fn(&T) -> u64) {
    let Some(&any) = lists.iter().find_map(|list| list.as_ref().first()) else { return };
    let mut places = [0u32; 1 << MOST_BITS];
    let places = &mut places[..1 << digit.width];
    let mut length = 0;
    for list in lists {
        for item in list.as_ref() {
            places[digit.of(key(item))] += 1;
        }
        length += list.as_ref().len();
    }
    let mut next = 0;
    for place in &mut *places {
        next += std::mem::replace(place, next);
    }
    sorted.resize(length, any); // what it holds is written over
    for list in lists {
        for item in list.as_ref() {
            let place = &mut places[digit.of(key(item))];
            sorted[*place as usize] = *item;
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn it_sorts_by_the_bits_it_is_given(
            items in prop::collection::vec(any::<u64>(), 0..300),
            low in 0u32..40,
            bits in 0u32..24,
            cut in 1usize..100,
        ) {
            let of = |item: &u64| item >> low & ((1 << bits) - 1);
            let (mut sorted, mut expected) = (items.clone(), items.clone());
            let lists: Vec<Vec<u64>> = items.chunks(cut).map(<[u64]>::to_vec).collect();
            let mut gathered = vec![7; 20];
            sort(&mut sorted, &mut Vec::new(), low, low + bits, |&item| item);
            gather(&lists, &mut gathered, &mut Vec::new(), low, low + bits, |&item| item);
            expected.sort_by_key(of);
            prop_assert_eq!(sorted, &expected[..]);
            prop_assert_eq!(gathered, expected);
        }
    }
}
