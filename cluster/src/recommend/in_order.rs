//! Work in chunks on several threads, whose results are taken in order: what comes out does not depend on who did what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::error::{Error, Result};

/// Does `work` on the chunks `0..chunks`, each thread with a place of its own that `seat` makes, and hands what comes of them to
/// `take`, in order. Setting `stop` ends it.
///
/// # Errors
/// The error of the first chunk that has one; [`Error::Interrupted`].
pub(super) fn in_order<S, T: Send>(
    (threads, stop): (usize, &AtomicBool),
    chunks: usize,
    seat: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let threads = threads.max(1).min(chunks.max(1));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = sync_channel::<(usize, Result<T>)>(2 * threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, failed, seat, work) = (&next, &failed, &seat, &work);
            scope.spawn(move || {
                let mut own = seat();
                loop {
                    if failed.load(Ordering::Acquire) {
                        return;
                    }
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    if chunks <= chunk {
                        return;
                    }
                    let done = match &mut own {
                        _ if stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
                        Ok(own) => work(own, chunk),
                        Err(_) => match std::mem::replace(&mut own, Err(Error::Interrupted)) {
                            Err(error) => Err(error),
                            Ok(_) => unreachable!("it was matched as an error"),
                        },
                    };
                    if done.is_err() {
                        failed.store(true, Ordering::Release);
                    }
                    if sender.send((chunk, done)).is_err() {
                        return; // whoever takes has given up
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut due) = (BTreeMap::new(), 0);
        let mut outcome = Ok(());
        // Errors wait for what comes before them, which was begun before and will come.
        for (chunk, done) in receiver {
            waiting.insert(chunk, done);
            while let Some(done) = waiting.remove(&due) {
                due += 1;
                if outcome.is_ok() {
                    outcome = done.and_then(&mut take);
                    if outcome.is_err() {
                        failed.store(true, Ordering::Release);
                    }
                }
            }
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_error_is_told() {
        let never = AtomicBool::new(false);
        for threads in [1, 3] {
            let mut taken = Vec::new();
            in_order(
                (threads, &never),
                50,
                || Ok(()),
                |(), chunk| Ok(chunk * 2),
                |done| {
                    taken.push(done);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(taken, (0..50).map(|chunk| chunk * 2).collect::<Vec<_>>());
            let fail = |(): &mut (), chunk: usize| match chunk {
                7.. => Err(Error::Request { what: format!("chunk {chunk}") }),
                _ => Ok(()),
            };
            let error = in_order((threads, &never), 50, || Ok(()), fail, |()| Ok(())).unwrap_err();
            assert_eq!(error.to_string(), "chunk 7");
            let stopped = in_order((threads, &AtomicBool::new(true)), 5, || Ok(()), |(), _| Ok(()), |()| Ok(()));
            assert!(matches!(stopped, Err(Error::Interrupted)));
        }
    }
}
