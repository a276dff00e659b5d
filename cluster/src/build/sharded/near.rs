//! Big moves of own nodes: the short rows near them that other workers own are asked for, one step farther each time.

use std::collections::HashMap;

use timely::worker::Worker;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;
use walkprint_walkers::paths::{Found, PathRows};
use walkprint_walkers::shard::{OwnSlots, RowSlots, ShardRows};
use zerocopy::IntoBytes;

use super::rows::{put_slots, take_slots};
use crate::error::{Error, Result};
use crate::exchange::exchange;
use crate::processes::agree;
use crate::wire::Numbers;

/// Nodes that are asked for together.
const TOGETHER: usize = 1024;
/// Instead of a number of edges: there are too many.
const LONG: u32 = u32::MAX;

/// Rows of other workers; `None` where one is too long to be of use.
type Near = HashMap<NodeId, Option<OwnSlots>>;

/// The big moves of the nodes that a worker owns; `None` where the plan has none, and for a worker without `rows`, which
/// only helps the others. Every worker must call it.
///
/// Memory: besides the result, the rows near own nodes that have at most `plan.big_moves` edges, until it returns.
///
/// # Errors
/// When there are more outcomes than can be counted in 32 bits.
pub(in crate::build) fn big_moves(
    worker: &mut Worker,
    rows: Option<&ShardRows>,
    plan: &Plan,
) -> Result<Option<PathRows>> {
    if plan.big_moves == 0 {
        return Ok(None);
    }
    let mut near = Near::new();
    loop {
        let mut missing = Vec::new();
        let tables = rows.map(|rows| {
            let find = |node| find(rows, &near, plan, node);
            PathRows::new(plan, rows.owners().nodes_of(rows.worker()), find, &mut missing)
        });
        missing.sort_unstable();
        missing.dedup();
        if agree::from_all(worker, missing.is_empty()).into_iter().all(|nothing| nothing) {
            return tables.map(|tables| tables.ok_or_else(too_many)).transpose();
        }
        ask(worker, rows, plan, &missing, &mut near);
    }
}

/// The error of tables that grew too large.
pub(in crate::build) fn too_many() -> Error {
    Error::Request { what: "there are more than 2^32 big moves: take a smaller --big-moves".into() }
}

fn find<'a>(rows: &'a ShardRows, near: &'a Near, plan: &Plan, node: NodeId) -> Found<'a> {
    let (owner, local) = rows.owners().find(node);
    if owner as usize != rows.worker() {
        return match near.get(&node) {
            None => Found::Unknown,
            Some(None) => Found::Long,
            Some(Some(slots)) => Found::Row(slots.all()),
        };
    }
    match rows.long().find(node) {
        Some(_) => Found::Long,
        None => Found::among(rows.slots_of(local), plan),
    }
}

/// Asks the owners of these nodes for their rows, and answers what others ask.
fn ask(worker: &mut Worker, rows: Option<&ShardRows>, plan: &Plan, missing: &[NodeId], near: &mut Near) {
    let mut of_owners = vec![Vec::new(); worker.peers()];
    if let Some(rows) = rows {
        missing.iter().for_each(|&node| of_owners[rows.owners().owner(node) as usize].push(node));
    }
    let mut questions = of_owners
        .iter()
        .enumerate()
        .flat_map(|(owner, nodes)| nodes.chunks(TOGETHER).map(move |nodes| (owner, nodes.as_bytes().to_vec())));
    let mut asked: Vec<(usize, Vec<NodeId>)> = Vec::new();
    exchange(
        worker,
        || questions.next(),
        |from, block| {
            asked.push((from, Numbers::from_bytes(&block).expect("workers ask for whole numbers").0));
        },
    );
    let own_only = Near::new();
    let mut answers = asked.into_iter().map(|(from, nodes)| {
        let mut block = Vec::new();
        for node in nodes {
            match rows.map(|rows| find(rows, &own_only, plan, node)) {
                Some(Found::Row(slots)) => put(node, slots, &mut block),
                _ => block.extend([node, LONG].as_bytes()),
            }
        }
        (from, block)
    });
    let weighted = rows.is_some_and(ShardRows::is_weighted);
    exchange(
        worker,
        || answers.next(),
        |_from, block| {
            unpack(&block, weighted, near).expect("workers send whole rows");
        },
    );
}

fn put(node: NodeId, slots: RowSlots<'_>, block: &mut Vec<u8>) {
    let count = u32::try_from(slots.len()).expect("a short row");
    block.extend([node, count].as_bytes());
    put_slots(slots, block);
}

fn unpack(mut block: &[u8], weighted: bool, near: &mut Near) -> Option<()> {
    while !block.is_empty() {
        let (head, rest) = block.split_at_checked(8)?;
        let head = Numbers::<u32>::from_bytes(head)?.0;
        let (node, count) = (head[0], head[1]);
        if count == LONG {
            near.insert(node, None);
            block = rest;
            continue;
        }
        let (slots, rest) = take_slots(rest, count, weighted)?;
        near.insert(node, Some(slots));
        block = rest;
    }
    Some(())
}
