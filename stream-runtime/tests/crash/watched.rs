//! A backend that records commits and holds the points at which the worker is killed; otherwise the one inside.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use stream_runtime::{
    Backend, BackendError, Checkpoint, EntryId, Limit, OffsetStore, Presence, Read, Source, async_trait,
};

use crate::journal::Event;
use crate::trap::{ArmedTrap, CLAIMED, Point, Trap, say, stay};
use crate::worker::Journal;

pub(crate) struct Watched<B> {
    inner: B,
    journal: Arc<Journal>,
    trap: Arc<ArmedTrap>,
}

impl<B> Watched<B> {
    pub(crate) fn new(inner: B, journal: Arc<Journal>, trap: Arc<ArmedTrap>) -> Self {
        Self { inner, journal, trap }
    }
}

impl<B: Backend> Backend for Watched<B> {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(WatchedSource { inner: self.inner.source(stream), trap: Arc::clone(&self.trap) })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(WatchedOffsets {
            inner: self.inner.offsets(consumer),
            journal: Arc::clone(&self.journal),
            trap: Arc::clone(&self.trap),
        })
    }
}

struct WatchedSource {
    inner: Box<dyn Source>,
    trap: Arc<ArmedTrap>,
}

#[async_trait]
impl Source for WatchedSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let read = self.inner.read(after, limit, wait).await?;
        if let Read::Batch(_) = read {
            self.trap.at(Point::AfterRead).await;
        }
        Ok(read)
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        self.inner.tail().await
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        self.inner.presence(id).await
    }
}

struct WatchedOffsets {
    inner: Box<dyn OffsetStore>,
    journal: Arc<Journal>,
    trap: Arc<ArmedTrap>,
}

#[async_trait]
impl OffsetStore for WatchedOffsets {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        let loaded = self.inner.load().await?;
        let id = loaded.as_ref().map_or(EntryId::ZERO, |checkpoint| checkpoint.id);
        self.journal.add(Event::Claimed(id));
        say(CLAIMED);
        Ok(loaded)
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let id = checkpoint.id;
        self.journal.add(Event::Intent(id));
        self.trap.at(Point::BeforeCommit).await;
        if let Some(trap) = self.trap.is_due(Point::DuringCommit) {
            match send_and_stay(self.inner.commit(checkpoint), trap).await {}
        }
        self.inner.commit(checkpoint).await?;
        self.journal.add(Event::Acknowledged(id));
        self.trap.at(Point::AfterCommit).await;
        Ok(())
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.inner.verify().await
    }
}

/// Starts the commit, gives the backend a moment, and never takes the answer.
async fn send_and_stay(commit: impl Future<Output = Result<(), BackendError>>, trap: Trap) -> Infallible {
    let mut commit = pin!(commit);
    poll_fn(|cx| {
        let _ = commit.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    tokio::time::sleep(Duration::from_micros(trap.sent_for_us)).await;
    stay(trap).await
}
