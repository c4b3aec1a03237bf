//! The entry in hand: when it may be delivered again, and how it is looked after while it is held.

use std::time::Duration;

use stream_runtime::{BackendError, ConsumerConfig, Presence};
use tokio::time::Instant;

use crate::run::{Checked, is_past, rule};

/// How often a held entry is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much longer it may take after a look that failed.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Paused time moves in steps of a millisecond, and some waits are of more than one step.
const SLACK: Duration = Duration::from_millis(50);

/// How a call of the handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Advanced,
    /// Held, or panicked; with what it asked for.
    Held(Option<Duration>),
    /// Dropped before it was done.
    Dropped,
}

pub(crate) struct InHand {
    pub(crate) id: u64,
    pub(crate) running: bool,
    pub(crate) began: Instant,
    /// When each call ended that did not advance.
    held: Vec<Instant>,
    /// The handler asked for no call before this.
    not_before: Option<Instant>,
    /// The next look is made within these, if the entry is held then.
    look_from: Instant,
    look_until: Instant,
    looking: bool,
    /// When a look was answered last, and whether it was said then that the entry is deleted.
    looked: Option<Instant>,
    seen_deleted: bool,
}

impl InHand {
    /// The first call begins.
    pub(crate) fn new(id: u64) -> Self {
        let now = Instant::now();
        Self {
            id,
            running: true,
            began: now,
            held: Vec::new(),
            not_before: None,
            look_from: now,
            look_until: now,
            looking: false,
            looked: None,
            seen_deleted: false,
        }
    }

    pub(crate) fn is_first_call(&self) -> bool {
        self.held.is_empty()
    }

    /// When the last look was answered.
    pub(crate) fn looked(&self) -> Option<Instant> {
        self.looked
    }

    /// Rule 5: delivered again after a backoff, unless it was deleted, which is looked for at intervals.
    pub(crate) fn begins_again(&mut self, config: &ConsumerConfig) -> Checked {
        let id = self.id;
        rule!(!self.running, "delivered {id} while it is being handled");
        rule!(!self.seen_deleted, "delivered {id} again after it saw that it was deleted");
        rule!(self.not_before.is_none_or(is_past), "delivered {id} before the hold's `retry_after`");
        let burst = config.retry.retries as usize + 1;
        if let Some(first) = self.held.len().checked_sub(burst) {
            let wait = self.held[first].elapsed();
            rule!(wait >= config.hold_backoff.min, "delivered {id} again {wait:?} after a hold");
        }
        let held_at = self.held.last().copied().unwrap_or(self.began);
        // With retries it was in the stack for a while, and not held yet: each waits for a second at most.
        let in_stack = (config.handler_timeout + Duration::from_secs(1)) * config.retry.retries;
        let late = self.look_until.max(held_at + SLACK) + in_stack;
        rule!(self.looking || !is_past(late), "did not look for {id} while it was held");
        (self.running, self.began, self.looking) = (true, Instant::now(), false);
        Ok(())
    }

    pub(crate) fn ended(&mut self, retry_after: Option<Duration>) {
        let now = Instant::now();
        self.running = false;
        if self.held.is_empty() {
            (self.look_from, self.look_until) = (now + LOOK_EVERY, now + LOOK_EVERY + SLACK);
        }
        self.held.push(now);
        self.not_before = retry_after.map(|wait| now + wait);
    }

    pub(crate) fn looks(&mut self) -> Checked {
        rule!(is_past(self.look_from), "looks for {} again at once", self.id);
        self.looking = true;
        Ok(())
    }

    pub(crate) fn is_told(&mut self, presence: &Result<Presence, BackendError>) {
        let now = Instant::now();
        (self.looking, self.looked, self.look_from) = (false, Some(now), now + LOOK_EVERY);
        let rest = if presence.is_err() { LONGEST_REST } else { Duration::ZERO };
        self.look_until = self.look_from + rest + SLACK;
        self.seen_deleted = matches!(presence, Ok(Presence::Deleted));
    }
}
