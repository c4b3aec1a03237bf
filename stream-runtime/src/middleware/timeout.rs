//! A call that takes too long is held.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use crate::delivery::Delivery;
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// Ends a call that takes longer than it may: its future is dropped and the entry held, with the cause
/// [`TimedOut`].
///
/// tower has a timeout too. This one differs in what it costs: the timer is armed only when the call is pending
/// after its first poll. A handler that answers at once, which most do most of the time, pays for no timer and
/// needs none. So the time counts from the end of that first poll.
///
/// Dropping a future ends it where it waits, and only there: what it has sent is sent, and a call that computes
/// or blocks without waiting is not ended. An effect that may not stop half-way belongs in a task of its own.
///
/// Inside a [`RetryLayer`](super::RetryLayer) the time is for each attempt, outside for all of them. The inner
/// error must be a [`Hold`]: put a [`GuardLayer`](super::GuardLayer) below where it is another.
///
/// ```
/// use std::time::Duration;
///
/// use stream_runtime::middleware::{TimedOut, TimeoutLayer};
/// use stream_runtime::{Delivery, Entry, EntryId, HandlerService, Outcome, handler_fn};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let never = HandlerService::new(handler_fn(|_| std::future::pending::<Outcome>()));
/// let service = TimeoutLayer::new(Duration::from_millis(5)).layer(never);
///
/// let entry = Entry::new("games", EntryId::new(7, 0), [("turn", "1")]);
/// let hold = service.oneshot(Delivery::new("scores", entry)).await.unwrap_err();
/// assert!(hold.cause.is::<TimedOut>());
/// assert_eq!(hold.to_string(), "timed out after 5ms");
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    after: Duration,
}

impl TimeoutLayer {
    /// Each call may take this long.
    pub fn new(after: Duration) -> Self {
        Self { after }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, after: self.after }
    }
}

/// The service of a [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    after: Duration,
}

impl<S> Service<Delivery> for Timeout<S>
where
    S: Service<Delivery, Response = Advance, Error = Hold>,
{
    type Response = Advance;
    type Error = Hold;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Hold>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        TimeoutFuture { inner: self.inner.call(delivery), after: self.after, timer: None }
    }
}

pin_project! {
    /// The future of a [`Timeout`]. It must be polled within a tokio runtime that has time.
    pub struct TimeoutFuture<F> {
        #[pin]
        inner: F,
        after: Duration,
        // Made when it is needed, and then boxed: most calls are ready at once, and a smaller future is moved faster.
        // Outside tokio's budget: a call that uses it up in every poll would otherwise outlive its time.
        timer: Option<Pin<Box<Unconstrained<Sleep>>>>,
    }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("after", &self.after).finish_non_exhaustive()
    }
}

impl<F: Future<Output = Outcome>> Future for TimeoutFuture<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        if let Poll::Ready(outcome) = this.inner.poll(cx) {
            return Poll::Ready(outcome);
        }
        let after = *this.after;
        let timer = this.timer.get_or_insert_with(|| Box::pin(unconstrained(sleep(after))));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Hold::new(TimedOut { after })))
    }
}

/// The cause of a hold: the call took longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    after: Duration,
}

impl TimedOut {
    /// How long the call was allowed to take.
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.after)
    }
}

impl Error for TimedOut {}
