//! Times of the dataflow: `block << 32 | phase << 24 | round`.
//!
//! A block is what is answered together; a phase pushes down to a threshold and then reads fingerprints; a round pushes
//! once. The last round of a phase is the time of everything that follows pushing, so that one step later is the beginning
//! of the next phase.

/// Bits of a round.
const ROUND_BITS: u32 = 24;
/// Bits of a phase.
const PHASE_BITS: u32 = 8;
/// The last round of a phase.
const LAST_ROUND: u64 = (1 << ROUND_BITS) - 1;
/// The last phase of a block.
const LAST_PHASE: u64 = (1 << PHASE_BITS) - 1;

/// When a block begins.
pub(crate) fn begin(block: u32) -> u64 {
    u64::from(block) << (ROUND_BITS + PHASE_BITS)
}

/// The last time of a block.
pub(crate) fn end(block: u32) -> u64 {
    begin(block) | ((1 << (ROUND_BITS + PHASE_BITS)) - 1)
}

/// The end of the phase that a time belongs to.
pub(super) fn phase_end(time: u64) -> u64 {
    time | LAST_ROUND
}

/// True for the first round of a phase.
pub(super) fn begins_phase(time: u64) -> bool {
    time & LAST_ROUND == 0
}

/// True for the first round of a block.
pub(super) fn begins_block(time: u64) -> bool {
    time == begin(block_of(time))
}

/// The block that a time belongs to.
pub(super) fn block_of(time: u64) -> u32 {
    u32::try_from(time >> (ROUND_BITS + PHASE_BITS)).expect("the upper half of 64 bits")
}

/// Whether another round may follow in the phase.
pub(super) fn may_push(time: u64) -> bool {
    time & LAST_ROUND < LAST_ROUND - 1
}

/// Whether another phase may follow in the block.
pub(super) fn may_go_on(time: u64) -> bool {
    time >> ROUND_BITS & LAST_PHASE < LAST_PHASE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_after_the_end_of_a_phase_the_next_begins() {
        let first = begin(3);
        assert!(begins_phase(first) && begins_block(first) && block_of(first) == 3 && may_push(first));
        let second = phase_end(first + 17) + 1;
        assert!(begins_phase(second) && !begins_block(second) && block_of(second) == 3 && may_go_on(second));
        assert!(!may_push(phase_end(first) - 1) && !may_go_on(end(3)));
        assert_eq!(end(3) + 1, begin(4));
    }
}
