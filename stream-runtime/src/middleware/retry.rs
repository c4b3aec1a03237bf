//! A hiccup is tried again at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use tokio::time::{Sleep, sleep};
use tower::Layer;
use tower::retry::{self, Policy};
use tracing::debug;

use super::guard::Panicked;
use super::timeout::TimedOut;
use crate::backoff::{Backoff, Jitter};
use crate::config::RetryConfig;
use crate::delivery::Delivery;
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// No wait within a delivery is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

const RETRIES: &str = "stream_runtime_retries_total";

/// Calls again, after a short wait, when the service below holds: for hiccups that pass in milliseconds.
///
/// There are two places to wait for better times, and this is the small one. While a delivery is in the stack
/// the offset stays, and the loop cannot tell anybody that the entry is held, see that it was deleted, or shut
/// down; so what takes longer goes out as a [`Hold`], and the loop delivers the entry again, for as long as it
/// takes. Retried is a hold, up to [`RetryConfig::retries`] times, except
///
/// - after a panic ([`Panicked`]): the same input meets the same bug;
/// - after a timeout ([`TimedOut`]): it has waited long enough, and the store may be busy as it is;
/// - when [`Hold::retry_after`] asks for more than 1 s: that wait is the loop's.
///
/// Before each retry it waits as [`RetryConfig::backoff`] says, with jitter, at least as long as `retry_after`
/// asks, and never longer than 1 s. Of each retry [`Delivery::attempt`] is one more, and it is counted in
/// `stream_runtime_retries_total`, by consumer and stream, so that a store that is slow to answer is seen before
/// anything is held.
///
/// The waits are tower's [`Policy`] with a backoff of our own: tower's `ExponentialBackoff` clones its random
/// state with the policy, so that every delivery has the same waits, and has no jitter at its cap. The inner
/// service must be `Clone`, because the future that retries owns one. Its error must be a [`Hold`]: put a
/// [`GuardLayer`](super::GuardLayer) below where it is another.
///
/// ```
/// use stream_runtime::middleware::RetryLayer;
/// use stream_runtime::{Advance, Delivery, Entry, EntryId, Hold, RetryConfig};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = service_fn(|delivery: Delivery| async move {
///     match delivery.attempt {
///         1 => Err(Hold::new(anyhow::anyhow!("connection reset"))),
///         _ => Ok(Advance::Handled),
///     }
/// });
/// let service = RetryLayer::new(&RetryConfig::default()).layer(service);
///
/// let entry = Entry::new("games", EntryId::new(7, 0), [("turn", "1")]);
/// assert!(service.oneshot(Delivery::new("scores", entry)).await.is_ok());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer {
    settings: Settings,
}

impl RetryLayer {
    /// Retries as often and after such waits as `config` says.
    pub fn new(config: &RetryConfig) -> Self {
        describe_counter!(RETRIES, Unit::Count, "Calls of the handler beyond the first within a delivery.");
        let (retries, backoff) = (config.retries, config.backoff.into());
        Self { settings: Settings { retries, backoff, jitter: Jitter::new() } }
    }

    /// Draws its jitter from this sequence instead of one of its own.
    pub(crate) fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        retry::Retry::new(RetryPolicy { settings: Arc::new(self.settings.clone()) }, inner)
    }
}

/// The service of a [`RetryLayer`]: tower's, with our policy.
pub type Retry<S> = retry::Retry<RetryPolicy, S>;

/// When a [`RetryLayer`] calls again, and after which wait.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Shared: each delivery has a copy of the policy.
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    retries: u32,
    backoff: Backoff,
    jitter: Jitter,
}

impl RetryPolicy {
    /// How long to wait before the next attempt; `None` when the hold is to go out.
    fn wait(&self, attempt: u32, hold: &Hold) -> Option<Duration> {
        if attempt > self.settings.retries || hold.cause.is::<Panicked>() || hold.cause.is::<TimedOut>() {
            return None;
        }
        let asked = hold.retry_after.unwrap_or_default();
        let failures = u64::from(attempt.saturating_sub(1));
        let ours = self.settings.backoff.delay(failures, &self.settings.jitter);
        (asked <= LONGEST_WAIT).then(|| ours.min(LONGEST_WAIT).max(asked))
    }
}

impl Policy<Delivery, Advance, Hold> for RetryPolicy {
    // Boxed, for most deliveries never wait: a smaller future is moved faster.
    type Future = Pin<Box<Sleep>>;

    fn retry(&mut self, delivery: &mut Delivery, outcome: &mut Outcome) -> Option<Self::Future> {
        let hold = outcome.as_ref().err()?;
        let wait = self.wait(delivery.attempt, hold)?;
        report(delivery, wait, hold);
        delivery.attempt += 1;
        Some(Box::pin(sleep(wait)))
    }

    fn clone_request(&mut self, delivery: &Delivery) -> Option<Delivery> {
        (self.settings.retries > 0).then(|| delivery.clone())
    }
}

/// Says that a retry follows. It is rare, and waits anyway: here the counter is looked up and not kept.
fn report(delivery: &Delivery, wait: Duration, hold: &Hold) {
    let (consumer, stream) = (&delivery.consumer, delivery.entry.stream());
    counter!(RETRIES, "consumer" => consumer.to_string(), "stream" => stream.to_owned()).increment(1);
    debug!(
        target: "stream_runtime",
        consumer = &**consumer,
        stream,
        stream_entry_id = %delivery.entry.id(),
        attempt = delivery.attempt,
        wait = ?wait,
        err = %hold,
        "attempt failed, it is retried",
    );
}
