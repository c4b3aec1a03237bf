//! The user's code, and how it becomes a tower service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tower::Service;

use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::outcome::{Advance, Hold, Outcome};

/// What to do with an entry. The one thing a user writes.
///
/// Entries come in the order of the stream, one at a time per consumer, each at least once: after a crash some
/// come again, so an effect must bear being repeated.
///
/// ```
/// use anyhow::Context;
/// use stream_runtime::{Advance, Entry, EntryId, Handler, Hold, Outcome, async_trait};
///
/// struct Greeter;
///
/// #[async_trait]
/// impl Handler for Greeter {
///     async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
///         let name = match entry.fields().text("name") {
///             Ok(name) => name.unwrap_or("stranger"),
///             Err(error) => return Ok(Advance::skip(error)), // will never be text: let it pass
///         };
///         greet(name).await.context("greet")?; // may work the next time: hold
///         Ok(Advance::Handled)
///     }
/// }
///
/// async fn greet(name: &str) -> std::io::Result<()> {
///     println!("hello, {name}");
///     Ok(())
/// }
///
/// // A test calls the handler: no Redis, no tower, no runtime.
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let entry = Entry::new("visitors", EntryId::new(1, 0), [("name", "Ada")]);
/// assert!(matches!(Greeter.handle(&entry).await, Ok(Advance::Handled)));
/// # }
/// ```
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one entry, and says whether the offset may pass it.
    ///
    /// A panic is caught and held. The future is dropped at the handler's timeout (held) and at the end of the
    /// drain timeout of a shutdown (not committed).
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold>;
}

/// A shared handler: the same value can be given to a consumer and kept.
#[async_trait]
impl<H: Handler + ?Sized> Handler for Arc<H> {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        (**self).handle(entry).await
    }
}

/// A handler from an async closure, which takes the entry by value.
///
/// ```
/// use stream_runtime::{Advance, Entry, handler_fn};
///
/// let handler = handler_fn(|entry: Entry| async move {
///     println!("{}", entry.id());
///     Ok(Advance::Handled)
/// });
/// # let _ = handler;
/// ```
pub fn handler_fn<F, Fut>(function: F) -> HandlerFn<F>
where
    F: Fn(Entry) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome<Advance, Hold>> + Send,
{
    HandlerFn { function }
}

/// The handler that [`handler_fn`] makes.
#[derive(Clone)]
pub struct HandlerFn<F> {
    function: F,
}

#[async_trait]
impl<F, Fut> Handler for HandlerFn<F>
where
    F: Fn(Entry) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome<Advance, Hold>> + Send,
{
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        (self.function)(entry.clone()).await
    }
}

impl<F> fmt::Debug for HandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFn").finish_non_exhaustive()
    }
}

/// A [`Handler`] as a [`Service`]: the innermost part of a stack of your own, or of a test of a layer.
pub struct HandlerService<H> {
    handler: Arc<H>,
}

impl<H: Handler> HandlerService<H> {
    /// The service that calls `handler`.
    pub fn new(handler: H) -> Self {
        Self { handler: Arc::new(handler) }
    }
}

impl<H> Clone for HandlerService<H> {
    fn clone(&self) -> Self {
        Self { handler: Arc::clone(&self.handler) }
    }
}

impl<H> fmt::Debug for HandlerService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerService").finish_non_exhaustive()
    }
}

impl<H: Handler> Service<Delivery> for HandlerService<H> {
    type Response = Advance;
    type Error = Hold;
    type Future = Pin<Box<dyn Future<Output = Outcome<Advance, Hold>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Hold>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        let handler = Arc::clone(&self.handler);
        // Not `handler.handle(…)`: that is the impl for `Arc<H>`, which boxes a second future.
        Box::pin(async move { H::handle(&handler, &delivery.entry).await })
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::EntryId;

    #[tokio::test]
    async fn the_services_future_is_the_outcome() {
        let handler = handler_fn(|entry: Entry| async move {
            match entry.fields().get("hold") {
                Some(_) => Err(Hold::new(anyhow::anyhow!("held"))),
                None => Ok(Advance::Handled),
            }
        });
        let service = HandlerService::new(Arc::new(handler));
        let deliver = |fields: &[(&str, &str)]| {
            let entry = Entry::new("s", EntryId::new(1, 0), fields.iter().copied());
            service.clone().oneshot(Delivery::new("c", entry))
        };
        assert!(matches!(deliver(&[]).await, Ok(Advance::Handled)));
        assert_eq!(deliver(&[("hold", "")]).await.unwrap_err().to_string(), "held");
    }
}
