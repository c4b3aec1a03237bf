//! Goes through one run's journal, record by record.

use stream_runtime::EntryId;

use super::{Kind, Known, Run, Verifier, Violation};
use crate::journal::{Event, Verdict};

/// What one run did wrong, and what it did, counted in the verifier.
pub(super) fn walk(verifier: &mut Verifier, run: &Run<'_>) -> Vec<Violation> {
    let start = verifier.stored.id;
    let mut walk = Walk {
        verifier,
        run,
        claims: 0,
        position: start,
        fresh: true,
        advanced: Vec::new(),
        intent: start,
        acknowledged: start,
        violations: Vec::new(),
    };
    walk.records();
    walk.end();
    walk.violations
}

struct Walk<'a> {
    verifier: &'a mut Verifier,
    run: &'a Run<'a>,
    claims: u64,
    /// The last entry that advanced, or the stored offset.
    position: EntryId,
    /// Whether no entry has come yet.
    fresh: bool,
    advanced: Vec<EntryId>,
    intent: EntryId,
    acknowledged: EntryId,
    violations: Vec<Violation>,
}

impl Walk<'_> {
    fn wrong(&mut self, kind: Kind, text: &str) {
        if kind == Kind::OutOfOrder {
            self.verifier.tally.out_of_order += 1;
        }
        let text = format!("run {}: {text}", self.run.number);
        self.violations.push(Violation { kind, text });
    }

    fn records(&mut self) {
        let epoch = self.verifier.next_epoch();
        for record in self.run.records {
            if (record.run, record.epoch) != (self.run.number, epoch) {
                self.wrong(Kind::Foreign, &format!("a record of another run: {record:?}"));
            }
            match &record.event {
                Event::Claimed(stored) => self.claimed(*stored),
                Event::Delivered { id, tag, verdict, .. } => self.delivered(*id, tag, *verdict),
                Event::Intent(id) => self.intends(*id),
                Event::Acknowledged(id) => self.acknowledged(*id),
            }
        }
    }

    fn claimed(&mut self, loaded: EntryId) {
        self.claims += 1;
        let stored = self.verifier.stored.id;
        if self.claims > 1 || loaded != stored {
            self.wrong(Kind::Start, &format!("claim {} loaded {loaded}, stored is {stored}", self.claims));
        }
    }

    fn delivered(&mut self, id: EntryId, tag: &str, verdict: Verdict) {
        self.recognise(id, tag);
        let expected = self.verifier.next_after(self.position);
        if expected != Some(id) {
            let expected = expected.map_or_else(|| "none".to_owned(), |id| id.to_string());
            let (kind, after) = if self.fresh {
                (Kind::Start, format!("the stored offset {}", self.position))
            } else {
                (Kind::OutOfOrder, self.position.to_string())
            };
            self.wrong(kind, &format!("after {after} came {id}, and the next entry is {expected}"));
        }
        self.fresh = false;
        match verdict {
            Verdict::Held => self.verifier.tally.holds += 1,
            Verdict::Handled => {}
            Verdict::Skipped => self.verifier.tally.skips += 1,
        }
        if verdict.advances() {
            self.advance(id);
        }
    }

    /// An entry of the manifest, or one that was sent and not acknowledged.
    fn recognise(&mut self, id: EntryId, tag: &str) {
        match self.verifier.entries.get(&id) {
            Some(known) if known.tag == tag => {}
            Some(known) => {
                let text = format!("{id} came with {tag:?}, and was appended with {:?}", known.tag);
                self.wrong(Kind::Foreign, &text);
            }
            None => {
                if !self.verifier.open.remove(tag) {
                    self.wrong(Kind::Foreign, &format!("{id} ({tag:?}) is not in the manifest"));
                }
                let known = Known { tag: tag.to_owned(), handled: false };
                self.verifier.entries.insert(id, known);
            }
        }
    }

    fn advance(&mut self, id: EntryId) {
        self.position = id;
        self.advanced.push(id);
        let newest = self.verifier.newest;
        let Some(known) = self.verifier.entries.get_mut(&id) else { return };
        if known.handled {
            self.verifier.tally.duplicates += 1;
            return;
        }
        known.handled = true;
        self.verifier.tally.handled += 1;
        self.verifier.newest = newest.max(id);
        if id < newest {
            self.wrong(Kind::OutOfOrder, &format!("{id} was first handled after {newest}"));
        }
    }

    fn intends(&mut self, id: EntryId) {
        if id > self.position {
            let text = format!("a commit of {id}, and no more than {} has advanced", self.position);
            self.wrong(Kind::Commit, &text);
        }
        if id < self.intent {
            self.wrong(Kind::Commit, &format!("a commit of {id} after one of {}", self.intent));
        }
        self.intent = id;
    }

    fn acknowledged(&mut self, id: EntryId) {
        if id != self.intent {
            self.wrong(Kind::Commit, &format!("{id} acknowledged, {} was to be committed", self.intent));
        }
        self.acknowledged = id;
        self.verifier.tally.commits += 1;
    }

    /// The stored record, against what the run has done.
    fn end(&mut self) {
        let (before, after) = (self.verifier.stored, self.run.stored);
        let claimed = after.epoch == before.epoch + 1;
        if !claimed && (self.claims > 0 || after.epoch != before.epoch) {
            let text = format!(
                "{} claims, and the epoch went from {} to {}",
                self.claims, before.epoch, after.epoch
            );
            self.wrong(Kind::Start, &text);
        }
        if after.id != self.acknowledged && after.id != self.intent {
            let text = format!(
                "stored is {}, and {} was acknowledged, {} to be committed",
                after.id, self.acknowledged, self.intent
            );
            self.wrong(Kind::Commit, &text);
        }
        if after.id > self.acknowledged {
            self.verifier.tally.unanswered += 1;
        }
        let window = self.advanced.iter().filter(|id| **id > after.id).count();
        self.verifier.tally.largest_window = self.verifier.tally.largest_window.max(window);
        if window > self.run.max_uncommitted {
            let text =
                format!("{window} handled entries are not stored, allowed are {}", self.run.max_uncommitted);
            self.wrong(Kind::Window, &text);
        }
        if self.run.drained && window > 0 {
            self.wrong(Kind::Shutdown, &format!("{window} handled entries are not stored after a shutdown"));
        }
    }
}
