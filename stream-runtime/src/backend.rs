//! Where streams and checkpoints live: what the loop asks of Redis, of a local file, or of a backend of yours.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::entry::{Entry, EntryId};

/// A place where streams and checkpoints live.
///
/// Making a source or an offset store does not touch the network: what can fail, fails when it is used, so that
/// a runtime can start before its backend is up.
pub trait Backend: Send + Sync + 'static {
    /// A reader of `stream`. A consumer takes two: one blocks in [`Source::read`], the other answers questions.
    fn source(&self, stream: &str) -> Box<dyn Source>;

    /// The checkpoint of the consumer of this name.
    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore>;
}

/// A shared backend: the same value can be given to a runtime and kept.
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        (**self).source(stream)
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        (**self).offsets(consumer)
    }
}

/// Reads one stream.
#[async_trait]
pub trait Source: Send {
    /// The next entries after a position, waiting up to `wait` for the first of them.
    ///
    /// Dropping the future loses nothing: the next call reads from its own `after`.
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError>;

    /// The id that the last entry ever added had, `0-0` for a stream that never had one. Entries added from now
    /// on come after it.
    ///
    /// Asked once, for a consumer that starts at the latest entry. A backend that may lose checkpoints refuses
    /// with [`ErrorKind::Configuration`]: that consumer would silently start at the latest entry again.
    async fn tail(&mut self) -> Result<EntryId, BackendError>;

    /// Whether an entry is still in the stream.
    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError>;
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At most this many entries.
    pub entries: usize,
    /// Stop once the entries have this many bytes. The first entry comes whatever its size.
    pub bytes: usize,
}

/// What a read brought.
#[derive(Debug)]
#[non_exhaustive]
pub enum Read {
    /// Entries, at least one, in the order of the stream.
    Batch(Batch),
    /// No entry came while it waited: the consumer has caught up.
    Idle,
    /// The stream is not the one that was read before: entries are missing, or it is another.
    Found {
        /// What happened.
        finding: Finding,
        /// Where to go on: the next read starts after it.
        resume: Checkpoint,
    },
}

/// What a backend noticed that Redis does not tell: a stream that lost entries before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// Entries were trimmed away before they were read.
    Trimmed {
        /// How many.
        lost: u64,
        /// Whether the number is exact; otherwise at most so many, some of them deleted by `XDEL`.
        exact: bool,
    },
    /// The last entries that were read are not in the stream any more, older ones are: a failover, or an old
    /// snapshot, lost writes. Reading goes back to the newest entry that is still there; entries may come twice.
    HistoryLost,
    /// None of the entries that were read is in the stream: it was deleted and made anew. Reading starts over.
    Recreated,
    /// Entries were deleted by `XDEL` before they were read: somebody wanted it so.
    Deleted {
        /// At most so many.
        at_most: u64,
    },
}

impl Finding {
    /// Whether entries may be missing that nobody wanted to delete.
    pub fn is_gap(&self) -> bool {
        !matches!(self, Self::Deleted { .. })
    }

    /// The finding in one word, for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Trimmed { .. } => "trimmed",
            Self::HistoryLost => "history_lost",
            Self::Recreated => "recreated",
            Self::Deleted { .. } => "deleted",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trimmed { lost, exact: true } => {
                write!(f, "{lost} entries were trimmed before they were read")
            }
            Self::Trimmed { lost, exact: false } => {
                write!(f, "up to {lost} entries were trimmed before they were read")
            }
            Self::HistoryLost => f.write_str("the stream lost its last entries, as in a failover"),
            Self::Recreated => f.write_str("the stream was deleted and made anew"),
            Self::Deleted { at_most } => {
                write!(f, "up to {at_most} entries were deleted before they were read")
            }
        }
    }
}

/// The entries of one read.
#[derive(Debug)]
pub struct Batch {
    /// Shared: a mark may hold them too.
    entries: Arc<[Entry]>,
    mark: Option<Mark>,
}

impl Batch {
    /// A batch of entries in the order of the stream, and the mark of checkpoints at them. `None` without entries.
    pub fn new(entries: impl Into<Arc<[Entry]>>, mark: Option<Mark>) -> Option<Self> {
        let entries = entries.into();
        (!entries.is_empty()).then_some(Self { entries, mark })
    }

    /// The entries; at least one.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The checkpoint at an entry of this batch.
    pub fn checkpoint(&self, entry: &Entry) -> Checkpoint {
        Checkpoint { id: entry.id(), mark: self.mark.clone() }
    }

    /// The mark of all checkpoints at entries of this batch.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// The checkpoint at the last entry: the next read goes on from here.
    pub fn end(&self) -> Checkpoint {
        let id = self.entries.last().map_or(EntryId::ZERO, Entry::id);
        Checkpoint { id, mark: self.mark.clone() }
    }
}

/// Whether an entry is still in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It was deleted by itself (`XDEL`), an operator's way to skip it.
    Deleted,
    /// It was cut off with everything before it (`XTRIM`, `MAXLEN`).
    Trimmed,
    /// It is gone, and how is not clear.
    Unclear,
}

/// The durable progress of a consumer: every entry up to and with `id` has advanced.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The last entry that advanced; [`EntryId::ZERO`] before the first.
    pub id: EntryId,
    /// What the backend that read the entry wants to know again. A checkpoint without it, as one that was written
    /// by hand, is as good for reading on.
    pub mark: Option<Mark>,
}

impl Checkpoint {
    /// A checkpoint at an id, without a mark.
    pub fn at(id: EntryId) -> Self {
        Self { id, mark: None }
    }

    /// Whether its mark is this one: the same, not only of the same text.
    pub(crate) fn has_mark(&self, mark: Option<&Mark>) -> bool {
        match (&self.mark, mark) {
            (Some(Mark(ours)), Some(Mark(other))) => Arc::ptr_eq(ours, other),
            (ours, other) => ours.is_none() && other.is_none(),
        }
    }
}

/// What a backend wants to know again of a checkpoint, beside its id. Opaque to the loop.
///
/// It travels with a batch and becomes text where a checkpoint is stored, so that nothing is computed for the
/// entries in between.
#[derive(Clone)]
pub struct Mark(Arc<dyn Fn(EntryId) -> String + Send + Sync>);

impl Mark {
    /// A mark whose text for the checkpoint at an id is computed when it is stored. The text is of one line.
    pub fn new(text: impl Fn(EntryId) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(text))
    }

    /// The mark of a stored checkpoint.
    pub fn stored(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(move |_| text.clone())
    }

    /// The text for the checkpoint at `id`.
    pub fn text(&self, id: EntryId) -> String {
        (self.0)(id)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mark").finish()
    }
}

/// Keeps the checkpoint of one consumer, and knows whether the consumer is still ours.
///
/// The store holds one record. Loading claims it with a new epoch; a commit names the record that it replaces,
/// so that of two workers on one consumer only the last to claim can write.
#[async_trait]
pub trait OffsetStore: Send {
    /// Claims the consumer and returns its checkpoint, `None` when it never committed one.
    ///
    /// The first call takes the claim from whoever holds it. A later call takes it from nobody: it reads the
    /// record again, writes it again where it is gone, and fails with [`ErrorKind::Superseded`] when another worker has claimed it since.
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError>;

    /// Makes the checkpoint durable. It need not be after the one before: a finding may lead back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Superseded`]: another worker has claimed the consumer. [`ErrorKind::Conflict`]: the record
    /// is not the one that this store wrote last. After any other error the commit may or may not have been
    /// made; committing again, the same checkpoint or a later one, is safe.
    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError>;

    /// Checks, without writing, that the record is the one that this store wrote last. Errors as of
    /// [`commit`](Self::commit).
    async fn verify(&mut self) -> Result<(), BackendError>;
}

/// An error of a backend: what went wrong, and of which kind it is.
#[derive(Debug)]
pub struct BackendError {
    kind: ErrorKind,
    error: anyhow::Error,
}

/// What kind of error it is, which decides what the consumer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass by itself: back off, connect again, go on.
    Transient,
    /// It passes only when somebody changes something: be loud, be unready, try again slowly.
    Configuration,
    /// The stored record is not the one that we wrote last, and nobody has claimed it: load it again.
    Conflict,
    /// Another worker has claimed the consumer: stop handling, for good.
    Superseded,
}

impl ErrorKind {
    /// The kind in one word, for metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Configuration => "configuration",
            Self::Conflict => "conflict",
            Self::Superseded => "superseded",
        }
    }

    /// Whether the same call may work later.
    pub(crate) fn can_be_retried(self) -> bool {
        matches!(self, Self::Transient | Self::Configuration)
    }
}

impl BackendError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into() }
    }

    /// An error that may pass by itself.
    pub fn transient(error: impl Into<anyhow::Error>) -> Self {
        Self::new(ErrorKind::Transient, error)
    }

    /// An error that passes only when somebody changes something.
    pub fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self::new(ErrorKind::Configuration, error)
    }

    /// Of which kind it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// The error and what caused it, in one line.
impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl Error for BackendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
