//! apalis-redis: it reads no streams, so it drains jobs of the same content from a queue of its own.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use apalis_core::backend::TaskSink;
use apalis_core::error::BoxDynError;
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_redis::{Config, RedisStorage};
use benches::backlog::{self, Event};
use benches::contest::{Contender, Job};
use benches::progress::Progress;
use benches::usage::Server;

const QUEUE: &str = "bench-queue";

/// How many jobs one push or fetch takes. Lua unpacks them, and has room for a few thousand values.
const BATCH: u64 = 500;

/// apalis with nothing on that it can do without, but for giving a job back when its worker dies.
pub const CONTENDER: Contender = Contender {
    name: "apalis",
    label: "apalis-redis, its own queue, batches of 500",
    slow: false,
    prepare: |job| job.runtime.block_on(fill(job)),
    run: |job| {
        job.runtime.block_on(drain(job))?;
        check(job)
    },
};

type Storage = RedisStorage<Event<String>>;

async fn storage(job: &Job) -> anyhow::Result<Storage> {
    let config = Config::default()
        .queue(QUEUE)
        .batch_size(BATCH as usize)
        .lock_tasks(false)
        .persist_results(true)
        .emit_events(false);
    Ok(RedisStorage::new(apalis_redis::connect(job.url()).await?).with_config(config))
}

/// Empties the queue, and pushes a job for each entry.
async fn fill(job: &Job) -> anyhow::Result<()> {
    let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return ''";
    Server::connect(job.port)?.ask(&["EVAL", script, "0", &format!("{QUEUE}:*")])?;
    let mut storage = storage(job).await?;
    for start in (0..job.entries).step_by(BATCH as usize) {
        let events = (start..job.entries.min(start + BATCH)).map(backlog::event).collect();
        storage.push_bulk(events).await.map_err(|error| anyhow!("push: {error}"))?;
    }
    make_active(job)
}

/// Moves jobs from "scheduled" to "active", as the worker's fetch does. That moves all of them at once, which fails
/// beyond some 8,000: Lua unpacks no more.
fn make_active(job: &Job) -> anyhow::Result<()> {
    let script = "local ids = redis.call('ZRANGE', KEYS[1], 0, 999) \
                  if #ids > 0 then \
                      redis.call('RPUSH', KEYS[2], unpack(ids)) redis.call('ZREM', KEYS[1], unpack(ids)) \
                      redis.call('DEL', KEYS[3]) redis.call('LPUSH', KEYS[3], 1) \
                  end return tostring(#ids)";
    let [scheduled, active, signal] = ["scheduled", "active", "signal"].map(|key| format!("{QUEUE}:{key}"));
    let mut server = Server::connect(job.port)?;
    while server.ask(&["EVAL", script, "3", &scheduled, &active, &signal])? != "0" {}
    Ok(())
}

async fn drain(job: &Job) -> anyhow::Result<()> {
    let progress = Arc::new(Progress::new(job.entries));
    let worker =
        WorkerBuilder::new("bench").backend(storage(job).await?).data(Arc::clone(&progress)).build(handle);
    worker
        .run_until(async move {
            progress.finished().await;
            Ok::<_, std::io::Error>(())
        })
        .await?;
    Ok(())
}

async fn handle(event: Event<String>, progress: Data<Arc<Progress>>) -> Result<(), BoxDynError> {
    black_box(event);
    progress.one();
    Ok(())
}

/// Looks whether every job is done.
fn check(job: &Job) -> anyhow::Result<()> {
    let script = "return tostring(redis.call('SCARD', KEYS[1]))";
    let done = Server::connect(job.port)?.ask(&["EVAL", script, "1", &format!("{QUEUE}:done")])?;
    ensure!(done == job.entries.to_string(), "{done} jobs are done of {}", job.entries);
    Ok(())
}
