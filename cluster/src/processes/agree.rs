//! Small values that all workers must know: one dataflow that tells everybody, and ends.
//!
//! Every worker of every process must call the same function at the same place of its work, as with any dataflow.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use timely::ExchangeData;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Inspect, Probe, ToStream};
use timely::worker::Worker;

use crate::workers::finish;

/// Gives every worker the value of the first worker, which is the only one that needs to have it.
///
/// # Panics
/// When the first worker has none.
pub(crate) fn from_first<T: ExchangeData + Clone>(worker: &mut Worker, value: Option<T>) -> T {
    let value = value.filter(|_| worker.index() == 0);
    tell(worker, value).remove(&0).expect("the first worker has a value")
}

/// Gives every worker the values of all workers, in the order of their numbers.
pub(crate) fn from_all<T: ExchangeData + Clone>(worker: &mut Worker, value: T) -> Vec<T> {
    tell(worker, Some(value)).into_values().collect()
}

/// Values by worker, from those that have one.
fn tell<T: ExchangeData + Clone>(worker: &mut Worker, value: Option<T>) -> BTreeMap<usize, T> {
    let index = worker.index();
    let found = Rc::new(RefCell::new(BTreeMap::new()));
    let heard = Rc::clone(&found);
    let probe = worker.dataflow::<u64, _, _>(|scope| {
        let own = value.map(|value| (index, value)).into_iter().to_stream(scope).container::<Vec<_>>();
        let all = own.broadcast().inspect(move |(index, value)| drop(heard.borrow_mut().insert(*index, value.clone())));
        all.probe().0
    });
    finish(worker, &probe);
    found.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::Processes;

    #[test]
    fn everybody_hears_the_same() {
        for workers in [1, 2, 3] {
            let told = Processes::alone(workers).run(
                move |worker| {
                    let own = worker.index();
                    let first = from_first(worker, (own == 0).then(|| "begin".to_owned()));
                    (first, from_all(worker, 10 * own), from_all(worker, own == 1))
                },
                &mut || {},
            );
            for (first, numbers, flags) in told.unwrap() {
                assert_eq!(first, "begin");
                assert_eq!(numbers, (0..workers).map(|own| 10 * own).collect::<Vec<_>>());
                assert_eq!(flags, (0..workers).map(|own| own == 1).collect::<Vec<_>>());
            }
        }
    }
}
