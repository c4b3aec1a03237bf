//! The checkpoint of a consumer: one string, swapped by a script.

use std::sync::Arc;

use async_trait::async_trait;
use redis::{RedisError, ServerErrorKind, Value, cmd};

use super::{Server, eviction};
use crate::backend::BackendError;
use crate::offsets::{Register, Swap};

/// Compare and set: the new value, and the expected one, absent where no key is expected.
///
/// Returns 1, or the value that is there instead. The value may also be the new one already: a commit that was
/// made but whose answer was lost.
struct Script {
    text: &'static str,
    sha1: &'static str,
}

/// Runs also when the server is out of memory, where a plain script is refused: a commit must not fail, for it
/// is by reading on that memory becomes free.
const ALLOW_OOM: Script = Script {
    text: "\
#!lua flags=allow-oom
local found = redis.call('GET', KEYS[1])
if found == (ARGV[2] or false) or found == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1]) return 1 end
return found",
    sha1: "e37f6696ae0d99b40e9aeda3db0c1a8212f4d540",
};

/// The same, for servers before Redis 7, which take the first line for Lua.
const PLAIN: Script = Script {
    text: "\
local found = redis.call('GET', KEYS[1])
if found == (ARGV[2] or false) or found == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1]) return 1 end
return found",
    sha1: "a0ca4cd16cc2f24c34eec3aa93477ef642a066b3",
};

/// The key that holds a consumer's checkpoint.
pub(super) struct CheckpointKey {
    server: Arc<Server>,
    key: String,
    script: &'static Script,
}

impl CheckpointKey {
    pub(super) fn new(server: Arc<Server>, consumer: &str) -> Self {
        let key = format!("{}{consumer}", server.offset_key_prefix);
        Self { server, key, script: &ALLOW_OOM }
    }

    /// Runs the script, and sends its text where the server does not know it: the first time, and after a
    /// restart or a failover.
    async fn compare_and_set(&mut self, expected: Option<&str>, new: &str) -> Result<Value, RedisError> {
        match self.run("EVALSHA", self.script.sha1, expected, new).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {}
            result => return result,
        }
        // The server may be another one now: the better script gets its chance again.
        self.script = &ALLOW_OOM;
        match self.run("EVAL", self.script.text, expected, new).await {
            Err(error) if does_not_compile(&error) => {}
            result => return result,
        }
        self.script = &PLAIN;
        self.run("EVAL", self.script.text, expected, new).await
    }

    async fn run(
        &self,
        command: &str,
        script: &str,
        expected: Option<&str>,
        new: &str,
    ) -> Result<Value, RedisError> {
        let mut command = cmd(command);
        command.arg(script).arg(1).arg(&self.key).arg(new).arg(expected);
        self.server.connections.call(&command).await
    }
}

fn does_not_compile(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("compiling script"))
}

/// Bytes that are not UTF-8 are no record of ours; shown as they are, they are found to be none.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[async_trait]
impl Register for CheckpointKey {
    async fn get(&mut self) -> Result<Option<String>, BackendError> {
        let doing = format!("load offset {:?}", self.key);
        let reply = self.server.connections.call(cmd("GET").arg(&self.key)).await;
        let value = match reply.map_err(|error| self.server.error(&doing, &error))? {
            Value::Nil => None,
            Value::BulkString(bytes) => Some(lossy(&bytes)),
            _ => return Err(self.server.odd_reply(doing, "no string")),
        };
        eviction::warn(&self.server).await;
        Ok(value)
    }

    async fn swap(&mut self, expected: Option<&str>, new: &str) -> Result<Swap, BackendError> {
        let doing = format!("commit offset {:?}", self.key);
        let reply = self.compare_and_set(expected, new).await;
        match reply.map_err(|error| self.server.error(&doing, &error))? {
            Value::Int(1) => Ok(Swap::Done),
            Value::Nil => Ok(Swap::Found(None)),
            Value::BulkString(bytes) => Ok(Swap::Found(Some(lossy(&bytes)))),
            _ => Err(self.server.odd_reply(doing, "neither 1 nor a string")),
        }
    }
}
