//! The end of a process before its job was done, as the others see it.

/// A process that a job cannot go on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Its number.
    pub process: usize,
    /// Its line of the host file.
    pub address: String,
    /// What became of it.
    pub kind: LossKind,
    /// Its last words, or what was noticed.
    pub reason: String,
}

/// What became of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// Nothing is heard from it any more.
    Gone,
    /// It stopped on an error.
    Failed,
    /// Its user stopped it.
    Interrupted,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Loss { process, address, kind, reason } = self;
        write!(formatter, "process {process} ({address}) ")?;
        match kind {
            LossKind::Gone => write!(formatter, "is gone: {reason}"),
            LossKind::Failed => write!(formatter, "stopped: {reason}"),
            LossKind::Interrupted => write!(formatter, "was interrupted"),
        }
    }
}
