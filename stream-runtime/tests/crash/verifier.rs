//! Judges a worker from the manifest, the journals and the stored record alone.

pub(crate) mod checks;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Bound;

use stream_runtime::EntryId;

use crate::journal::{Produced, Record};
use crate::stored::Stored;
use crate::tally::Tally;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    text: String,
}

/// Which promise it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry was passed over: the stored offset is past it, or all is over, and it was not handled.
    Lost,
    /// Within a run an entry came that is not the next one, or was first handled after a later one.
    OutOfOrder,
    /// A run did not start right after the stored offset.
    Start,
    /// More entries than `max_uncommitted` are to be handled again.
    Window,
    /// A commit past what was handled, backward, or acknowledged and not stored.
    Commit,
    /// A shutdown did not store all that was handled.
    Shutdown,
    /// An entry that nobody appended, or with another content.
    Foreign,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) number: u64,
    pub(crate) max_uncommitted: usize,
    /// Whether it ended by itself, in a shutdown.
    pub(crate) drained: bool,
    pub(crate) records: &'a [Record],
    /// What is stored after its end.
    pub(crate) stored: Stored,
}

/// What is known of one stream and its consumer.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    /// The entries of the manifest, and those that were seen though their append was never acknowledged.
    entries: BTreeMap<EntryId, Known>,
    /// Tags that were sent and not acknowledged: they may be in the stream.
    open: HashSet<String>,
    /// What was stored when the last run had ended.
    stored: Stored,
    /// The latest entry that was handled so far.
    newest: EntryId,
    lost: BTreeSet<EntryId>,
    tally: Tally,
}

#[derive(Debug)]
struct Known {
    tag: String,
    handled: bool,
}

impl Verifier {
    /// Takes what the manifest has more.
    pub(crate) fn produced(&mut self, records: impl IntoIterator<Item = Produced>) {
        for record in records {
            match record {
                Produced::Sent(tag) => {
                    self.open.insert(tag);
                }
                Produced::Added { id, tag } => {
                    self.open.remove(&tag);
                    self.entries.insert(id, Known { tag, handled: false });
                }
            }
        }
    }

    /// The last entry known.
    pub(crate) fn last(&self) -> EntryId {
        self.entries.last_key_value().map_or(EntryId::ZERO, |(id, _)| *id)
    }

    /// How many entries are known that were not handled yet.
    pub(crate) fn backlog(&self) -> u64 {
        (self.entries.len() as u64).saturating_sub(self.tally.handled)
    }

    /// The epoch of the next claim.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.stored.epoch + 1
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> Tally {
        Tally { lost: self.lost.len() as u64, ..self.tally.clone() }
    }

    /// Judges a run after its end, before the next one starts.
    pub(crate) fn judge(&mut self, run: &Run<'_>) -> Vec<Violation> {
        let mut violations = walk::walk(self, run);
        violations.extend(self.passed_over(run.stored.id));
        self.stored = run.stored;
        violations
    }

    /// Judges the whole, when the last run has caught up.
    pub(crate) fn judge_end(&mut self) -> Vec<Violation> {
        self.passed_over(EntryId::MAX)
    }

    /// The entries up to an id that were not handled.
    fn passed_over(&mut self, end: EntryId) -> Vec<Violation> {
        let mut violations = Vec::new();
        let after = (Bound::Excluded(self.stored.id), Bound::Included(end));
        if end <= self.stored.id {
            return violations;
        }
        for (id, entry) in self.entries.range(after).filter(|(_, entry)| !entry.handled) {
            if self.lost.insert(*id) {
                let text = if end == EntryId::MAX {
                    format!("{id} ({}) was never handled", entry.tag)
                } else {
                    format!("{id} ({}) was not handled, and the stored offset is {end}", entry.tag)
                };
                violations.push(Violation { kind: Kind::Lost, text });
            }
        }
        violations
    }

    /// The entry after an id, as far as known.
    fn next_after(&self, id: EntryId) -> Option<EntryId> {
        let after = (Bound::Excluded(id), Bound::Unbounded);
        self.entries.range(after).next().map(|(id, _)| *id)
    }
}
