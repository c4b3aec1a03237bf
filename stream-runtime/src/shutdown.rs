//! The signal to end, and until when.

use tokio::sync::watch;
use tokio::time::Instant;

/// Ends consumers: `trigger` once, and each [`Shutdown`] sees it.
pub(crate) struct Trigger(watch::Sender<Option<Instant>>);

/// Told when to end.
#[derive(Clone)]
pub(crate) struct Shutdown(watch::Receiver<Option<Instant>>);

pub(crate) fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(None);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Asks all to end by `deadline`.
    pub(crate) fn trigger(&self, deadline: Instant) {
        self.0.send_replace(Some(deadline));
    }
}

impl Shutdown {
    /// Whether it is asked to end, where [`requested`](Self::requested) has not yet said so. Cheaper than to ask
    /// until when.
    pub(crate) fn is_requested(&self) -> bool {
        // The value changes once, and what `requested` has seen is no change any more.
        !matches!(self.0.has_changed(), Ok(false))
    }

    /// Until when to end, once that was asked.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until it is asked to end. Cancel-safe.
    pub(crate) async fn requested(&mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await.map(|deadline| *deadline) {
            Ok(Some(deadline)) => deadline,
            // The runtime is gone without a word, so there is no time to drain.
            Ok(None) | Err(_) => Instant::now(),
        }
    }
}
