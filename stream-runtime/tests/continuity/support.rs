//! A runtime in the background, and a handler that records.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Value, cmd};
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::{
    Advance, Consumer, ConsumerConfig, ConsumerStatus, Entry, Finding, OnGap, Runtime, RuntimeHandle,
    handler_fn,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::tally::Tag;

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn backend(port: u16) -> RedisBackend {
    let mut config = RedisConfig::default();
    config.url = format!("redis://127.0.0.1:{port}").parse().unwrap();
    RedisBackend::new(config).unwrap()
}

/// Settings under which the end of the stream is looked at often.
pub(crate) fn quick() -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    config.block_timeout = Duration::from_millis(5);
    config
}

pub(crate) fn holding() -> ConsumerConfig {
    let mut config = quick();
    config.on_gap = OnGap::Hold;
    config
}

/// What was handled, over all restarts.
pub(crate) type Handled = Arc<Mutex<HashSet<Tag>>>;

/// A runtime with one consumer, of the stream `s`.
pub(crate) struct Running {
    handle: RuntimeHandle,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) fn start(backend: RedisBackend, key: &str, config: ConsumerConfig, handled: &Handled) -> Running {
    let handled = Arc::clone(handled);
    let handler = handler_fn(move |entry: Entry| {
        let tag = entry.fields().text("t").unwrap().unwrap().parse().unwrap();
        handled.lock().unwrap().insert(tag);
        async { Ok(Advance::Handled) }
    });
    let runtime = Runtime::new(backend).consumer(Consumer::new(key, key, handler).config(config));
    let handle = runtime.handle();
    let (shutdown, asked) = oneshot::channel();
    let task = tokio::spawn(async move {
        runtime.run(async { asked.await.unwrap_or(()) }).await.unwrap();
    });
    Running { handle, shutdown, task }
}

impl Running {
    pub(crate) fn status(&self) -> ConsumerStatus {
        self.handle.status().remove(0)
    }

    pub(crate) fn gaps(&self) -> (u64, Option<Finding>) {
        let status = self.status();
        (status.counts.gaps, status.last_gap.map(|gap| gap.finding))
    }

    /// Ends it as a service would.
    pub(crate) async fn stop(self) -> ConsumerStatus {
        let _ended = self.shutdown.send(());
        self.task.await.unwrap();
        self.handle.status().remove(0)
    }

    /// Ends it as a crash would.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }
}

/// Runs a command, written as on a command line.
pub(crate) async fn run(connection: &mut MultiplexedConnection, command: &str) -> Value {
    let mut words = command.split_whitespace();
    let mut redis_command = cmd(words.next().unwrap());
    redis_command.arg(words.collect::<Vec<_>>());
    redis_command.query_async(connection).await.unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Adds entries with these ids, each its id's tag.
pub(crate) async fn add(connection: &mut MultiplexedConnection, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        run(connection, &format!("XADD s {id}-0 t {id}")).await;
    }
}

pub(crate) async fn until<T: Debug>(
    what: &str,
    mut probe: impl FnMut() -> T,
    condition: impl Fn(&T) -> bool,
) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = probe();
        if condition(&found) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {what}: {found:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Until a check was made that began after this call: one may be under way, so it is the second.
pub(crate) async fn until_checked(connection: &mut MultiplexedConnection) {
    let before = checks(connection).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while checks(connection).await < before + 2 {
        assert!(tokio::time::Instant::now() < deadline, "no check is made");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How often a check was made: nothing else asks `XINFO`.
async fn checks(connection: &mut MultiplexedConnection) -> u64 {
    let info: String = cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_xinfo|stream:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}
