//! Deliveries in numbers.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, IntoF64, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::outcome::Advance;

#[cfg(test)]
mod tests;

const DELIVERIES: &str = "stream_runtime_deliveries_total";
const HANDLING: &str = "stream_runtime_handling_seconds";
const HELD_AGE: &str = "stream_runtime_held_entry_age_seconds";
const LAG: &str = "stream_runtime_lag_milliseconds";

/// How often lag is measured at most: reading the wall clock for each of a million entries a second tells nobody more.
const LAG_EVERY: Duration = Duration::from_millis(10);

/// Counts and times deliveries, through the [`metrics`] facade: the binary chooses where the numbers go.
///
/// | metric | kind | what it says |
/// | --- | --- | --- |
/// | `stream_runtime_deliveries_total` | counter | deliveries that ended, by `outcome`: `handled`, `skipped`, `held` |
/// | `stream_runtime_handling_seconds` | histogram | how long a delivery took, its retries and their waits included |
/// | `stream_runtime_held_entry_age_seconds` | gauge | how long the entry has been held, as of its last delivery; 0 when none is |
/// | `stream_runtime_lag_milliseconds` | gauge | how old the entry in hand was when its delivery began, by its id; measured every 10 ms at most |
///
/// Each has the labels `consumer` and `stream`. An entry that is held ten times and then handled is ten `held`
/// and one `handled`: the deliveries are counted, not the entries. A delivery that is dropped before it ends, as
/// at the end of a drain timeout, is not counted.
///
/// Lag compares two clocks, the server's in the entry's id and [`Clock`]: it is never below zero, and for ids
/// that mean no time it says nothing. The gauges say the last that the layer saw, and it sees no more when the
/// stream is quiet: whoever feeds it calls [`idle`](Self::idle) then, as the consumer does.
///
/// The handles are made here, once, and not for each delivery, which then allocates nothing and looks nothing
/// up. So the recorder must be installed before the layer is made; without one, nothing is timed.
///
/// ```
/// use stream_runtime::middleware::MetricsLayer;
/// use stream_runtime::{Advance, Delivery, Entry, EntryId, HandlerService, handler_fn};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = HandlerService::new(handler_fn(|_| async { Ok(Advance::Handled) }));
/// let service = MetricsLayer::new("scores", "games").layer(handler);
///
/// let entry = Entry::new("games", EntryId::new(7, 0), [("turn", "1")]);
/// assert!(service.oneshot(Delivery::new("scores", entry)).await.is_ok());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MetricsLayer {
    meters: Arc<Meters>,
    clock: Clock,
}

impl MetricsLayer {
    /// The metrics of this consumer on this stream, by the system's clock.
    pub fn new(consumer: impl Into<Arc<str>>, stream: impl Into<Arc<str>>) -> Self {
        describe();
        Self { meters: Arc::new(Meters::new(consumer.into(), stream.into())), clock: Clock::system() }
    }

    /// Measures lag by this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Says that no entry is in hand: none is held, and there is no lag.
    pub fn idle(&self) {
        self.meters.held_age.set(0.0);
        self.meters.lag.set(0.0);
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics { inner, meters: Arc::clone(&self.meters), clock: self.clock.clone(), lag_due: None }
    }
}

/// The service of a [`MetricsLayer`].
#[derive(Clone, Debug)]
pub struct Metrics<S> {
    inner: S,
    meters: Arc<Meters>,
    clock: Clock,
    /// When to look at the wall clock again; `None` before the first delivery.
    lag_due: Option<Instant>,
}

impl<S> Metrics<S> {
    fn observe_lag(&mut self, delivery: &Delivery, now: Instant) {
        if self.lag_due.is_none_or(|due| due <= now) {
            self.meters.lag(delivery.entry.id().age(self.clock.now()));
            self.lag_due = Some(now + LAG_EVERY);
        }
    }
}

impl<S> Service<Delivery> for Metrics<S>
where
    S: Service<Delivery, Response = Advance>,
{
    type Response = Advance;
    type Error = S::Error;
    type Future = MetricsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        let (started, held_since) = (self.meters.is_timed.then(Instant::now), delivery.held_since);
        if let Some(started) = started {
            self.observe_lag(&delivery, started);
        }
        let meters = Arc::clone(&self.meters);
        MetricsFuture { inner: self.inner.call(delivery), meters, started, held_since }
    }
}

pin_project! {
    /// The future of a [`Metrics`] service.
    #[derive(Debug)]
    pub struct MetricsFuture<F> {
        #[pin]
        inner: F,
        meters: Arc<Meters>,
        // `None` where nobody records times.
        started: Option<Instant>,
        held_since: Option<Instant>,
    }
}

impl<F, E> Future for MetricsFuture<F>
where
    F: Future<Output = Result<Advance, E>>,
{
    type Output = Result<Advance, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(cx));
        this.meters.end(&outcome, *this.started, *this.held_since);
        Poll::Ready(outcome)
    }
}

/// The handles of one consumer.
#[derive(Debug)]
struct Meters {
    /// Whether a recorder takes what needs the time.
    is_timed: bool,
    handled: Counter,
    skipped: Counter,
    held: Counter,
    handling: Histogram,
    held_age: Gauge,
    lag: Gauge,
}

impl Meters {
    #[expect(clippy::needless_pass_by_value, reason = "each handle's labels share the names")]
    fn new(consumer: Arc<str>, stream: Arc<str>) -> Self {
        let (c, s) = (|| Arc::clone(&consumer), || Arc::clone(&stream));
        let deliveries =
            |outcome| counter!(DELIVERIES, "consumer" => c(), "stream" => s(), "outcome" => outcome);
        let handling = histogram!(HANDLING, "consumer" => c(), "stream" => s());
        let lag = gauge!(LAG, "consumer" => c(), "stream" => s());
        Self {
            is_timed: is_taken(|number| handling.record_many(number, 0))
                || is_taken(|number| lag.set(number)),
            handled: deliveries("handled"),
            skipped: deliveries("skipped"),
            held: deliveries("held"),
            handling,
            held_age: gauge!(HELD_AGE, "consumer" => c(), "stream" => s()),
            lag,
        }
    }

    fn lag(&self, lag: Duration) {
        self.lag.set(lag.as_secs_f64() * 1000.0);
    }

    fn end<E>(&self, outcome: &Result<Advance, E>, started: Option<Instant>, held_since: Option<Instant>) {
        if let Some(started) = started {
            self.handling.record(started.elapsed());
        }
        let held_age = match outcome {
            Ok(_) => Duration::ZERO,
            Err(_) => held_since.map_or(Duration::ZERO, |since| since.elapsed()),
        };
        self.held_age.set(held_age);
        self.counter(outcome).increment(1);
    }

    fn counter<E>(&self, outcome: &Result<Advance, E>) -> &Counter {
        match outcome {
            Ok(Advance::Handled) => &self.handled,
            Ok(Advance::Skipped(_)) => &self.skipped,
            Err(_) => &self.held,
        }
    }
}

/// Whether a recorder is behind a handle: it is asked to take a zero, and looks at it only then.
fn is_taken(offer: impl FnOnce(Zero<'_>)) -> bool {
    let is_taken = Cell::new(false);
    offer(Zero(&is_taken));
    is_taken.get()
}

/// A zero that tells when it is looked at.
struct Zero<'a>(&'a Cell<bool>);

impl IntoF64 for Zero<'_> {
    fn into_f64(self) -> f64 {
        self.0.set(true);
        0.0
    }
}

fn describe() {
    describe_counter!(DELIVERIES, Unit::Count, "Deliveries that ended, by outcome.");
    describe_histogram!(HANDLING, Unit::Seconds, "How long a delivery took, its retries included.");
    describe_gauge!(
        HELD_AGE,
        Unit::Seconds,
        "How long the entry in hand has been held, as of its last delivery; 0 when none is held."
    );
    describe_gauge!(
        LAG,
        Unit::Milliseconds,
        "How old the entry in hand was, by its id, when its delivery began; 0 when caught up."
    );
}
