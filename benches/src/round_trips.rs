//! The memory backend with commits that take a while, as on a server.

use stream_runtime::testing::MemoryBackend;
use stream_runtime::{Backend, BackendError, Checkpoint, OffsetStore, Source, async_trait};
use tokio::task::yield_now;

/// How often a commit is looked at before it is done. The loop looks once an entry, so this many entries are handled
/// meanwhile; a commit that is done at once would be made for each entry, which no server's is.
const LOOKS: usize = 100;

/// The memory backend, whose commits are done after [`LOOKS`] entries.
pub(crate) struct RoundTrips(pub(crate) MemoryBackend);

impl Backend for RoundTrips {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        self.0.source(stream)
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(Slow(self.0.offsets(consumer)))
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
