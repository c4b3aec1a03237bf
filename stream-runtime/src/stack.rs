//! The recipe: which layer, in which order, and why.

use std::fmt;
use std::sync::Arc;

use tower::util::BoxService;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};

use crate::backoff::Jitter;
use crate::clock::Clock;
use crate::config::ConsumerConfig;
use crate::delivery::Delivery;
use crate::handler::{Handler, HandlerService};
use crate::middleware::{GuardLayer, MetricsLayer, RetryLayer, TimeoutLayer, TraceLayer};
use crate::outcome::{Advance, Hold, Outcome};

#[cfg(test)]
mod tests;

/// What a user's layer wraps, and what it becomes again: a service whose future is the outcome, of a type that
/// no longer tells what is inside. The loop owns it and calls it one entry at a time, so it need not be `Clone`.
pub(crate) type Boxed = BoxService<Delivery, Advance, Hold>;

/// What is needed to build the stack of one consumer, and to build it again should its task have panicked.
pub(crate) struct Recipe {
    handling: MakeHandling,
    layers: Vec<Wrap>,
}

type MakeHandling = Box<dyn Fn(&ConsumerConfig, &Jitter) -> Boxed + Send + Sync>;
type Wrap = Box<dyn Fn(Boxed) -> Boxed + Send + Sync>;

impl Recipe {
    /// A stack around `handler`, without layers of the user's.
    pub(crate) fn new(handler: impl Handler) -> Self {
        let service = HandlerService::new(handler);
        Self {
            handling: Box::new(move |config, jitter| handling(service.clone(), config, jitter)),
            layers: Vec::new(),
        }
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
        let inner = self.layers.iter().fold((self.handling)(config, jitter), |inner, layer| layer(inner));
        Stack { service: watched(inner, &metrics), metrics }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// Above the user's layers. Trace and metrics stand outermost because they tell of deliveries: one, whatever was
/// retried within it. Below them the guard, so that they see the errors and panics of a user's layer as holds.
fn watched(inner: Boxed, metrics: &MetricsLayer) -> Boxed {
    let service =
        ServiceBuilder::new().layer(TraceLayer::new()).layer(metrics).layer(GuardLayer::new()).service(inner);
    Boxed::new(service)
}

/// Below the user's layers, which so need not be `Clone`: retry calls a clone of what is inside it. The timeout
/// is inside retry, so each attempt has its own. Innermost the guard, so that retry can tell a panic from other
/// holds, and your layers see one as a hold.
fn handling(service: HandlerService<impl Handler>, config: &ConsumerConfig, jitter: &Jitter) -> Boxed {
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(&config.retry).jitter(jitter.clone()))
        .layer(TimeoutLayer::new(config.handler_timeout))
        .layer(GuardLayer::new())
        .service(service);
    Boxed::new(service)
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
