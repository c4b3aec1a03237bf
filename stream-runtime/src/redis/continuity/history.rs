//! Whether a stream is still the one that was read, and what it lost: the rules, without a server.
//!
//! The evidence is presence. What Redis replicates and restores is a prefix of what was written: while an entry of
//! ours is there with the same content, all that was before it is the same too, but for what was removed since. So
//! a stream is judged by a few entries that we know, and by its counters, which never fall while it lives.

mod losses;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::losses::Account;
use super::known::{Known, Seen};
use super::position::{Content, Position};
use super::snapshot::Snapshot;
use crate::backend::{Checkpoint, Finding, Mark};
use crate::entry::{Entry, EntryId};

/// What one consumer read of its stream.
pub(super) struct History {
    /// Where the next read starts.
    at: Position,
    /// The entry at `at`, while its digest is not computed.
    last_read: Option<Entry>,
    known: Arc<Known>,
    /// The ids that were read since the last check; `None` where they were forgotten, as by a restart.
    since: Option<Vec<EntryId>>,
}

/// What the server says does not go together with what was read before: the reason, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

impl History {
    /// What a checkpoint tells. Of one without a mark, or with one that is not ours, only the id is known.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let id = checkpoint.id;
        let marked = checkpoint.mark.as_ref().and_then(|mark| Known::parse(&mark.text(id)));
        let (at, known) = marked.filter(|(at, _)| at.id == id).unwrap_or_else(|| {
            let at = match id {
                EntryId::ZERO => Position::start(None),
                id => Position { id, count: None, content: Content::Unknown },
            };
            (at, Known::nothing(at))
        });
        let since = (at.id == known.verified.id).then(Vec::new);
        Self { at, last_read: None, known: Arc::new(known), since }
    }

    /// Where the next read starts.
    pub(super) fn id(&self) -> EntryId {
        self.at.id
    }

    /// How many ids are remembered since the last check.
    pub(super) fn remembered(&self) -> usize {
        self.since.as_ref().map_or(0, Vec::len)
    }

    /// No check can be made: forgets the ids, which would become too many.
    pub(super) fn forget_ids(&mut self) {
        self.since = None;
    }

    /// A checkpoint at where the next read starts.
    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        self.look_at_last_read();
        let (at, known) = (self.at, Arc::clone(&self.known));
        Checkpoint { id: at.id, mark: Some(Mark::new(move |_| known.text(&at))) }
    }

    /// Entries were read. Returns the mark of checkpoints at them.
    pub(super) fn read(&mut self, entries: &Arc<[Entry]>) -> Option<Mark> {
        let last = entries.last()?;
        let before = self.at.count;
        self.at = Position {
            id: last.id(),
            count: before.map(|count| count.saturating_add(entries.len() as u64)),
            content: Content::Unknown,
        };
        self.last_read = Some(last.clone());
        if let Some(since) = &mut self.since {
            since.extend(entries.iter().map(Entry::id));
        }
        let (known, entries) = (Arc::clone(&self.known), Arc::clone(entries));
        Some(Mark::new(move |id| {
            let index = entries.partition_point(|entry| entry.id() < id);
            let content = entries.get(index).map_or(Content::Unknown, Content::of);
            let count = before.map(|count| count.saturating_add(index as u64 + 1));
            known.text(&Position { id, count, content })
        }))
    }

    /// The stream does not exist. Where nothing was read of it yet, all that it will have counts from now on.
    pub(super) fn is_missing(&mut self) {
        if self.at.id == EntryId::ZERO && self.at.count.is_none() {
            self.at.count = Some(0);
            self.known = Arc::new(Known::nothing(self.at));
        }
    }

    /// What a [`judge`](Self::judge)ment wants to know of; where the next read starts comes first.
    pub(super) fn questions(&self) -> Vec<EntryId> {
        let mut ids = vec![self.at.id, self.known.verified.id];
        ids.extend(self.known.seen.map(|seen| seen.last.id));
        ids.dedup();
        ids
    }

    /// Whether nobody can say if something was lost: all that is known is an id, and the stream was trimmed beyond it.
    pub(super) fn is_unsure(&self, now: &Snapshot) -> bool {
        let is_bare = self.known.seen.is_none() && self.at.content == Content::Unknown;
        is_bare && self.last_read.is_none() && now.is_cut_beyond(self.at.id) && now.last > self.at.id
    }

    /// Judges the stream by a snapshot with the answers. `Ok` brings what was lost.
    pub(super) fn judge(&mut self, now: &Snapshot) -> Result<Option<Finding>, Broken> {
        self.look_at_last_read();
        if let Some(reason) = self.contradiction(now) {
            return Err(Broken(reason));
        }
        let (finding, account) = self.account(now)?;
        self.accept(now, &account);
        Ok(finding)
    }

    /// What [`rewind`](Self::rewind) wants to know of.
    pub(super) fn older_positions(&self) -> Vec<EntryId> {
        std::iter::once(&self.known.verified).chain(&self.known.milestones).map(|old| old.id).collect()
    }

    /// Goes back to the newest position that is still there, by a snapshot with the answers, or to the beginning.
    pub(super) fn rewind(&mut self, now: &Snapshot) -> Finding {
        let mut known = (*self.known).clone();
        known.milestones.push(known.verified);
        // Entries that were removed unread may be back, before the position: then all is read again.
        let unread_stay_away = known.unread == 0
            || now
                .counts
                .is_some_and(|counts| counts.removed_come_first(now.first) && counts.removed >= known.unread);
        known.milestones.retain(|old| {
            let is_there = matches!(old.content, Content::Digest(_)) && now.content(old.id) == old.content;
            is_there && unread_stay_away
        });
        let finding = match known.milestones.pop() {
            Some(newest) => {
                // Ids and contents are believed, counts are not: one that is wrong would be found wrong for ever.
                self.at = Position { count: None, ..newest };
                Finding::HistoryLost
            }
            None => {
                let first_count = now.counts.filter(|counts| counts.removed_come_first(now.first));
                self.at = Position::start(first_count.map(|counts| counts.removed));
                known.unread = now.counts.map_or(0, |counts| counts.removed);
                Finding::Recreated
            }
        };
        self.last_read = None;
        self.since = Some(Vec::new());
        known.verified = self.at;
        known.settled = self.at.id;
        known.seen = Some(seen(now));
        self.known = Arc::new(known);
        finding
    }

    fn look_at_last_read(&mut self) {
        if let Some(entry) = self.last_read.take() {
            self.at.content = Content::of(&entry);
        }
    }

    fn contradiction(&self, now: &Snapshot) -> Option<&'static str> {
        let known = &self.known;
        if let (Some(Seen { removed: Some(before), .. }), Some(counts)) = (known.seen, now.counts)
            && counts.removed < before
        {
            return Some("fewer entries are removed than there were");
        }
        contradicts(&self.at, false, now)
            .or_else(|| contradicts(&known.verified, known.settled >= known.verified.id, now))
            .or_else(|| contradicts(&known.seen?.last, true, now))
    }

    /// The stream is ours: from here on this is what is known.
    fn accept(&mut self, now: &Snapshot, account: &Account) {
        self.at.count = account.count;
        if self.at.content == Content::Unknown {
            self.at.content = now.content(self.at.id);
        }
        let mut known = (*self.known).clone();
        let removed_before = match known.seen {
            Some(seen) => seen.removed,
            // Nobody looked before: it may be that what is gone was never read.
            None if now.is_cut_beyond(self.at.id) => Some(0),
            None => now.counts.map(|counts| counts.removed),
        };
        if let Some(counts) = now.counts {
            let uncertain = !account.settled || self.at.count.is_none() || known.verified.count.is_none();
            if account.lost > 0 || (uncertain && removed_before.is_none_or(|before| counts.removed > before))
            {
                known.unread = counts.removed;
            }
        }
        known.move_to(self.at, now.first);
        if account.settled {
            known.settled = if now.ends_at(self.at.id) { now.last.max(self.at.id) } else { self.at.id };
        }
        known.seen = Some(seen(now));
        self.known = Arc::new(known);
        self.since = Some(Vec::new());
    }
}

/// Why a stream cannot be the one in which this position was.
fn contradicts(position: &Position, is_exact: bool, now: &Snapshot) -> Option<&'static str> {
    let Position { id, count, content } = *position;
    if now.last < id {
        return Some("the stream ends before what was read");
    }
    let begins_after = now.first.is_some_and(|first| first > id);
    let begins_before = now.first.is_some_and(|first| first <= id);
    match (content, now.content(id)) {
        (Content::Nothing, Content::Digest(_)) => return Some("an entry is where none was"),
        (Content::Digest(before), Content::Digest(found)) if before != found => {
            return Some("another entry has the id of one that was read");
        }
        (Content::Digest(_), Content::Nothing)
            if begins_before && now.counts.is_some_and(|counts| counts.max_deleted < id) =>
        {
            return Some("an entry is gone that was neither trimmed nor deleted");
        }
        _ => {}
    }
    let (counts, count) = (now.counts?, count?);
    if counts.added < count {
        return Some("fewer entries were added than were read");
    }
    if begins_after && counts.removed < count {
        return Some("too few entries are removed");
    }
    let is_first = now.first == Some(id) && counts.removed_come_first(now.first);
    if is_exact && is_first && counts.removed.saturating_add(1) != count {
        return Some("an entry has another place");
    }
    None
}

fn seen(now: &Snapshot) -> Seen {
    let last = Position {
        id: now.last,
        count: now.counts.map(|counts| counts.added),
        content: now.content(now.last),
    };
    Seen { last, removed: now.counts.map(|counts| counts.removed) }
}
