//! What is in the file, and the changes that can be made to it.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `stream_runtime_format` | nothing | [`FORMAT_VERSION`] |
//! | `streams` | the stream's name | its number, the last id's two halves, how many entries it has |
//! | `entries` | the stream's number, the id's two halves | the fields, see [`fields`](super::fields) |
//! | `offsets` | the consumer's name | the record, see [`offsets`](crate::offsets) |
//!
//! A stream's row stays when all its entries are trimmed, so that ids never start again. Numbers count up from 0.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::entry::EntryId;
use crate::offsets::Swap;

/// The version of the layout above. Raise it with every change that an older program would misread.
const FORMAT_VERSION: u32 = 1;

const FORMAT: TableDefinition<'_, (), u32> = TableDefinition::new("stream_runtime_format");
pub(super) const STREAMS: TableDefinition<'_, &str, StreamRow> = TableDefinition::new("streams");
pub(super) const ENTRIES: TableDefinition<'_, EntryKey, &[u8]> = TableDefinition::new("entries");
pub(super) const OFFSETS: TableDefinition<'_, &str, &str> = TableDefinition::new("offsets");

/// Number, last id's `ms` and `seq`, length.
type StreamRow = (u64, u64, u64, u64);

/// Stream's number, id's `ms` and `seq`.
type EntryKey = (u64, u64, u64);

/// A row of `streams`.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub(super) number: u64,
    /// The id of the last entry ever added, also when it is trimmed.
    pub(super) last: EntryId,
    /// How many entries it has.
    length: u64,
}

impl Stream {
    pub(super) fn from_row((number, ms, seq, length): StreamRow) -> Self {
        Self { number, last: EntryId::new(ms, seq), length }
    }

    fn row(self) -> StreamRow {
        (self.number, self.last.ms, self.last.seq, self.length)
    }

    pub(super) fn key(self, id: EntryId) -> EntryKey {
        (self.number, id.ms, id.seq)
    }

    /// The keys of its entries from this id on.
    pub(super) fn keys_from(self, id: EntryId) -> RangeInclusive<EntryKey> {
        self.key(id)..=self.key(EntryId::MAX)
    }
}

/// Makes the tables in a new file, and sees that an old one is ours to use. `Some`: why it is not.
pub(super) fn prepare(database: &Database) -> Result<Option<String>, redb::Error> {
    let transaction = database.begin_read()?;
    let version = match transaction.open_table(FORMAT) {
        Ok(table) => table.get(())?.map(|version| version.value()),
        Err(TableError::TableDoesNotExist(_)) if transaction.list_tables()?.next().is_none() => {
            create(database)?;
            Some(FORMAT_VERSION)
        }
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(match version {
        Some(FORMAT_VERSION) => None,
        Some(version) => Some(format!(
            "the file has format {version}, and this program knows format {FORMAT_VERSION} alone: \
             use the program that wrote it, or another file"
        )),
        None => Some("the file holds something other than streams and offsets: use another file".to_owned()),
    })
}

fn create(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(FORMAT)?.insert((), FORMAT_VERSION)?;
    transaction.open_table(STREAMS)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(OFFSETS)?;
    transaction.commit()?;
    Ok(())
}

/// The tables within one write transaction.
pub(super) struct Tables<'txn> {
    streams: Table<'txn, &'static str, StreamRow>,
    entries: Table<'txn, EntryKey, &'static [u8]>,
    offsets: Table<'txn, &'static str, &'static str>,
    /// The streams changed so far, written once, at the end.
    changed: HashMap<String, Stream>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            streams: transaction.open_table(STREAMS)?,
            entries: transaction.open_table(ENTRIES)?,
            offsets: transaction.open_table(OFFSETS)?,
            changed: HashMap::new(),
        })
    }

    /// Adds an entry. `None`: there is no id left.
    pub(super) fn append(
        &mut self,
        name: &str,
        value: &[u8],
        now: SystemTime,
    ) -> Result<Option<EntryId>, redb::Error> {
        let mut stream = match self.stream(name)? {
            Some(stream) => stream,
            None => self.new_stream(name)?,
        };
        let Some(id) = next_id(stream.last, now) else {
            return Ok(None);
        };
        self.entries.insert(stream.key(id), value)?;
        stream.last = id;
        stream.length += 1;
        self.changed.insert(name.to_owned(), stream);
        Ok(Some(id))
    }

    /// Removes the oldest entries beyond `max_len`, and says how many.
    pub(super) fn trim(&mut self, name: &str, max_len: u64) -> Result<u64, redb::Error> {
        let Some(mut stream) = self.stream(name)? else {
            return Ok(0);
        };
        let excess = stream.length.saturating_sub(max_len);
        if excess == 0 {
            return Ok(0);
        }
        let mut removed = 0;
        {
            let mut oldest = self.entries.extract_from_if(stream.keys_from(EntryId::ZERO), |_, _| true)?;
            while removed < excess && oldest.next().transpose()?.is_some() {
                removed += 1;
            }
        }
        stream.length -= removed;
        self.changed.insert(name.to_owned(), stream);
        Ok(removed)
    }

    /// Swaps a consumer's record, as [`Register::swap`](crate::offsets::Register::swap) has it.
    pub(super) fn swap(
        &mut self,
        consumer: &str,
        expected: Option<&str>,
        new: &str,
    ) -> Result<Swap, redb::Error> {
        let found = self.offsets.get(consumer)?.map(|found| found.value().to_owned());
        if found.as_deref() != expected && found.as_deref() != Some(new) {
            return Ok(Swap::Found(found));
        }
        self.offsets.insert(consumer, new)?;
        Ok(Swap::Done)
    }

    /// Writes what is left to write, and returns the names of the streams that changed.
    pub(super) fn finish(mut self) -> Result<Vec<String>, redb::Error> {
        for (name, stream) in &self.changed {
            self.streams.insert(name.as_str(), stream.row())?;
        }
        Ok(self.changed.into_keys().collect())
    }

    fn stream(&self, name: &str) -> Result<Option<Stream>, redb::Error> {
        if let Some(stream) = self.changed.get(name) {
            return Ok(Some(*stream));
        }
        let row = self.streams.get(name)?;
        Ok(row.map(|row| Stream::from_row(row.value())))
    }

    /// A stream of the next number. Its row is written at once: it counts for the next one's number.
    fn new_stream(&mut self, name: &str) -> Result<Stream, redb::Error> {
        let stream = Stream { number: self.streams.len()?, last: EntryId::ZERO, length: 0 };
        self.streams.insert(name, stream.row())?;
        Ok(stream)
    }
}

/// The id after `last`, as Redis makes it for `*`: the clock's milliseconds, or, where the clock is not past
/// `last`, the next id after it. `None` after the last id there is.
fn next_id(last: EntryId, now: SystemTime) -> Option<EntryId> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    if ms > last.ms { Some(EntryId::new(ms, 0)) } else { last.next() }
}
