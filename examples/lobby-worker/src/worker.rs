//! The worker: both handlers on their streams, until it is told to end or has nothing left to do.

use std::cell::Cell;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gmevents::GmEventsHandler;
use metrics_exporter_prometheus::PrometheusBuilder;
use stream_runtime::{Consumer, ConsumerState, ConsumerStatus, Runtime, RuntimeHandle};
use tracing::info;
use userlifecycle::UserLifecycleWorker;

use crate::cli::Settings;
use crate::config::{Consumers, Streams};
use crate::feed::Feed;
use crate::idle;
use crate::place::Place;
use crate::signals::Signals;
use crate::stores::Stores;
use crate::summary::{ConsumerRow, Ending, Lobby, Summary};
use crate::transitions::TransitionCounter;

/// Runs until the end, and tells how it went.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<Summary> {
    let mut signals = Signals::listen()?;
    if let Some(address) = settings.metrics_addr {
        serve_metrics(address)?;
    }
    let place = Place::open(settings.place)?;
    let stores = place.stores;
    let (gm_events, user_lifecycle) = consumers(&stores, &settings.streams, settings.consumers);
    let runtime =
        Runtime::new(place.backend).config(settings.runtime).consumer(gm_events).consumer(user_lifecycle);
    let handle = runtime.handle();

    let feed = settings.demo.map(|demo| Feed {
        stores: stores.clone(),
        producer: place.producer,
        streams: settings.streams,
        pace: demo.pace,
    });
    let mid_feed = Cell::new(feed.is_some());
    let all_done = async {
        if let Some(feed) = feed {
            feed.play().await;
            mid_feed.set(false);
        }
        match settings.exit_when_idle {
            Some(quiet) => idle::settled(|| at_rest(&handle), quiet).await,
            None => pending().await,
        }
    };
    let mut ending = Ending::Idle;
    // What was held is to be seen before the consumers end.
    let mut last_seen = Vec::new();
    let shutdown = async {
        tokio::select! {
            () = all_done => info!("nothing left to do: ending"),
            signal = signals.next() => {
                info!(signal, "ending; the entry in hand may finish");
                ending = Ending::Asked { mid_feed: mid_feed.get() };
            }
        }
        last_seen = handle.status();
    };
    runtime.run(shutdown).await?;

    let ended = handle.status();
    Ok(Summary {
        ending,
        consumers: ended.iter().zip(&last_seen).map(|(now, before)| ConsumerRow::new(now, before)).collect(),
        lobby: Lobby::read(&stores).await.map_err(|error| error.to_string()),
    })
}

/// Both consumers. Their names are those of the original workers' offsets.
fn consumers(stores: &Stores, streams: &Streams, configs: Consumers) -> (Consumer, Consumer) {
    let gm_events = GmEventsHandler::new(
        Arc::new(stores.clone()),
        Arc::new(stores.clone()),
        Arc::new(stores.clone()),
        Arc::new(TransitionCounter::new()),
    );
    let user_lifecycle = UserLifecycleWorker::new();
    user_lifecycle.set_handler(Some(Arc::new(stores.clone())));
    (
        Consumer::new("gm_lobby_events", streams.gm_lobby_events.as_str(), gm_events)
            .config(configs.gm_lobby_events),
        Consumer::new("user_lifecycle", streams.user_lifecycle.as_str(), user_lifecycle)
            .config(configs.user_lifecycle),
    )
}

/// Bounds of the histograms' buckets, in seconds. With buckets, instances can be added up, as summaries can't.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// Serves the metrics of the process. To be called before anything counts.
fn serve_metrics(address: SocketAddr) -> anyhow::Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets(&BUCKETS)?
        // Histograms keep every observation until then.
        .upkeep_timeout(Duration::from_secs(1))
        .install()
        .with_context(|| format!("--metrics-addr {address}: it can't be served there; choose a free port"))?;
    info!("metrics are at http://{address}/metrics");
    Ok(())
}

/// Where the consumers stand, when each of them has caught up.
fn at_rest(handle: &RuntimeHandle) -> Option<Vec<ConsumerStatus>> {
    let consumers = handle.status();
    consumers.iter().all(|consumer| consumer.state == ConsumerState::Idle).then_some(consumers)
}
