//! The default stack, layer by layer, and the loop around it on a backend in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use stream_runtime::middleware::{GuardLayer, MetricsLayer, RetryLayer, TimeoutLayer, TraceLayer};
use stream_runtime::{
    Advance, Consumer, ConsumerConfig, Delivery, Entry, EntryId, Handler, Hold, PageBuilder, Runtime,
};
use tower::util::BoxService;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::backlog::{self, STREAM};
use crate::ours::{NoOp, Typed};
use crate::ports;
use crate::progress::Progress;
use crate::round_trips::RoundTrips;

/// How many entries one drain of the memory backend delivers.
pub const LOOP_ENTRIES: u64 = 20_000;

/// How many entries come with one read.
const PAGE: u64 = 512;

const CONSUMER: &str = "bench";

/// Is shown each step from the handler to the whole stack: a service, and what it has more than the one before.
pub trait Visitor {
    /// The next step.
    fn step<S>(&mut self, name: &'static str, service: S)
    where
        S: Service<Delivery, Response = Advance, Error = Hold>;
}

/// Shows the steps, in the order in which the runtime's own recipe stacks them where there are no layers of
/// the user's.
pub fn visit(visitor: &mut impl Visitor) {
    let config = ConsumerConfig::default();
    let handler = || {
        let handler = Arc::new(NoOp(Arc::new(Progress::new(0))));
        service_fn(move |delivery: Delivery| {
            let handler = Arc::clone(&handler);
            // Not `handler.handle(…)`: that is the impl for `Arc<H>`, which boxes a second future.
            async move { NoOp::handle(&handler, &delivery.entry).await }
        })
    };
    let guarded = || GuardLayer::new().layer(handler());
    let timed = || TimeoutLayer::new(config.handler_timeout).layer(guarded());
    let retried = || RetryLayer::new(&config.retry).layer(timed());
    let metered = || MetricsLayer::new(CONSUMER, STREAM).layer(retried());
    let traced = || TraceLayer::new().layer(metered());
    visitor.step("handler", handler());
    visitor.step("guard", guarded());
    visitor.step("timeout", timed());
    visitor.step("retry", retried());
    visitor.step("metrics", metered());
    visitor.step("trace", traced());
    visitor.step("box of the whole", BoxService::new(traced()));
}

/// Delivers one entry so many times, and tells how long that took.
///
/// # Errors
///
/// A delivery is held.
pub async fn deliver<S>(service: &mut S, deliveries: u64) -> anyhow::Result<Duration>
where
    S: Service<Delivery, Response = Advance, Error = Hold>,
{
    let entry = entry(0);
    let consumer: Arc<str> = Arc::from(CONSUMER);
    let started = Instant::now();
    for _ in 0..deliveries {
        let delivery = Delivery::new(Arc::clone(&consumer), entry.clone());
        let advance = match service.ready().await {
            Ok(service) => service.call(delivery).await,
            Err(hold) => Err(hold),
        };
        ensure!(matches!(advance, Ok(Advance::Handled)), "not handled");
    }
    Ok(started.elapsed())
}

/// Which handler the loop calls.
#[derive(Clone, Copy, Debug)]
pub enum Handling {
    /// One that does nothing.
    NoOp,
    /// One that decodes the five fields.
    Typed,
    /// That of the game master's events.
    GmEvents,
}

/// The loop on a backlog in memory.
#[derive(Debug)]
pub struct Loop {
    backend: RoundTrips,
    handling: Handling,
}

impl Loop {
    /// With [`LOOP_ENTRIES`] entries.
    pub fn new(handling: Handling) -> Self {
        let mut pages = Vec::new();
        let mut number = 0;
        while number < LOOP_ENTRIES {
            let mut page = PageBuilder::new(STREAM);
            for _ in 0..PAGE.min(LOOP_ENTRIES - number) {
                number += 1;
                page.entry(EntryId::new(number, 0), fields(number));
            }
            pages.push(page.finish().into());
        }
        Self { backend: RoundTrips::new(pages), handling }
    }

    /// Runs a runtime from the first entry to the last, and tells how long that took.
    ///
    /// # Errors
    ///
    /// The runtime does not start, or ends elsewhere.
    pub async fn drain(&self) -> anyhow::Result<Duration> {
        let offsets = self.backend.offsets();
        offsets.set_record(CONSUMER, None);
        let progress = Arc::new(Progress::new(LOOP_ENTRIES));
        let consumer = match self.handling {
            Handling::NoOp => consumer(NoOp(Arc::clone(&progress))),
            Handling::Typed => consumer(Typed(Arc::clone(&progress))),
            Handling::GmEvents => consumer(ports::gmevents(Arc::clone(&progress))),
        };
        let runtime = Runtime::new(self.backend.clone()).consumer(consumer);
        let started = Instant::now();
        runtime.run(progress.finished()).await?;
        let elapsed = started.elapsed();
        let offset = offsets.offset(CONSUMER).ok_or_else(|| anyhow!("no offset"))?;
        ensure!(offset.ms == LOOP_ENTRIES, "the offset is {offset}");
        Ok(elapsed)
    }
}

fn consumer(handler: impl Handler) -> Consumer {
    Consumer::new(CONSUMER, STREAM, handler)
}

fn entry(number: u64) -> Entry {
    Entry::new(STREAM, EntryId::new(1, 0), fields(number))
}

fn fields(number: u64) -> [(&'static str, String); 5] {
    let event = backlog::event(number);
    [
        ("kind", event.kind),
        ("game_id", event.game_id),
        ("current_turn", event.current_turn.to_string()),
        ("runtime_status", event.runtime_status),
        ("player_turn_stats", event.player_turn_stats),
    ]
}
