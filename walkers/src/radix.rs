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
#[expect(clippy::cast_possible_truncation, reason = "a digit is masked to a few bits")]
pub(crate) fn sort<T: Copy>(items: &mut Vec<T>, scratch: &mut Vec<T>, low: u32, high: u32, key: impl Fn(&T) -> u64) {
    let Some(&first) = items.first().filter(|_| low < high) else { return };
    let most_bits = if items.len() < SHORT { MOST_BITS_OF_SHORT } else { MOST_BITS };
    let passes = (high - low).div_ceil(most_bits);
    let width = (high - low).div_ceil(passes);
    scratch.resize(items.len(), first); // what it holds is written over
    for pass in 0..passes {
        let shift = low + pass * width;
        let mask = (1u64 << width.min(high - shift)) - 1;
        let digit = |item: &T| (key(item) >> shift & mask) as usize;
        let mut places = [0u32; 1 << MOST_BITS];
        let places = &mut places[..1 << width];
        for item in &*items {
            places[digit(item)] += 1;
        }
        let mut next = 0;
        for place in &mut *places {
            next += std::mem::replace(place, next);
        }
        for item in &*items {
            let place = &mut places[digit(item)];
            scratch[*place as usize] = *item;
            *place += 1;
        }
        std::mem::swap(items, scratch);
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
        ) {
            let of = |item: &u64| item >> low & ((1 << bits) - 1);
            let (mut sorted, mut expected) = (items.clone(), items);
            sort(&mut sorted, &mut Vec::new(), low, low + bits, |&item| item);
            expected.sort_by_key(of);
            prop_assert_eq!(sorted, expected);
        }
    }
}
