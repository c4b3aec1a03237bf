//! Errors and panics become holds.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{BoxError, Layer, Service};

use crate::delivery::Delivery;
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// Turns whatever goes wrong below into a [`Hold`]: every error, and every panic.
///
/// An entry must not end the worker, and a layer must not: below a guard nothing but an [`Outcome`] comes out,
/// from `call`, from `poll_ready` and from the future. A panic is held with the cause [`Panicked`]; an error is
/// held as [`Hold::from_layer`] says, so that a `Hold` that passed through layers of other errors comes back as
/// it was. Nor does a panic come out when the future is dropped before it is done, as by a timeout; there is
/// nobody left to tell then, and the panic hook has told.
///
/// `poll_ready` never fails here. A tower service that is not ready with an error is done for good, and whoever
/// called it would have to throw it away. A guard keeps the error instead, answers the next call with it, and
/// asks again for the call after that: a layer that recovers goes on, one that does not holds its entry.
///
/// It catches unwinding: a binary built with `panic = "abort"` ends all the same. After a panic the service
/// below is called again; state that a panic may leave half changed belongs behind a lock that is poisoned, or
/// is made new for each entry. The panic hook runs as always and says where it was.
///
/// ```
/// use stream_runtime::middleware::{GuardLayer, Panicked};
/// use stream_runtime::{Advance, Delivery, Entry, EntryId, HandlerService, handler_fn};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = handler_fn(|entry: Entry| async move {
///     let turn = &entry.fields().get("turn").unwrap()[..2]; // two bugs in one line
///     println!("{turn:?}");
///     Ok(Advance::Handled)
/// });
/// let service = GuardLayer::new().layer(HandlerService::new(handler));
///
/// let entry = Entry::new("games", EntryId::new(7, 0), [("turn", "1")]);
/// let hold = service.oneshot(Delivery::new("scores", entry)).await.unwrap_err();
/// assert!(hold.cause.is::<Panicked>());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardLayer {
    _private: (),
}

impl GuardLayer {
    /// The layer; there is nothing to set.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, failed: None }
    }
}

/// The service of a [`GuardLayer`].
#[derive(Debug)]
pub struct Guard<S> {
    inner: S,
    /// Why the inner service was not ready: the answer of the next call.
    failed: Option<Hold>,
}

/// A clone has an inner service of its own, which has not failed yet.
impl<S: Clone> Clone for Guard<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), failed: None }
    }
}

impl<S> Service<Delivery> for Guard<S>
where
    S: Service<Delivery, Response = Advance>,
    S::Error: Into<BoxError>,
{
    type Response = Advance;
    type Error = Hold;
    type Future = GuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Hold>> {
        if self.failed.is_none() {
            self.failed = match catch(|| self.inner.poll_ready(cx)) {
                Ok(ready) => ready!(ready).map_err(|error| Hold::from_layer(error.into())).err(),
                Err(panicked) => Some(Hold::new(panicked)),
            };
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        if let Some(hold) = self.failed.take() {
            return GuardFuture::failed(hold);
        }
        match catch(|| self.inner.call(delivery)) {
            Ok(future) => GuardFuture::called(future),
            Err(panicked) => GuardFuture::failed(Hold::new(panicked)),
        }
    }
}

pin_project! {
    /// The future of a [`Guard`].
    #[derive(Debug)]
    pub struct GuardFuture<F> {
        #[pin]
        state: State<F>,
    }

    // What a timeout or a shutdown drops half-way may panic too.
    impl<F> PinnedDrop for GuardFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut state = this.project().state;
            let _ = catch(|| state.set(State::Failed { hold: None }));
        }
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Called { #[pin] future: F },
        Failed { hold: Option<Hold> },
    }
}

impl<F> GuardFuture<F> {
    fn called(future: F) -> Self {
        Self { state: State::Called { future } }
    }

    fn failed(hold: Hold) -> Self {
        Self { state: State::Failed { hold: Some(hold) } }
    }
}

impl<F, E> Future for GuardFuture<F>
where
    F: Future<Output = Result<Advance, E>>,
    E: Into<BoxError>,
{
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.project().state.project() {
            StateProj::Called { future } => Poll::Ready(match catch(|| future.poll(cx)) {
                Ok(polled) => ready!(polled).map_err(|error| Hold::from_layer(error.into())),
                Err(panicked) => Err(Hold::new(panicked)),
            }),
            // Taken once: like any future, this one is not polled again after it was ready.
            StateProj::Failed { hold } => hold.take().map_or(Poll::Pending, |hold| Poll::Ready(Err(hold))),
        }
    }
}

fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Whoever called learns of the panic by the hold, and what may be half changed is the callee's to guard.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Panicked::new(&*payload))
}

/// The cause of a hold: a handler or a layer panicked.
///
/// ```
/// use stream_runtime::{Hold, middleware::Panicked};
///
/// fn is_a_bug(hold: &Hold) -> bool {
///     hold.cause.is::<Panicked>()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    message: String,
}

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "the panic's payload is no text".to_owned(),
        };
        Self { message }
    }

    /// What `panic!` was given, when that was text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panicked {}
