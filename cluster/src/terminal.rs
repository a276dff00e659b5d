//! What a person sees: errors once, progress on stderr, results on stdout; and Ctrl-C.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use walkprint_cluster::processes::LossKind;
use walkprint_engine::store::Store;

/// How a command ended that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// The answer is no.
    No,
}

/// Writes results. A reader that has gone away ends the program quietly: it has seen all it wanted.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(anyhow::Error::new(error).context("could not write to standard output")),
        Ok(()) => Ok(()),
    }
}

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Says what went wrong, with its causes, in one line; gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut line = String::from("walkprint: ");
    let mut last = String::new();
    for (at, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        // `#[error(transparent)]` repeats its cause.
        if text != last {
            let _ = write!(line, "{}{text}", if at == 0 { "" } else { ": " });
        }
        last = text;
    }
    let _ = writeln!(io::stderr(), "{line}"); // nothing can be done when stderr is closed
    let interrupted = error.chain().any(|cause| {
        use walkprint_cluster::error::Error;
        match cause.downcast_ref() {
            Some(Error::Interrupted) => true,
            Some(Error::Process(loss)) => loss.kind == LossKind::Interrupted,
            _ => false,
        }
    });
    ExitCode::from(if interrupted { 130 } else { 2 })
}

/// A flag that the first Ctrl-C (or SIGTERM) sets. The second ends the program at once.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// A progress bar on stderr; silent when that is no terminal.
pub(crate) fn progress_bar(length: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template(template).expect("templates are constants of this program");
    ProgressBar::new(length).with_style(style.progress_chars("━╸─"))
}

/// Whether notes for people go to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}"); // nothing can be done when stderr is closed
}

/// Says that some events do not count in what comes next.
pub(crate) fn note_waiting(store: &Store) -> anyhow::Result<()> {
    let events = walkprint_cluster::live::waiting(store)?;
    if events != 0 {
        note(&format!(
            "walkprint: {}: {} events do not count here before `walkprint compact` has absorbed them",
            store.path().display(),
            count(events)
        ));
    }
    Ok(())
}

/// A number with thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "bytes");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

/// A duration for people.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

/// The machine's processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Half of the machine's memory, in bytes: what a build may hold unless the user says otherwise.
pub(crate) fn half_of_memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the field's width differs between platforms")]
    let (total, unit) = (u64::from(info.totalram), u64::from(info.mem_unit));
    (total * unit / 2).max(1 << 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(2_500_000), "2.5 MB");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 05 s");
    }
}
