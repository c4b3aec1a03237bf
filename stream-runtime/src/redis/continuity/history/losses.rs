//! How many entries were lost before they were read.

use super::super::known::Seen;
use super::super::snapshot::{Counts, Snapshot};
use super::{Broken, History};
use crate::backend::Finding;

/// How many entries were lost, and what is known after.
pub(super) struct Account {
    pub(super) lost: u64,
    /// How many entries come before the next one to be read.
    pub(super) count: Option<u64>,
    /// Whether nothing that is lost is still to be counted.
    pub(super) settled: bool,
}

impl History {
    /// What was lost since nothing was still to be counted.
    pub(super) fn account(&self, now: &Snapshot) -> Result<(Option<Finding>, Account), Broken> {
        let Some(counts) = now.counts else {
            return Ok((None, Account { lost: 0, count: None, settled: true }));
        };
        let trimmed = self.may_be_trimmed(now, counts);
        let deleted = counts.max_deleted > self.known.settled;
        let account = match self.at.count {
            Some(count) => self.count_lost(now, counts, count, trimmed || deleted)?,
            None => self.bound_lost(now, counts),
        };
        let finding = match account.lost {
            0 => None,
            lost if !trimmed => Some(Finding::Deleted { at_most: lost }),
            lost => Some(Finding::Trimmed { lost, exact: self.at.count.is_some() && !deleted }),
        };
        Ok((finding, account))
    }

    /// Whether entries may have been trimmed of which nobody knows whether they were read.
    fn may_be_trimmed(&self, now: &Snapshot, counts: Counts) -> bool {
        let known = &self.known;
        let not_one = match known.seen {
            Some(Seen { last, removed: Some(before) }) if known.settled >= known.verified.id => {
                // One that came after the last check and was deleted was not trimmed.
                let deleted = u64::from(counts.max_deleted > last.id);
                counts.removed <= before + deleted
            }
            _ => false,
        };
        now.is_cut_beyond(known.settled) && !not_one
    }

    /// What was lost, where it is known how many entries were added up to where we stand.
    fn count_lost(
        &self,
        now: &Snapshot,
        counts: Counts,
        count: u64,
        is_removed: bool,
    ) -> Result<Account, Broken> {
        let verified = self.known.verified;
        let in_front = counts.removed_come_first(now.first);
        let total = if now.ends_at(self.at.id) {
            counts.added
        } else if in_front && now.is_cut_beyond(self.at.id) {
            counts.removed
        } else if let (true, Some(before), Some(read)) =
            (in_front && now.is_cut_beyond(verified.id), verified.count, self.read_and_gone(now))
        {
            // Of what was removed since, we read some; the rest is lost.
            let lost = counts.removed.checked_sub(before.saturating_add(read));
            count.saturating_add(lost.ok_or(Broken("too few entries are removed"))?)
        } else {
            // Something may be lost, and will be counted where the stream is next seen to begin or end.
            return Ok(Account { lost: 0, count: Some(count), settled: !is_removed });
        };
        let lost = total.checked_sub(count).ok_or(Broken("fewer entries were added than were read"))?;
        if lost > 0 && !is_removed {
            return Err(Broken("more entries were added than could be read"));
        }
        Ok(Account { lost, count: Some(total), settled: true })
    }

    /// What was lost at most, where only the id is known at which we stand, and where the count can be had now.
    fn bound_lost(&self, now: &Snapshot, counts: Counts) -> Account {
        let in_front = counts.removed_come_first(now.first);
        let count = if now.ends_at(self.at.id) {
            Some(counts.added)
        } else if in_front && now.is_cut_beyond(self.at.id) {
            Some(counts.removed)
        } else if in_front && now.first == Some(self.at.id) {
            Some(counts.removed.saturating_add(1))
        } else {
            None
        };
        let known = &self.known;
        let lost = match known.seen {
            Some(Seen { removed: Some(before), .. }) if now.is_cut_beyond(known.settled) => {
                (counts.removed - before).saturating_sub(self.read_and_gone(now).unwrap_or(0))
            }
            // The first look has nothing to compare with.
            _ => 0,
        };
        Account { lost, count, settled: true }
    }

    /// How many of the entries read since the last check come before the first that is there.
    fn read_and_gone(&self, now: &Snapshot) -> Option<u64> {
        let since = self.since.as_ref()?;
        Some(now.first.map_or(since.len(), |first| since.partition_point(|id| *id < first)) as u64)
    }
}
