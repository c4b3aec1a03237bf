//! The embedded backend, each in a directory of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::testing::backend_contract;
use stream_runtime::testing::contract::Subject;
use stream_runtime::{Backend, EntryId, async_trait};

struct Embedded {
    /// `None` while it is reopened: one at a time has the file.
    backend: Option<EmbeddedBackend>,
    directory: PathBuf,
}

impl Embedded {
    fn open(&mut self) {
        self.backend = Some(EmbeddedBackend::open(self.directory.join("streams.redb")).unwrap());
    }

    fn opened(&self) -> &EmbeddedBackend {
        self.backend.as_ref().unwrap()
    }
}

#[async_trait]
impl Subject for Embedded {
    async fn start() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stream-runtime-contract-{}-{count}", std::process::id());
        let mut subject = Self { backend: None, directory: std::env::temp_dir().join(name) };
        subject.open();
        subject
    }

    fn backend(&self) -> &dyn Backend {
        self.opened()
    }

    async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
        self.opened().append(stream, fields.iter().copied()).await.unwrap()
    }

    async fn trim(&self, stream: &str, max_len: usize) {
        self.opened().trim(stream, max_len as u64).await.unwrap();
    }

    async fn reopen(&mut self) -> bool {
        self.backend = None;
        self.open();
        true
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.backend = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

backend_contract!(Embedded);
