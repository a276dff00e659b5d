//! What becomes of lines and records that are not what their format asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What becomes of lines and records that are not what their format asks for, in the formats of which some files are known
/// to have such: see [`Format::may_skip_malformed`](crate::Format::may_skip_malformed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// `refuse`: the load ends with an error that names the first.
    #[default]
    Refuse,
    /// `skip`: they are left out, counted and reported.
    Skip,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Malformed::Refuse => "refuse",
            Malformed::Skip => "skip",
        })
    }
}

impl FromStr for Malformed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Malformed::Refuse),
            "skip" => Ok(Malformed::Skip),
            _ => Err(format!("expected refuse or skip, got {text:?}")),
        }
    }
}
