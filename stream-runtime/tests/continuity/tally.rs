//! What came of a history, and of all histories of a suite.

use std::collections::HashSet;
use std::fmt;

use stream_runtime::Finding;

use crate::suites::Op;

/// An entry's unique content.
pub(crate) type Tag = u64;

/// What happened in one history.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) added: HashSet<Tag>,
    /// By `XDEL`.
    pub(crate) deleted: HashSet<Tag>,
    pub(crate) handled: HashSet<Tag>,
    /// In the stream when a check was made.
    pub(crate) seen: HashSet<Tag>,
    /// In the stream at the end.
    pub(crate) alive: HashSet<Tag>,
    pub(crate) findings: Vec<Finding>,
    /// How often the stream was replaced by another.
    pub(crate) rewrites: u64,
    /// At the end there is no stream, which is no finding and yet not silent.
    pub(crate) is_missing: bool,
    pub(crate) trace: Vec<Op>,
}

impl Story {
    fn holes(&self) -> usize {
        self.alive.difference(&self.handled).count()
    }

    /// Entries that nobody deleted and that were never handled. Of a stream that was replaced, only what could be
    /// known of: an entry that came and went between two checks leaves nothing behind.
    fn lost(&self) -> usize {
        let gone = self.added.iter().filter(|tag| {
            !self.handled.contains(tag) && !self.alive.contains(tag) && !self.deleted.contains(tag)
        });
        gone.filter(|tag| self.rewrites == 0 || self.seen.contains(tag)).count()
    }

    fn trimmed(&self) -> (u64, bool) {
        self.findings.iter().fold((0, true), |(total, all_exact), finding| match finding {
            Finding::Trimmed { lost, exact } => (total + lost, all_exact && *exact),
            _ => (total, false),
        })
    }
}

/// The figures of a suite.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) histories: u64,
    /// Entries that were lost, so that the rest means something.
    pub(crate) lost: u64,
    pub(crate) holes: u64,
    pub(crate) silent_losses: u64,
    pub(crate) false_findings: u64,
    pub(crate) exact: u64,
    pub(crate) inexact: u64,
    /// Findings of nothing but deleted entries.
    pub(crate) deleted_only: u64,
    pub(crate) lineages: u64,
    /// The first histories that went wrong.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, seed: u64, story: &Story) {
        let (holes, lost) = (story.holes(), story.lost());
        let found = !story.findings.is_empty();
        let untouched = story.rewrites == 0 && holes == 0;
        self.histories += 1;
        self.lost += lost as u64;
        if holes > 0 {
            self.holes += 1;
            self.example("hole", seed, story);
        }
        if lost > 0 && !found && !story.is_missing {
            self.silent_losses += 1;
            self.example("silent loss", seed, story);
        }
        if found && lost == 0 && untouched {
            if story.deleted.is_empty() {
                self.false_findings += 1;
                self.example("false finding", seed, story);
            } else {
                self.deleted_only += 1;
            }
        }
        if story.rewrites == 0 && story.deleted.is_empty() {
            if story.trimmed() == (lost as u64, true) {
                self.exact += 1;
            } else {
                self.inexact += 1;
                self.example("inexact", seed, story);
            }
        }
        let is_lineage = |finding: &Finding| matches!(finding, Finding::HistoryLost | Finding::Recreated);
        if story.findings.iter().any(is_lineage) {
            self.lineages += 1;
            if story.rewrites == 0 {
                self.false_findings += 1;
                self.example("false lineage", seed, story);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.histories += other.histories;
        self.lost += other.lost;
        self.holes += other.holes;
        self.silent_losses += other.silent_losses;
        self.false_findings += other.false_findings;
        self.exact += other.exact;
        self.inexact += other.inexact;
        self.deleted_only += other.deleted_only;
        self.lineages += other.lineages;
        self.examples.extend(other.examples);
    }

    fn example(&mut self, what: &str, seed: u64, story: &Story) {
        if self.examples.len() < 3 {
            let Story { findings, trace, .. } = story;
            self.examples.push(format!("{what} by seed {seed}: {findings:?} of {trace:?}"));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5} histories, {:6} entries lost: holes {}, silent losses {}, false findings {}, trims exact {} inexact {}, lineage \
             changes found {}, only deleted entries {}",
            self.histories,
            self.lost,
            self.holes,
            self.silent_losses,
            self.false_findings,
            self.exact,
            self.inexact,
            self.lineages,
            self.deleted_only,
        )
    }
}
