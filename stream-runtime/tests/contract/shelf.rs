//! A backend as somebody else would write it, on the public API alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream_runtime::testing::backend_contract;
use stream_runtime::testing::contract::Subject;
use stream_runtime::{
    Backend, BackendError, Batch, Checkpoint, Entry, EntryId, ErrorKind, Limit, Mark, OffsetStore, Presence,
    Read, Source, async_trait,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Streams and checkpoints behind locks.
#[derive(Clone, Default)]
struct Shelf(Arc<Shared>);

#[derive(Default)]
struct Shared {
    streams: Mutex<HashMap<String, Stream>>,
    records: Mutex<HashMap<String, Record>>,
    appended: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct Stream {
    entries: Vec<Entry>,
    last: EntryId,
}

#[derive(Default)]
struct Record {
    /// How often the consumer was claimed: the last claim has it.
    claims: u64,
    checkpoint: Option<(EntryId, Option<String>)>,
}

impl Backend for Shelf {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(ShelfSource { shelf: self.clone(), stream: stream.to_owned() })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(ShelfOffsets { shelf: self.clone(), consumer: consumer.to_owned(), claim: None })
    }
}

struct ShelfSource {
    shelf: Shelf,
    stream: String,
}

impl ShelfSource {
    fn stream(&self) -> Stream {
        self.shelf.0.streams.lock().unwrap().get(&self.stream).cloned().unwrap_or_default()
    }

    fn look(&self, after: EntryId, limit: Limit) -> Vec<Entry> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for entry in self.stream().entries.into_iter().filter(|entry| entry.id() > after).take(limit.entries)
        {
            bytes += entry.fields().iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            found.push(entry);
            if bytes >= limit.bytes {
                break;
            }
        }
        found
    }
}

#[async_trait]
impl Source for ShelfSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let deadline = Instant::now() + wait;
        let mut appended = self.shelf.0.appended.subscribe();
        loop {
            if let Some(batch) = Batch::new(self.look(after.id, limit), None) {
                return Ok(Read::Batch(batch));
            }
            if timeout_at(deadline, appended.changed()).await.is_err() {
                return Ok(Read::Idle);
            }
        }
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        Ok(self.stream().last)
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        let stream = self.stream();
        Ok(match stream.entries.iter().any(|entry| entry.id() == id) {
            true => Presence::Present,
            false if id > stream.last => Presence::Unclear,
            false => Presence::Trimmed,
        })
    }
}

struct ShelfOffsets {
    shelf: Shelf,
    consumer: String,
    claim: Option<u64>,
}

impl ShelfOffsets {
    /// Works on the record, if it is ours.
    fn with<T>(&self, work: impl FnOnce(&mut Record) -> T) -> Result<T, BackendError> {
        let mut records = self.shelf.0.records.lock().unwrap();
        let record = records.entry(self.consumer.clone()).or_default();
        let kind = match self.claim {
            Some(claim) if claim == record.claims => return Ok(work(record)),
            Some(_) => ErrorKind::Superseded,
            None => ErrorKind::Conflict,
        };
        Err(BackendError::new(kind, anyhow::anyhow!("{} is not ours", self.consumer)))
    }
}

#[async_trait]
impl OffsetStore for ShelfOffsets {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        if self.claim.is_none() {
            let mut records = self.shelf.0.records.lock().unwrap();
            let record = records.entry(self.consumer.clone()).or_default();
            record.claims += 1;
            self.claim = Some(record.claims);
        }
        let checkpoint = self.with(|record| record.checkpoint.clone())?;
        Ok(checkpoint.map(|(id, mark)| Checkpoint { id, mark: mark.map(Mark::stored) }))
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let Checkpoint { id, mark } = checkpoint;
        self.with(|record| record.checkpoint = Some((id, mark.map(|mark| mark.text(id)))))
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.with(|_| ())
    }
}

#[async_trait]
impl Subject for Shelf {
    async fn start() -> Self {
        Self::default()
    }

    fn backend(&self) -> &dyn Backend {
        self
    }

    async fn append(&self, name: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
        let mut streams = self.0.streams.lock().unwrap();
        let stream = streams.entry(name.to_owned()).or_default();
        stream.last = EntryId::new(1, stream.last.seq + 1);
        stream.entries.push(Entry::new(name, stream.last, fields.iter().copied()));
        self.0.appended.send_replace(());
        stream.last
    }

    async fn trim(&self, stream: &str, max_len: usize) {
        if let Some(stream) = self.0.streams.lock().unwrap().get_mut(stream) {
            let excess = stream.entries.len().saturating_sub(max_len);
            stream.entries.drain(..excess);
        }
    }
}

backend_contract!(Shelf);
