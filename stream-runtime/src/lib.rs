//! The consumer runtime for Redis Streams: you write a [`Handler`], it does the rest.
//!
//! It reads a stream in order, hands each [`Entry`] to your handler through a stack of tower middleware, and moves a
//! durable offset only past entries that the handler let go.
//!
//! # A consumer
//!
//! ```no_run
//! use stream_runtime::redis::{RedisBackend, RedisConfig};
//! use stream_runtime::{Advance, Consumer, Entry, Handler, Hold, Outcome, Runtime, async_trait};
//!
//! struct Greeter;
//!
//! #[async_trait]
//! impl Handler for Greeter {
//!     async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
//!         match entry.fields().text("name") {
//!             Ok(name) => println!("hello, {}", name.unwrap_or("stranger")),
//!             Err(error) => return Ok(Advance::skip(error)),
//!         }
//!         Ok(Advance::Handled)
//!     }
//! }
//!
//! # async fn run(until_told: impl Future<Output = ()>) -> anyhow::Result<()> {
//! let redis = RedisBackend::new(RedisConfig::default())?;
//! let greeter = Consumer::new("greeter", "visitors", Greeter);
//! Runtime::new(redis).consumer(greeter).run(until_told).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a handler answers
//!
//! | answer | what happens |
//! | --- | --- |
//! | `Ok(Advance::Handled)` | the offset may pass the entry |
//! | `Ok(Advance::skip(error))` | the same; the entry was bad input, which is logged and counted |
//! | `Err(Hold)` | the offset stays, and the same entry is delivered again after a backoff; what is behind it waits |
//!
//! `?` on an [`anyhow::Error`] holds; any other error must pass through `.context(…)` first: see [`Hold`]. A panic and
//! a call that takes longer than its timeout are holds, too.
//!
//! Each entry comes at least once, in the order of the stream, one at a time per consumer. After a crash, at most
//! [`max_uncommitted`](ConsumerConfig::max_uncommitted) handled entries come again. So an effect must bear being
//! repeated; the entry's [`id`](Entry::id) is a good key to recognise it by.
//!
//! # Around the handler
//!
//! [`middleware`] tells which layers stand around a handler, in which order, and how to write one of your own for
//! [`Consumer::layer`]. Settings and their defaults are in [`ConsumerConfig`] and [`RuntimeConfig`]; the library
//! itself reads no file and no environment.
//!
//! # Watching it
//!
//! [`Runtime::handle`] gives a [`RuntimeHandle`], whose [`status`](RuntimeHandle::status) tells of each consumer its
//! state, offset, lag and counts, what is held and since when, and the last error. What an operator must see is logged
//! through [`tracing`] under the target `stream_runtime`; numbers go through the [`metrics`] facade.
//!
//! # Testing
//!
//! A handler is tested by calling [`Handler::handle`] with an [`Entry::new`]. For tests of a whole service the feature
//! `testing` has a backend in memory with faults on demand, a clock set by hand, and a private redis-server.
//!
//! # Backends
//!
//! | backend | feature | |
//! | --- | --- | --- |
//! | `redis::RedisBackend` | `redis`, on by default | Redis or Valkey |
//! | `embedded::EmbeddedBackend` | `embedded` | streams and offsets in one local file |
//! | `testing::MemoryBackend` | `testing` | in memory |
//! | yours | | implement [`Backend`] with a [`Source`] and an [`OffsetStore`] |

mod backend;
mod backoff;
mod clock;
mod committer;
mod config;
mod consumer;
mod delivery;
#[cfg(feature = "embedded")]
pub mod embedded;
mod entry;
mod handler;
pub mod middleware;
// For the backends of ours.
#[cfg(any(feature = "redis", feature = "embedded", feature = "testing"))]
mod offsets;
mod outcome;
#[cfg(feature = "redis")]
pub mod redis;
mod runtime;
mod shutdown;
mod stack;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod trouble;

pub use async_trait::async_trait;
pub use backend::{
    Backend, BackendError, Batch, Checkpoint, ErrorKind, Finding, Limit, Mark, OffsetStore, Presence, Read,
    Source,
};
pub use clock::Clock;
pub use config::{BackoffConfig, BatchConfig, ConsumerConfig, OnGap, RetryConfig, RuntimeConfig, StartAt};
pub use consumer::Consumer;
pub use delivery::Delivery;
pub use entry::{DecodeError, Entry, EntryId, FieldError, Fields, PageBuilder, ParseEntryIdError};
pub use handler::{Handler, HandlerFn, HandlerService, handler_fn};
pub use outcome::{Advance, Hold, Outcome};
pub use runtime::{ConfigError, Runtime, RuntimeHandle};
pub use status::{ConsumerState, ConsumerStatus, Counts, Gap, HeldEntry, LastError};
