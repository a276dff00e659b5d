//! The roughest answer: each seed's own fingerprint, weighted. Microseconds a seed.
//!
//! Where rows have changed since the fingerprints were made, seeds whose fingerprints are no use any more are pushed, and what
//! the others say is amended: see [`super::amend`].

use super::amend::{self, Amender, Goal};
use super::push::Pusher;
use super::stored::Stored;
use super::tally;
use super::workspace::Workspace;
use crate::error::Result;
use crate::ids::NodeId;

/// What may lie at nodes whose fingerprints are no use before the others are added.
const WAITING: f64 = 0.01;

/// Adds every seed's fingerprint on a clear workspace. Returns an estimate of the L1 error.
///
/// # Errors
/// When a fingerprint or the graph is damaged, or the flag of the pusher is set.
pub(super) fn solve(
    pusher: Pusher<'_>,
    stored: Stored<'_>,
    space: &mut Workspace,
    seeds: &[(NodeId, f64)],
) -> Result<f64> {
    if let Some(amender) = Amender::new(pusher, stored) {
        return solve_amended(amender, pusher, stored, space, seeds);
    }
    if space.residual.len() / 8 < seeds.len() {
        space.go_wide();
    }
    add_all(pusher, stored, space, seeds)?;
    Ok(tally::l1_error(space))
}

fn add_all(pusher: Pusher<'_>, stored: Stored<'_>, space: &mut Workspace, sources: &[(NodeId, f64)]) -> Result<()> {
    let mut pace = pusher.halt.pace();
    for &(node, weight) in sources {
        pace.after(tally::add(stored, node, weight, space)?.into())?;
    }
    Ok(())
}

fn solve_amended(
    amender: Amender<'_>,
    pusher: Pusher<'_>,
    stored: Stored<'_>,
    space: &mut Workspace,
    seeds: &[(NodeId, f64)],
) -> Result<f64> {
    space.sow(seeds);
    amender.push_renewed(space, WAITING, pusher.scan_cost())?;
    let mut waiting = amender.take_renewed(space);
    let mut sources = Vec::new();
    for position in 0..space.width() {
        let node = space.node(position);
        let mass = std::mem::take(&mut space.residual[node as usize]);
        if mass != 0.0 {
            // What nothing leads away from is paid without looking.
            let list = if pusher.is_dangling(node) { &mut waiting } else { &mut sources };
            list.push((node, mass));
        }
    }
    sources.sort_unstable_by_key(|&(node, _)| node);
    add_all(pusher, stored, space, &sources)?;
    sources.iter().for_each(|&(node, _)| space.mark_used(node));
    let error = tally::l1_error(space);
    let goal = Goal { enough: space.unsettled * error.max(WAITING), threshold: f64::INFINITY, work: None };
    amender.amend(space, &amender.visited(space), false, &waiting, goal)?;
    Ok(amend::l1_error(space, error))
}
