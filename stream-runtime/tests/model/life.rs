//! What one worker may do from its start to its end: claims, commits, shutdown, and that it rests after failures.

use std::collections::BTreeSet;
use std::time::Duration;

use stream_runtime::{ConsumerConfig, ErrorKind, StartAt};
use tokio::time::Instant;

use crate::held::Ended;
use crate::record::Record;
use crate::run::{Checked, Run, is_past, least_rest, rested, rule};

pub(crate) struct Life {
    pub(crate) config: ConsumerConfig,
    /// The session that it is in; none before the first offset was loaded.
    pub(crate) run: Option<Run>,
    /// How many sessions there were.
    pub(crate) runs: usize,
    /// Between a load that found no offset and the first read.
    opening: bool,
    /// What `latest` was resolved to.
    tail: Option<u64>,
    /// What the worker knows to be durable.
    known: Option<u64>,
    /// The owner that its records name; the same in all its claims.
    owner: Option<u64>,
    /// The epoch of the claim that it knows to be made.
    epoch: Option<u64>,
    /// How often somebody had edited the record when it was loaded.
    pub(crate) edits_seen: u64,
    /// Whether something happened after which the offset is to be loaded again.
    may_load: bool,
    has_store: bool,
    /// A call of the offset store is under way.
    store_is_busy: bool,
    store_called: Option<Instant>,
    /// Its last call failed.
    store_fails: bool,
    store_rests_until: Option<Instant>,
    last_failure: Option<Instant>,
    /// It was told that another worker has claimed the consumer.
    pub(crate) superseded: bool,
    pub(crate) stop: Option<Stop>,
    pub(crate) killed: bool,
    pub(crate) ended: bool,
}

impl Life {
    pub(crate) fn new(config: ConsumerConfig) -> Self {
        Self {
            config,
            run: None,
            runs: 0,
            opening: false,
            tail: None,
            known: None,
            owner: None,
            epoch: None,
            edits_seen: 0,
            may_load: true,
            has_store: false,
            store_is_busy: false,
            store_called: None,
            store_fails: false,
            store_rests_until: None,
            last_failure: None,
            superseded: false,
            stop: None,
            killed: false,
            ended: false,
        }
    }

    /// Rules 3 and 8: whoever was superseded, or has ended, does nothing more.
    pub(crate) fn acts(&self) -> Checked {
        rule!(!self.ended, "acts after its end");
        rule!(!self.superseded, "acts after it was superseded");
        Ok(())
    }

    /// One store a worker: a second one means that its task panicked, or that a commit was given up.
    pub(crate) fn makes_store(&mut self) -> Checked {
        rule!(!self.has_store, "takes a second offset store: its task has panicked");
        self.has_store = true;
        Ok(())
    }

    /// Rule 9: after a failure, a rest. A shutdown may cut it short once: there is little time to commit.
    pub(crate) fn calls_store(&mut self) -> Checked {
        self.acts()?;
        let is_rested = rested(self.store_rests_until);
        let is_cut_short =
            !is_rested && self.stop.as_mut().is_some_and(|stop| !std::mem::replace(&mut stop.flushes, true));
        rule!(is_rested || is_cut_short, "calls the offset store again at once after a failure");
        (self.store_is_busy, self.store_called) = (true, Some(Instant::now()));
        Ok(())
    }

    /// A call of the store was answered.
    pub(crate) fn store_answered(&mut self) {
        (self.store_is_busy, self.store_fails) = (false, false);
    }

    pub(crate) fn loads(&mut self) -> Checked {
        self.calls_store()?;
        rule!(self.may_load, "loads the offset again without a cause");
        Ok(())
    }

    /// Where the next session starts, once the stored offset is known; `None` where the tail is to be asked for.
    pub(crate) fn loaded(&mut self, stored: Option<u64>, epoch: Option<u64>, edits: u64) {
        self.edits_seen = edits;
        self.epoch = epoch;
        self.store_answered();
        self.may_load = false;
        self.opening = stored.is_none();
        self.known = stored.or(self.known);
        let start = self.known.or(match self.config.start {
            StartAt::Beginning => Some(0),
            StartAt::After(id) => Some(id.ms),
            StartAt::Latest => self.tail,
        });
        self.runs += 1;
        self.run = start.map(|start| Run::new(self.config.clone(), start));
    }

    /// Rule 6: `latest` is resolved where no offset is stored, and once.
    pub(crate) fn asked_tail(&mut self, tail: u64) -> Checked {
        rule!(self.tail.is_none(), "asks for the tail a second time");
        self.tail = Some(tail);
        rule!(self.opening && self.run.is_none(), "asks for the tail although it has an offset");
        self.run = Some(Run::new(self.config.clone(), tail));
        Ok(())
    }

    pub(crate) fn commit_done(&mut self, id: u64) {
        self.store_answered();
        self.known = Some(id);
        if let Some(run) = self.run.as_mut().filter(|_| !self.opening) {
            run.committed();
        }
    }

    /// Whether it is writing down where it starts, so that the next start does not decide anew.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening
    }

    pub(crate) fn reads(&mut self) {
        self.opening = false;
    }

    pub(crate) fn store_failed(&mut self, kind: ErrorKind) {
        (self.store_is_busy, self.store_fails) = (false, true);
        self.store_rests_until = Some(Instant::now() + least_rest(kind));
        self.last_failure = Some(Instant::now());
        self.superseded |= kind == ErrorKind::Superseded;
        self.may_load |= kind == ErrorKind::Conflict || self.opening || self.run.is_none();
    }

    /// Rule 3: a claim takes the offset as it is, with a new epoch, and only the first one takes it from another. Where
    /// the record is gone, it goes on from what the worker wrote last.
    pub(crate) fn claims(&mut self, before: Option<Record>, after: Record) -> Checked {
        let (epoch, id) = before.map_or((0, self.known), |before| (before.epoch, before.id));
        // A new store does not know what an old one wrote.
        let forgets = before.is_none() && after.id.is_none();
        rule!(after.epoch > epoch, "claims with epoch {}, where {epoch} is stored", after.epoch);
        rule!(after.id == id || forgets, "claims with offset {:?}, where {id:?} is stored", after.id);
        if let (Some(ours), Some(before)) = (self.epoch, before) {
            let newer = Some(before.owner) != self.owner && before.epoch >= ours;
            rule!(!newer, "claims again from a worker that claimed after it");
        }
        self.owner = Some(after.owner);
        Ok(())
    }

    pub(crate) fn owns(&self, record: Record) -> bool {
        self.owner == Some(record.owner)
    }

    pub(crate) fn asked_to_stop(&mut self, drain: Duration, deleted: &BTreeSet<u64>) {
        let is_open = self.opening || self.may_load || self.superseded;
        let quiet = !is_open && self.run.as_ref().is_some_and(|run| run.is_quiet(deleted));
        let asked = Instant::now();
        self.stop = Some(Stop { asked, until: asked + drain, quiet, flushes: false });
    }

    /// Rules 3, 5 and 8: when the handler may be called.
    pub(crate) fn begins(&mut self, id: u64, deleted: &BTreeSet<u64>) -> Checked {
        self.acts()?;
        let Some(run) = self.run.as_mut() else { return Err(format!("delivers {id} before it loaded")) };
        run.begins(id, deleted)?;
        let Some(in_hand) = &run.in_hand else { return Ok(()) };
        if let Some(stop) = &mut self.stop {
            let late = stop.asked < Instant::now();
            rule!(!late || !in_hand.is_first_call(), "begins {id} after it was asked to end");
            stop.quiet = false;
        }
        let idle = !self.store_is_busy && !self.store_fails;
        let verified = in_hand.looked() <= self.store_called;
        rule!(verified || !idle, "looked for {id} without a look whether it is still the one");
        Ok(())
    }

    /// Rules 7 and 8: a call is dropped at its timeout, or when its worker ends; and at the end of a shutdown.
    pub(crate) fn ended(&mut self, id: u64, how: Ended) -> Checked {
        let Some(run) = self.run.as_mut() else { return Ok(()) };
        let began = run.in_hand.as_ref().filter(|in_hand| in_hand.id == id).map(|in_hand| in_hand.began);
        run.ended(id, how);
        let cut_off = self.stop.as_ref().is_some_and(|stop| is_past(stop.until));
        let late = self.stop.as_ref().is_some_and(|stop| is_past(stop.until + Duration::from_millis(5)));
        rule!(!late, "handles {id} for longer than a shutdown may take");
        let timed_out = began.is_none_or(|began| began.elapsed() >= self.config.handler_timeout);
        let excused = timed_out || cut_off || self.killed || self.superseded || self.may_load;
        rule!(how != Ended::Dropped || excused, "drops the call for {id} half-way");
        Ok(())
    }

    /// Rule 8: a shutdown takes its time and no longer, and commits what was handled.
    pub(crate) fn stopped(&mut self, drain: Duration, shown: Option<u64>) -> Checked {
        self.ended = true;
        rule!(shown == self.known, "shows the offset {shown:?}, where it knows of {:?}", self.known);
        let Some(stop) = &self.stop else { return Ok(()) };
        let took = stop.asked.elapsed();
        rule!(
            took <= drain + Duration::from_millis(510),
            "ends {took:?} after it was asked to, of {drain:?}"
        );
        rule!(!stop.quiet || took <= Duration::from_millis(10), "takes {took:?} to end without a reason");
        let excused = took >= drain
            || self.superseded
            || self.may_load
            || self.opening
            || self.last_failure.is_some_and(|at| at >= stop.asked);
        let open = self.run.as_ref().map_or(0, Run::unacknowledged);
        rule!(excused || open == 0, "ends with {open} entries not committed, and time left");
        Ok(())
    }
}

/// A shutdown.
pub(crate) struct Stop {
    asked: Instant,
    until: Instant,
    /// Nothing was under way then: there is nothing to wait for.
    quiet: bool,
    /// The store was called since, in the middle of a rest.
    flushes: bool,
}
