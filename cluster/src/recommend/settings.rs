//! What a recommender is told: a model and its numbers, as typed, in a request, or in a file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::query::Method;
use walkprint_engine::query::two_sided::ShortWalks;

use crate::error::{Error, Result};

/// How items are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Walks of few steps: P3alpha, RP3beta and their relatives.
    #[default]
    Walk,
    /// Personalized PageRank from the user's items.
    Ppr,
    /// What most users have: the same for everybody.
    Popular,
}

impl FromStr for ModelKind {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "walk" => Ok(ModelKind::Walk),
            "ppr" => Ok(ModelKind::Ppr),
            "popular" => Ok(ModelKind::Popular),
            _ => Err(format!("expected walk, ppr or popular, got {text:?}")),
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelKind::Walk => "walk",
            ModelKind::Ppr => "ppr",
            ModelKind::Popular => "popular",
        })
    }
}

/// Lengths of walks and what each counts, written `3` or `3=1,5=-0.4`.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps(pub Vec<(u32, f64)>);

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("expected odd lengths, each with what it counts, as 3 or 3=1,5=-0.4, got {text:?}");
        let part = |part: &str| {
            let (length, share) = part.split_once('=').unwrap_or((part, "1"));
            Some((length.trim().parse().ok()?, share.trim().parse().ok()?))
        };
        text.split(',').map(part).collect::<Option<Vec<_>>>().map(Steps).ok_or_else(wrong)
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (length, share)) in self.0.iter().enumerate() {
            write!(f, "{}{length}={share}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Serialize for Steps {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A model and its numbers. What does not concern the model is not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How items are scored [default: walk].
    pub model: ModelKind,
    /// Of walks: their lengths and what each counts, as "3" or "3=1,5=-0.4" [default: 3].
    #[schema(value_type = String, example = "3=1,5=-0.4")]
    pub steps: Steps,
    /// Of walks: the power of the probability of a step (alpha of P3alpha) [default: 1].
    pub transition_power: f64,
    /// Of walks: the power of the degree of a user on the way [default: transition_power].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_power: Option<f64>,
    /// Of walks: the power of the degree of an item that is left [default: transition_power].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_power: Option<f64>,
    /// The power of an item's popularity that its score is divided by (beta of RP3beta) [default: 0].
    pub popularity_power: f64,
    /// Of walks: above 1, items gain that several of the user's items lead to; 2 is Pixie's [default: 1].
    pub boost: f64,
    /// Of walks: score by lists of so many items for each item, made beforehand: faster, and approximate [default: none].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub neighbors: Option<usize>,
    /// Of ppr: the restart probability [default: 0.7].
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub restart_prob: f64,
    /// Of ppr: how to answer [default: block].
    #[schema(value_type = String, example = "block")]
    pub method: Method,
    /// Of ppr: the L1 distance from exact scores to aim at [default: 0.0001 for block, 0.05 for combine].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            model: ModelKind::Walk,
            steps: Steps(vec![(3, 1.0)]),
            transition_power: 1.0,
            user_power: None,
            item_power: None,
            popularity_power: 0.0,
            boost: 1.0,
            neighbors: None,
            restart_prob: 0.7,
            method: Method::Block,
            precision: None,
        }
    }
}

/// The names of presets that are always there.
pub const PRESETS: [&str; 6] = ["popular", "p3", "rp3beta", "sharp", "pixie", "ppr"];

impl Settings {
    /// A preset by its name, or from a file of TOML or (`.json`) JSON.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn preset(name: &str) -> Result<Settings> {
        let usual = Settings::default();
        Ok(match name {
            "popular" => Settings { model: ModelKind::Popular, ..usual },
            "p3" => usual,
            "rp3beta" => Settings { popularity_power: 0.3, ..usual },
            "sharp" => Settings { steps: Steps(vec![(3, 1.0), (5, -0.4)]), ..usual },
            "pixie" => Settings { boost: 2.0, ..usual },
            "ppr" => Settings { model: ModelKind::Ppr, ..usual },
            path => return Settings::read(Path::new(path)),
        })
    }

    fn read(path: &Path) -> Result<Settings> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                let known = PRESETS.join(", ");
                Error::Request {
                    what: format!("{}: no such file, and no preset of this name ({known})", path.display()),
                }
            } else {
                EngineError::io(path, "read the preset")(error).into()
            }
        })?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let settings: std::result::Result<Settings, String> = if is_json {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            toml::from_str(&text).map_err(|error| error.to_string())
        };
        let settings =
            settings.map_err(|what| Error::Request { what: format!("{}: {}", path.display(), what.trim()) })?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// When one is outside.
    pub fn check(&self) -> Result<()> {
        self.walks().check()?;
        if !(0.0 < self.restart_prob && self.restart_prob <= 1.0) {
            let got = self.restart_prob.to_string();
            return Err(EngineError::Parameter { name: "restart_prob", expected: "above 0 and at most 1", got }.into());
        }
        if self.neighbors == Some(0) {
            return Err(EngineError::Parameter { name: "neighbors", expected: "at least 1", got: "0".into() }.into());
        }
        if self.model == ModelKind::Ppr && !(0.0..=10.0).contains(&self.popularity_power) {
            let got = self.popularity_power.to_string();
            return Err(
                EngineError::Parameter { name: "popularity_power", expected: "from 0 to 10 for ppr", got }.into()
            );
        }
        Ok(())
    }

    /// The settings of short walks.
    #[must_use]
    pub fn walks(&self) -> ShortWalks {
        ShortWalks {
            lengths: self.steps.0.clone(),
            transition_power: self.transition_power,
            left_power: self.user_power,
            right_power: self.item_power,
            popularity_power: self.popularity_power,
            boost: self.boost,
        }
    }

    /// The settings in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        let debias = if self.popularity_power == 0.0 {
            String::new()
        } else {
            format!(", popularity^{}", self.popularity_power)
        };
        match self.model {
            ModelKind::Popular => "popular".to_owned(),
            ModelKind::Ppr => format!("ppr restart {}{debias} ({})", self.restart_prob, self.method),
            ModelKind::Walk => {
                let walks = self.walks();
                let mut text = format!("walk {}", self.steps);
                if (walks.left(), walks.right(), walks.transition_power) != (1.0, 1.0, 1.0) {
                    text += &format!(", transition^{}", self.transition_power);
                    text += &format!(", users^{}, items^{}", walks.left(), walks.right());
                }
                text += &debias;
                if self.boost != 1.0 {
                    text += &format!(", boost {}", self.boost);
                }
                if let Some(neighbors) = self.neighbors {
                    text += &format!(", lists of {neighbors}");
                }
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_what_is_written_and_unknown_ones_are_named() {
        for name in PRESETS {
            let settings = Settings::preset(name).unwrap();
            settings.check().unwrap();
            let text = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings, "{name}");
        }
        let read: Settings = toml::from_str("steps = \"3=1,5=-0.4\"\nuser_power = 0.8").unwrap();
        assert_eq!((read.steps.0, read.user_power), (vec![(3, 1.0), (5, -0.4)], Some(0.8)));
        assert!(toml::from_str::<Settings>("alpha = 1").unwrap_err().to_string().contains("alpha"));
        assert!("3=x".parse::<Steps>().is_err());
        assert!(Settings::preset("no-such-preset").unwrap_err().to_string().contains("rp3beta"));
        assert!(Settings { steps: Steps(vec![(4, 1.0)]), ..Settings::default() }.check().is_err());
        assert!(Settings { neighbors: Some(0), ..Settings::default() }.check().is_err());
    }
}
