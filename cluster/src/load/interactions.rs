//! Loading interactions of users with items: files → weights → what is held out → graph → a published store.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::NodeOrder;
use walkprint_loaders::Progress;
use walkprint_loaders::interactions::{HoldOut, Interaction, InteractionOptions, Interactions, Preparation, read};

use super::{LoadOutcome, LoadPhase, Reading, interrupted_or, load_with};
use crate::error::Result;

/// What to load and how.
#[derive(Debug, Clone)]
pub struct InteractionJob {
    /// The files, in order.
    pub inputs: Vec<PathBuf>,
    /// How to read them.
    pub options: InteractionOptions,
    /// How weights are made.
    pub preparation: Preparation,
    /// What is held out, if anything.
    pub held_out: Option<HeldOut>,
    /// How to number the nodes.
    pub order: NodeOrder,
    /// Load over a store that exists, and write over a file of what is held out.
    pub replace: bool,
}

/// What is held out, and where to.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Which interactions.
    pub which: HoldOut,
    /// The key of a random share.
    pub key: u64,
    /// The file: CSV with `user_id`, `item_id`, `weight` and, where there are times, `timestamp`.
    pub file: PathBuf,
}

/// Loads interactions into a store. `watch` is called as it goes; setting `stop` ends the load, with the store as it was.
///
/// # Errors
/// When the input is not what it should be, the store or the file of what is held out exists and `replace` is not set, or the
/// disk refuses.
pub fn load_interactions(
    store: &Path,
    job: &InteractionJob,
    stop: &AtomicBool,
    watch: &(dyn Fn(LoadPhase) + Sync),
) -> Result<LoadOutcome> {
    load_with(store, job.replace, job.order, stop, watch, |proceed| read_interactions(job, proceed))
}

/// Reads interactions, makes their weights, and writes what is held out.
fn read_interactions(job: &InteractionJob, proceed: &(dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Result<Reading> {
    if let Some(HeldOut { file, .. }) = &job.held_out
        && !job.replace
        && file.exists()
    {
        return Err(EngineError::Exists { path: file.clone() }.into());
    }
    let mut interactions = read(&job.inputs, &job.options, proceed).map_err(interrupted_or)?;
    let prepared = interactions.prepare(&job.preparation)?;
    let mut notes = Vec::new();
    if prepared.newer != 0 {
        notes.push(format!("{} interactions left out: they are newer than --as-of", prepared.newer));
    }
    if prepared.merged != 0 {
        notes.push(format!(
            "{} interactions came again and were merged (--duplicates {})",
            prepared.merged, job.preparation.duplicates
        ));
    }
    if let Some(HeldOut { which, key, file }) = &job.held_out {
        let held = interactions.hold_out(*which, *key)?;
        write_held_out(file, &interactions, &held)?;
        notes.push(format!("{} interactions held out ({which}) in {}", held.len(), file.display()));
    }
    let silent = interactions.users_without_history();
    if silent != 0 {
        notes.push(format!("{silent} users have no interaction"));
    }
    let (edges, mut report) = interactions.into_edges();
    report.notes.extend(notes);
    Ok(Reading { edges, passages: Vec::new(), report })
}

fn write_held_out(path: &Path, interactions: &Interactions, held: &[Interaction]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = || -> csv::Result<()> {
        let mut header = vec!["user_id", "item_id", "weight"];
        header.extend(interactions.timed.then_some("timestamp"));
        writer.write_record(&header)?;
        for row in held {
            writer.write_field(interactions.users.get(row.user as usize))?;
            writer.write_field(interactions.items.get(row.item as usize))?;
            writer.write_field(row.weight.to_string())?;
            if interactions.timed {
                writer.write_field(row.time.to_string())?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    };
    write().expect("records of one length go into memory");
    let bytes = writer.into_inner().expect("memory takes what is flushed");
    Ok(std::fs::write(path, bytes).map_err(EngineError::io(path, "write"))?)
}
