//! A backend in memory, with faults on demand.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::backend::{
    Backend, BackendError, Batch, Checkpoint, ErrorKind, Finding, Limit, OffsetStore, Presence, Read, Source,
};
use crate::entry::{Entry, EntryId};
use crate::offsets::{Offsets, Register, Swap};

/// Streams and checkpoints in memory. Clones share them, so that a test can add entries, look at offsets, and
/// start a second runtime on what the first one left.
///
/// Waiting goes by tokio's clock: under paused time a test takes no time.
///
/// ```
/// use stream_runtime::testing::MemoryBackend;
/// use stream_runtime::{Advance, Consumer, Entry, Runtime, handler_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let backend = MemoryBackend::new();
/// backend.append("visitors", [("name", "Ada")]);
///
/// let (done, finished) = tokio::sync::oneshot::channel::<()>();
/// let done = std::sync::Mutex::new(Some(done));
/// let handler = handler_fn(move |_entry: Entry| {
///     done.lock().unwrap().take().map(|done| done.send(()));
///     async { Ok(Advance::Handled) }
/// });
/// let runtime = Runtime::new(backend.clone()).consumer(Consumer::new("greeter", "visitors", handler));
/// runtime.run(async { finished.await.unwrap() }).await.unwrap();
/// assert_eq!(backend.offset("greeter").map(|id| id.to_string()).as_deref(), Some("1-0"));
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told of each change, so that readers and hanging operations look again. It wakes them in the order in
    /// which they came, where a `watch` would throw dice: a test must be able to run the same way twice.
    changed: Notify,
}

#[derive(Default)]
struct State {
    streams: HashMap<String, Stream>,
    records: HashMap<String, String>,
    findings: HashMap<String, VecDeque<(Finding, EntryId)>>,
    faults: HashMap<Operation, Fault>,
    commits: u64,
}

#[derive(Default)]
struct Stream {
    entries: Vec<Entry>,
    last: EntryId,
    max_deleted: EntryId,
}

/// What a fault is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reading entries.
    Read,
    /// Loading and verifying a checkpoint.
    Load,
    /// Writing a checkpoint, also that of a claim.
    Commit,
    /// Asking for the tail of a stream or the presence of an entry.
    Inspect,
}

/// What goes wrong, until it is taken off again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with an error of this kind.
    Error(ErrorKind),
    /// The operation does not come back before the fault is taken off.
    Hang,
    /// The operation is done, but its answer is lost: it fails as if it had not been.
    LoseReply,
}

impl MemoryBackend {
    /// An empty backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry with the next id: `1-0`, `2-0`, …
    pub fn append<N, V>(&self, stream: &str, fields: impl IntoIterator<Item = (N, V)>) -> EntryId
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut state = self.state();
        let entries = state.streams.entry(stream.to_owned()).or_default();
        entries.last = EntryId::new(entries.last.ms.saturating_add(1), 0);
        entries.entries.push(Entry::new(stream, entries.last, fields));
        let id = entries.last;
        drop(state);
        self.shared.changed.notify_waiters();
        id
    }

    /// Deletes one entry, as `XDEL` does. Tells whether it was there.
    pub fn delete(&self, stream: &str, id: EntryId) -> bool {
        let mut state = self.state();
        let Some(stream) = state.streams.get_mut(stream) else { return false };
        let before = stream.entries.len();
        stream.entries.retain(|entry| entry.id() != id);
        let deleted = stream.entries.len() < before;
        if deleted {
            stream.max_deleted = stream.max_deleted.max(id);
        }
        deleted
    }

    /// Removes the oldest entries until at most `max_len` are left, as `XTRIM MAXLEN` does.
    pub fn trim(&self, stream: &str, max_len: usize) {
        if let Some(stream) = self.state().streams.get_mut(stream) {
            let excess = stream.entries.len().saturating_sub(max_len);
            stream.entries.drain(..excess);
        }
    }

    /// Has the next read of the stream find this, and go on after `resume`.
    pub fn find(&self, stream: &str, finding: Finding, resume: EntryId) {
        self.state().findings.entry(stream.to_owned()).or_default().push_back((finding, resume));
        self.shared.changed.notify_waiters();
    }

    /// The committed offset of a consumer.
    pub fn offset(&self, consumer: &str) -> Option<EntryId> {
        let record = self.record(consumer)?;
        record.split(' ').nth(3).unwrap_or(&record).parse().ok()
    }

    /// The stored record of a consumer as text.
    pub fn record(&self, consumer: &str) -> Option<String> {
        self.state().records.get(consumer).cloned()
    }

    /// Overwrites the stored record of a consumer, as an operator or a failover would; `None` removes it.
    pub fn set_record(&self, consumer: &str, record: Option<&str>) {
        let mut state = self.state();
        match record {
            Some(record) => state.records.insert(consumer.to_owned(), record.to_owned()),
            None => state.records.remove(consumer),
        };
    }

    /// How many records were written so far, those of claims included.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Puts a fault on an operation of all streams and consumers; `None` takes it off.
    pub fn set_fault(&self, operation: Operation, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.state().faults.insert(operation, fault),
            None => self.state().faults.remove(&operation),
        };
        self.shared.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `action` as the fault on its operation lets it.
    async fn perform<T>(
        &self,
        operation: Operation,
        action: impl FnOnce(&mut State) -> T,
    ) -> Result<T, BackendError> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut state = self.state();
                match state.faults.get(&operation) {
                    None => return Ok(action(&mut state)),
                    Some(Fault::Error(kind)) => return Err(scripted(*kind, operation)),
                    Some(Fault::LoseReply) => {
                        action(&mut state);
                        return Err(scripted(ErrorKind::Transient, operation));
                    }
                    Some(Fault::Hang) => {}
                }
            }
            changed.await;
        }
    }
}

fn scripted(kind: ErrorKind, operation: Operation) -> BackendError {
    BackendError::new(kind, anyhow!("scripted fault of {operation:?}"))
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(MemorySource { backend: self.clone(), stream: stream.to_owned() })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(Offsets::new(MemoryRegister { backend: self.clone(), consumer: consumer.to_owned() }))
    }
}

struct MemorySource {
    backend: MemoryBackend,
    stream: String,
}

impl MemorySource {
    async fn ask<T: Default>(&self, answer: impl FnOnce(&Stream) -> T) -> Result<T, BackendError> {
        let ask = |state: &mut State| state.streams.get(&self.stream).map(answer).unwrap_or_default();
        self.backend.perform(Operation::Inspect, ask).await
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let deadline = Instant::now() + wait;
        loop {
            let changed = self.backend.shared.changed.notified();
            let look = |state: &mut State| state.look(&self.stream, after.id, limit);
            if let Some(read) = self.backend.perform(Operation::Read, look).await? {
                return Ok(read);
            }
            if timeout_at(deadline, changed).await.is_err() {
                return Ok(Read::Idle);
            }
        }
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        self.ask(|stream| stream.last).await
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        Ok(self.ask(|stream| Some(stream.presence(id))).await?.unwrap_or(Presence::Unclear))
    }
}

impl State {
    /// What a read brings that does not wait.
    fn look(&mut self, stream: &str, after: EntryId, limit: Limit) -> Option<Read> {
        let finding = self.findings.get_mut(stream).and_then(VecDeque::pop_front);
        if let Some((finding, resume)) = finding {
            return Some(Read::Found { finding, resume: Checkpoint::at(resume) });
        }
        let entries = self.streams.get(stream)?.after(after, limit);
        Batch::new(entries, None).map(Read::Batch)
    }
}

impl Stream {
    fn after(&self, after: EntryId, limit: Limit) -> Vec<Entry> {
        let start = self.entries.partition_point(|entry| entry.id() <= after);
        let mut bytes: Option<usize> = None;
        let fits = |entry: &&Entry| {
            // The first comes whatever its size.
            let fits = bytes.is_none_or(|bytes| bytes < limit.bytes);
            let size: usize = entry.fields().iter().map(|(name, value)| name.len() + value.len()).sum();
            bytes = Some(bytes.unwrap_or_default() + size);
            fits
        };
        self.entries[start..].iter().take(limit.entries).take_while(fits).cloned().collect()
    }

    fn presence(&self, id: EntryId) -> Presence {
        let first = self.entries.first().map_or(EntryId::MAX, Entry::id);
        if self.entries.iter().any(|entry| entry.id() == id) {
            Presence::Present
        } else if id > self.last {
            Presence::Unclear
        } else if self.max_deleted == id || (first < id && self.max_deleted > id) {
            Presence::Deleted
        } else if first > id && self.max_deleted < id {
            Presence::Trimmed
        } else {
            Presence::Unclear
        }
    }
}

struct MemoryRegister {
    backend: MemoryBackend,
    consumer: String,
}

#[async_trait]
impl Register for MemoryRegister {
    async fn get(&mut self) -> Result<Option<String>, BackendError> {
        self.backend.perform(Operation::Load, |state| state.records.get(&self.consumer).cloned()).await
    }

    async fn swap(&mut self, expected: Option<&str>, new: &str) -> Result<Swap, BackendError> {
        let swap = |state: &mut State| {
            let found = state.records.get(&self.consumer);
            if found.map(String::as_str) != expected && found.map(String::as_str) != Some(new) {
                return Swap::Found(found.cloned());
            }
            state.records.insert(self.consumer.clone(), new.to_owned());
            state.commits += 1;
            Swap::Done
        };
        self.backend.perform(Operation::Commit, swap).await
    }
}
