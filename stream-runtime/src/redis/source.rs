//! Reads one stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{RedisError, Value, cmd};
use tokio::time::{Instant, sleep};

use super::continuity::Continuity;
use super::link::Link;
use super::pace::Pace;
use super::presence;
use super::wire::{Page, WireError, Xread};
use super::{Server, errors, eviction, reply};
use crate::backend::{BackendError, Batch, Checkpoint, Limit, Presence, Read, Source};
use crate::entry::EntryId;

/// A read that is to wait longer waits this long.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after a blocking read that came back before its time with nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// A reader of one stream, with a connection of its own: a blocking read blocks all that is behind it.
pub(super) struct RedisSource {
    server: Arc<Server>,
    stream: Arc<str>,
    link: Link,
    pace: Pace,
    /// The last batch was handled before a check was due: so may be the next, and what is sent ahead is not too old.
    keeps_pace: bool,
    continuity: Continuity,
}

impl RedisSource {
    pub(super) fn new(server: Arc<Server>, stream: &str) -> Self {
        let stream: Arc<str> = Arc::from(stream);
        let link = Link::new(Arc::clone(&server));
        let continuity = Continuity::new(Arc::clone(&stream));
        Self { server, stream, link, pace: Pace::new(), keeps_pace: true, continuity }
    }

    fn error(&self, doing: &str, error: &RedisError) -> BackendError {
        self.server.error(format_args!("{doing} stream {:?}", self.stream), error)
    }

    fn odd_reply(&self, doing: &str, odd: &str) -> BackendError {
        self.server.odd_reply(format_args!("{doing} stream {:?}", self.stream), odd)
    }

    fn failure(&self, doing: &str, error: WireError) -> BackendError {
        match error {
            WireError::Redis(error) => self.error(doing, &error),
            WireError::Odd(odd) => self.odd_reply(doing, odd),
        }
    }

    /// Makes a check whether the stream is still the one that was read, if it is time, and says what it found.
    async fn check(&mut self, is_idle: bool) -> Result<Option<Read>, BackendError> {
        let connection = self.link.connect().await.map_err(|error| self.failure("read", error))?;
        if !is_idle && !self.continuity.is_due(connection) {
            return Ok(None);
        }
        let found = self.continuity.check(&mut self.link, &self.server.continuity_said).await;
        found.map_err(|error| self.failure("check", error))
    }

    /// One `XREAD`, blocking until `deadline`; or the reply to the one that was sent ahead.
    async fn xread(&mut self, after: EntryId, limit: Limit, deadline: Instant) -> Result<Page, BackendError> {
        let block = deadline.saturating_duration_since(Instant::now());
        // `BLOCK 0` waits for ever: a wait below a millisecond is one, and none is none.
        let millis = (!block.is_zero()).then(|| block_millis(block));
        let count = self.pace.count(limit);
        let xread = Xread { stream: &self.stream, after, count, block: millis, max_bytes: limit.bytes };
        let page = self.link.xread(&xread, block).await;
        page.map_err(|error| self.failure("read", error))
    }

    /// What the read brought that was sent ahead; nothing where none was.
    async fn read_ahead(&mut self, after: EntryId, limit: Limit, deadline: Instant) -> Option<Batch> {
        if !self.link.stay_at(after, limit.entries) {
            return None;
        }
        // It is as old as the handling of a batch took, and so is an error: what is true now, the next read says.
        let page = self.xread(after, limit, deadline).await.ok()?;
        // Where a check comes first by now, all is read again behind that.
        let is_due = self.continuity.is_due(self.link.connections());
        if is_due { None } else { self.accept(page, limit).await }
    }

    /// Makes a batch of a page that has entries. Where there are more, the next read is sent ahead.
    async fn accept(&mut self, page: Page, limit: Limit) -> Option<Batch> {
        if page.received > 0 {
            self.pace.learn(page.asked, page.received, page.bytes);
        }
        let is_end = page.received < page.asked;
        if !is_end {
            self.send_ahead(&page, limit).await;
        }
        let mark = self.continuity.read(&page.entries, is_end);
        Batch::new(page.entries, mark)
    }

    /// Has the server read what is behind this page while it is handled. The reply waits in the socket.
    async fn send_ahead(&mut self, page: &Page, limit: Limit) {
        let Some(last) = page.entries.last() else { return };
        // Where a check is due, it comes first: nothing can be asked before the reply is read.
        if !self.keeps_pace || self.continuity.is_due(self.link.connections()) {
            return;
        }
        let count = self.pace.count(limit);
        let xread =
            Xread { stream: &self.stream, after: last.id(), count, block: None, max_bytes: limit.bytes };
        // A connection that fails here is made anew by the next read.
        let _ = self.link.send_ahead(&xread).await;
    }

    /// The id of the last entry that is still there, for users who may not ask `XINFO`.
    async fn last_entry(&self) -> Result<EntryId, BackendError> {
        let mut command = cmd("XREVRANGE");
        command.arg(&*self.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let reply = self
            .server
            .connections
            .call(&command)
            .await
            .map_err(|error| self.error("find the end of", &error))?;
        let Value::Array(entries) = &reply else {
            return Err(self.odd_reply("find the end of", "no entries"));
        };
        match entries.as_slice() {
            [] => Ok(EntryId::ZERO),
            [Value::Array(entry), ..] if !entry.is_empty() => {
                reply::id(&entry[0]).map_err(|odd| self.odd_reply("find the end of", odd))
            }
            _ => Err(self.odd_reply("find the end of", "an entry that is no array")),
        }
    }
}

#[async_trait]
impl Source for RedisSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        self.continuity.start_at(after);
        self.keeps_pace = !self.continuity.is_time();
        if let Some(batch) = self.read_ahead(after.id, limit, deadline).await {
            return Ok(Read::Batch(batch));
        }
        loop {
            if let Some(found) = self.check(false).await? {
                return Ok(found);
            }
            let page = self.xread(after.id, limit, deadline).await?;
            if let Some(batch) = self.accept(page, limit).await {
                return Ok(Read::Batch(batch));
            }
            // An empty reply is no timeout by itself: a stream's entry may be deleted as it comes.
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(self.check(true).await?.unwrap_or(Read::Idle));
            }
            sleep(left.min(PAUSE)).await;
        }
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        eviction::refuse(&self.server).await?;
        let mut command = cmd("XINFO");
        command.arg("STREAM").arg(&*self.stream);
        match self.server.connections.call(&command).await {
            Ok(reply) => reply::field(&reply, "last-generated-id")
                .ok_or("no last-generated-id")
                .and_then(reply::id)
                .map_err(|odd| self.odd_reply("find the end of", odd)),
            Err(error) if errors::is_missing_key(&error) => Ok(EntryId::ZERO),
            Err(error) if errors::is_hidden(&error) => self.last_entry().await,
            Err(error) => Err(self.error("find the end of", &error)),
        }
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        match self.server.connections.call(&presence::command(&self.stream, id)).await {
            Ok(reply) => presence::Evidence::from_reply(&reply)
                .map(|evidence| evidence.verdict(id))
                .map_err(|odd| self.odd_reply("look for an entry of", odd)),
            Err(error) if errors::is_missing_key(&error) => Ok(Presence::Unclear),
            Err(error) => Err(self.error("look for an entry of", &error)),
        }
    }
}

/// Milliseconds, rounded up.
fn block_millis(block: Duration) -> u128 {
    block.as_nanos().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_sent_as_zero_milliseconds() {
        assert_eq!(block_millis(Duration::from_nanos(1)), 1);
        assert_eq!(block_millis(Duration::from_micros(1_001)), 2);
        assert_eq!(block_millis(Duration::from_secs(5)), 5_000);
    }
}
