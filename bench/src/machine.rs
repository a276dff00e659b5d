//! The machine that measures: what it is, how busy it is, and what this process has used of it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Linux counts processor time in hundredths of a second, whatever the kernel's own clock.
const TICKS_A_SECOND: f64 = 100.0;
/// What it was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The day, in UTC.
    date: String,
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
        let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() / 86_400);
        Machine {
            date: date(days),
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
        let Machine { date, cpu, cores, load_before, load_after, .. } = self;
        write!(f, "{cpu}, {cores} cores, load {load_before} before and {load_after} after, {date}")
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

/// Makes the peak of resident memory that Linux keeps for this process begin anew, where Linux allows it.
pub(crate) fn forget_peak() {
    // Where it cannot be done the peak is that of the whole run, which is never too small.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
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

/// The date that is so many days after 1970-01-01. Years are counted from March, so that a leap day is a year's last.
fn date(days: u64) -> String {
    // Days since 0000-03-01; 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", 400 * era + year + next_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_know_leap_years() {
        let dates = [0, 59, 364, 365, 11_016, 11_017, 20_513, 47_540, 47_541].map(date);
        let expected = ["1970-01-01", "1970-03-01", "1970-12-31", "1971-01-01", "2000-02-29", "2000-03-01"];
        assert_eq!(dates[..6], expected);
        assert_eq!(dates[6..], ["2026-03-01", "2100-02-28", "2100-03-01"], "2100 is no leap year");
    }
}
