//! Settings in layers: what was typed, then the environment, then a TOML file, then what is usual; each with where it comes from.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use walkprint_cluster::live::Fsync;
use walkprint_cluster::server::{Bounds, Keys, Offer, Scope, Settings, Updates};

use crate::arguments::bytes;
use crate::serving::{ServeArguments, SettingArguments};
use crate::terminal::{half_of_memory, processors};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Typed,
    Environment(String),
    File(PathBuf),
    Usual,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Typed => f.write_str("command line"),
            Origin::Environment(name) => write!(f, "environment, {name}"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Usual => f.write_str("default"),
        }
    }
}

/// Between the words of a list of stores, as it is told: no path has it.
const BETWEEN: char = '\0';

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) json: bool,
    pub(super) level: tracing::Level,
}

/// What was set, and how.
pub(super) struct Configuration {
    pub(super) settings: Settings,
    pub(super) log: Log,
    /// Name, value and origin of everything.
    told: Vec<(String, String, String)>,
}

/// The environment, as far as this needs it.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The layers.
struct Layers<'a> {
    environment: Environment<'a>,
    file: Option<(PathBuf, toml::Table)>,
    told: Vec<(String, String, String)>,
}

impl Layers<'_> {
    /// The value of a setting and where it comes from, as text.
    fn find(&mut self, name: &str, typed: Option<String>, usual: &str) -> Result<(String, Origin)> {
        let of_file = self.file.as_mut().and_then(|(path, table)| Some((table.remove(name)?, path.clone())));
        let variable = variable(name);
        if let Some(text) = typed {
            return Ok((text, Origin::Typed));
        }
        if let Some(text) = (self.environment)(&variable) {
            return Ok((text, Origin::Environment(variable)));
        }
        match of_file {
            None => Ok((usual.to_owned(), Origin::Usual)),
            Some((toml::Value::String(text), path)) => Ok((text, Origin::File(path))),
            Some((toml::Value::Integer(number), path)) => Ok((number.to_string(), Origin::File(path))),
            Some((toml::Value::Float(number), path)) => Ok((number.to_string(), Origin::File(path))),
            Some((toml::Value::Boolean(truth), path)) => Ok((truth.to_string(), Origin::File(path))),
            Some((value, path)) => bail!("{}: {name}: expected one value, got a {}", path.display(), value.type_str()),
        }
    }

    /// A setting. `usual` is shown where nothing else is given, and read like the rest.
    fn get<T>(
        &mut self,
        name: &str,
        typed: Option<&String>,
        usual: &str,
        read: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let (text, origin) = self.find(name, typed.cloned(), usual)?;
        let value = read(&text).map_err(|what| anyhow!("{}: {what}, got {text:?}", described(name, &origin)))?;
        self.told.push((name.to_owned(), text, origin.to_string()));
        Ok(value)
    }

    /// A setting that may be absent.
    fn path(&mut self, name: &str, typed: Option<&String>) -> Result<Option<PathBuf>> {
        self.get(name, typed, "", |text| Ok((!text.is_empty()).then(|| PathBuf::from(text))))
    }
}

/// A setting as somebody who has to correct it knows it.
fn described(name: &str, origin: &Origin) -> String {
    match origin {
        Origin::Typed | Origin::Usual => format!("--{name}"),
        Origin::Environment(variable) => variable.clone(),
        Origin::File(path) => format!("{}: {name}", path.display()),
    }
}

/// `keys-file` is `WALKPRINT_KEYS_FILE`.
fn variable(name: &str) -> String {
    format!("WALKPRINT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Brings all layers together.
pub(super) fn configure(arguments: &ServeArguments, environment: Environment<'_>) -> Result<Configuration> {
    let typed = &arguments.settings;
    let file = match &arguments.config {
        None => None,
        Some(path) => Some((path.clone(), read_toml(path)?)),
    };
    let mut layers = Layers { environment, file, told: Vec::new() };
    let offers = offers(&mut layers, &arguments.stores)?;
    let (settings, log) = settings(&mut layers, typed, offers)?;
    if let Some((path, rest)) = &layers.file
        && let Some(name) = rest.keys().next()
    {
        bail!("{}: there is no setting {name:?}; `walkprint serve --help` lists those there are", path.display());
    }
    Ok(Configuration { settings, log, told: layers.told })
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: could not read the settings", path.display()))?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow!("{}:{}: {}", path.display(), before.lines().count().max(1), error.message())
    })
}

fn offers(layers: &mut Layers<'_>, typed: &[String]) -> Result<Vec<Offer>> {
    let name = "stores";
    let of_file = layers.file.as_mut().and_then(|(path, table)| Some((table.remove(name)?, path.clone())));
    let of_environment = (layers.environment)(&variable(name));
    let (words, origin) = if !typed.is_empty() {
        (typed.to_vec(), Origin::Typed)
    } else if let Some(text) = of_environment {
        let words = text.split(':').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        (words, Origin::Environment(variable(name)))
    } else if let Some((value, path)) = of_file {
        let list = match value {
            toml::Value::String(text) => Some(vec![text]),
            toml::Value::Array(list) => list.into_iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let list = list.ok_or_else(|| anyhow!("{}: stores: expected a list of strings", path.display()))?;
        (list, Origin::File(path))
    } else {
        (Vec::new(), Origin::Usual)
    };
    layers.told.push((name.to_owned(), words.join(&BETWEEN.to_string()), origin.to_string()));
    words.iter().map(|word| Offer::parse(word).map_err(anyhow::Error::from)).collect()
}

fn settings(layers: &mut Layers<'_>, typed: &SettingArguments, offers: Vec<Offer>) -> Result<(Settings, Log)> {
    let threads = processors().to_string();
    let listen: SocketAddr = layers.get("listen", typed.listen.as_ref(), "127.0.0.1:7717", |text| {
        text.parse().map_err(|_| "expected ADDRESS:PORT, as 127.0.0.1:7717 or [::1]:7717".to_owned())
    })?;
    let insecure = layers.get("insecure", typed.insecure.as_ref(), "false", truth)?;
    let keys = keys(layers, typed)?;
    let certificate = layers.path("tls-cert", typed.tls_cert.as_ref())?;
    let private = layers.path("tls-key", typed.tls_key.as_ref())?;
    let tls = match (certificate, private) {
        (Some(certificate), Some(private)) => Some((certificate, private)),
        (None, None) => None,
        _ => bail!("--tls-cert and --tls-key go together: give both, or none"),
    };
    let threads = layers.get("threads", typed.threads.as_ref(), &threads, number(1, 1024))?;
    let timeout = layers.get("timeout", typed.timeout.as_ref(), "30", seconds)?;
    let queue = layers.get("queue", typed.queue.as_ref(), "1024", number(1, 1 << 20))?;
    let connections = layers.get("connections", typed.connections.as_ref(), "4096", number(1, 1 << 20))?;
    let bounds = Bounds {
        body_bytes: layers.get("most-body", typed.most_body.as_ref(), "16MiB", |text| {
            bytes(text).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
        })?,
        seeds: layers.get("most-seeds", typed.most_seeds.as_ref(), "100000", number(1, usize::MAX))?,
        top: layers.get("most-top", typed.most_top.as_ref(), "100000", number(1, usize::MAX))?,
        queries: layers.get("most-queries", typed.most_queries.as_ref(), "10000", number(1, usize::MAX))?,
        edges: layers.get("most-edges", typed.most_edges.as_ref(), "200000", number(1, usize::MAX))?,
    };
    let updates = updates(layers, typed)?;
    let open_stores = layers.get("open-stores", typed.open_stores.as_ref(), "64", number(1, 1 << 20))?;
    let follow = layers.get("follow", typed.follow.as_ref(), "1", seconds)?;
    let stop_within = layers.get("stop-within", typed.stop_within.as_ref(), "20", seconds)?;
    let json = layers.get("log", typed.log.as_ref(), "text", |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("expected text or json".to_owned()),
    })?;
    let level = layers.get("log-level", typed.log_level.as_ref(), "info", |text| {
        text.parse().map_err(|_| "expected error, warn, info, debug or trace".to_owned())
    })?;
    let settings = Settings {
        offers,
        listen,
        insecure,
        keys,
        tls,
        threads,
        open_stores,
        follow,
        bounds,
        updates,
        timeout,
        queue,
        connections,
        stop_within,
    };
    Ok((settings, Log { json, level }))
}

/// How events are taken.
fn updates(layers: &mut Layers<'_>, typed: &SettingArguments) -> Result<Updates> {
    let memory = half_of_memory().to_string();
    let count = |least: u64| {
        move |text: &str| {
            let count = text.parse().ok().filter(|count| least <= *count);
            count.ok_or_else(|| format!("expected a number of at least {least}"))
        }
    };
    Ok(Updates {
        events: layers.get("most-events", typed.most_events.as_ref(), "100000", number(1, usize::MAX))?,
        queue: layers.get("event-queue", typed.event_queue.as_ref(), "256", number(1, 1 << 20))?,
        waiting: layers.get("most-waiting", typed.most_waiting.as_ref(), "500000", count(1))?,
        log_bytes: layers.get("most-log", typed.most_log.as_ref(), "1GiB", bytes)?,
        fsync: layers.get("fsync", typed.fsync.as_ref(), "always", str::parse::<Fsync>)?,
        compact_after: layers.get("compact-after", typed.compact_after.as_ref(), "100000", count(0))?,
        compact_workers: layers.get("compact-workers", typed.compact_workers.as_ref(), "1", number(1, 1024))?,
        compact_memory: layers.get("compact-memory", typed.compact_memory.as_ref(), &memory, bytes)?,
    })
}

/// Keys of the file and the environment together. Only where they come from is told.
fn keys(layers: &mut Layers<'_>, typed: &SettingArguments) -> Result<Keys> {
    let mut keys = match layers.path("keys-file", typed.keys_file.as_ref())? {
        Some(path) => {
            let keys = Keys::read(&path)?;
            if keys.is_empty() {
                bail!("{}: there is no key in it; write a line `read KEY` or `admin KEY`", path.display());
            }
            keys
        }
        None => Keys::default(),
    };
    for (name, scope) in [("read-key", Scope::Read), ("admin-key", Scope::Admin)] {
        let variable = variable(name);
        if let Some(key) = (layers.environment)(&variable) {
            keys.add(scope, &key).map_err(|what| anyhow!("{variable}: {what}"))?;
            layers.told.push((name.to_owned(), "(not shown)".to_owned(), Origin::Environment(variable).to_string()));
        }
    }
    Ok(keys)
}

fn truth(text: &str) -> std::result::Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn number(least: usize, most: usize) -> impl FnOnce(&str) -> std::result::Result<usize, String> {
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ if most == usize::MAX => Err(format!("expected a number of at least {least}")),
        _ => Err(format!("expected a number from {least} to {most}")),
    }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let refuse = || "expected seconds, from 0.001 to 86400".to_owned();
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| refuse())?;
    if (0.001..=86_400.0).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err(refuse()) }
}

impl Configuration {
    /// Every setting, its value and where that comes from, as TOML that may be used as a file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let shown: Vec<(String, &str)> = self
            .told
            .iter()
            .map(|(name, value, origin)| {
                let quoted = match name.as_str() {
                    "stores" => {
                        let words = value.split(BETWEEN).filter(|word| !word.is_empty());
                        format!("[{}]", words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "))
                    }
                    _ if value.parse::<f64>().is_ok() || value == "true" || value == "false" => value.clone(),
                    _ => format!("{value:?}"),
                };
                let hidden = if name.ends_with("-key") && name != "tls-key" { "# " } else { "" };
                (format!("{hidden}{name} = {quoted}"), origin.as_str())
            })
            .collect();
        let width = shown.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
        for (line, origin) in shown {
            let _ = writeln!(text, "{line:width$}  # {origin}"); // a String takes everything
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeArguments,
    }

    fn configured(typed: &[&str], environment: &[(&str, &str)], file: Option<&str>) -> Result<Configuration> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("walkprint.toml");
        let mut words = vec!["serve".to_owned()];
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            words.extend(["--config".to_owned(), path.display().to_string()]);
        }
        words.extend(typed.iter().map(|word| (*word).to_owned()));
        let arguments = Program::try_parse_from(words).unwrap().serve;
        let look =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        configure(&arguments, &look)
    }

    #[test]
    fn what_is_typed_counts_before_the_environment_and_that_before_the_file() {
        let file = "queue = 5\ntimeout = 1.5\nmost-top = 7\n";
        let environment = [("WALKPRINT_QUEUE", "6"), ("WALKPRINT_TIMEOUT", "2")];
        let configuration = configured(&["--queue", "9"], &environment, Some(file)).unwrap();
        let Settings { queue, timeout, bounds, connections, .. } = &configuration.settings;
        assert_eq!((*queue, *timeout, bounds.top, *connections), (9, Duration::from_secs(2), 7, 4096));
        let text = configuration.text();
        for (setting, origin) in [
            ("queue = 9", "command line"),
            ("timeout = 2", "environment, WALKPRINT_TIMEOUT"),
            ("most-top = 7", "walkprint.toml"),
            ("connections = 4096", "default"),
        ] {
            let line = text.lines().find(|line| line.starts_with(setting)).unwrap();
            assert!(line.contains(origin), "{line}");
        }
        // What is shown may be used as a file.
        let again = configured(&[], &[], Some(&text)).unwrap();
        assert_eq!((again.settings.queue, again.settings.bounds), (9, configuration.settings.bounds));
    }

    #[test]
    fn paths_with_blanks_are_shown_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my stores");
        std::fs::create_dir(&path).unwrap();
        let configuration = configured(&[path.to_str().unwrap()], &[], None).unwrap();
        let text = configuration.text();
        assert!(text.contains(&format!("stores = [{path:?}]")), "{text}");
        let again = configured(&[], &[], Some(&text)).unwrap();
        assert_eq!(again.settings.offers, [Offer::Directory(path)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_where_it_comes_from() {
        let refused = |typed: &[&str], environment: &[(&str, &str)], file| {
            let error = configured(typed, environment, file).err().expect("a refusal");
            format!("{error:#}")
        };
        assert!(refused(&["--queue", "x"], &[], None).contains("--queue: expected a number from 1"));
        assert!(refused(&[], &[("WALKPRINT_TIMEOUT", "soon")], None).contains("WALKPRINT_TIMEOUT: expected seconds"));
        assert!(refused(&[], &[], Some("listen = \"here\"")).contains("walkprint.toml: listen: expected ADDRESS:PORT"));
        assert!(refused(&[], &[], Some("quue = 3")).contains("there is no setting \"quue\""));
        assert!(refused(&[], &[], Some("queue = [3]")).contains("expected one value, got a array"));
        assert!(refused(&[], &[], Some("queue == 3")).contains("walkprint.toml"));
        assert!(refused(&["--tls-cert", "x"], &[], None).contains("go together"));
        assert!(refused(&["/nowhere/at/all.wp"], &[], None).contains("no Walkprint store here"));
    }

    #[test]
    fn keys_are_never_shown() {
        let environment = [("WALKPRINT_ADMIN_KEY", "0123456789abcdefXYZ")];
        let configuration = configured(&[], &environment, None).unwrap();
        assert_eq!(configuration.settings.keys.scope("0123456789abcdefXYZ"), Some(Scope::Admin));
        let text = configuration.text();
        assert!(text.contains("admin-key") && !text.contains("XYZ"), "{text}");
        let error = configured(&[], &[("WALKPRINT_READ_KEY", "tooshortXYZ")], None).err().expect("a refusal");
        assert!(!format!("{error:#}").contains("XYZ"));
    }
}
