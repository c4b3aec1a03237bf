//! The worker: this program run again, with one consumer, a handler that records its effects, and orders.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::{
    Advance, Backend, BackoffConfig, Consumer, ConsumerConfig, Entry, EntryId, Handler, Hold, Outcome,
    Runtime, async_trait,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::journal::{Event, Log, Record, Verdict};
use crate::producer;
use crate::sabotage::{Control, Saboteur};
use crate::trap::{ArmedTrap, Point, Trap};
use crate::watched::Watched;

/// The name of the consumer, whose offset is verified.
pub(crate) const CONSUMER: &str = "crash";

/// What one run is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) store: Store,
    /// Where journal and manifest go.
    pub(crate) dir: PathBuf,
    pub(crate) run: u64,
    /// The epoch that the claim will give it.
    pub(crate) epoch: u64,
    pub(crate) max_uncommitted: usize,
    pub(crate) batch: usize,
    /// How many entries to append meanwhile, on the embedded file.
    pub(crate) produce: u64,
    pub(crate) trap: Option<Trap>,
    pub(crate) control: Option<Control>,
}

/// Where stream and offset are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Store {
    Redis { url: String, stream: String, offset_key_prefix: String },
    Embedded(PathBuf),
}

/// The stream in the embedded file.
pub(crate) const EMBEDDED_STREAM: &str = "entries";

/// The worker's journal of this run.
pub(crate) fn journal_path(dir: &Path, run: u64) -> PathBuf {
    dir.join(format!("run-{run:04}.journal"))
}

/// The manifest of a producer that lives in the worker's process and dies with it.
pub(crate) fn manifest_path(dir: &Path, run: u64) -> PathBuf {
    dir.join(format!("run-{run:04}.manifest"))
}

/// Writes the worker's records.
pub(crate) struct Journal {
    log: Log,
    run: u64,
    epoch: u64,
}

impl Journal {
    /// A worker that cannot write its journal proves nothing: it ends.
    pub(crate) fn add(&self, event: Event) {
        if let Err(error) = self.log.add(&Record { run: self.run, epoch: self.epoch, event }) {
            eprintln!("worker: cannot write its journal: {error}");
            process::exit(1);
        }
    }
}

/// Runs the worker until it is told to end, or killed.
pub(crate) fn main(orders: &str) -> ExitCode {
    thread::spawn(end_with_parent);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.context("tokio").and_then(|runtime| {
        let orders: Orders = serde_json::from_str(orders).context("orders")?;
        runtime.block_on(work(orders))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The parent writes nothing: its end of the pipe closes when it is gone.
fn end_with_parent() {
    let _ = std::io::stdin().read(&mut [0]);
    process::exit(1);
}

async fn work(orders: Orders) -> anyhow::Result<()> {
    match orders.store.clone() {
        Store::Redis { url, stream, offset_key_prefix } => {
            let mut config = RedisConfig::default();
            config.url = url.parse()?;
            config.offset_key_prefix = offset_key_prefix;
            consume(RedisBackend::new(config)?, stream, orders).await
        }
        Store::Embedded(file) => {
            let backend = EmbeddedBackend::open(file)?;
            producer::append(&backend, &manifest_path(&orders.dir, orders.run), orders.run, orders.produce)?;
            consume(backend, EMBEDDED_STREAM.to_owned(), orders).await
        }
    }
}

async fn consume(backend: impl Backend, stream: String, orders: Orders) -> anyhow::Result<()> {
    let log = Log::open(&journal_path(&orders.dir, orders.run))?;
    let journal = Arc::new(Journal { log, run: orders.run, epoch: orders.epoch });
    let trap = Arc::new(ArmedTrap::new(orders.trap));
    let recorder = Recorder::new(Arc::clone(&journal), Arc::clone(&trap));
    let watched = Watched::new(backend, journal, trap);
    let config = config(&orders);
    match orders.control {
        None => run(watched, Consumer::new(CONSUMER, stream, recorder).config(config)).await,
        Some(control) => {
            let saboteur = Arc::new(Saboteur::new(control, watched, recorder, &stream));
            let consumer = Consumer::new(CONSUMER, stream, Arc::clone(&saboteur)).config(config);
            run(saboteur, consumer).await
        }
    }
}

fn config(orders: &Orders) -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    let too_many = usize::from(orders.control == Some(Control::WindowPlusOne));
    config.max_uncommitted = orders.max_uncommitted + too_many;
    config.batch.entries = orders.batch;
    config.block_timeout = Duration::from_millis(200);
    config.hold_backoff = BackoffConfig { min: Duration::from_millis(1), max: Duration::from_millis(4) };
    config.retry.backoff = BackoffConfig { min: Duration::from_millis(1), max: Duration::from_millis(2) };
    config
}

async fn run(backend: impl Backend, consumer: Consumer) -> anyhow::Result<()> {
    let mut told_to_end = signal(SignalKind::terminate())?;
    let until_told = async move {
        told_to_end.recv().await;
    };
    Ok(Runtime::new(backend).consumer(consumer).run(until_told).await?)
}

/// The handler: its effect is a record in the journal.
pub(crate) struct Recorder {
    journal: Arc<Journal>,
    trap: Arc<ArmedTrap>,
    /// The entry in hand, and how often it was called for.
    calls: Mutex<(EntryId, u32)>,
}

impl Recorder {
    fn new(journal: Arc<Journal>, trap: Arc<ArmedTrap>) -> Self {
        Self { journal, trap, calls: Mutex::new((EntryId::ZERO, 0)) }
    }

    fn attempt(&self, id: EntryId) -> u32 {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls = if calls.0 == id { (id, calls.1 + 1) } else { (id, 1) };
        calls.1
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        let (id, attempt) = (entry.id(), self.attempt(entry.id()));
        self.trap.at(Point::InHandler).await;
        let tag = entry.fields().text("tag").context("tag")?.unwrap_or_default().to_owned();
        let verdict = Verdict::of(&tag, attempt);
        self.journal.add(Event::Delivered { id, tag, attempt, verdict });
        self.trap.at(Point::AfterEffect).await;
        match verdict {
            Verdict::Handled => Ok(Advance::Handled),
            Verdict::Skipped => Ok(Advance::skip(anyhow!("bad input"))),
            Verdict::Held => Err(Hold::new(anyhow!("not yet"))),
        }
    }
}
