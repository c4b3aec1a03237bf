//! Loops by the `redis` crate, as its users write them.

use std::hint::black_box;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{Client, cmd};

use super::OFFSET_KEY;
use crate::contest::Job;

/// Streams, their entries, their fields: tuples, since the crate's own type makes a map of each entry, which takes a
/// quarter longer and loses the order.
pub(crate) type Reply = Vec<(String, Vec<(String, Vec<(String, Vec<u8>)>)>)>;

/// Reads 500 at a time, and commits once a batch.
pub(super) fn batches(job: &Job) -> anyhow::Result<()> {
    job.runtime.block_on(drain(job, 500))?;
    job.check_offset(OFFSET_KEY)
}

/// What the original does: one entry, one `SET`, each waited for.
pub(super) fn original(job: &Job) -> anyhow::Result<()> {
    job.runtime.block_on(drain(job, 1))?;
    job.check_offset(OFFSET_KEY)
}

async fn drain(job: &Job, count: usize) -> anyhow::Result<()> {
    let mut connection = Client::open(job.url())?.get_multiplexed_async_connection().await?;
    let (mut left, mut last) = (job.entries, "0".to_owned());
    while left > 0 {
        let entries = read(&mut connection, &job.stream, &last, count).await?;
        left -= entries.len() as u64;
        for (id, fields) in entries {
            black_box(fields);
            last = id;
        }
        cmd("SET").arg(OFFSET_KEY).arg(&last).exec_async(&mut connection).await?;
    }
    Ok(())
}

async fn read(
    connection: &mut MultiplexedConnection,
    stream: &str,
    after: &str,
    count: usize,
) -> anyhow::Result<Vec<(String, Vec<(String, Vec<u8>)>)>> {
    let mut command = cmd("XREAD");
    command.arg("COUNT").arg(count).arg("STREAMS").arg(stream).arg(after);
    let reply: Option<Reply> = command.query_async(connection).await?;
    let (_, entries) = reply.unwrap_or_default().pop().context("the stream ends too early")?;
    Ok(entries)
}
