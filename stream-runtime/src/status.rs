//! What a handle can see of each consumer.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::backend::{BackendError, Finding};
use crate::clock::Clock;
use crate::entry::EntryId;
use crate::outcome::Advance;

/// A consumer as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The consumer's name.
    pub consumer: String,
    /// Its stream.
    pub stream: String,
    /// What it is doing.
    pub state: ConsumerState,
    /// The committed offset: durable, and everything up to it has advanced. `None` before the first.
    pub offset: Option<EntryId>,
    /// The age of the entry in hand, by its id and our clock, not a number of entries; zero when caught up.
    pub lag: Duration,
    /// What it did since it was started in this process.
    pub counts: Counts,
    /// The entry that is held, if one is.
    pub held: Option<HeldEntry>,
    /// The last error of the backend, also when it has passed since.
    pub last_error: Option<LastError>,
    /// The last gap in the stream that was found: entries that were lost before they were read.
    pub last_gap: Option<Gap>,
}

impl ConsumerStatus {
    /// Whether it does its work, or would if there were any. A held entry does not make it unready: the worker is
    /// well, and another start would not help.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, ConsumerState::Idle | ConsumerState::Handling | ConsumerState::Held)
    }
}

/// What a consumer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerState {
    /// Finding out where to start.
    Starting,
    /// Waiting for entries.
    Idle,
    /// Handling entries.
    Handling,
    /// Waiting to deliver a held entry again.
    Held,
    /// The backend fails: see [`ConsumerStatus::last_error`]. It tries again.
    Failing,
    /// Stopped at a gap in the stream, as [`OnGap::Hold`](crate::OnGap::Hold) asks: see
    /// [`ConsumerStatus::last_gap`].
    Gap,
    /// Another worker has claimed the consumer: this one has stopped handling for good.
    Superseded,
    /// Ended by shutdown.
    Stopped,
}

impl fmt::Display for ConsumerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Handling => "handling",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Gap => "gap",
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
        })
    }
}

/// What a consumer did since it was started in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Entries that the handler, or a layer around it, let pass as handled.
    pub handled: u64,
    /// Entries that the handler skipped as bad input.
    pub skipped: u64,
    /// Deliveries that ended in a hold.
    pub holds: u64,
    /// Held entries that were passed because somebody deleted them from the stream.
    pub deleted: u64,
    /// Gaps that were found in the stream.
    pub gaps: u64,
}

/// An entry that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldEntry {
    /// The entry.
    pub id: EntryId,
    /// When it was first held.
    pub since: SystemTime,
    /// How often it was delivered so far.
    pub deliveries: u64,
    /// Why it was held the last time.
    pub cause: String,
}

/// A gap in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// When it was found.
    pub at: SystemTime,
    /// What happened to the stream.
    pub finding: Finding,
    /// Where reading goes on: after this entry.
    pub resume: EntryId,
}

/// An error of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// When it happened.
    pub at: SystemTime,
    /// What it said.
    pub message: String,
}

/// A part of a consumer's work that can fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Finding out where to start.
    Open,
    /// Reading entries.
    Read,
    /// Committing offsets.
    Commit,
    /// Looking whether a held entry still exists.
    Inspect,
}

impl Work {
    /// Whether the consumer gets nowhere without it. Not being able to ask after a held entry only means that it
    /// can't be skipped by deleting it.
    fn is_vital(self) -> bool {
        self != Self::Inspect
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Commit => "commit",
            Self::Inspect => "inspect",
        }
    }
}

/// Where a consumer writes its status, and handles read it.
pub(crate) struct StatusCell {
    consumer: Arc<str>,
    stream: Arc<str>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    activity: ConsumerState,
    /// The kinds of work that fail at the moment.
    troubles: Vec<Work>,
    offset: Option<EntryId>,
    in_hand: Option<EntryId>,
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
            in_hand: None,
            counts: Counts::default(),
            held: None,
            last_error: None,
            last_gap: None,
        };
        Self { consumer, stream, clock, state: Mutex::new(state) }
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
        ConsumerStatus {
            consumer: self.consumer.as_ref().to_owned(),
            stream: self.stream.as_ref().to_owned(),
            state: state.shown(),
            offset: state.offset,
            lag: state.in_hand.map_or(Duration::ZERO, |id| id.age(now)),
            counts: state.counts,
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
        state.in_hand = None;
        state.held = None;
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
        let mut state = self.lock();
        state.activity = ConsumerState::Handling;
        state.in_hand = Some(id);
    }

    /// The entry in hand advanced.
    pub(crate) fn advanced(&self, advance: &Advance) {
        let mut state = self.lock();
        state.held = None;
        match advance {
            Advance::Handled => state.counts.handled += 1,
            Advance::Skipped(_) => state.counts.skipped += 1,
        }
    }

    /// The entry in hand was held.
    pub(crate) fn held(&self, id: EntryId, deliveries: u64, cause: String) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.activity = ConsumerState::Held;
        state.counts.holds += 1;
        let since = state.held.as_ref().map_or(now, |held| held.since);
        state.held = Some(HeldEntry { id, since, deliveries, cause });
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

impl State {
    fn shown(&self) -> ConsumerState {
        match self.activity {
            ended @ (ConsumerState::Gap | ConsumerState::Superseded | ConsumerState::Stopped) => ended,
            _ if !self.troubles.is_empty() => ConsumerState::Failing,
            activity => activity,
        }
    }
}
