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

/// How often a commit is looked at before it is done. The loop looks once in 16 entries, so about a hundred are handled
/// meanwhile; a commit that is done at once would be made for each look, which no server's is.
const LOOKS: usize = 6;

/// Entries of one page, and offsets in the memory backend.
#[derive(Clone)]
pub(crate) struct RoundTrips {
    entries: Arc<[Entry]>,
    offsets: MemoryBackend,
}

impl RoundTrips {
    /// A backlog of these entries.
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into(), offsets: MemoryBackend::new() }
    }

    /// Where the offsets are.
    pub(crate) fn offsets(&self) -> &MemoryBackend {
        &self.offsets
    }
}

impl fmt::Debug for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoundTrips").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Backend for RoundTrips {
    fn source(&self, _: &str) -> Box<dyn Source> {
        Box::new(Backlog(Arc::clone(&self.entries)))
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(Slow(self.offsets.offsets(consumer)))
    }
}

struct Backlog(Arc<[Entry]>);

#[async_trait]
impl Source for Backlog {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let start = self.0.partition_point(|entry| entry.id() <= after.id);
        let end = self.0.len().min(start + limit.entries);
        match Batch::new(self.0[start..end].to_vec(), None) {
            Some(batch) => Ok(Read::Batch(batch)),
            None => {
                tokio::time::sleep(wait).await;
                Ok(Read::Idle)
            }
        }
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        Ok(self.0.last().map_or(EntryId::ZERO, Entry::id))
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
        for _ in 0..LOOKS {
            yield_now().await;
        }
        self.0.commit(checkpoint).await
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.0.verify().await
    }
}
