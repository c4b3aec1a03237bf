//! The named points at which the worker is killed.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io::Write;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the worker says to its parent, a line each.
pub(crate) const CLAIMED: &str = "claimed";
pub(crate) const AT_THE_POINT: &str = "at the point";

/// A point in the worker's course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Point {
    /// A batch was read, and the consumer has not got it yet.
    AfterRead,
    /// The handler was called, and has done nothing yet.
    InHandler,
    /// The effect is written, and the handler has not answered yet.
    AfterEffect,
    /// A commit is about to be sent.
    BeforeCommit,
    /// The commit is sent, and its answer never taken.
    DuringCommit,
    /// The commit was acknowledged, and the consumer has not heard of it yet.
    AfterCommit,
}

impl Point {
    pub(crate) const ALL: [Self; 6] = [
        Self::AfterRead,
        Self::InHandler,
        Self::AfterEffect,
        Self::BeforeCommit,
        Self::DuringCommit,
        Self::AfterCommit,
    ];
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterRead => "after read",
            Self::InHandler => "in the handler",
            Self::AfterEffect => "after the effect",
            Self::BeforeCommit => "before the commit",
            Self::DuringCommit => "during the commit",
            Self::AfterCommit => "after the commit",
        })
    }
}

/// Where the worker stops and waits for its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Trap {
    pub(crate) point: Point,
    /// Which time it comes there; the first is 1.
    pub(crate) time: u64,
    /// Whether the thread stops there, or this future alone and the rest of the worker goes on.
    pub(crate) stops_thread: bool,
    /// How long a commit is left to the backend before its answer is given up, in microseconds.
    pub(crate) sent_for_us: u64,
}

/// A trap in the worker that it is set for.
pub(crate) struct ArmedTrap {
    trap: Option<Trap>,
    times: AtomicU64,
}

impl ArmedTrap {
    pub(crate) fn new(trap: Option<Trap>) -> Self {
        Self { trap, times: AtomicU64::new(0) }
    }

    /// Whether the worker's time has come, now that it is at this point.
    pub(crate) fn is_due(&self, point: Point) -> Option<Trap> {
        let trap = self.trap.filter(|trap| trap.point == point)?;
        (self.times.fetch_add(1, Ordering::Relaxed) + 1 == trap.time).then_some(trap)
    }

    /// Passes the point, or stays there for good.
    pub(crate) async fn at(&self, point: Point) {
        if let Some(trap) = self.is_due(point) {
            stay(trap).await;
        }
    }
}

/// Tells the parent that the point is reached. The parent kills.
pub(crate) async fn stay(trap: Trap) -> Infallible {
    say(AT_THE_POINT);
    if !trap.stops_thread {
        return pending().await;
    }
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    if std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).is_err() {
        // Nobody is there to kill us.
        process::exit(1);
    }
}
