//! Reads one stream of the file.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::ReadTransaction;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::Shared;
use super::fields;
use super::tables::{ENTRIES, STREAMS, Stream};
use crate::backend::{BackendError, Batch, Checkpoint, Limit, Presence, Read, Source};
use crate::entry::{Entry, EntryId, PageBuilder};

pub(super) struct FileSource {
    shared: Arc<Shared>,
    stream: Arc<str>,
    wake: Arc<Notify>,
}

impl FileSource {
    pub(super) fn new(shared: Arc<Shared>, stream: &str) -> Self {
        Self { wake: shared.wakes.of(stream), stream: stream.into(), shared }
    }

    /// Asks a question about the stream.
    async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&ReadTransaction, &Arc<str>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, BackendError> {
        let stream = Arc::clone(&self.stream);
        self.shared.query(move |transaction| question(transaction, &stream)).await
    }
}

#[async_trait]
impl Source for FileSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let after = after.id;
        let mut expired = pin!(sleep(wait));
        loop {
            // Before the look: it gets the wakes from here on, so an append after the look is not missed.
            let woken = self.wake.notified();
            let entries = self
                .query(move |transaction, stream| entries_after(transaction, stream, after, limit))
                .await?;
            if let Some(batch) = Batch::new(entries, None) {
                return Ok(Read::Batch(batch));
            }
            tokio::select! {
                biased;
                () = woken => {}
                () = &mut expired => return Ok(Read::Idle),
            }
        }
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        self.query(|transaction, name| {
            Ok(stream(transaction, name)?.map_or(EntryId::ZERO, |stream| stream.last))
        })
        .await
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        self.query(move |transaction, name| presence(transaction, name, id)).await
    }
}

fn stream(transaction: &ReadTransaction, name: &str) -> Result<Option<Stream>, redb::Error> {
    let row = transaction.open_table(STREAMS)?.get(name)?;
    Ok(row.map(|row| Stream::from_row(row.value())))
}

/// The entries after an id, on one page, up to the limit.
fn entries_after(
    transaction: &ReadTransaction,
    name: &Arc<str>,
    after: EntryId,
    limit: Limit,
) -> Result<Vec<Entry>, redb::Error> {
    let (Some(stream), Some(from)) = (stream(transaction, name)?, after.next()) else {
        return Ok(Vec::new());
    };
    let table = transaction.open_table(ENTRIES)?;
    let mut page = PageBuilder::new(Arc::clone(name));
    let mut bytes = 0;
    for row in table.range(stream.keys_from(from))?.take(limit.entries) {
        let (key, value) = row?;
        let (_, ms, seq) = key.value();
        let id = EntryId::new(ms, seq);
        let Some(fields) = fields::decode(value.value()) else {
            let text = format!("entry {id} of stream {name:?} is damaged");
            return Err(redb::Error::Corrupted(text));
        };
        bytes += fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        page.entry(id, fields);
        if bytes >= limit.bytes {
            break;
        }
    }
    Ok(page.finish())
}

/// Entries go from the front alone, so one that was added and is before the first one left was trimmed.
fn presence(transaction: &ReadTransaction, name: &str, id: EntryId) -> Result<Presence, redb::Error> {
    let Some(stream) = stream(transaction, name)? else {
        return Ok(Presence::Unclear);
    };
    let table = transaction.open_table(ENTRIES)?;
    if table.get(stream.key(id))?.is_some() {
        return Ok(Presence::Present);
    }
    let mut left = table.range(stream.keys_from(EntryId::ZERO))?;
    let before_all = match left.next().transpose()? {
        Some((first, _)) => stream.key(id) < first.value(),
        None => id <= stream.last,
    };
    Ok(if before_all { Presence::Trimmed } else { Presence::Unclear })
}
