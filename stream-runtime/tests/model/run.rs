//! What one session of a consumer may do, from a loaded checkpoint on: the delivery rules, as a small model.
//!
//! The memory backend gives its entries the ids `1-0`, `2-0`, …: here an entry is its number.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use stream_runtime::{ConsumerConfig, ErrorKind, OnGap};
use tokio::time::Instant;

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

/// The calls of the handler for the entry in hand.
#[derive(Debug)]
struct Tried {
    id: u64,
    running: bool,
    /// When each call ended that held.
    held: Vec<Instant>,
    /// The handler asked for no call before this.
    not_before: Option<Instant>,
}

/// How a call of the handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Advanced,
    /// Held, panicked, or dropped half-way; with what it asked for.
    Held(Option<Duration>),
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
    tried: Option<Tried>,
    read_rests_until: Option<Instant>,
    look_rests_until: Option<Instant>,
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
            tried: None,
            read_rests_until: None,
            look_rests_until: None,
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
        self.read_to = resume;
        self.ahead.push_back(Step::Found { gap, resume });
    }

    pub(crate) fn read_failed(&mut self, kind: ErrorKind) {
        self.read_rests_until = Some(Instant::now() + least_rest(kind));
    }

    /// Rule 5: a held entry is asked after at intervals, also while the asking fails.
    pub(crate) fn looks(&self) -> Checked {
        rule!(rested(self.look_rests_until), "asked after a held entry again at once after that failed");
        Ok(())
    }

    pub(crate) fn look_failed(&mut self) {
        self.look_rests_until = Some(Instant::now() + Duration::from_secs(1));
    }

    /// Rules 1, 4, 5 and 10: what the handler may be called with.
    pub(crate) fn begins(&mut self, id: u64, deleted: &BTreeSet<u64>) -> Checked {
        while self.next_entry() != Some(id) {
            let next = self.next_entry();
            rule!(self.may_pass_front(deleted), "delivered {id}, where {next:?} was next");
            self.pass_front();
        }
        match &mut self.tried {
            Some(tried) => {
                rule!(!tried.running, "delivered {id} while it is being handled");
                rule!(tried.not_before.is_none_or(is_past), "delivered {id} before the hold's `retry_after`");
                let calls = tried.held.len();
                let burst = self.config.retry.retries as usize + 1;
                if let Some(held_at) = calls.checked_sub(burst).map(|before| tried.held[before]) {
                    let wait = held_at.elapsed();
                    rule!(wait >= self.config.hold_backoff.min, "delivered {id} again {wait:?} after a hold");
                }
                tried.running = true;
            }
            None => {
                let (open, most) = (self.unacknowledged(), self.config.max_uncommitted);
                rule!(open < most, "delivered {id} with {open} entries not durable, of at most {most}");
                self.tried = Some(Tried { id, running: true, held: Vec::new(), not_before: None });
            }
        }
        Ok(())
    }

    /// Whether this call of the handler is the entry's first.
    pub(crate) fn is_first_call(&self) -> bool {
        self.tried.as_ref().is_some_and(|tried| tried.held.is_empty())
    }

    pub(crate) fn ended(&mut self, id: u64, how: Ended) {
        let Some(tried) = self.tried.as_mut().filter(|tried| tried.id == id) else { return };
        match how {
            Ended::Advanced => self.pass_front(),
            Ended::Held(retry_after) => {
                tried.running = false;
                tried.held.push(Instant::now());
                tried.not_before = retry_after.map(|wait| Instant::now() + wait);
            }
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

    /// Positions that were passed and are not known to be durable.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.settled.len() - 1 - self.acknowledged
    }

    /// The entry in hand, when it is held.
    pub(crate) fn held_entry(&self) -> Option<u64> {
        self.tried.as_ref().filter(|tried| !tried.running).map(|tried| tried.id)
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
        self.tried = None;
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

fn is_past(time: Instant) -> bool {
    Instant::now() >= time
}
