//! The recipe: which layer, in which order, and why.

use std::fmt;
use std::sync::Arc;

use tower::util::BoxService;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::backoff::Jitter;
use crate::clock::Clock;
use crate::config::ConsumerConfig;
use crate::delivery::Delivery;
use crate::handler::Handler;
use crate::middleware::{GuardLayer, MetricsLayer, RetryLayer, TimeoutLayer, TraceLayer};
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// What a user's layer wraps, and what it becomes again: a service whose future is the outcome, of a type that
/// no longer tells what is inside. The loop owns it and calls it one entry at a time, so it need not be `Clone`.
pub(crate) type Boxed = BoxService<Delivery, Advance, Hold>;

/// What is needed to build the stack of one consumer, and to build it again should its task have panicked.
pub(crate) struct Recipe {
    build: Build,
    layers: Vec<Wrap>,
}

type Build = Box<dyn Fn(&[Wrap], &ConsumerConfig, &Jitter, &MetricsLayer) -> Boxed + Send + Sync>;
type Wrap = Box<dyn Fn(Boxed) -> Boxed + Send + Sync>;

impl Recipe {
    /// A stack around `handler`, without layers of the user's.
    pub(crate) fn new(handler: impl Handler) -> Self {
        let handler = Arc::new(handler);
        let build =
            move |layers: &[Wrap], config: &ConsumerConfig, jitter: &Jitter, metrics: &MetricsLayer| {
                let handling = handling(Arc::clone(&handler), config, jitter);
                if layers.is_empty() {
                    return watched(handling, metrics);
                }
                let layered = layers.iter().fold(Boxed::new(handling), |inner, layer| layer(inner));
                watched(GuardLayer::new().layer(layered), metrics)
            };
        Self { build: Box::new(build), layers: Vec::new() }
    }

    /// Adds a layer of the user's; the last added is outermost. It sees holds as errors, and an error of its own
    /// becomes a hold before the next layer sees it.
    pub(crate) fn layer<L>(&mut self, layer: L)
    where
        L: Layer<Boxed> + Send + Sync + 'static,
        L::Service: Service<Delivery, Response = Advance> + Send + 'static,
        <L::Service as Service<Delivery>>::Error: Into<BoxError>,
        <L::Service as Service<Delivery>>::Future: Send + 'static,
    {
        self.layers.push(Box::new(move |inner| {
            let service = layer.layer(inner);
            Boxed::new(service.map_err(|error| Hold::from_layer(error.into())))
        }));
    }

    /// The stack of the consumer of this name on this stream.
    pub(crate) fn build(
        &self,
        consumer: &Arc<str>,
        stream: &Arc<str>,
        config: &ConsumerConfig,
        clock: &Clock,
        jitter: &Jitter,
    ) -> Stack {
        let metrics = MetricsLayer::new(Arc::clone(consumer), Arc::clone(stream)).clock(clock.clone());
        Stack { service: (self.build)(&self.layers, config, jitter, &metrics), metrics }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// Trace and metrics stand outermost because they tell of deliveries: one, whatever was retried within it. Where there
/// are layers of the user's, a guard stands between, so that a layer's errors and panics are seen as holds.
fn watched<S>(inner: S, metrics: &MetricsLayer) -> Boxed
where
    S: Service<Delivery, Response = Advance, Error = Hold, Future: Send> + Send + 'static,
{
    Boxed::new(ServiceBuilder::new().layer(TraceLayer::new()).layer(metrics).service(inner))
}

/// Below the user's layers, which so need not be `Clone`: retry calls a clone of what is inside it. The timeout
/// is inside retry, so each attempt has its own. Innermost the guard, so that retry can tell a panic from other
/// holds, and your layers see one as a hold.
fn handling<H: Handler>(
    handler: Arc<H>,
    config: &ConsumerConfig,
    jitter: &Jitter,
) -> impl Service<Delivery, Response = Advance, Error = Hold, Future: Send> + Send + use<H> {
    // Not a `HandlerService`: that one's future has a name, and so a box of its own.
    let service = service_fn(move |delivery: Delivery| {
        let handler = Arc::clone(&handler);
        async move { H::handle(&handler, &delivery.entry).await }
    });
    ServiceBuilder::new()
        .layer(RetryLayer::new(&config.retry).jitter(jitter.clone()))
        .layer(TimeoutLayer::new(config.handler_timeout))
        .layer(GuardLayer::new())
        .service(service)
}

/// The finished stack of one consumer.
#[derive(Debug)]
pub(crate) struct Stack {
    service: Boxed,
    metrics: MetricsLayer,
}

impl Stack {
    /// Delivers an entry. Dropping the future ends the delivery where it waits; the next one starts afresh.
    pub(crate) async fn deliver(&mut self, delivery: Delivery) -> Outcome {
        self.service.ready().await?.call(delivery).await
    }

    /// Says that no entry is in hand: the consumer has caught up, or has passed a held entry by.
    pub(crate) fn idle(&self) {
        self.metrics.idle();
    }
}
