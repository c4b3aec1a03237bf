//! What one session of a consumer may do, from a loaded checkpoint on: the delivery rules, as a small model.
//!
//! The memory backend gives its entries the ids `1-0`, `2-0`, …: here an entry is its number.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use stream_runtime::{ConsumerConfig, ErrorKind, OnGap};
use tokio::time::Instant;

use crate::held::{Ended, InHand};

/// `Err` says which rule was broken, and how.
pub(crate) type Checked = Result<(), String>;

/// Ends with a broken rule unless the condition holds.
macro_rules! rule {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}
pub(crate) use rule;

/// What the reader brought and the loop has not passed yet.
#[derive(Clone, Copy, Debug)]
enum Step {
    Entry { id: u64, ends_batch: bool },
    Found { gap: bool, resume: u64 },
}

pub(crate) struct Run {
    config: ConsumerConfig,
    /// Every position that was passed, in order; first the one that it started from.
    settled: Vec<u64>,
    /// Of these the last whose commit was acknowledged, and the one whose commit is under way.
    acknowledged: usize,
    committing: Option<usize>,
    ahead: VecDeque<Step>,
    read_to: u64,
    pub(crate) in_hand: Option<InHand>,
    read_rests_until: Option<Instant>,
    /// Whether a finding has sent it back.
    pub(crate) went_back: bool,
}

impl Run {
    pub(crate) fn new(config: ConsumerConfig, start: u64) -> Self {
        Self {
            config,
            settled: vec![start],
            acknowledged: 0,
            committing: None,
            ahead: VecDeque::new(),
            read_to: start,
            in_hand: None,
            read_rests_until: None,
            went_back: false,
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.settled[0]
    }

    /// Rules 1 and 11: each read goes on where the last one ended, and at most two batches are held.
    pub(crate) fn reads(&self, after: u64, deleted: &BTreeSet<u64>) -> Checked {
        rule!(after == self.read_to, "a read after {after}, where {} was next", self.read_to);
        rule!(rested(self.read_rests_until), "a read again at once after one that failed");
        // The loop may have passed a deleted entry already.
        let ahead = self.ahead.iter().skip(usize::from(self.may_pass_front(deleted)));
        let held = ahead.filter(|step| matches!(step, Step::Entry { ends_batch: true, .. })).count();
        rule!(held <= 1, "a read while {held} batches are held");
        Ok(())
    }

    pub(crate) fn brought(&mut self, ids: &[u64]) {
        let last = ids.last().copied();
        self.read_to = last.unwrap_or(self.read_to);
        self.ahead.extend(ids.iter().map(|&id| Step::Entry { id, ends_batch: Some(id) == last }));
    }

    pub(crate) fn found(&mut self, gap: bool, resume: u64) {
        self.went_back |= resume < self.read_to;
        self.read_to = resume;
        self.ahead.push_back(Step::Found { gap, resume });
    }

    pub(crate) fn read_failed(&mut self, kind: ErrorKind) {
        self.read_rests_until = Some(Instant::now() + least_rest(kind));
    }

    /// Rules 1, 4, 5 and 10: what the handler may be called with.
    pub(crate) fn begins(&mut self, id: u64, deleted: &BTreeSet<u64>) -> Checked {
        while self.next_entry() != Some(id) {
            let next = self.next_entry();
            rule!(self.may_pass_front(deleted), "delivered {id}, where {next:?} was next");
            self.pass_front();
        }
        match &mut self.in_hand {
            Some(in_hand) => in_hand.begins_again(&self.config)?,
            None => {
                let (open, most) = (self.unacknowledged(), self.config.max_uncommitted);
                rule!(open < most, "delivered {id} with {open} entries not durable, of at most {most}");
                self.in_hand = Some(InHand::new(id));
            }
        }
        Ok(())
    }

    pub(crate) fn ended(&mut self, id: u64, how: Ended) {
        let Some(in_hand) = self.in_hand.as_mut().filter(|in_hand| in_hand.id == id) else { return };
        match how {
            Ended::Advanced => self.pass_front(),
            Ended::Held(retry_after) => in_hand.ended(retry_after),
            Ended::Dropped => in_hand.ended(None),
        }
    }

    /// Rules 2 and 4: only what is settled is committed, and of that the newest.
    pub(crate) fn commits(&mut self, id: u64, deleted: &BTreeSet<u64>) -> Checked {
        while self.settled.last() != Some(&id) {
            let (last, next) = (self.settled.last(), self.ahead.front());
            rule!(
                self.may_pass_front(deleted),
                "commits {id}, where {last:?} was settled last and {next:?} is next"
            );
            self.pass_front();
        }
        // A finding right there: the loop may have seen it already, and it changes nothing.
        while matches!(self.ahead.front(), Some(Step::Found { resume, .. }) if *resume == id)
            && self.may_pass_front(deleted)
        {
            self.pass_front();
        }
        self.committing = Some(self.settled.len() - 1);
        Ok(())
    }

    pub(crate) fn committed(&mut self) {
        self.acknowledged = self.committing.take().unwrap_or(self.acknowledged);
    }

    /// Rule 2: in the order of what was settled, a commit never goes back.
    pub(crate) fn is_forward(&self, from: u64, to: u64) -> bool {
        let first = self.settled.iter().position(|id| *id == from);
        let last = self.settled.iter().rposition(|id| *id == to);
        matches!((first, last), (Some(first), Some(last)) if first < last)
    }

    /// Whether nothing is under way, as far as can be told from outside.
    pub(crate) fn is_quiet(&self, deleted: &BTreeSet<u64>) -> bool {
        // With retries, a held entry may be in the stack still.
        let waits = self.held_entry().is_some() && self.config.retry.retries == 0;
        (waits || self.ahead.is_empty())
            && self.committing.is_none()
            && self.unacknowledged() == 0
            && !self.may_pass_front(deleted)
    }

    /// Positions that were passed and are not known to be durable.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.settled.len() - 1 - self.acknowledged
    }

    /// The entry in hand, when it is held.
    pub(crate) fn held_entry(&self) -> Option<u64> {
        self.in_hand.as_ref().filter(|in_hand| !in_hand.running).map(|in_hand| in_hand.id)
    }

    fn next_entry(&self) -> Option<u64> {
        match self.ahead.front() {
            Some(Step::Entry { id, .. }) => Some(*id),
            Some(Step::Found { .. }) | None => None,
        }
    }

    /// Whether the next step may be passed without the handler's word: an entry that was deleted while it is held,
    /// or a finding, unless that is a gap to stop at.
    fn may_pass_front(&self, deleted: &BTreeSet<u64>) -> bool {
        match self.ahead.front() {
            Some(Step::Entry { id, .. }) => self.held_entry() == Some(*id) && deleted.contains(id),
            Some(Step::Found { gap, .. }) => !gap || self.config.on_gap == OnGap::Continue,
            None => false,
        }
    }

    fn pass_front(&mut self) {
        self.in_hand = None;
        match self.ahead.pop_front() {
            Some(Step::Entry { id, .. }) => self.settled.push(id),
            Some(Step::Found { resume, .. }) => self.settled.push(resume),
            None => {}
        }
    }
}

/// How long the runtime waits at least after a failure of this kind.
pub(crate) fn least_rest(kind: ErrorKind) -> Duration {
    match kind {
        ErrorKind::Configuration => Duration::from_secs(5),
        ErrorKind::Transient | ErrorKind::Conflict | ErrorKind::Superseded => Duration::from_millis(100),
    }
}

pub(crate) fn rested(until: Option<Instant>) -> bool {
    until.is_none_or(is_past)
}

pub(crate) fn is_past(time: Instant) -> bool {
    Instant::now() >= time
}
