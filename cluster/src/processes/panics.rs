//! While timely runs over several processes: panics that mean a lost connection become the loss of a process.
//!
//! timely's threads for sending and receiving panic when a connection breaks, and workers after them. Nobody wants to
//! read that; what he wants to read is which process is gone.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use super::liveness::Watch;
use super::loss::LossKind;

/// How long the control connections have to say better what has happened.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The panic hook of a job; the hook of before comes back when it is dropped.
pub(super) struct Hook {
    previous: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>,
}

impl Hook {
    pub(super) fn install(watch: &Arc<Watch>) -> Hook {
        let previous: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync> = Arc::from(std::panic::take_hook());
        let (watch, next) = (Arc::clone(watch), Arc::clone(&previous));
        std::panic::set_hook(Box::new(move |panic| notice(&watch, panic, &*next)));
        Hook { previous }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
            let previous = Arc::clone(&self.previous);
            std::panic::set_hook(Box::new(move |panic| previous(panic)));
        }
    }
}

fn notice(watch: &Watch, panic: &PanicHookInfo<'_>, next: &dyn Fn(&PanicHookInfo<'_>)) {
    let thread = std::thread::current();
    let remote = thread.name().and_then(remote);
    let of_connection = remote.is_some() || message(panic).starts_with("timely communication error:");
    if of_connection && watch.loss().is_none() {
        watch.wait_for_loss(LAST_WORDS);
    }
    match (watch.loss(), remote) {
        (Some(loss), _) => watch.lose(loss), // once more: waits until it has been handed on
        (None, Some(process)) => {
            watch.lose(watch.loss_of(process, LossKind::Gone, "its connection broke".into()));
        }
        (None, None) => {
            watch
                .confess(LossKind::Failed, "a worker panicked; this is a defect of walkprint, please report it".into());
            next(panic);
        }
    }
}

/// The other process of a thread of timely's that sends or receives.
fn remote(thread: &str) -> Option<usize> {
    let number = thread.strip_prefix("timely:send-").or_else(|| thread.strip_prefix("timely:recv-"))?;
    number.parse().ok()
}

fn message<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("")
}
