//! What a handle can see of each consumer.

mod cell;

use std::fmt;
use std::time::{Duration, SystemTime};

pub(crate) use self::cell::StatusCell;
use crate::backend::Finding;
use crate::entry::EntryId;

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
    /// An entry is held: it waits to be delivered again, or is being so.
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
