//! Registers consumers, runs them side by side, and drains them.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use crate::backend::Backend;
use crate::backoff::Jitter;
use crate::clock::Clock;
use crate::config::RuntimeConfig;
use crate::consumer::{Consumer, Worker};
use crate::shutdown::{self, Shutdown, Trigger};
use crate::status::{ConsumerStatus, StatusCell};

/// After a consumer's task panicked: how long until it is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// As long as it takes: time can't be added to without end.
const LONGEST_DRAIN: Duration = Duration::from_secs(365 * 86_400);

/// What a consumer gets beyond the drain timeout to say how it ended.
const CUT_OFF_AFTER: Duration = Duration::from_millis(500);

/// Runs many consumers on one backend. One that fails or holds never stops another.
///
/// See the [crate's guide](crate) for an example.
pub struct Runtime {
    backend: Arc<dyn Backend>,
    config: RuntimeConfig,
    clock: Clock,
    /// One sequence for all waits of all consumers.
    jitter: Jitter,
    consumers: Vec<(Consumer, Arc<StatusCell>)>,
    handle: RuntimeHandle,
}

impl Runtime {
    /// A runtime on this backend, without consumers.
    pub fn new(backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
            config: RuntimeConfig::default(),
            clock: Clock::system(),
            jitter: Jitter::new(),
            consumers: Vec::new(),
            handle: RuntimeHandle::default(),
        }
    }

    /// Replaces the settings.
    #[must_use]
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }

    /// Replaces the wall clock that lag is measured by.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        for (consumer, status) in &mut self.consumers {
            *status = status_of(consumer, &self.clock);
        }
        self.handle.set(self.consumers.iter().map(|(_, status)| Arc::clone(status)).collect());
        self
    }

    /// Seeds the jitter of every wait: on one thread and under paused time, runs of the same seed and the same
    /// backend are the same. Without it no two runs wait alike.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter = Jitter::seeded(seed);
        self
    }

    /// Adds a consumer.
    #[must_use]
    pub fn consumer(mut self, consumer: Consumer) -> Self {
        let status = status_of(&consumer, &self.clock);
        self.handle.add(Arc::clone(&status));
        self.consumers.push((consumer, status));
        self
    }

    /// A handle that shows the consumers, those that are added later too.
    pub fn handle(&self) -> RuntimeHandle {
        self.handle.clone()
    }

    /// Runs the consumers until `shutdown` completes, then drains them: reading stops, each entry in hand may finish
    /// within the [drain timeout](RuntimeConfig::drain_timeout), and offsets are committed.
    ///
    /// The backend need not be up yet: the consumers wait for it. Neither its errors nor those of a handler end the
    /// run. Dropping the future ends the consumers at once, as a crash would.
    ///
    /// # Errors
    ///
    /// At once, and only for a configuration that can't be right: no consumer, two of one name, an empty name or
    /// stream, a setting out of its range.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ConfigError> {
        self.check()?;
        let drain_timeout = self.config.drain_timeout;
        let (trigger, ending) = shutdown::channel();
        let mut crew = Crew::new(self.into_workers(&ending));
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = crew.tasks.join_next_with_id() => crew.replace(ended),
            }
        }
        crew.drain(&trigger, drain_timeout).await;
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.consumers.is_empty() {
            return Err(ConfigError("the runtime has no consumer".to_owned()));
        }
        let mut names = HashSet::new();
        for (consumer, _) in &self.consumers {
            let name = &consumer.name;
            if name.trim().is_empty() {
                return Err(ConfigError(format!("the consumer of stream {:?} has no name", consumer.stream)));
            }
            if consumer.stream.trim().is_empty() {
                return Err(ConfigError(format!("consumer {name:?}: the stream name is empty")));
            }
            if !names.insert(name) {
                return Err(ConfigError(format!(
                    "two consumers have the name {name:?}: offsets are kept by name"
                )));
            }
            if let Some(fault) = consumer.config.fault() {
                return Err(ConfigError(format!("consumer {name:?}: {fault}")));
            }
        }
        Ok(())
    }

    fn into_workers(self, shutdown: &Shutdown) -> Vec<Arc<Worker>> {
        let worker = |(consumer, status)| Worker {
            consumer,
            backend: Arc::clone(&self.backend),
            clock: self.clock.clone(),
            jitter: self.jitter.clone(),
            status,
            shutdown: shutdown.clone(),
        };
        self.consumers.into_iter().map(worker).map(Arc::new).collect()
    }
}

fn status_of(consumer: &Consumer, clock: &Clock) -> Arc<StatusCell> {
    let (name, stream) = (Arc::clone(&consumer.name), Arc::clone(&consumer.stream));
    Arc::new(StatusCell::new(name, stream, clock.clone()))
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumers = self.consumers.iter().map(|(consumer, _)| consumer);
        f.debug_struct("Runtime")
            .field("config", &self.config)
            .field("consumers", &consumers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The tasks of the consumers, and whose each one is.
struct Crew {
    tasks: JoinSet<()>,
    workers: HashMap<Id, Arc<Worker>>,
}

impl Crew {
    fn new(workers: Vec<Arc<Worker>>) -> Self {
        let mut crew = Self { tasks: JoinSet::new(), workers: HashMap::new() };
        for worker in workers {
            crew.start(worker, Duration::ZERO);
        }
        crew
    }

    fn start(&mut self, worker: Arc<Worker>, delay: Duration) {
        let running = Arc::clone(&worker);
        let task = self.tasks.spawn(async move {
            sleep(delay).await;
            running.run().await;
        });
        self.workers.insert(task.id(), worker);
    }

    /// Starts a consumer again whose task has panicked: a fault of ours must not end it.
    fn replace(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        let Some(worker) = self.workers.remove(&id) else { return };
        if let Err(error) = ended {
            tracing::error!(
                target: "stream_runtime",
                consumer = worker.status.consumer(),
                stream = worker.status.stream(),
                err = %error,
                "the consumer's task ended unexpectedly: starting it again",
            );
            self.start(worker, RESTART_DELAY);
        }
    }

    /// Ends the consumers. One that does not end in its time is cut off, and said.
    async fn drain(mut self, trigger: &Trigger, drain_timeout: Duration) {
        let deadline = Instant::now() + drain_timeout.min(LONGEST_DRAIN);
        trigger.trigger(deadline);
        let all_ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(target: "stream_runtime", err = %error, "a consumer's task ended unexpectedly");
                }
            }
        };
        if timeout_at(deadline + CUT_OFF_AFTER, all_ended).await.is_err() {
            tracing::error!(target: "stream_runtime", left = self.tasks.len(), "consumers did not end in time: cut off");
            self.tasks.shutdown().await;
        }
    }
}

/// Shows the consumers of a runtime, also after it has ended. Cheap to clone.
#[derive(Clone, Default)]
pub struct RuntimeHandle {
    consumers: Arc<Mutex<Vec<Arc<StatusCell>>>>,
}

impl RuntimeHandle {
    /// Each consumer as it stands now, in the order in which they were added.
    pub fn status(&self) -> Vec<ConsumerStatus> {
        self.lock().iter().map(|consumer| consumer.status()).collect()
    }

    fn add(&self, consumer: Arc<StatusCell>) {
        self.lock().push(consumer);
    }

    fn set(&self, consumers: Vec<Arc<StatusCell>>) {
        *self.lock() = consumers;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<StatusCell>>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RuntimeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeHandle").field("consumers", &self.status()).finish()
    }
}

/// A configuration that can't be right, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ConfigError {}
