//! What the promises share: a reader that checks whatever it reads, and what to do with what must not fail.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::Subject;
use crate::backend::{
    BackendError, Batch, Checkpoint, ErrorKind, Finding, Limit, OffsetStore, Presence, Read, Source,
};
use crate::entry::{Entry, EntryId};

/// Within this time comes what need not wait. A slow machine breaks no promise.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A wait that no test sees the end of.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// So long a read is watched that must go on waiting.
const A_MOMENT: Duration = Duration::from_millis(30);

pub(super) const LIMIT: Limit = Limit { entries: 256, bytes: 4 << 20 };

pub(super) const STREAM: &str = "contract:events";

#[track_caller]
#[expect(clippy::panic, reason = "a test whose promise is not kept has failed")]
pub(super) fn fail(reason: &str) -> ! {
    panic!("{reason}")
}

/// What was done without an error.
#[track_caller]
pub(super) fn done<T>(doing: &str, result: Result<T, BackendError>) -> T {
    result.unwrap_or_else(|error| fail(&format!("{doing} failed: {:?}: {error}", error.kind())))
}

/// The kind of the error with which something was refused.
#[track_caller]
pub(super) fn refused<T>(doing: &str, result: Result<T, BackendError>) -> ErrorKind {
    match result {
        Ok(_) => fail(&format!("{doing} was not refused")),
        Err(error) => error.kind(),
    }
}

/// What comes of a future that need not wait.
pub(super) async fn soon<T>(doing: &str, future: impl Future<Output = T>) -> T {
    match timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => fail(&format!("{doing} did not come within {SOON:?}")),
    }
}

/// Sees that a future is still waiting after a moment. One that must wait does, on the slowest machine too.
pub(super) async fn still_waits<T>(doing: &str, future: impl Future<Output = T>) {
    if timeout(A_MOMENT, future).await.is_ok() {
        fail(&format!("{doing} did not wait"));
    }
}

/// Adds entries with a field `n`, counting from `from`. Returns their ids.
pub(super) async fn append_numbered<S: Subject>(
    subject: &S,
    stream: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<EntryId> {
    let mut ids = Vec::new();
    for n in numbers {
        let id = subject.append(stream, &[(b"n", n.to_string().as_bytes())]).await;
        if let Some(&last) = ids.last() {
            assert!(id > last, "the entry after {last} got the id {id}, which is not greater");
        }
        ids.push(id);
    }
    ids
}

pub(super) fn ids(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(Entry::id).collect()
}

pub(super) fn size(entry: &Entry) -> usize {
    entry.fields().iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Reads a stream on, and sees that what comes is what any read may bring.
pub(super) struct Reader {
    source: Box<dyn Source>,
    stream: String,
    at: Checkpoint,
    /// Whether entries were trimmed before they were read, which a source may report.
    trimmed: bool,
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub(super) fn new<S: Subject>(subject: &S, stream: &str) -> Self {
        Self::at(subject, stream, EntryId::ZERO)
    }

    /// A reader of what comes after an id.
    pub(super) fn at<S: Subject>(subject: &S, stream: &str, id: EntryId) -> Self {
        let source = subject.backend().source(stream);
        Self { source, stream: stream.to_owned(), at: Checkpoint::at(id), trimmed: false }
    }

    /// From now on the source may report that entries were trimmed.
    pub(super) fn expect_trim(&mut self) {
        self.trimmed = true;
    }

    /// The next entries that the source has; none when it was idle. A finding it may report is followed.
    pub(super) async fn read(&mut self, limit: Limit, wait: Duration) -> Vec<Entry> {
        loop {
            match done("a read", self.source.read(&self.at, limit, wait).await) {
                Read::Batch(batch) => return self.take(&batch, limit),
                Read::Idle => return Vec::new(),
                Read::Found { finding: Finding::Trimmed { .. }, resume } if self.trimmed => self.at = resume,
                Read::Found { finding, .. } => {
                    fail(&format!("the source reports what did not happen: {finding}"))
                }
            }
        }
    }

    /// The next entries, of which there must be some soon.
    pub(super) async fn next(&mut self, limit: Limit) -> Vec<Entry> {
        let at = self.at.id;
        let entries = soon(&format!("an entry after {at}"), self.read(limit, LONG)).await;
        assert!(!entries.is_empty(), "the read after {at} was idle long before its deadline");
        entries
    }

    /// So many entries, by as many reads as it takes.
    pub(super) async fn take_exactly(&mut self, count: usize, limit: Limit) -> Vec<Entry> {
        let mut entries = Vec::new();
        while entries.len() < count {
            entries.extend(self.next(limit).await);
        }
        assert_eq!(entries.len(), count, "more entries came than were added");
        entries
    }

    /// Sees that there is nothing more to read.
    pub(super) async fn expect_end(&mut self) {
        let rest = soon("the end of the stream", self.read(LIMIT, Duration::ZERO)).await;
        assert!(rest.is_empty(), "entries came that were not added or had been read: {:?}", ids(&rest));
    }

    fn take(&mut self, batch: &Batch, limit: Limit) -> Vec<Entry> {
        let entries = batch.entries();
        let mut last = self.at.id;
        for entry in entries {
            let id = entry.id();
            assert!(id > last, "the read after {} brought {id} behind {last}", self.at.id);
            assert_eq!(entry.stream(), self.stream, "an entry of another stream came");
            last = id;
        }
        check_limit(entries, limit);
        self.at = batch.end();
        assert_eq!(self.at.id, last, "the batch does not end at its last entry");
        entries.to_vec()
    }
}

fn check_limit(entries: &[Entry], limit: Limit) {
    let count = entries.len();
    assert!(count <= limit.entries, "{count} entries came, at most {} were asked for", limit.entries);
    let before_last: usize = entries.iter().rev().skip(1).map(size).sum();
    assert!(
        count == 1 || before_last < limit.bytes,
        "an entry came although those before it had {before_last} bytes of {}",
        limit.bytes
    );
}

/// What a source says of an entry.
pub(super) async fn presence<S: Subject>(subject: &S, stream: &str, id: EntryId) -> Presence {
    let mut source = subject.backend().source(stream);
    done("asking for an entry", soon("the presence of an entry", source.presence(id)).await)
}

/// What a source says is the last id.
pub(super) async fn tail<S: Subject>(subject: &S, stream: &str) -> EntryId {
    let mut source = subject.backend().source(stream);
    done("asking for the tail", soon("the tail", source.tail()).await)
}

/// A checkpoint without a mark.
pub(super) fn at(ms: u64) -> Checkpoint {
    Checkpoint::at(EntryId::new(ms, 0))
}

/// A store that has claimed the consumer.
pub(super) async fn claimed<S: Subject>(subject: &S, consumer: &str) -> Box<dyn OffsetStore> {
    let mut store = subject.backend().offsets(consumer);
    load(&mut store).await;
    store
}

pub(super) async fn load(store: &mut Box<dyn OffsetStore>) -> Option<Checkpoint> {
    done("loading a checkpoint", soon("a checkpoint", store.load()).await)
}

pub(super) async fn loaded_id(store: &mut Box<dyn OffsetStore>) -> Option<EntryId> {
    load(store).await.map(|checkpoint| checkpoint.id)
}

pub(super) async fn commit(store: &mut Box<dyn OffsetStore>, checkpoint: Checkpoint) {
    done("a commit", soon("a commit", store.commit(checkpoint)).await);
}

pub(super) async fn verify(store: &mut Box<dyn OffsetStore>) {
    done("verifying a record", soon("a verification", store.verify()).await);
}
