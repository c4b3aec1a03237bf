//! A backlog in memory that is read as from a server: in pages, with commits that take a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stream_runtime::testing::MemoryBackend;
use stream_runtime::{
    Backend, BackendError, Batch, Checkpoint, Entry, EntryId, Limit, OffsetStore, Presence, Read, Source,
    async_trait,
};
use tokio::task::yield_now;

/// Pages that were made beforehand, since it is the loop that is measured and not the read; and offsets in the memory
/// backend.
#[derive(Clone)]
pub(crate) struct RoundTrips {
    pages: Arc<[Arc<[Entry]>]>,
    offsets: MemoryBackend,
}

impl RoundTrips {
    /// A backlog of these pages, of which none is empty.
    pub(crate) fn new(pages: Vec<Arc<[Entry]>>) -> Self {
        Self { pages: pages.into(), offsets: MemoryBackend::new() }
    }

    /// Where the offsets are.
    pub(crate) fn offsets(&self) -> &MemoryBackend {
        &self.offsets
    }
}

impl fmt::Debug for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoundTrips").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

impl Backend for RoundTrips {
    fn source(&self, _: &str) -> Box<dyn Source> {
        Box::new(Backlog(Arc::clone(&self.pages)))
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(Slow(self.offsets.offsets(consumer)))
    }
}

struct Backlog(Arc<[Arc<[Entry]>]>);

#[async_trait]
impl Source for Backlog {
    async fn read(&mut self, after: &Checkpoint, _: Limit, wait: Duration) -> Result<Read, BackendError> {
        let read = self.0.partition_point(|page| page[0].id() <= after.id);
        let batch = self.0.get(read).and_then(|page| Batch::new(Arc::clone(page), None));
        if let Some(batch) = batch {
            return Ok(Read::Batch(batch));
        }
        tokio::time::sleep(wait).await;
        Ok(Read::Idle)
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        Ok(self.0.last().and_then(|page| page.last()).map_or(EntryId::ZERO, Entry::id))
    }

    async fn presence(&mut self, _: EntryId) -> Result<Presence, BackendError> {
        Ok(Presence::Unclear)
    }
}

struct Slow(Box<dyn OffsetStore>);

#[async_trait]
impl OffsetStore for Slow {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        self.0.load().await
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        // Comes back when the loop lets others go first, after 128 entries. No server's commit is done at once.
        yield_now().await;
        self.0.commit(checkpoint).await
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.0.verify().await
    }
}
