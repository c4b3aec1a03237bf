//! Streams and offsets in one local file: no server, nothing to install.
//!
//! Entries get ids as Redis makes them, consumers read them as they would read Redis, and every append and every
//! offset is on the disk before its call returns. One process at a time has the file open.
//!
//! How it is made:
//!
//! - `file`: the redb file itself: opened by one, opened again after an I/O error, closed with the last handle.
//! - `tables`: what is in it, and the changes that can be made. The layout is described there.
//! - `writer`: the one thread that writes, and merges what has queued up into one transaction.
//! - `source`, `register`: a stream's reader and a consumer's offset, over read transactions on tokio's blocking
//!   threads.

mod fields;
mod file;
mod register;
mod source;
mod tables;
mod wakes;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use redb::ReadTransaction;
use tokio::task::spawn_blocking;

use crate::backend::{Backend, BackendError, OffsetStore, Source};
use crate::clock::Clock;
use crate::entry::EntryId;
use crate::offsets::Offsets;
use file::File;
use register::FileRegister;
use source::FileSource;
use wakes::Wakes;
use writer::Writer;

/// Streams and offsets in one local file.
///
/// Cheap to clone: clones share the file. It is closed, and another process can open it, when the last clone and
/// the last source and offset store made from it are gone; that drop waits for the write and the reads in hand,
/// some milliseconds.
///
/// ```
/// use std::time::Duration;
/// use stream_runtime::embedded::EmbeddedBackend;
/// use stream_runtime::{Backend, Checkpoint, EntryId, Limit, Read};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stream_runtime::BackendError> {
/// # let directory = std::env::temp_dir().join(format!("stream-runtime-doc-{}", std::process::id()));
/// # let path = directory.join("streams.redb");
/// let backend = EmbeddedBackend::open(&path)?;
/// let id = backend.append("visitors", [("name", "Ada")]).await?;
///
/// let limit = Limit { entries: 10, bytes: 1 << 20 };
/// let beginning = Checkpoint::at(EntryId::ZERO);
/// let read = backend.source("visitors").read(&beginning, limit, Duration::ZERO).await?;
/// assert!(matches!(read, Read::Batch(batch) if batch.entries()[0].id() == id));
/// # drop(backend);
/// # let _ = std::fs::remove_dir_all(directory);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// An error of the disk is [`Transient`](crate::ErrorKind::Transient): the file is opened again at the next use.
/// A file that cannot be used as it is, because it is damaged, of a later format, or open elsewhere, is
/// [`Configuration`](crate::ErrorKind::Configuration).
#[derive(Clone)]
pub struct EmbeddedBackend {
    shared: Arc<Shared>,
}

impl EmbeddedBackend {
    /// Opens the file at `path`; creates it, and the directories above it, where they are missing.
    ///
    /// Blocks until the file is open: milliseconds, but after a crash the whole file is read through once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): another process, or another backend of this
    /// one, has the file open; it is no file of this backend's, or one of a later format; it may not be read or
    /// written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BackendError> {
        Self::open_with_clock(path, Clock::system())
    }

    /// As [`open`](Self::open), with a clock of yours for the ids of appended entries.
    pub fn open_with_clock(path: impl AsRef<Path>, clock: Clock) -> Result<Self, BackendError> {
        let file = Arc::new(File::open(path.as_ref())?);
        let wakes = Arc::new(Wakes::default());
        let writer = Writer::start(Arc::clone(&file), Arc::clone(&wakes))?;
        let shared = Shared { file, wakes, writer, clock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Adds an entry to a stream, which need not exist before, and returns its id.
    ///
    /// The id is made as Redis makes it for `XADD stream *`: the clock's milliseconds and a sequence number. Ids of
    /// a stream never repeat and never go back, also when the clock does, when the stream was trimmed to nothing,
    /// or after a restart. The entry is on the disk when this returns. Calls made side by side share a write to
    /// the disk, and are many times faster than calls made one after another.
    ///
    /// # Errors
    ///
    /// Those of the [backend](EmbeddedBackend#errors), after which the entry may or may not have been added, as
    /// when the future is dropped. An entry of more than 512 MiB, or one after the last id there is, is
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) and not added.
    pub async fn append<N, V>(
        &self,
        stream: &str,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<EntryId, BackendError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let value = fields::encode(fields)?;
        let clock = self.shared.clock.clone();
        let name = stream.to_owned();
        let added =
            self.shared.writer.change(move |tables| tables.append(&name, &value, clock.now())).await?;
        added.ok_or_else(|| {
            BackendError::configuration(anyhow!("stream {stream:?} has used up all ids, nothing can follow"))
        })
    }

    /// Removes the oldest entries of a stream, so that at most `max_len` remain. Returns how many it removed.
    ///
    /// # Errors
    ///
    /// Those of the [backend](EmbeddedBackend#errors), after which the stream may or may not have been trimmed, as
    /// when the future is dropped.
    pub async fn trim(&self, stream: &str, max_len: u64) -> Result<u64, BackendError> {
        let stream = stream.to_owned();
        self.shared.writer.change(move |tables| tables.trim(&stream, max_len)).await
    }
}

impl Backend for EmbeddedBackend {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(FileSource::new(Arc::clone(&self.shared), stream))
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        let register = FileRegister::new(Arc::clone(&self.shared), consumer);
        Box::new(Offsets::new(register))
    }
}

impl fmt::Debug for EmbeddedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBackend").field("path", &self.shared.file.path()).finish_non_exhaustive()
    }
}

/// What the clones of a backend, its sources and its offset stores have in common.
struct Shared {
    file: Arc<File>,
    wakes: Arc<Wakes>,
    writer: Writer,
    clock: Clock,
}

impl Shared {
    /// Asks a question of one snapshot of the file, off the async runtime.
    async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, BackendError> {
        // The file alone, not `self`: a dropped future leaves the closure running, and it must not be the one that
        // closes the file.
        let file = Arc::clone(&self.file);
        match spawn_blocking(move || file.read(question)).await {
            Ok(answer) => answer,
            Err(error) => Err(BackendError::transient(error)),
        }
    }
}

/// The last handle is gone: end the writer, then close the file, so that it can be opened again at once.
impl Drop for Shared {
    fn drop(&mut self) {
        self.writer.stop();
        self.file.close();
    }
}
