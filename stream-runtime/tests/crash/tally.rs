//! What was counted, and how it is said.

use std::collections::BTreeMap;
use std::fmt;

use crate::trap::Point;

/// The counts of one stream, or of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) shutdowns: u64,
    /// Entries, each counted once.
    pub(crate) handled: u64,
    pub(crate) lost: u64,
    pub(crate) out_of_order: u64,
    /// Entries that advanced again.
    pub(crate) duplicates: u64,
    pub(crate) skips: u64,
    pub(crate) holds: u64,
    /// Commits that were acknowledged.
    pub(crate) commits: u64,
    /// Runs that ended with a commit made whose answer never came.
    pub(crate) unanswered: u64,
    /// The most entries that one run had handled beyond the stored offset at its end.
    pub(crate) largest_window: usize,
    /// Kills at a named point.
    pub(crate) fired: BTreeMap<Point, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.shutdowns += other.shutdowns;
        self.handled += other.handled;
        self.lost += other.lost;
        self.out_of_order += other.out_of_order;
        self.duplicates += other.duplicates;
        self.skips += other.skips;
        self.holds += other.holds;
        self.commits += other.commits;
        self.unanswered += other.unanswered;
        self.largest_window = self.largest_window.max(other.largest_window);
        for (point, times) in &other.fired {
            *self.fired.entry(*point).or_default() += times;
        }
    }

    /// What did not happen in so many kills though it should have: then the run proves less than it says.
    pub(crate) fn missing(&self) -> Option<String> {
        if let Some(point) = Point::ALL.iter().find(|point| !self.fired.contains_key(point)) {
            return Some(format!("no kill {point}"));
        }
        let counts = [
            (self.holds, "hold"),
            (self.skips, "skip"),
            (self.handled.saturating_sub(self.commits), "merged commit"),
            (self.shutdowns, "shutdown"),
            (self.duplicates, "replay"),
            (self.unanswered, "commit whose answer never came"),
        ];
        counts.iter().find(|(count, _)| *count == 0).map(|(_, what)| format!("no {what}"))
    }

    /// The other counts, in a few lines.
    pub(crate) fn details(&self) -> String {
        let fired: Vec<String> = self.fired.iter().map(|(point, times)| format!("{times} {point}")).collect();
        let named: u64 = self.fired.values().sum();
        format!(
            "  {} entries handled in {} commits, {} skips, {} holds, {} shutdowns\n  \
             killed {}, {} at a random moment; {} with a commit made and not answered",
            self.handled,
            self.commits,
            self.skips,
            self.holds,
            self.shutdowns,
            fired.join(", "),
            self.kills - named,
            self.unanswered,
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, lost {}, out of order {}, duplicates {}, largest window {}",
            self.kills, self.lost, self.out_of_order, self.duplicates, self.largest_window
        )
    }
}
