//! A consumer: registers what is to be run, and runs it from start to shutdown.
//!
//! [`Worker::run`] opens the checkpoint and hands over to a session ([`session`]), which delivers entry by entry;
//! the reader ([`reader`]) reads ahead of it and the committer follows behind.

mod reader;
mod report;
mod session;

use std::fmt;
use std::sync::Arc;

use tokio::time::{Duration, Instant, sleep};
use tower::{BoxError, Layer, Service};

use self::session::{End, Session};
use crate::backend::{Backend, BackendError, Checkpoint, ErrorKind, OffsetStore};
use crate::backoff::Jitter;
use crate::clock::Clock;
use crate::config::{ConsumerConfig, StartAt};
use crate::delivery::Delivery;
use crate::entry::EntryId;
use crate::handler::Handler;
use crate::outcome::Advance;
use crate::shutdown::Shutdown;
use crate::stack::{Boxed, Recipe};
use crate::status::{ConsumerState, StatusCell, Work};
use crate::trouble::Trouble;

/// A name, a stream, a handler and its settings.
///
/// The name is the label of the durable offset. It never changes, also when the stream is renamed: under a new
/// name the consumer starts anew.
///
/// ```
/// use stream_runtime::{Advance, Consumer, ConsumerConfig, Entry, handler_fn};
///
/// let mut config = ConsumerConfig::default();
/// config.max_uncommitted = 1; // commit each entry before the next one starts
///
/// let handler = handler_fn(|_entry: Entry| async { Ok(Advance::Handled) });
/// let consumer = Consumer::new("gm_lobby_events", "gm:lobby_events", handler).config(config);
/// # let _ = consumer;
/// ```
pub struct Consumer {
    pub(crate) name: Arc<str>,
    pub(crate) stream: Arc<str>,
    pub(crate) config: ConsumerConfig,
    recipe: Recipe,
}

impl Consumer {
    /// A consumer with the default settings.
    pub fn new(name: impl Into<Arc<str>>, stream: impl Into<Arc<str>>, handler: impl Handler) -> Self {
        Self {
            name: name.into(),
            stream: stream.into(),
            config: ConsumerConfig::default(),
            recipe: Recipe::new(handler),
        }
    }

    /// Replaces the settings.
    #[must_use]
    pub fn config(mut self, config: ConsumerConfig) -> Self {
        self.config = config;
        self
    }

    /// Puts a tower layer of yours around the handler and its retries; the last one added is outermost.
    ///
    /// The layer wraps a service of [`Delivery`] whose error is [`Hold`](crate::Hold). An error of its own becomes
    /// a hold: the entry is delivered again, never lost. The loop calls the service for one entry at a time, so the
    /// layer's service need not be `Clone`.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Boxed> + Send + Sync + 'static,
        L::Service: Service<Delivery, Response = Advance> + Send + 'static,
        <L::Service as Service<Delivery>>::Error: Into<BoxError>,
        <L::Service as Service<Delivery>>::Future: Send + 'static,
    {
        self.recipe.layer(layer);
        self
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name)
            .field("stream", &self.stream)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A session that lasted so long was well: the next reload starts with a short wait again.
const STEADY: Duration = Duration::from_secs(60);

/// Runs one consumer.
pub(crate) struct Worker {
    pub(crate) consumer: Consumer,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
    pub(crate) status: Arc<StatusCell>,
    pub(crate) shutdown: Shutdown,
}

impl Worker {
    /// Runs until shutdown. No error of the backend or the handler ends it.
    pub(crate) async fn run(&self) {
        let Consumer { name, stream, config, recipe } = &self.consumer;
        let mut stack = recipe.build(name, stream, config, &self.clock, &self.jitter);
        let mut store = self.backend.offsets(&self.consumer.name);
        let trouble = || Trouble::new(Work::Open, Arc::clone(&self.status), self.jitter.clone());
        let (mut opening, mut reloading) = (trouble(), trouble());
        report::describe();
        loop {
            self.status.starting();
            let checkpoint = match self.open(store.as_mut(), &mut opening).await {
                Ok(checkpoint) => checkpoint,
                Err(end) => return self.end(end).await,
            };
            let began = Instant::now();
            let mut session = Session::start(self, store, checkpoint);
            let end = session.run(&mut stack).await;
            if let End::Drain = end {
                self.flush(&mut session).await;
            }
            let last_store = session.into_store().await;
            let End::Reload(error) = end else { return self.end(end).await };
            if began.elapsed() > STEADY {
                reloading = trouble();
            }
            if let Err(end) = self.pause(reloading.happened(&error)).await {
                return self.end(end).await;
            }
            store = last_store.unwrap_or_else(|| self.backend.offsets(&self.consumer.name));
        }
    }

    /// Claims the consumer and finds out where to start, for as long as it takes.
    async fn open(&self, store: &mut dyn OffsetStore, trouble: &mut Trouble) -> Result<Checkpoint, End> {
        let mut latest = None;
        loop {
            let mut shutdown = self.shutdown.clone();
            let opened = tokio::select! {
                biased;
                _ = shutdown.requested() => return Err(End::Drain),
                opened = self.try_open(store, &mut latest) => opened,
            };
            let delay = match opened {
                Ok(checkpoint) => {
                    trouble.over();
                    return Ok(checkpoint);
                }
                Err(error) if error.kind() == ErrorKind::Superseded => return Err(End::Superseded(error)),
                Err(error) => trouble.happened(&error),
            };
            self.pause(delay).await?;
        }
    }

    /// Waits before another try, unless it is time to end.
    async fn pause(&self, delay: Duration) -> Result<(), End> {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            _ = shutdown.requested() => Err(End::Drain),
            () = sleep(delay) => Ok(()),
        }
    }

    async fn try_open(
        &self,
        store: &mut dyn OffsetStore,
        latest: &mut Option<EntryId>,
    ) -> Result<Checkpoint, BackendError> {
        let (checkpoint, found) = match store.load().await? {
            Some(checkpoint) => {
                self.status.committed(checkpoint.id);
                (checkpoint, "stored offset")
            }
            None => (self.first_checkpoint(store, latest).await?, "no stored offset"),
        };
        tracing::info!(
            target: "stream_runtime",
            consumer = self.status.consumer(),
            stream = self.status.stream(),
            start_entry_id = %checkpoint.id,
            found,
            "consumer started",
        );
        Ok(checkpoint)
    }

    /// Where to start without a stored offset. What is not the beginning is committed at once: the next start must not
    /// decide anew. `latest` is
    /// what that was found to be: while its commit fails, entries that are added come after it.
    async fn first_checkpoint(
        &self,
        store: &mut dyn OffsetStore,
        latest: &mut Option<EntryId>,
    ) -> Result<Checkpoint, BackendError> {
        if let Some(id) = self.status.offset() {
            // It was there when we wrote it. Going on from what we know loses nothing; starting over might.
            tracing::error!(
                target: "stream_runtime",
                consumer = self.status.consumer(),
                stream = self.status.stream(),
                offset = %id,
                "the stored offset is gone: writing it again",
            );
            return self.commit_first(store, id).await;
        }
        match self.consumer.config.start {
            StartAt::Beginning => Ok(Checkpoint::at(EntryId::ZERO)),
            StartAt::After(id) => self.commit_first(store, id).await,
            StartAt::Latest => {
                let tail = match *latest {
                    Some(tail) => tail,
                    None => self.backend.source(&self.consumer.stream).tail().await?,
                };
                *latest = Some(tail);
                self.commit_first(store, tail).await
            }
        }
    }

    async fn commit_first(
        &self,
        store: &mut dyn OffsetStore,
        id: EntryId,
    ) -> Result<Checkpoint, BackendError> {
        let checkpoint = Checkpoint::at(id);
        store.commit(checkpoint.clone()).await?;
        self.status.committed(id);
        Ok(checkpoint)
    }

    /// Commits what is handled, in the time that the shutdown leaves.
    async fn flush(&self, session: &mut Session<'_>) {
        let Some(deadline) = self.shutdown.deadline() else { return };
        let committer = &mut session.committer;
        let error = match committer.flush(deadline, |id| self.status.committed(id)).await {
            Ok(()) => return,
            Err(error) => error.map_or_else(|| "out of time".to_owned(), |error| error.to_string()),
        };
        tracing::error!(
            target: "stream_runtime",
            consumer = self.status.consumer(),
            stream = self.status.stream(),
            uncommitted = committer.uncommitted(),
            err = error,
            "the last offset could not be committed: these entries will be handled again",
        );
    }

    /// Says how it ended; a superseded consumer stays visible until shutdown.
    async fn end(&self, end: End) {
        if let End::Superseded(error) = end {
            self.status.superseded(&error);
            tracing::error!(
                target: "stream_runtime",
                consumer = self.status.consumer(),
                stream = self.status.stream(),
                err = %error,
                "superseded: another worker runs this consumer; handling stops here until a restart",
            );
            self.shutdown.clone().requested().await;
        }
        self.status.turn_to(ConsumerState::Stopped);
        tracing::info!(
            target: "stream_runtime",
            consumer = self.status.consumer(),
            stream = self.status.stream(),
            offset = self.status.offset().map(tracing::field::display),
            "consumer stopped",
        );
    }
}
