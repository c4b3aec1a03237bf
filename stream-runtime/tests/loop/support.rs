//! A runtime in the background, and a handler that records and obeys.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream_runtime::testing::MemoryBackend;
use stream_runtime::{
    Advance, Backend, ConfigError, Consumer, ConsumerConfig, ConsumerStatus, Entry, EntryId, Handler, Hold,
    Outcome, Runtime, RuntimeConfig, RuntimeHandle, async_trait,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const STREAM: &str = "events";

/// The id that the memory backend gives to its n-th entry.
pub(crate) fn id(n: u64) -> EntryId {
    EntryId::new(n, 0)
}

pub(crate) fn ids(range: impl IntoIterator<Item = u64>) -> Vec<EntryId> {
    range.into_iter().map(id).collect()
}

/// A backend with entries 1 to `count`.
pub(crate) fn backlog(count: u64) -> MemoryBackend {
    let backend = MemoryBackend::new();
    for n in 1..=count {
        backend.append(STREAM, [("n", n.to_string())]);
    }
    backend
}

/// What to do with a delivery.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    Advance,
    Skip,
    Hold,
    HoldFor(Duration),
    Panic,
    Hang,
    /// Take this long, then advance.
    Take(Duration),
}

/// Records each delivery, and does what its script says for that entry; after the script it advances.
#[derive(Clone, Default)]
pub(crate) struct Script {
    inner: Arc<Mutex<Inner>>,
    /// Lets a handler that hangs go on.
    pub(crate) release: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    script: Vec<(EntryId, VecDeque<Do>)>,
    deliveries: Vec<(EntryId, Instant)>,
    finished: Vec<EntryId>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn on(self, entry: u64, actions: impl IntoIterator<Item = Do>) -> Self {
        self.inner.lock().unwrap().script.push((id(entry), actions.into_iter().collect()));
        self
    }

    /// Each call of the handler: the entry and when.
    pub(crate) fn deliveries(&self) -> Vec<(EntryId, Instant)> {
        self.inner.lock().unwrap().deliveries.clone()
    }

    pub(crate) fn delivered(&self) -> Vec<EntryId> {
        self.deliveries().into_iter().map(|(id, _)| id).collect()
    }

    /// The entries that advanced.
    pub(crate) fn finished(&self) -> Vec<EntryId> {
        self.inner.lock().unwrap().finished.clone()
    }

    fn next(&self, id: EntryId) -> Do {
        let mut inner = self.inner.lock().unwrap();
        inner.deliveries.push((id, Instant::now()));
        let script = inner.script.iter_mut().find(|(scripted, _)| *scripted == id);
        script.and_then(|(_, actions)| actions.pop_front()).unwrap_or(Do::Advance)
    }
}

#[async_trait]
impl Handler for Script {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        let advance = match self.next(entry.id()) {
            Do::Advance => Advance::Handled,
            Do::Skip => Advance::skip(anyhow::anyhow!("scripted skip")),
            Do::Hold => return Err(anyhow::anyhow!("scripted hold").into()),
            Do::HoldFor(delay) => {
                return Err(Hold::new(anyhow::anyhow!("scripted hold")).retry_after(delay));
            }
            Do::Panic => panic!("scripted panic"),
            Do::Hang => {
                self.release.notified().await;
                Advance::Handled
            }
            Do::Take(time) => {
                sleep(time).await;
                Advance::Handled
            }
        };
        self.inner.lock().unwrap().finished.push(entry.id());
        Ok(advance)
    }
}

/// Settings for these tests: no retries within the stack, so that each delivery is one call.
pub(crate) fn config() -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    config.retry.retries = 0;
    config
}

/// A runtime in a task of its own.
pub(crate) struct Running {
    handle: RuntimeHandle,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ConfigError>>,
}

pub(crate) fn start(backend: impl Backend, config: ConsumerConfig, handler: impl Handler) -> Running {
    start_consumers(backend, [Consumer::new("c", STREAM, handler).config(config)])
}

pub(crate) fn start_consumers(
    backend: impl Backend,
    consumers: impl IntoIterator<Item = Consumer>,
) -> Running {
    let runtime = consumers.into_iter().fold(Runtime::new(backend), Runtime::consumer);
    start_runtime(runtime)
}

pub(crate) fn start_runtime(runtime: Runtime) -> Running {
    let handle = runtime.handle();
    let (shutdown, asked) = oneshot::channel::<()>();
    let task = tokio::spawn(runtime.run(async move {
        if asked.await.is_err() {
            pending::<()>().await;
        }
    }));
    Running { handle, shutdown: Some(shutdown), task }
}

impl Running {
    /// The status of the first consumer.
    pub(crate) fn status(&self) -> ConsumerStatus {
        self.handle.status().remove(0)
    }

    pub(crate) fn statuses(&self) -> Vec<ConsumerStatus> {
        self.handle.status()
    }

    /// Ends it as a service would.
    pub(crate) async fn stop(mut self) -> ConsumerStatus {
        self.shutdown.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap().unwrap();
        self.status()
    }

    /// Ends it as a crash would.
    pub(crate) async fn crash(mut self) {
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for a condition; under paused time this takes no time.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = timeout(Duration::from_secs(3600), async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    met.await.unwrap_or_else(|_| panic!("not within an hour of paused time: {what}"));
}

/// Lets everything happen that happens within this time.
pub(crate) async fn within(time: Duration) {
    sleep(time).await;
}

/// A drain timeout for a runtime.
pub(crate) fn drain_timeout(time: Duration) -> RuntimeConfig {
    let mut config = RuntimeConfig::default();
    config.drain_timeout = time;
    config
}
