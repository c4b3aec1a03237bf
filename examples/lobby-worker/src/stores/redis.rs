//! Documents in Redis: one key each, `lobby:KIND:ID`, swapped by a script, and beside them sorted sets,
//! `lobby:recent:KIND`, of the ids of games and of users by when they last changed.

mod connection;
mod producer;

use anyhow::Context;
use async_trait::async_trait;
use redis::cmd;

use super::{Documents, Kind, Swap};
pub(crate) use connection::Connection;

/// `KEYS`: the document, and where its kind is listed the sorted set. `ARGV`: what is expected (empty: no document), the new text, the id, the time.
/// Answers nil when it wrote, else what is there (empty: no document).
const SWAP: &str = "\
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2])
if KEYS[2] then redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3]) end
return false";

/// The documents of a Redis database.
#[derive(Debug)]
pub(crate) struct RedisDocuments {
    connection: Connection,
}

impl RedisDocuments {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

fn key(kind: Kind, id: &str) -> String {
    format!("lobby:{}:{id}", kind.as_str())
}

fn index(kind: Kind) -> String {
    format!("lobby:recent:{}", kind.as_str())
}

#[async_trait]
impl Documents for RedisDocuments {
    async fn get(&self, kind: Kind, id: &str) -> anyhow::Result<Option<String>> {
        let key = key(kind, id);
        let text = self.connection.query(cmd("GET").arg(&key)).await;
        text.with_context(|| format!("read {key:?} from Redis"))
    }

    async fn swap(&self, kind: Kind, id: &str, expected: Option<&str>, new: &str) -> anyhow::Result<Swap> {
        let key = key(kind, id);
        let mut swap = cmd("EVAL");
        if kind.is_listed() {
            swap.arg(SWAP).arg(2).arg(&key).arg(index(kind));
        } else {
            swap.arg(SWAP).arg(1).arg(&key);
        }
        swap.arg(expected.unwrap_or_default()).arg(new);
        swap.arg(id).arg(super::now_micros());
        let found: anyhow::Result<Option<String>> = self.connection.query(&swap).await;
        Ok(match found.with_context(|| format!("write {key:?} to Redis"))? {
            None => Swap::Done,
            Some(found) => Swap::Found((!found.is_empty()).then_some(found)),
        })
    }

    async fn recent(&self, kind: Kind, limit: usize) -> anyhow::Result<Vec<String>> {
        let index = index(kind);
        let mut range = cmd("ZREVRANGEBYSCORE");
        range.arg(&index).arg("+inf").arg("-inf");
        range.arg("LIMIT").arg(0).arg(limit);
        let ids = self.connection.query(&range).await;
        ids.with_context(|| format!("read {index:?} from Redis"))
    }
}
