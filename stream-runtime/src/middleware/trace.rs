//! What an operator reads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::{Span, debug_span, info, warn};

use crate::delivery::Delivery;
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// Says what becomes of entries: a span for each delivery, and an event where somebody should look.
///
/// | event | level | when |
/// | --- | --- | --- |
/// | `entry held` | WARN, DEBUG | a delivery ended in a [`Hold`] |
/// | `entry skipped` | WARN | the handler let bad input pass ([`Advance::Skipped`]) |
/// | `entry advanced after holds` | INFO | an entry that was held advances |
///
/// An entry can be held for days. So a hold warns on the first delivery and on redeliveries 1, 2, 4, 8 and so
/// on; those between are at DEBUG, where they are when somebody looks for them.
///
/// The events have the target `stream_runtime` and the fields `consumer`, `stream`, `stream_entry_id` and
/// `redelivery` (how often the entry was held before), and where they apply `held_for` (since the first hold),
/// `retry_after` and `err`. They are on the event itself, so that it says all wherever it is read, with spans or
/// without.
///
/// The span, `delivery`, has those four fields too and is at DEBUG: at INFO it would cost every entry more than
/// a microsecond, for a line that is hardly ever written. When nobody listens, a delivery pays for a clone of
/// the [`Delivery`] and a branch. What a delivery that is dropped half-way logs meanwhile stands outside of its span.
///
/// ```
/// use stream_runtime::middleware::TraceLayer;
/// use stream_runtime::{Advance, Delivery, Entry, EntryId, HandlerService, handler_fn};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = handler_fn(|entry: Entry| async move {
///     match entry.decode::<std::collections::HashMap<String, u32>>() {
///         Ok(_turn) => Ok(Advance::Handled),
///         Err(error) => Ok(Advance::skip(error)), // is written at WARN
///     }
/// });
/// let service = TraceLayer::new().layer(HandlerService::new(handler));
///
/// let entry = Entry::new("games", EntryId::new(7, 0), [("turn", "one")]);
/// assert!(service.oneshot(Delivery::new("scores", entry)).await.is_ok());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceLayer {
    _private: (),
}

impl TraceLayer {
    /// The layer; there is nothing to set.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// The service of a [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
}

impl<S> Service<Delivery> for Trace<S>
where
    S: Service<Delivery, Response = Advance, Error = Hold>,
{
    type Response = Advance;
    type Error = Hold;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Hold>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        let span = debug_span!(
            target: "stream_runtime",
            "delivery",
            consumer = &*delivery.consumer,
            stream = delivery.entry.stream(),
            stream_entry_id = %delivery.entry.id(),
            redelivery = delivery.redelivery,
        );
        let inner = span.in_scope(|| self.inner.call(delivery.clone()));
        TraceFuture { inner, span, delivery }
    }
}

pin_project! {
    /// The future of a [`Trace`] service.
    #[derive(Debug)]
    pub struct TraceFuture<F> {
        #[pin]
        inner: F,
        span: Span,
        delivery: Delivery,
    }
}

impl<F: Future<Output = Outcome>> Future for TraceFuture<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        let _entered = this.span.enter();
        let outcome = ready!(this.inner.poll(cx));
        report(this.delivery, &outcome);
        Poll::Ready(outcome)
    }
}

fn report(delivery: &Delivery, outcome: &Outcome) {
    match outcome {
        Err(hold) => held(delivery, hold),
        Ok(Advance::Skipped(error)) => skipped(delivery, error),
        Ok(Advance::Handled) => {}
    }
    if outcome.is_ok() && delivery.redelivery > 0 {
        recovered(delivery);
    }
}

fn held(delivery: &Delivery, hold: &Hold) {
    // The level is part of the place in the code that tracing switches on and off: two levels, two places.
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: "stream_runtime",
                consumer = &*delivery.consumer,
                stream = delivery.entry.stream(),
                stream_entry_id = %delivery.entry.id(),
                redelivery = delivery.redelivery,
                held_for = ?held_for(delivery),
                retry_after = hold.retry_after.map(tracing::field::debug),
                err = %hold,
                "entry held, it will be delivered again",
            )
        };
    }
    if delivery.redelivery == 0 || delivery.redelivery.is_power_of_two() {
        event!(warn);
    } else {
        event!(debug);
    }
}

fn skipped(delivery: &Delivery, error: &anyhow::Error) {
    warn!(
        target: "stream_runtime",
        consumer = &*delivery.consumer,
        stream = delivery.entry.stream(),
        stream_entry_id = %delivery.entry.id(),
        redelivery = delivery.redelivery,
        err = format_args!("{error:#}"),
        "entry skipped",
    );
}

fn recovered(delivery: &Delivery) {
    info!(
        target: "stream_runtime",
        consumer = &*delivery.consumer,
        stream = delivery.entry.stream(),
        stream_entry_id = %delivery.entry.id(),
        redelivery = delivery.redelivery,
        held_for = ?held_for(delivery),
        "entry advanced after holds",
    );
}

/// Since the first hold, in whole milliseconds: more digits make no line better to read.
fn held_for(delivery: &Delivery) -> Duration {
    let held_for = delivery.held_since.map(|since| since.elapsed()).unwrap_or_default();
    held_for - Duration::from_nanos(u64::from(held_for.subsec_nanos() % 1_000_000))
}
