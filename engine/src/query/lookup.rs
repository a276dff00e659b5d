//! The roughest answer: each seed's own fingerprint, weighted. Microseconds a seed.

use super::halt::Halt;
use super::tally;
use super::workspace::Workspace;
use crate::error::Result;
use crate::ids::NodeId;
use crate::index::Index;

/// Adds every seed's fingerprint on a clear workspace. Returns an estimate of the L1 error.
///
/// # Errors
/// When a fingerprint is damaged, or the flag is set.
pub(super) fn solve(index: &Index, space: &mut Workspace, seeds: &[(NodeId, f64)], halt: &Halt) -> Result<f64> {
    if space.residual.len() / 8 < seeds.len() {
        space.go_wide();
    }
    let mut pace = halt.pace();
    for &(node, weight) in seeds {
        pace.after(tally::add(index, node, weight, space)?.into())?;
    }
    Ok(tally::l1_error(space))
}
