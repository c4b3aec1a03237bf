//! The controls: ways to break the promise, each of which the verifier must catch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stream_runtime::{
    Advance, Backend, BackendError, Batch, Checkpoint, Entry, EntryId, Handler, Hold, Limit, OffsetStore,
    Outcome, Presence, Read, Source, async_trait,
};

use crate::verifier::Kind;
use crate::worker::Recorder;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    CommitBeforeHandling,
    CommitReadAhead,
    SwallowHold,
    StartOffByOne,
    DropBatchTail,
    WindowPlusOne,
}

impl Control {
    pub(crate) const ALL: [Self; 6] = [
        Self::CommitBeforeHandling,
        Self::CommitReadAhead,
        Self::SwallowHold,
        Self::StartOffByOne,
        Self::DropBatchTail,
        Self::WindowPlusOne,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommitBeforeHandling => "commit-before-handling",
            Self::CommitReadAhead => "commit-read-ahead",
            Self::SwallowHold => "swallow-hold",
            Self::StartOffByOne => "start-off-by-one",
            Self::DropBatchTail => "drop-batch-tail",
            Self::WindowPlusOne => "window-plus-one",
        }
    }

    /// What the verifier must find.
    pub(crate) fn breaks(self) -> Kind {
        match self {
            Self::CommitBeforeHandling | Self::CommitReadAhead | Self::SwallowHold | Self::DropBatchTail => {
                Kind::Lost
            }
            Self::StartOffByOne => Kind::Start,
            Self::WindowPlusOne => Kind::Window,
        }
    }
}

/// Backend and handler of a worker that breaks the promise. The window is widened in the worker's settings.
pub(crate) struct Saboteur {
    control: Control,
    stream: String,
    backend: Box<dyn Backend>,
    shared: Arc<Shared>,
}

struct Shared {
    recorder: Recorder,
    /// The end of the newest batch.
    read_to: Mutex<Option<Checkpoint>>,
    /// Entries that are handled once they are committed.
    late: Mutex<VecDeque<Entry>>,
}

impl Shared {
    /// Handles what has waited for its commit.
    async fn handle_late(&self, committed: EntryId) {
        while let Some(entry) = self.next_late(committed) {
            while self.recorder.handle(&entry).await.is_err() {}
        }
    }

    fn next_late(&self, committed: EntryId) -> Option<Entry> {
        let mut late = lock(&self.late);
        late.front().filter(|entry| entry.id() <= committed)?;
        late.pop_front()
    }
}

impl Saboteur {
    pub(crate) fn new(control: Control, backend: impl Backend, recorder: Recorder, stream: &str) -> Self {
        let shared = Shared { recorder, read_to: Mutex::default(), late: Mutex::default() };
        Self { control, stream: stream.to_owned(), backend: Box::new(backend), shared: Arc::new(shared) }
    }
}

impl Backend for Saboteur {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        let (inner, shared) = (self.backend.source(stream), Arc::clone(&self.shared));
        Box::new(SabotagedSource { control: self.control, inner, shared })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(SabotagedOffsets {
            control: self.control,
            inner: self.backend.offsets(consumer),
            source: self.backend.source(&self.stream),
            shared: Arc::clone(&self.shared),
        })
    }
}

#[async_trait]
impl Handler for Saboteur {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        match self.control {
            Control::CommitBeforeHandling => {
                lock(&self.shared.late).push_back(entry.clone());
                Ok(Advance::Handled)
            }
            Control::SwallowHold => Ok(self.shared.recorder.handle(entry).await.unwrap_or(Advance::Handled)),
            _ => self.shared.recorder.handle(entry).await,
        }
    }
}

struct SabotagedSource {
    control: Control,
    inner: Box<dyn Source>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Source for SabotagedSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        // Past the tail that was dropped.
        let read_to = lock(&self.shared.read_to).clone().filter(|end| end.id > after.id);
        let read = self.inner.read(read_to.as_ref().unwrap_or(after), limit, wait).await?;
        let Read::Batch(batch) = read else { return Ok(read) };
        *lock(&self.shared.read_to) = Some(batch.end());
        if self.control == Control::DropBatchTail
            && let [kept @ .., last] = batch.entries()
        {
            let mark = batch.checkpoint(last).mark;
            return Ok(Batch::new(kept.to_vec(), mark).map_or(Read::Idle, Read::Batch));
        }
        Ok(Read::Batch(batch))
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        self.inner.tail().await
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        self.inner.presence(id).await
    }
}

struct SabotagedOffsets {
    control: Control,
    inner: Box<dyn OffsetStore>,
    source: Box<dyn Source>,
    shared: Arc<Shared>,
}

impl SabotagedOffsets {
    /// The checkpoint after the next entry.
    async fn one_further(&mut self, loaded: &Checkpoint) -> Result<Option<Checkpoint>, BackendError> {
        let limit = Limit { entries: 1, bytes: usize::MAX };
        match self.source.read(loaded, limit, Duration::from_millis(1)).await? {
            Read::Batch(batch) => Ok(Some(batch.end())),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl OffsetStore for SabotagedOffsets {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        let loaded = self.inner.load().await?;
        match &loaded {
            Some(checkpoint) if self.control == Control::StartOffByOne => {
                Ok(self.one_further(checkpoint).await?.or(loaded))
            }
            _ => Ok(loaded),
        }
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let id = checkpoint.id;
        let read_to = lock(&self.shared.read_to).clone();
        let checkpoint = match read_to {
            Some(read_to) if self.control == Control::CommitReadAhead => read_to,
            _ => checkpoint,
        };
        self.inner.commit(checkpoint).await?;
        self.shared.handle_late(id).await;
        Ok(())
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.inner.verify().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
