//! Weights that decay: said once, before the first event, and then kept by the manifest for all that follow.

use std::path::Path;

use walkprint_engine::events::Decay;
use walkprint_engine::store::{EVENTS_LOCK, FileLock, Store, StoreLock};

use super::log::begin;
use super::reading::check;
use crate::error::{Error, Result};

/// Makes the weights of a store's events decay, from the first event on. A store whose events do so already is left as it is.
///
/// # Errors
/// When they decay otherwise, or events were taken whose weights do not; when another program takes events; when the store cannot be
/// written.
pub fn begin_decay(path: &Path, decay: Decay) -> Result<()> {
    let lock = FileLock::take(&path.join(EVENTS_LOCK))?;
    let _lock = lock.ok_or_else(|| Error::EventsLocked { store: path.to_owned() })?;
    let store = path.display();
    match Store::open(path)?.manifest().live.as_ref().and_then(|live| live.decay) {
        Some(own) if own == decay => return Ok(()),
        Some(Decay { half_life, from }) => {
            let what = format!(
                "{store}: weights decay with a half-life of {half_life} from {from} on, and not with one of {} from {} on; that \
                 stays as it is until the graph is loaded anew",
                decay.half_life, decay.from
            );
            return Err(Error::Request { what });
        }
        None => {}
    }
    if check(path, &mut |_| Ok(()))?.next_sequence != 0 {
        let what = format!(
            "{store}: events were taken whose weights do not decay; weights decay from the first event on or not at all, until \
             the graph is loaded anew"
        );
        return Err(Error::Request { what });
    }
    if Store::open(path)?.manifest().live.is_none() {
        begin(path)?;
    }
    let lock = StoreLock::existing(path)?;
    let mut manifest = Store::open(path)?.manifest().clone();
    if let Some(live) = &mut manifest.live {
        live.decay = Some(decay);
        manifest.generation += 1;
        lock.publish(&manifest)?;
    }
    Ok(())
}
