//! The memory backend.

use stream_runtime::testing::contract::Subject;
use stream_runtime::testing::{MemoryBackend, backend_contract};
use stream_runtime::{Backend, EntryId, async_trait};

struct Memory(MemoryBackend);

#[async_trait]
impl Subject for Memory {
    async fn start() -> Self {
        Self(MemoryBackend::new())
    }

    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
        self.0.append(stream, fields.iter().copied())
    }

    async fn trim(&self, stream: &str, max_len: usize) {
        self.0.trim(stream, max_len);
    }

    async fn delete(&self, stream: &str, id: EntryId) -> bool {
        assert!(self.0.delete(stream, id));
        true
    }
}

backend_contract!(Memory);
