//! The machine that measures: what it is, how busy it is, and what this process has used of it.

use std::fmt;

use serde::Serialize;

/// Linux counts processor time in hundredths of a second, whatever the kernel's own clock.
const TICKS_A_SECOND: f64 = 100.0;
/// What it was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_kib: Option<u64>,
    /// Load averages over 1, 5 and 15 minutes at the beginning: what else the machine was doing.
    load_before: String,
    load_after: String,
}

impl Machine {
    /// Looks at the machine.
    pub(crate) fn now() -> Machine {
        Machine {
            cpu: proc_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()),
            cores: cores(),
            memory_kib: proc_kib("/proc/meminfo", "MemTotal"),
            load_before: load(),
            load_after: String::new(),
        }
    }

    /// Notes the load at the end.
    pub(crate) fn finished(&mut self) {
        self.load_after = load();
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, load_before, load_after, .. } = self;
        write!(f, "{cpu}, {cores} cores, load {load_before} before and {load_after} after")
    }
}

/// How many threads the machine runs at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A number of kibibytes from one of Linux's `key: value` files.
pub(crate) fn proc_kib(path: &str, key: &str) -> Option<u64> {
    proc_field(path, key)?.split_whitespace().next()?.parse().ok()
}

fn proc_field(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// User and system time of this process, from `/proc/self/stat`: the 14th and 15th field; the 2nd may hold blanks.
pub(crate) fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let numbers: Vec<&str> = text.split_whitespace().take(3).collect();
    if numbers.is_empty() { "unknown".to_owned() } else { numbers.join(" ") }
}
