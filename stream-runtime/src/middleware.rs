//! The layers between the loop and the handler, each usable alone in a tower stack over [`Delivery`].
//!
//! The request of each is a [`Delivery`], its response an [`Advance`]; the error is a [`Hold`], so that the
//! result of the service's future is an [`Outcome`](crate::Outcome). A consumer puts them together in this
//! order, outermost first:
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`TraceLayer`] | a span for each delivery; holds, skips and recoveries as events |
//! | [`MetricsLayer`] | deliveries by outcome, handling time, age of the held entry, lag |
//! | [`GuardLayer`] | turns the errors and panics of your layers into holds, where there are some |
//! | *your layers* | [`Consumer::layer`](crate::Consumer::layer); the last added is outermost |
//! | [`RetryLayer`] | calls again at once where a hiccup may pass in milliseconds |
//! | [`TimeoutLayer`] | ends one call of the handler that takes too long |
//! | [`GuardLayer`] | turns the handler's panics into holds |
//!
//! So trace and metrics see one delivery, with its retries within; your layers see each delivery once, and holds
//! as errors; and each retry has the whole timeout for itself.
//!
//! # A layer of your own
//!
//! It is a [`tower::Layer`] whose service takes a [`Delivery`], answers an [`Advance`], and has an error that is
//! `Into<BoxError>`. It stands outside retry and so is called once for each delivery. Here is one that lets the
//! entries of other tenants pass:
//!
//! ```
//! use std::future::ready;
//! use std::pin::Pin;
//! use std::task::{Context, Poll};
//!
//! use stream_runtime::{Advance, Delivery};
//! use tower::{Layer, Service};
//!
//! struct TenantLayer(&'static str);
//!
//! impl<S> Layer<S> for TenantLayer {
//!     type Service = Tenant<S>;
//!
//!     fn layer(&self, inner: S) -> Tenant<S> {
//!         Tenant { inner, name: self.0 }
//!     }
//! }
//!
//! struct Tenant<S> {
//!     inner: S,
//!     name: &'static str,
//! }
//!
//! impl<S> Service<Delivery> for Tenant<S>
//! where
//!     S: Service<Delivery, Response = Advance>,
//!     S::Error: Send + 'static,
//!     S::Future: Send + 'static,
//! {
//!     type Response = Advance;
//!     type Error = S::Error;
//!     type Future = Pin<Box<dyn Future<Output = Result<Advance, S::Error>> + Send>>;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
//!         self.inner.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, delivery: Delivery) -> Self::Future {
//!         if delivery.entry.fields().get("tenant") == Some(self.name.as_bytes()) {
//!             Box::pin(self.inner.call(delivery))
//!         } else {
//!             Box::pin(ready(Ok(Advance::Handled)))
//!         }
//!     }
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # use stream_runtime::{Entry, EntryId, HandlerService, handler_fn};
//! # use tower::ServiceExt;
//! # let mine = handler_fn(|_| async { Ok(Advance::skip(anyhow::anyhow!("called"))) });
//! # let deliver = |tenant| {
//! #     let entry = Entry::new("games", EntryId::new(7, 0), [("tenant", tenant)]);
//! #     let service = TenantLayer("ada").layer(HandlerService::new(std::sync::Arc::new(mine.clone())));
//! #     service.oneshot(Delivery::new("scores", entry))
//! # };
//! # assert!(matches!(deliver("ada").await, Ok(Advance::Skipped(_))));
//! # assert!(matches!(deliver("bob").await, Ok(Advance::Handled)));
//! # }
//! ```
//!
//! [`Delivery`]: crate::Delivery
//! [`Advance`]: crate::Advance
//! [`Hold`]: crate::Hold

mod guard;
mod metrics;
mod retry;
mod timeout;
mod trace;

#[cfg(test)]
mod probe;

pub use guard::{Guard, GuardFuture, GuardLayer, Panicked};
pub use metrics::{Metrics, MetricsFuture, MetricsLayer};
pub use retry::{Retry, RetryLayer, RetryPolicy};
pub use timeout::{TimedOut, Timeout, TimeoutFuture, TimeoutLayer};
pub use trace::{Trace, TraceFuture, TraceLayer};
