//! What happens to an entry while it is held: it waits, and it may be deleted meanwhile.

use std::pin::pin;

use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{End, LOOK_EVERY, Session};
use crate::backend::Presence;
use crate::entry::EntryId;
use crate::outcome::Hold;

/// What is known of an entry while it is held.
pub(super) struct Held {
    pub(super) deliveries: u64,
    pub(super) since: Instant,
    /// When to look again whether it still exists.
    look_at: Instant,
}

impl Held {
    pub(super) fn now() -> Self {
        let since = Instant::now();
        Self { deliveries: 0, since, look_at: since + LOOK_EVERY }
    }
}

/// How the wait of a held entry ended.
#[derive(PartialEq, Eq)]
pub(super) enum Waited {
    Over,
    Deleted,
}

impl Session<'_> {
    /// How long to wait before a held entry is delivered again.
    pub(super) fn delay(&self, hold: &Hold, redelivery: u64) -> Duration {
        match hold.retry_after {
            // Asked for by the handler, but never a hot loop.
            Some(delay) => delay.max(self.backoff.min),
            None => self.backoff.delay(redelivery, &self.jitter),
        }
    }

    /// Waits before the next delivery of a held entry. Now and then looks whether the entry is still there: an
    /// operator deletes it to skip it.
    pub(super) async fn wait_held(
        &mut self,
        id: EntryId,
        delay: Duration,
        held: &mut Held,
    ) -> Result<Waited, End> {
        let mut over = pin!(sleep(delay));
        loop {
            let look = async {
                sleep_until(held.look_at).await;
                self.inspector.presence(id).await
            };
            let presence = tokio::select! {
                biased;
                _ = self.shutdown.requested() => return Err(End::Drain),
                committed = self.committer.step() => {
                    self.worker.status.committed(committed?);
                    continue;
                }
                () = &mut over => return Ok(Waited::Over),
                presence = look => presence,
            };
            held.look_at = Instant::now() + LOOK_EVERY;
            self.committer.verify();
            match presence {
                Ok(Presence::Deleted) => return Ok(Waited::Deleted),
                // Trimmed away, or not clear: we have the entry, so it gets its chance.
                Ok(Presence::Present | Presence::Trimmed | Presence::Unclear) => self.inspect_trouble.over(),
                Err(error) => held.look_at += self.inspect_trouble.happened(&error),
            }
        }
    }
}
