//! Who holds the graph: every worker all of it, or each the rows of the nodes that it owns.

use std::fmt;
use std::str::FromStr;

/// Where the rows of the graph are while a job works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GraphMode {
    /// Sharded where the store is, or where several processes have not the memory for the whole graph each.
    #[default]
    Auto,
    /// Every worker reads all of it.
    Replicated,
    /// Every worker holds the rows of the nodes that it owns.
    Sharded,
}

impl fmt::Display for GraphMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GraphMode::Auto => "auto",
            GraphMode::Replicated => "replicated",
            GraphMode::Sharded => "sharded",
        })
    }
}

impl FromStr for GraphMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(GraphMode::Auto),
            "replicated" => Ok(GraphMode::Replicated),
            "sharded" => Ok(GraphMode::Sharded),
            _ => Err(format!("expected auto, replicated or sharded, got {text:?}")),
        }
    }
}
