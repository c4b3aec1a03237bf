//! Notices what Redis does not tell: that a stream was trimmed before it was read, deleted and made anew, or rolled
//! back by a failover or an old snapshot.
//!
//! [`history`] has the rules, [`snapshot`] what is asked of the server, [`known`] what a checkpoint keeps. This file
//! says when a check is made, and makes it.
//!
//! A check is made on each new connection before anything is read from it, when nothing came for a block timeout,
//! and after a read that reached the end of the stream; otherwise once a second. But for the first two it takes at
//! most a hundredth of the time. It judges masters only: a replica may be late, and that is no finding.

mod history;
mod known;
mod position;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{RedisError, ServerErrorKind};
use tokio::time::Instant;

use self::history::{Broken, History};
use self::snapshot::Snapshot;
use super::errors;
use super::link::Link;
use super::wire::WireError;
use crate::backend::{Checkpoint, Mark, Read};
use crate::entry::{Entry, EntryId};

/// How often a check is made while there is always more to read.
const EVERY: Duration = Duration::from_secs(1);

/// After a check that took this long, the next one waits a hundred times as long.
const SHARE: u32 = 100;

/// So many ids are remembered between two checks, and then a check is made.
const MOST_IDS: usize = 1 << 16;

/// Follows one stream.
pub(super) struct Continuity {
    stream: Arc<str>,
    /// `None` before the first read.
    history: Option<History>,
    /// The connection that the last check was made on.
    connection: Option<u64>,
    /// The last read reached the end of the stream.
    at_end: bool,
    /// When the last check ended, and how long it took.
    last_check: (Instant, Duration),
}

impl Continuity {
    pub(super) fn new(stream: Arc<str>) -> Self {
        let last_check = (Instant::now(), Duration::ZERO);
        Self { stream, history: None, connection: None, at_end: false, last_check }
    }

    /// Follows the stream from a checkpoint on, where that is not the end of the last read.
    pub(super) fn start_at(&mut self, after: &Checkpoint) {
        if self.history.as_ref().is_none_or(|history| history.id() != after.id) {
            self.history = Some(History::of(after));
            self.connection = None;
        }
    }

    /// Whether a check is to be made before the next read on this connection.
    pub(super) fn is_due(&self, connection: u64) -> bool {
        let remembered = self.history.as_ref().map_or(0, History::remembered);
        if self.connection != Some(connection) || remembered > MOST_IDS {
            return true;
        }
        self.is_time()
    }

    /// Whether the last check is so long ago that the next one is due.
    pub(super) fn is_time(&self) -> bool {
        let (ended, took) = self.last_check;
        let pause = if self.at_end { took * SHARE } else { EVERY.max(took * SHARE) };
        ended.elapsed() >= pause
    }

    /// Entries were read. Returns the mark of checkpoints at them.
    pub(super) fn read(&mut self, entries: &Arc<[Entry]>, at_end: bool) -> Option<Mark> {
        self.at_end = at_end;
        self.history.as_mut()?.read(entries)
    }

    /// Makes a check, and says what it found.
    pub(super) async fn check(&mut self, link: &mut Link, said: &Said) -> Result<Option<Read>, WireError> {
        let connection = link.connect().await?;
        let started = Instant::now();
        let found = self.judge(link, said).await?;
        self.last_check = (Instant::now(), started.elapsed());
        self.connection = Some(connection);
        self.at_end = false;
        Ok(found)
    }

    async fn judge(&mut self, link: &mut Link, said: &Said) -> Result<Option<Read>, WireError> {
        let Some(history) = &mut self.history else { return Ok(None) };
        let Some(now) = look(link, &self.stream, &history.questions(), history, said).await? else {
            return Ok(None);
        };
        if history.is_unsure(&now) {
            tracing::warn!(
                target: "stream_runtime",
                stream = &*self.stream,
                after = %history.id(),
                "the entry to go on after was trimmed: how many after it were as well is not known, for it was \
                 stored as no more than an id"
            );
        }
        let finding = match history.judge(&now) {
            Ok(None) => return Ok(None),
            Ok(Some(finding)) => finding,
            Err(Broken(reason)) => {
                let older = history.older_positions();
                let Some(now) = look(link, &self.stream, &older, history, said).await? else {
                    return Ok(None);
                };
                tracing::warn!(stream = &*self.stream, reason, "this is not the stream that was read before");
                history.rewind(&now)
            }
        };
        Ok(Some(Read::Found { finding, resume: history.checkpoint() }))
    }
}

/// The stream as it is now; `None` where there is nothing to judge by.
async fn look(
    link: &mut Link,
    stream: &str,
    ids: &[EntryId],
    history: &mut History,
    said: &Said,
) -> Result<Option<Snapshot>, WireError> {
    let answer = match link.ask(&snapshot::by_hash(stream, ids)).await {
        Err(WireError::Redis(error)) if error.kind() == ServerErrorKind::NoScript.into() => {
            link.ask(&snapshot::by_text(stream, ids)).await
        }
        answer => answer,
    };
    let now = match answer {
        Ok(answer) => Snapshot::parse(&answer, ids).ok_or(WireError::Odd("not what the script says"))?,
        Err(WireError::Redis(error)) if errors::is_missing_key(&error) => {
            history.is_missing();
            return Ok(None);
        }
        Err(WireError::Redis(error)) if errors::is_hidden(&error) => {
            said.denied(&error);
            history.forget_ids();
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !now.is_master {
        history.forget_ids();
        return Ok(None);
    }
    if now.counts.is_none() {
        said.uncounted();
    }
    Ok(Some(now))
}

/// What is said once per backend: that something cannot be noticed.
#[derive(Default)]
pub(super) struct Said(AtomicBool);

impl Said {
    fn denied(&self, error: &RedisError) {
        if self.is_new() {
            tracing::warn!(
                target: "stream_runtime",
                err = errors::text(error),
                "streams cannot be checked: it will not be noticed when one is trimmed before it is read, made anew \
                 or rolled back; allow EVAL, EVALSHA, XINFO and XRANGE"
            );
        }
    }

    fn uncounted(&self) {
        if self.is_new() {
            tracing::warn!(
                target: "stream_runtime",
                "the server is older than Redis 7: it will not be noticed when a stream is trimmed before it is \
                 read, nor always when it is made anew or rolled back"
            );
        }
    }

    fn is_new(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}
