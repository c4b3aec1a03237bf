//! The stored record, read past the library: from the key, and from a copy of the file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redb::backends::InMemoryBackend;
use redb::{Builder, ReadableDatabase, StorageBackend, TableDefinition};
use redis::aio::MultiplexedConnection;
use stream_runtime::EntryId;
use tokio::time::sleep;

use crate::worker::CONSUMER;

/// The consumer's record, `1 EPOCH OWNER ID …`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) epoch: u64,
    /// `0-0` before the first commit.
    pub(crate) id: EntryId,
}

impl Stored {
    pub(crate) fn parse(record: Option<&str>) -> anyhow::Result<Self> {
        let Some(record) = record else { return Ok(Self::default()) };
        let mut parts = record.split(' ');
        let (Some("1"), Some(epoch), Some(_owner), Some(id)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            bail!("the stored record {record:?} is none");
        };
        let id = if id == "-" { EntryId::ZERO } else { id.parse().context("the stored id")? };
        Ok(Self { epoch: epoch.parse().context("the stored epoch")?, id })
    }

    /// From Redis, once the server has done all that the killed worker had sent.
    pub(crate) async fn in_redis(
        connection: &mut MultiplexedConnection,
        prefix: &str,
    ) -> anyhow::Result<Self> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            // A line a client; this connection is the parent's only one. The server sees the end of a connection
            // only after all that came over it.
            let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(connection).await?;
            if clients.lines().count() <= 1 {
                break;
            }
            if Instant::now() > deadline {
                bail!("the server still has the killed worker's connections:\n{clients}");
            }
            sleep(Duration::from_millis(1)).await;
        }
        let record: Option<String> =
            redis::cmd("GET").arg(format!("{prefix}{CONSUMER}")).query_async(connection).await?;
        Self::parse(record.as_deref())
    }

    /// From the embedded file. A copy in memory is opened, so that repairing the file is left to the worker.
    pub(crate) fn in_file(file: &Path) -> anyhow::Result<Self> {
        const OFFSETS: TableDefinition<'_, &str, &str> = TableDefinition::new("offsets");
        if !file.exists() {
            return Ok(Self::default());
        }
        let bytes = fs::read(file).context("read the embedded file")?;
        let copy = InMemoryBackend::new();
        copy.set_len(bytes.len() as u64)?;
        copy.write(0, &bytes)?;
        let database =
            Builder::new().create_with_backend(copy).context("open a copy of the embedded file")?;
        let table = database.begin_read()?.open_table(OFFSETS).context("the embedded file's offsets")?;
        Self::parse(table.get(CONSUMER)?.as_ref().map(redb::AccessGuard::value))
    }
}
