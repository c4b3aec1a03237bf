//! stream-runtime as a service runs it: its default stack, a subscriber at `info`, a metrics recorder.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::{
    Advance, Consumer, ConsumerConfig, Entry, Handler, Hold, Outcome, Runtime, async_trait,
};
use tracing_subscriber::filter::LevelFilter;

use crate::backlog::Event;
use crate::contest::{Contender, Job};
use crate::ports;
use crate::progress::Progress;

/// How often the recorder takes up what its histograms collected: it keeps 16 bytes for each delivery until then.
const UPKEEP: Duration = Duration::from_secs(1);

/// Bounds of the histograms' buckets in seconds, as the lobby worker has them.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// The consumer's name.
const CONSUMER: &str = "bench";

/// stream-runtime with a handler that does nothing.
pub const NO_OP: Contender = Contender {
    name: "ours",
    label: "stream-runtime, no-op handler",
    slow: false,
    prepare: forget,
    run: |job| drain(job, Handling::NoOp, default()),
};

/// stream-runtime with each handler, and with strict commits.
pub const CONTENDERS: [Contender; 5] = [
    NO_OP,
    Contender {
        name: "ours-typed",
        label: "stream-runtime, five fields decoded into a struct",
        slow: false,
        prepare: forget,
        run: |job| drain(job, Handling::Typed, default()),
    },
    Contender {
        name: "ours-gmevents",
        label: "stream-runtime, gmevents handler",
        slow: false,
        prepare: forget,
        run: |job| drain(job, Handling::GmEvents, default()),
    },
    Contender {
        name: "ours-strict",
        label: "stream-runtime, strict, no-op handler",
        slow: true,
        prepare: forget,
        run: |job| drain(job, Handling::NoOp, strict()),
    },
    Contender {
        name: "ours-strict-gmevents",
        label: "stream-runtime, strict, gmevents handler",
        slow: true,
        prepare: forget,
        run: |job| drain(job, Handling::GmEvents, strict()),
    },
];

#[derive(Clone, Copy)]
enum Handling {
    NoOp,
    Typed,
    GmEvents,
}

fn default() -> ConsumerConfig {
    ConsumerConfig::default()
}

fn strict() -> ConsumerConfig {
    let mut config = default();
    config.max_uncommitted = 1;
    config
}

fn drain(job: &Job, handling: Handling, config: ConsumerConfig) -> anyhow::Result<()> {
    let recorder = observe()?;
    let progress = Arc::new(Progress::new(job.entries));
    let counted = Arc::clone(&progress);
    let consumer = match handling {
        Handling::NoOp => Consumer::new(CONSUMER, &*job.stream, NoOp(counted)),
        Handling::Typed => Consumer::new(CONSUMER, &*job.stream, Typed(counted)),
        Handling::GmEvents => Consumer::new(CONSUMER, &*job.stream, ports::gmevents(counted)),
    };
    let runtime = Runtime::new(backend(job.port)?).consumer(consumer.config(config));
    let handle = runtime.handle();
    job.runtime.spawn(keep_up(recorder));
    job.runtime.block_on(runtime.run(progress.finished()))?;
    for status in handle.status() {
        ensure!(status.counts.handled == job.entries, "odd counts: {:?}", status.counts);
    }
    job.check_offset(&offset_key())
}

fn forget(job: &Job) -> anyhow::Result<()> {
    job.forget(&offset_key())
}

fn offset_key() -> String {
    format!("{}{CONSUMER}", RedisConfig::default().offset_key_prefix)
}

/// A backend on the server at this port.
///
/// # Errors
///
/// None that can happen: the URL is one.
pub fn backend(port: u16) -> anyhow::Result<RedisBackend> {
    let mut config = RedisConfig::default();
    config.url = format!("redis://127.0.0.1:{port}").parse()?;
    Ok(RedisBackend::new(config)?)
}

/// Installs a subscriber at `info`, whose lines go nowhere, and a metrics recorder.
///
/// # Errors
///
/// There are some already.
pub fn observe() -> anyhow::Result<PrometheusHandle> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(io::sink)
        .try_init()
        .map_err(anyhow::Error::from_boxed)?;
    Ok(PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?)
}

/// Does for the recorder what its exporter would do.
pub async fn keep_up(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}

/// The handler that does nothing but count.
#[derive(Debug)]
pub struct NoOp(pub Arc<Progress>);

#[async_trait]
impl Handler for NoOp {
    async fn handle(&self, _: &Entry) -> Outcome<Advance, Hold> {
        self.0.one();
        Ok(Advance::Handled)
    }
}

/// The handler that decodes the five fields of an entry.
#[derive(Debug)]
pub struct Typed(pub Arc<Progress>);

#[async_trait]
impl Handler for Typed {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        self.0.one();
        match entry.decode::<Event<&str>>() {
            Ok(event) => black_box(event),
            Err(error) => return Ok(Advance::skip(error)),
        };
        Ok(Advance::Handled)
    }
}
