//! Where events wait until they are taken.
//!
//! Whoever sends events waits for an answer, and meanwhile others send theirs: **all that wait are taken together, with one write to
//! the disk, and each is answered for itself**. There is room for so many batches, and for the bytes of a few of the largest; who
//! comes when there is none is told to come back. (Test: `tests/tests/server_live.rs`.)

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use walkprint_engine::events::Event;

use super::problem::Problem;
use crate::live::{Missing, Taken};

/// So many of the largest bodies may wait.
const LARGEST_BODIES: usize = 4;
/// The most batches that are taken together.
const MOST_TOGETHER: usize = 256;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) taken: Taken,
    /// How many events the graph has not absorbed.
    pub(super) waiting: u64,
    /// The generation of the store in which they count.
    pub(super) generation: u64,
}

/// A batch that somebody waits for.
pub(super) struct Delivery {
    pub(super) events: Vec<Event>,
    /// For each event its place in the request, where one may stand for several.
    pub(super) places: Option<Vec<usize>>,
    pub(super) missing: Missing,
    /// How long the body was.
    pub(super) bytes: usize,
    pub(super) done: oneshot::Sender<Result<Receipt, Problem>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    /// Whether somebody takes them.
    attended: bool,
    closed: bool,
}

/// Why a batch may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// There is no room.
    Full,
    /// Nobody takes events here any more.
    Closed,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Intake {
    queue: Mutex<Queue>,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a batch behind those that wait. True when nobody takes them: the caller has to see to it that somebody does.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn put(&self, delivery: Delivery, most: usize, body_bytes: usize) -> Result<bool, TurnedAway> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(TurnedAway::Closed);
        }
        let most_bytes = body_bytes.saturating_mul(LARGEST_BODIES);
        if most <= queue.waiting.len() || most_bytes < queue.bytes.saturating_add(delivery.bytes) {
            return Err(TurnedAway::Full);
        }
        queue.bytes += delivery.bytes;
        queue.waiting.push_back(delivery);
        Ok(!std::mem::replace(&mut queue.attended, true))
    }

    /// Those that are to be taken together next: some events at most, but one batch at least. None when nothing waits; nobody takes
    /// them any more then.
    pub(super) fn next(&self, most_events: usize) -> Option<Vec<Delivery>> {
        let mut queue = self.lock();
        let (mut group, mut events) = (Vec::new(), 0usize);
        while let Some(delivery) = queue.waiting.front() {
            events = events.saturating_add(delivery.events.len());
            if !group.is_empty() && (most_events < events || group.len() == MOST_TOGETHER) {
                break;
            }
            let Some(delivery) = queue.waiting.pop_front() else { break };
            queue.bytes -= delivery.bytes;
            // Who has gone away has been told that she may not know: nothing has been taken yet, and nothing is.
            if !delivery.done.is_closed() {
                group.push(delivery);
            }
        }
        queue.attended = !group.is_empty();
        queue.attended.then_some(group)
    }

    /// How many batches wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes no more; what waits is given up.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.waiting.clear();
        queue.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use walkprint_engine::events::Operation;

    use super::*;

    type Answer = oneshot::Receiver<Result<Receipt, Problem>>;

    fn delivery(events: usize, bytes: usize) -> (Delivery, Answer) {
        let (done, answer) = oneshot::channel();
        let events = vec![Event::edge(Operation::Add, "a", "b"); events];
        (Delivery { events, places: None, missing: Missing::Refuse, bytes, done }, answer)
    }

    #[test]
    fn those_that_wait_are_taken_together_and_one_attends() {
        let intake = Intake::default();
        let mut answers: Vec<Answer> = Vec::new();
        let mut put = |events, bytes| {
            let (delivery, answer) = delivery(events, bytes);
            answers.push(answer);
            intake.put(delivery, 5, 10)
        };
        assert_eq!(put(3, 1), Ok(true));
        assert_eq!(put(3, 1), Ok(false), "somebody attends already");
        assert_eq!(put(3, 1), Ok(false));
        assert_eq!(put(90, 30), Ok(false));
        assert_eq!(put(1, 8), Err(TurnedAway::Full), "more bytes than four bodies of ten");
        assert_eq!(put(1, 7), Ok(false));
        assert_eq!(put(1, 0), Err(TurnedAway::Full), "five wait");
        let sizes = |group: &Option<Vec<Delivery>>| {
            group.as_ref().map(|group| group.iter().map(|delivery| delivery.events.len()).collect::<Vec<_>>())
        };
        assert_eq!(sizes(&intake.next(7)), Some(vec![3, 3]), "not more than seven events");
        drop(answers.remove(2)); // she has gone
        assert_eq!(sizes(&intake.next(7)), Some(vec![90]), "one batch at least");
        assert_eq!(sizes(&intake.next(7)), Some(vec![1]));
        assert_eq!(sizes(&intake.next(7)), None);
        let (late, _answer) = delivery(1, 1);
        assert_eq!(intake.put(late, 5, 10), Ok(true), "somebody has to attend again");
        intake.close();
        assert_eq!(intake.len(), 0);
        let (late, _answer) = delivery(1, 1);
        assert_eq!(intake.put(late, 5, 10), Err(TurnedAway::Closed));
    }
}
