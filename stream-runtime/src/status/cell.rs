//! Where a consumer writes its status, and handles read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ConsumerState, ConsumerStatus, Counts, Gap, HeldEntry, LastError, Work};
use crate::backend::{BackendError, Finding};
use crate::clock::Clock;
use crate::entry::EntryId;
use crate::outcome::Advance;

/// The status of one consumer.
pub(crate) struct StatusCell {
    consumer: Arc<str>,
    stream: Arc<str>,
    clock: Clock,
    entries: Entries,
    state: Mutex<State>,
}

/// What changes with each entry: a lock for each of a million entries a second would be felt.
struct Entries {
    /// The first half of the id of the entry in hand; [`NONE`] without one.
    in_hand: AtomicU64,
    handled: AtomicU64,
    skipped: AtomicU64,
}

/// No entry is in hand. An entry with this id was given it by hand, and has no lag.
const NONE: u64 = u64::MAX;

struct State {
    /// Without entries: what there is of them is shown first.
    activity: ConsumerState,
    /// The kinds of work that fail at the moment.
    troubles: Vec<Work>,
    offset: Option<EntryId>,
    /// Without those of [`Entries`].
    counts: Counts,
    held: Option<HeldEntry>,
    last_error: Option<LastError>,
    last_gap: Option<Gap>,
}

impl StatusCell {
    pub(crate) fn new(consumer: Arc<str>, stream: Arc<str>, clock: Clock) -> Self {
        let state = State {
            activity: ConsumerState::Starting,
            troubles: Vec::new(),
            offset: None,
            counts: Counts::default(),
            held: None,
            last_error: None,
            last_gap: None,
        };
        let (handled, skipped) = (AtomicU64::new(0), AtomicU64::new(0));
        let entries = Entries { in_hand: AtomicU64::new(NONE), handled, skipped };
        Self { consumer, stream, clock, entries, state: Mutex::new(state) }
    }

    pub(crate) fn consumer(&self) -> &str {
        &self.consumer
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// The status for a handle.
    pub(crate) fn status(&self) -> ConsumerStatus {
        let now = self.clock.now();
        let state = self.lock();
        let in_hand = self.entries.in_hand();
        ConsumerStatus {
            consumer: self.consumer.as_ref().to_owned(),
            stream: self.stream.as_ref().to_owned(),
            state: state.shown(in_hand.is_some()),
            offset: state.offset,
            lag: in_hand.map_or(Duration::ZERO, |id| id.age(now)),
            counts: self.entries.counts(state.counts),
            held: state.held.clone(),
            last_error: state.last_error.clone(),
            last_gap: state.last_gap.clone(),
        }
    }

    /// The consumer starts, or starts again from its stored offset: what failed before is over.
    pub(crate) fn starting(&self) {
        self.turn_to(ConsumerState::Starting);
        self.lock().troubles.clear();
    }

    /// The consumer turns to something else; the entry in hand, if there was one, is given up.
    pub(crate) fn turn_to(&self, activity: ConsumerState) {
        let mut state = self.lock();
        state.activity = activity;
        state.held = None;
        self.entries.in_hand.store(NONE, Ordering::Release);
    }

    /// The committed offset.
    pub(crate) fn offset(&self) -> Option<EntryId> {
        self.lock().offset
    }

    /// Another worker has claimed the consumer.
    pub(crate) fn superseded(&self, error: &BackendError) {
        let last_error = LastError { at: self.clock.now(), message: error.to_string() };
        self.turn_to(ConsumerState::Superseded);
        self.lock().last_error = Some(last_error);
    }

    /// The offset is durable.
    pub(crate) fn committed(&self, id: EntryId) {
        self.lock().offset = Some(id);
    }

    /// An entry is about to be delivered.
    pub(crate) fn delivering(&self, id: EntryId) {
        self.entries.in_hand.store(id.ms, Ordering::Release);
    }

    /// The entry in hand advanced.
    pub(crate) fn advanced(&self, advance: &Advance) {
        match advance {
            Advance::Handled => count_one(&self.entries.handled),
            Advance::Skipped(_) => count_one(&self.entries.skipped),
        }
    }

    /// The entry in hand was held.
    pub(crate) fn held(&self, id: EntryId, deliveries: u64, cause: String) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.counts.holds += 1;
        let since = state.held.as_ref().map_or(now, |held| held.since);
        state.held = Some(HeldEntry { id, since, deliveries, cause });
    }

    /// The held entry is held no more: it advances.
    pub(crate) fn let_go(&self) {
        self.lock().held = None;
    }

    /// The held entry is passed: it was deleted from the stream.
    pub(crate) fn deleted(&self) {
        let mut state = self.lock();
        state.held = None;
        state.counts.deleted += 1;
    }

    /// The stream lost entries before they were read.
    pub(crate) fn gap(&self, finding: Finding, resume: EntryId) {
        let at = self.clock.now();
        let mut state = self.lock();
        state.counts.gaps += 1;
        state.last_gap = Some(Gap { at, finding, resume });
    }

    /// A kind of work failed.
    pub(crate) fn trouble(&self, work: Work, error: &BackendError) {
        let last_error = LastError { at: self.clock.now(), message: error.to_string() };
        let mut state = self.lock();
        state.last_error = Some(last_error);
        if work.is_vital() && !state.troubles.contains(&work) {
            state.troubles.push(work);
        }
    }

    /// A kind of work that failed works again.
    pub(crate) fn trouble_over(&self, work: Work) {
        self.lock().troubles.retain(|failing| *failing != work);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn in_hand(&self) -> Option<EntryId> {
        let ms = self.in_hand.load(Ordering::Acquire);
        (ms != NONE).then(|| EntryId::new(ms, 0))
    }

    fn counts(&self, others: Counts) -> Counts {
        let (handled, skipped) = (&self.handled, &self.skipped);
        let (handled, skipped) = (handled.load(Ordering::Acquire), skipped.load(Ordering::Acquire));
        Counts { handled, skipped, ..others }
    }
}

/// Only the consumer's task writes, so nothing comes between reading and writing.
fn count_one(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}

impl State {
    fn shown(&self, has_entry: bool) -> ConsumerState {
        match self.activity {
            ended @ (ConsumerState::Gap | ConsumerState::Superseded | ConsumerState::Stopped) => ended,
            _ if !self.troubles.is_empty() => ConsumerState::Failing,
            _ if self.held.is_some() => ConsumerState::Held,
            _ if has_entry => ConsumerState::Handling,
            activity => activity,
        }
    }
}
