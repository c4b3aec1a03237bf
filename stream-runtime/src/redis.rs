//! Streams and offsets on a Redis or Valkey server.
//!
//! ```no_run
//! use stream_runtime::redis::{RedisBackend, RedisConfig};
//!
//! let mut config = RedisConfig::default();
//! config.url = "redis://worker:secret@redis.internal:6379/0".parse()?;
//! let backend = RedisBackend::new(config)?;
//! # let _ = backend;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A consumer's offset is one string, at the key `<offset_key_prefix><consumer>`, that never expires. It is
//! written by a small script, so that of two workers on one consumer only the last to start can write.
//!
//! A stream is followed by its ids, its counters and the digests of a few entries, so that it is noticed when it was
//! trimmed before it was read, deleted and made anew, or rolled back by a failover: see
//! [`Finding`](crate::Finding). Servers before Redis 7 do not count, and not all of it is noticed; a warning says so.
//!
//! An ACL user needs `XREAD`, `GET`, `SET`, `EVAL` and `EVALSHA`, and `XINFO` and `XRANGE` to follow a stream and to
//! see that a held entry was deleted. `INFO` tells whether the server may evict offsets, and whether it is a replica,
//! which is not judged; without it nothing can be said.
//! `XREVRANGE` stands in for `XINFO` where a consumer starts at the latest entry.

mod config;
mod connect;
mod continuity;
mod errors;
mod eviction;
mod link;
mod offsets;
mod pace;
mod presence;
mod reply;
mod source;
mod wire;

use std::fmt;
use std::sync::Arc;

use crate::backend::{Backend, BackendError, OffsetStore, Source};
use crate::offsets::Offsets;
pub use config::{ParseRedisUrlError, RedisConfig, RedisUrl};
use connect::Connections;
use eviction::EvictionWarning;
use offsets::CheckpointKey;
use source::RedisSource;

/// Streams and offsets on a Redis or Valkey server.
///
/// Cheap to clone. All clones, and all consumers on them, share one connection; each consumer that reads has
/// another for its blocking `XREAD`. Connections are made when they are needed, and again after they were lost.
#[derive(Clone)]
pub struct RedisBackend {
    server: Arc<Server>,
}

/// What sources and offset stores share.
struct Server {
    address: RedisUrl,
    connections: Connections,
    offset_key_prefix: String,
    eviction_warning: EvictionWarning,
    /// What was said of checks that cannot be made.
    continuity_said: continuity::Said,
}

impl RedisBackend {
    /// A backend with these settings. Does not connect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for settings that cannot be right: a URL
    /// that is none, a certificate that does not parse, a timeout of zero.
    pub fn new(config: RedisConfig) -> Result<Self, BackendError> {
        config.check()?;
        let server = Server {
            connections: Connections::new(&config)?,
            address: config.url,
            offset_key_prefix: config.offset_key_prefix,
            eviction_warning: EvictionWarning::default(),
            continuity_said: continuity::Said::default(),
        };
        Ok(Self { server: Arc::new(server) })
    }
}

impl Server {
    /// The error of `doing` something on this server, as the loop sees it.
    fn error(&self, doing: impl fmt::Display, error: &::redis::RedisError) -> BackendError {
        errors::backend_error(format_args!("{doing} on {}", self.address), error)
    }

    /// A reply that is not what the command's documentation says.
    fn odd_reply(&self, doing: impl fmt::Display, odd: &str) -> BackendError {
        errors::odd_reply(format_args!("{doing} on {}", self.address), odd)
    }
}

impl Backend for RedisBackend {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(RedisSource::new(Arc::clone(&self.server), stream))
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(Offsets::new(CheckpointKey::new(Arc::clone(&self.server), consumer)))
    }
}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("url", &self.server.address).finish_non_exhaustive()
    }
}
