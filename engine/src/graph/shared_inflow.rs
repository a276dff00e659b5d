//! A graph turned round, for several who may need it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Graph, Inflow};
use crate::error::Result;
use crate::ids::NodeId;

/// A place for the [`Inflow`] of one graph: whoever needs it first makes it, and others who need it meanwhile wait for it.
#[derive(Debug, Default)]
pub struct SharedInflow {
    made: OnceLock<Arc<Inflow>>,
    making: Mutex<()>,
}

impl SharedInflow {
    /// It, once it has been made.
    #[must_use]
    pub fn get(&self) -> Option<&Arc<Inflow>> {
        self.made.get()
    }

    /// The graph turned round, now unless it was before: see [`Inflow::new`].
    ///
    /// # Errors
    /// As [`Inflow::new`]; the next one who needs it tries again.
    pub fn turn(&self, graph: &Graph, rank: impl Fn(NodeId) -> Result<u32>) -> Result<Arc<Inflow>> {
        self.get_or_make(|| Inflow::new(graph, rank))
    }

    fn get_or_make(&self, make: impl FnOnce() -> Result<Inflow>) -> Result<Arc<Inflow>> {
        if let Some(made) = self.made.get() {
            return Ok(Arc::clone(made));
        }
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = self.made.get() {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make()?);
        let made = Arc::clone(self.made.get_or_init(|| made));
        drop(making);
        Ok(made)
    }
}

impl From<Arc<Inflow>> for SharedInflow {
    fn from(inflow: Arc<Inflow>) -> SharedInflow {
        SharedInflow { made: inflow.into(), making: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::edges::EdgeList;
    use crate::error::Error;
    use crate::graph::{NodeOrder, build};

    #[test]
    fn it_is_made_once_however_many_need_it() {
        let graph = build(EdgeList::numbered(3, &[(0, 1, 1.0), (1, 2, 1.0)], true), NodeOrder::Id).unwrap().graph;
        let (shared, made) = (SharedInflow::default(), AtomicUsize::new(0));
        let refused = shared.get_or_make(|| Err(Error::Interrupted));
        assert!(matches!(refused, Err(Error::Interrupted)) && shared.get().is_none());
        let make = || {
            made.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
            Inflow::new(&graph, Ok)
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(shared.get_or_make(make).unwrap().nodes(), 3));
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}
