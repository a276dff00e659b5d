//! What the rounds of suite `faults` came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::figure::{Figure, Target};
use crate::report::{Report, Sheet, SheetRow};

/// Survivors should have ended after so many seconds.
const DELAY: f64 = 10.0;
const SURVIVORS: &str = "survivors' end";

/// What happened in one round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) sharded: bool,
    pub(crate) processes: usize,
    /// The process that was killed or cut off.
    pub(crate) victim: usize,
    /// When, after the start of the processes.
    pub(crate) at: Duration,
    /// Whether there was a directory for the index by then; otherwise the processes had not met yet.
    pub(crate) had_begun: bool,
    /// Whether the index was published by then.
    pub(crate) had_ended: bool,
    /// Whether it was when all processes had ended.
    pub(crate) was_published: bool,
    /// How the others ended; none by a signal. Of a cut all processes count.
    pub(crate) codes: Vec<Option<i32>>,
    /// What they said.
    pub(crate) words: Vec<String>,
    /// Until the last of them had ended.
    pub(crate) delay: Duration,
    pub(crate) resumed_by: usize,
    /// Segments that were there before the build was resumed.
    pub(crate) sealed: usize,
    /// Those that are the same files in the end.
    pub(crate) kept: usize,
    pub(crate) segments: usize,
    /// Whether the index is that of the undisturbed build.
    pub(crate) is_identical: bool,
}

impl Round {
    /// What the process was lost in the midst of.
    fn phase(&self) -> &'static str {
        match (self.had_begun, self.had_ended || self.was_published) {
            (_, true) => "ending",
            (true, false) => "building",
            (false, false) => "meeting",
        }
    }

    fn case(&self) -> String {
        format!("{}, {}", if self.sharded { "sharded" } else { "replicated" }, self.phase())
    }

    /// Whether the others ended as they should: with 2 and a word about it. Where the index was published nothing is
    /// lost, and those that knew end well.
    fn ended_well(&self) -> bool {
        let spoke = |(code, words): (&Option<i32>, &String)| match code {
            Some(2) => !words.is_empty() && !words.contains("internal error"),
            Some(0) => self.was_published,
            _ => false,
        };
        self.codes.iter().zip(&self.words).all(spoke)
    }

    fn codes_text(&self) -> String {
        let code = |code: &Option<i32>| code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        self.codes.iter().map(code).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Round { processes, victim, sealed, kept, segments, resumed_by, .. } = self;
        write!(f, "{}, {processes} processes, lost {victim} after {:.2} s; ", self.case(), self.at.as_secs_f64())?;
        write!(f, "others ended with {} within {:.2} s; ", self.codes_text(), self.delay.as_secs_f64())?;
        write!(f, "{kept} of {sealed} sealed segments kept, of {segments}; ")?;
        if self.was_published {
            write!(f, "was done")?
        } else {
            write!(f, "resumed by {resumed_by}")?
        }
        write!(f, "; {}", if self.is_identical { "identical" } else { "OTHER BYTES" })
    }
}

/// Adds figures, a table and checks.
pub(crate) fn describe(report: &mut Report, rounds: &[Round], cut: bool) {
    let mut cases: BTreeMap<String, Vec<&Round>> = BTreeMap::new();
    for round in rounds {
        cases.entry(round.case()).or_default().push(round);
    }
    let mut rows = Vec::new();
    for (case, rounds) in &cases {
        let mut codes: BTreeMap<Option<i32>, usize> = BTreeMap::new();
        rounds.iter().flat_map(|round| &round.codes).for_each(|&code| *codes.entry(code).or_default() += 1);
        let name = |code: Option<i32>| code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let words: Vec<String> = codes.iter().map(|(&code, count)| format!("{count} x {}", name(code))).collect();
        rows.push(SheetRow { case: case.clone(), name: case.clone(), words: vec![words.join(", ")], ours: true });
        let delays: Vec<f64> = rounds.iter().map(|round| round.delay.as_secs_f64()).collect();
        let longest = Figure::single(case, "longest delay", "s", delays.iter().copied().fold(0.0, f64::max));
        // Those that had not met yet wait for each other, as long as the user lets them.
        let is_meeting = rounds.iter().all(|round| round.phase() == "meeting");
        report.figure(Figure::single(case, "rounds", "", rounds.len() as f64));
        report.figure(Figure::trials(case, "delay", "s", delays));
        report.figure(if is_meeting { longest } else { longest.with_target(Target::AtMost(DELAY)) });
        let column = |part: fn(&Round) -> usize| rounds.iter().map(|round| part(round) as f64).collect::<Vec<f64>>();
        report.figure(Figure::single(case, "sealed before", "segments", column(|round| round.sealed).iter().sum()));
        report.figure(Figure::single(case, "kept", "segments", column(|round| round.kept).iter().sum()));
        report.figure(Figure::single(case, "in all", "segments", column(|round| round.segments).iter().sum()));
    }
    report.sheets.push(Sheet {
        title: format!("{} builds that lost a process", rounds.len()),
        caption: "delay: from the loss until the last of the others had ended".to_owned(),
        rows,
        word_columns: vec![SURVIVORS],
        columns: vec![
            ("rounds", ""),
            ("delay", "s"),
            ("longest delay", "s"),
            ("sealed before", "segments"),
            ("kept", "segments"),
            ("in all", "segments"),
        ],
        folded: false,
    });
    let all = rounds.len();
    let count = |what: fn(&Round) -> bool| rounds.iter().filter(|round| what(round)).count();
    let identical = count(|round| round.is_identical);
    report.check("the index is that of an undisturbed build", identical == all, format!("{identical} of {all} rounds"));
    let kept = count(|round| round.kept == round.sealed);
    report.check("no sealed segment was written again", kept == all, format!("{kept} of {all} rounds"));
    let well = count(Round::ended_well);
    report.check("the others ended with exit code 2 and said why", well == all, format!("{well} of {all} rounds"));
    for round in rounds.iter().filter(|round| !round.ended_well()) {
        report.note(format!("{round}: {}", round.words.join(" | ")));
    }
    let how =
        if cut { "the link of its host was set down; it counts among the others" } else { "it was killed (SIGKILL)" };
    report.note(format!("how a process was lost: {how}"));
    report.note("meeting: the processes had not all found each other, and wait as long as --connect-timeout lets them");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(codes: &[Option<i32>], words: &str, was_published: bool) -> Round {
        let words = vec![words.to_owned(); codes.len()];
        Round { codes: codes.to_vec(), words, was_published, had_begun: true, ..Round::default() }
    }

    #[test]
    fn survivors_must_end_with_two_and_a_word() {
        assert!(round(&[Some(2), Some(2)], "process 1 is gone", false).ended_well());
        for (code, words) in [(Some(0), "done"), (Some(2), ""), (Some(1), "no"), (None, "killed"), (Some(101), "panic")]
        {
            assert!(!round(&[Some(2), code], words, false).ended_well(), "{code:?} {words}");
        }
        assert!(!round(&[Some(2)], "walkprint: internal error: x", false).ended_well());
        assert!(round(&[Some(0), Some(2)], "process 1 is gone", true).ended_well(), "nothing was lost");
    }

    #[test]
    fn rounds_are_told_apart_by_what_they_were_at() {
        assert_eq!(round(&[], "", false).case(), "replicated, building");
        assert_eq!(round(&[], "", true).case(), "replicated, ending");
        let early = Round { sharded: true, ..Round::default() };
        assert_eq!(early.case(), "sharded, meeting");
    }
}
