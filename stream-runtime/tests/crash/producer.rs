//! Feeds the stream, and keeps the manifest of it: what was sent, and under which id it was acknowledged.
//!
//! On Redis the producer lives in the parent and goes on while the worker is killed. The embedded file belongs to
//! one process: there it lives in the worker's, is killed with it, and has one manifest a run. A tag that was sent
//! and not acknowledged may then be in the stream, or not.

use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use stream_runtime::EntryId;
use stream_runtime::embedded::EmbeddedBackend;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::journal::{Log, Produced};
use crate::worker::EMBEDDED_STREAM;

/// How many appends of the embedded producer are under way at a time: the file merges them.
const APPENDERS: u64 = 16;
/// How many entries the Redis producer appends at a time, at most.
const BURST: u64 = 32;

/// The producer on Redis.
pub(crate) struct RedisProducer {
    feeding: Arc<Feeding>,
    /// Ends it with this.
    task: JoinSet<()>,
}

struct Feeding {
    connection: MultiplexedConnection,
    stream: String,
    manifest: Log,
    /// How many entries it may append in all.
    allowed: AtomicU64,
    /// How many it has appended. Held during an append, so that who holds it sees a whole manifest.
    appended: Mutex<u64>,
}

impl RedisProducer {
    pub(crate) fn start(
        connection: MultiplexedConnection,
        stream: &str,
        manifest: &Path,
    ) -> anyhow::Result<Self> {
        let feeding = Arc::new(Feeding {
            connection,
            stream: stream.to_owned(),
            manifest: Log::open(manifest)?,
            allowed: AtomicU64::new(0),
            appended: Mutex::new(0),
        });
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&feeding).run());
        Ok(Self { feeding, task })
    }

    /// Goes on for so many entries more.
    pub(crate) async fn allow(&self, more: u64) {
        let appended = self.feeding.appended.lock().await;
        self.feeding.allowed.store(*appended + more, Ordering::Relaxed);
    }

    /// Holds it where all it has sent is acknowledged and in the manifest.
    pub(crate) async fn hold_still(&self) -> anyhow::Result<MutexGuard<'_, u64>> {
        anyhow::ensure!(!self.task.is_empty(), "the producer has ended");
        Ok(self.feeding.appended.lock().await)
    }
}

impl Feeding {
    async fn run(self: Arc<Self>) {
        loop {
            match self.append_some().await {
                Ok(0) => sleep(Duration::from_millis(1)).await,
                // So that a worker sees now one entry, now many.
                Ok(some) => sleep(Duration::from_micros(some * 40)).await,
                Err(error) => {
                    // A manifest that lacks an entry proves nothing.
                    eprintln!("crash: the producer cannot go on: {error:#}");
                    process::exit(1);
                }
            }
        }
    }

    async fn append_some(&self) -> anyhow::Result<u64> {
        let mut appended = self.appended.lock().await;
        let room = self.allowed.load(Ordering::Relaxed).saturating_sub(*appended);
        let tags: Vec<String> =
            (0..room.min(*appended % BURST + 1)).map(|index| format!("r-{}", *appended + index)).collect();
        if tags.is_empty() {
            return Ok(0);
        }
        let mut appends = redis::pipe();
        for tag in &tags {
            self.manifest.add(&Produced::Sent(tag.clone()))?;
            appends
                .cmd("XADD")
                .arg(&self.stream)
                .arg("*")
                .arg("tag")
                .arg(tag)
                .arg("body")
                .arg("b".repeat(100));
        }
        let ids: Vec<String> = appends.query_async(&mut self.connection.clone()).await?;
        for (id, tag) in ids.iter().zip(&tags) {
            let id: EntryId = id.parse().context("the id of an XADD")?;
            self.manifest.add(&Produced::Added { id, tag: tag.clone() })?;
        }
        *appended += ids.len() as u64;
        Ok(ids.len() as u64)
    }
}

/// In the worker: starts to append so many entries to the embedded file.
pub(crate) fn append(
    backend: &EmbeddedBackend,
    manifest: &Path,
    run: u64,
    entries: u64,
) -> anyhow::Result<()> {
    let manifest = Arc::new(Log::open(manifest)?);
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..APPENDERS {
        let (backend, manifest, next) = (backend.clone(), Arc::clone(&manifest), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= entries {
                    return;
                }
                if let Err(error) = append_one(&backend, &manifest, format!("e-{run}-{number}")).await {
                    eprintln!("worker: the producer cannot go on: {error:#}");
                    process::exit(1);
                }
            }
        });
    }
    Ok(())
}

async fn append_one(backend: &EmbeddedBackend, manifest: &Log, tag: String) -> anyhow::Result<()> {
    manifest.add(&Produced::Sent(tag.clone()))?;
    let fields = [("tag", tag.as_str()), ("body", "a body of some length, as an entry of a game has it")];
    let id = backend.append(EMBEDDED_STREAM, fields).await?;
    manifest.add(&Produced::Added { id, tag })?;
    Ok(())
}
