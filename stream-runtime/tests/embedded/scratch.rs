//! What the tests share: a directory of their own, a clock to set, short ways to read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::{Backend, Checkpoint, Clock, Entry, EntryId, Limit, Read};

/// A directory of one test's, removed at its end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stream-runtime-embedded-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The file of the test; its directory is not there yet.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("data").join("streams.redb")
    }

    pub(crate) fn open(&self) -> EmbeddedBackend {
        EmbeddedBackend::open(self.file()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A clock that stands where it is set, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Millis(Arc<AtomicU64>);

impl Millis {
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let ms = Arc::clone(&self.0);
        Clock::new(move || UNIX_EPOCH + Duration::from_millis(ms.load(Ordering::SeqCst)))
    }
}

pub(crate) const NO_LIMIT: Limit = Limit { entries: usize::MAX, bytes: usize::MAX };

/// The entries after `after` that are there now.
pub(crate) async fn read(
    backend: &EmbeddedBackend,
    stream: &str,
    after: EntryId,
    limit: Limit,
) -> Vec<Entry> {
    let mut source = backend.source(stream);
    match source.read(&Checkpoint::at(after), limit, Duration::ZERO).await {
        Ok(Read::Batch(batch)) => batch.entries().to_vec(),
        Ok(_) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn read_all(backend: &EmbeddedBackend, stream: &str) -> Vec<Entry> {
    read(backend, stream, EntryId::ZERO, NO_LIMIT).await
}

/// The value of the field `n`, a number.
pub(crate) fn n(entry: &Entry) -> u64 {
    entry.fields().text("n").unwrap().unwrap().parse().unwrap()
}
