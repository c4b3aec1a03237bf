//! The memory backend with a flaw.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream_runtime::testing::MemoryBackend;
use stream_runtime::testing::contract::Subject;
use stream_runtime::{
    Backend, BackendError, Batch, Checkpoint, Entry, EntryId, ErrorKind, Finding, Limit, OffsetStore,
    Presence, Read, Source, async_trait,
};
use tokio::time::sleep;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    ReadsTheEntryAtItsPosition,
    LeavesOutTheFirstOfABatch,
    TurnsBatchesRound,
    BringsTextAlone,
    IgnoresTheLimitOfEntries,
    IgnoresTheLimitOfBytes,
    HoldsTheFirstToTheLimitOfBytes,
    SleepsThroughAppends,
    IsIdleAtOnce,
    TakesEntriesAlongWhenDropped,
    SharesOnePosition,
    MixesStreams,
    FindsEverythingPresent,
    TakesTrimmedForDeleted,
    TakesDeletedForTrimmed,
    FindsWhatNeverWasDeleted,
    ForgetsTheTailWhenEmpty,
    ReportsATrimThatWasNot,
    NeverSupersedes,
    GivesTheConsumerBack,
    ForgetsTheCheckpointAtAClaim,
    LosesMarks,
    RefusesACommitInDoubt,
    RefusesToGoBack,
    CommitsWithoutAClaim,
    KeepsOneCheckpointForAll,
}

pub(crate) struct Flawed {
    flaw: Flaw,
    backend: MemoryBackend,
    /// How far any source has read.
    taken: Arc<Mutex<EntryId>>,
}

impl Flawed {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self { flaw, backend: MemoryBackend::new(), taken: Arc::default() }
    }

    fn name<'a>(&self, stream: &'a str) -> &'a str {
        if self.flaw == Flaw::MixesStreams { stream.trim() } else { stream }
    }
}

impl Backend for Flawed {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        let source = self.backend.source(self.name(stream));
        Box::new(FlawedSource { flaw: self.flaw, source, taken: Arc::clone(&self.taken) })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        let name = if self.flaw == Flaw::KeepsOneCheckpointForAll { "one" } else { consumer };
        let (flaw, backend) = (self.flaw, self.backend.clone());
        let store = backend.offsets(name);
        Box::new(FlawedOffsets { flaw, store, backend, name: name.to_owned(), claimed: false, last: None })
    }
}

struct FlawedSource {
    flaw: Flaw,
    source: Box<dyn Source>,
    taken: Arc<Mutex<EntryId>>,
}

impl FlawedSource {
    /// What is read in place of what was asked for.
    fn mistake(&self, after: EntryId, limit: Limit, wait: Duration) -> (EntryId, Limit, Duration) {
        match self.flaw {
            Flaw::ReadsTheEntryAtItsPosition => (EntryId::new(after.ms.saturating_sub(1), 0), limit, wait),
            Flaw::TakesEntriesAlongWhenDropped | Flaw::SharesOnePosition => {
                (after.max(*self.taken.lock().unwrap()), limit, wait)
            }
            Flaw::IgnoresTheLimitOfEntries => (after, Limit { entries: usize::MAX, ..limit }, wait),
            Flaw::IgnoresTheLimitOfBytes => (after, Limit { bytes: usize::MAX, ..limit }, wait),
            Flaw::SleepsThroughAppends | Flaw::IsIdleAtOnce => (after, limit, Duration::ZERO),
            _ => (after, limit, wait),
        }
    }

    /// What is brought in place of what was read.
    fn spoil(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        match self.flaw {
            Flaw::LeavesOutTheFirstOfABatch if entries.len() > 1 => drop(entries.remove(0)),
            Flaw::TurnsBatchesRound => entries.reverse(),
            Flaw::BringsTextAlone => entries = entries.iter().map(lossy).collect(),
            _ => {}
        }
        entries
    }
}

fn lossy(entry: &Entry) -> Entry {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let fields = entry.fields().iter().map(|(name, value)| (text(name), text(value)));
    Entry::new(entry.stream(), entry.id(), fields)
}

#[async_trait]
impl Source for FlawedSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        if self.flaw == Flaw::ReportsATrimThatWasNot && after.id.ms == 2 {
            let (finding, resume) = (Finding::Trimmed { lost: 1, exact: true }, EntryId::new(3, 0));
            return Ok(Read::Found { finding, resume: Checkpoint::at(resume) });
        }
        let (mistaken, its_limit, its_wait) = self.mistake(after.id, limit, wait);
        let batch = match self.source.read(&Checkpoint::at(mistaken), its_limit, its_wait).await? {
            Read::Batch(batch) => batch,
            other => {
                if self.flaw == Flaw::SleepsThroughAppends {
                    sleep(wait).await;
                }
                return Ok(other);
            }
        };
        *self.taken.lock().unwrap() = batch.end().id;
        match self.flaw {
            Flaw::TakesEntriesAlongWhenDropped => sleep(Duration::from_millis(1)).await,
            Flaw::HoldsTheFirstToTheLimitOfBytes if limit.bytes < 1_000 => return Ok(Read::Idle),
            _ => {}
        }
        Ok(Batch::new(self.spoil(batch.entries().to_vec()), None).map_or(Read::Idle, Read::Batch))
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        let tail = self.source.tail().await?;
        let is_there = self.source.presence(tail).await? == Presence::Present;
        Ok(if is_there || self.flaw != Flaw::ForgetsTheTailWhenEmpty { tail } else { EntryId::ZERO })
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        Ok(match (self.flaw, self.source.presence(id).await?) {
            (Flaw::FindsEverythingPresent, _) => Presence::Present,
            (Flaw::TakesTrimmedForDeleted, Presence::Trimmed) => Presence::Deleted,
            (Flaw::TakesDeletedForTrimmed, Presence::Deleted) => Presence::Trimmed,
            (Flaw::FindsWhatNeverWasDeleted, Presence::Unclear) => Presence::Deleted,
            (_, presence) => presence,
        })
    }
}

struct FlawedOffsets {
    flaw: Flaw,
    store: Box<dyn OffsetStore>,
    backend: MemoryBackend,
    name: String,
    claimed: bool,
    /// What was committed last.
    last: Option<EntryId>,
}

fn conflict() -> BackendError {
    BackendError::new(ErrorKind::Conflict, anyhow::anyhow!("by a flaw"))
}

#[async_trait]
impl OffsetStore for FlawedOffsets {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        if self.flaw == Flaw::GivesTheConsumerBack && self.claimed {
            self.store = self.backend.offsets(&self.name);
        }
        let is_claim = !std::mem::replace(&mut self.claimed, true);
        let loaded = self.store.load().await?;
        Ok(loaded.filter(|_| !(is_claim && self.flaw == Flaw::ForgetsTheCheckpointAtAClaim)))
    }

    async fn commit(&mut self, mut checkpoint: Checkpoint) -> Result<(), BackendError> {
        let before = self.last.replace(checkpoint.id);
        match self.flaw {
            Flaw::LosesMarks => checkpoint.mark = None,
            Flaw::RefusesACommitInDoubt if before == self.last => return Err(conflict()),
            Flaw::RefusesToGoBack if before > self.last => return Err(conflict()),
            Flaw::CommitsWithoutAClaim if !self.claimed => drop(self.load().await?),
            _ => {}
        }
        match self.store.commit(checkpoint.clone()).await {
            Err(error) if self.flaw == Flaw::NeverSupersedes && error.kind() == ErrorKind::Superseded => {
                self.store = self.backend.offsets(&self.name);
                self.store.load().await?;
                self.store.commit(checkpoint).await
            }
            result => result,
        }
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.store.verify().await
    }
}

/// As the world sees it, nothing is wrong.
#[async_trait]
impl Subject for Flawed {
    async fn start() -> Self {
        unreachable!("a control starts its own")
    }

    fn backend(&self) -> &dyn Backend {
        self
    }

    async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
        self.backend.append(self.name(stream), fields.iter().copied())
    }

    async fn trim(&self, stream: &str, max_len: usize) {
        self.backend.trim(stream, max_len);
    }

    async fn delete(&self, stream: &str, id: EntryId) -> bool {
        self.backend.delete(stream, id)
    }
}
