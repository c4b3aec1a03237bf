//! The consumer runtime for Redis Streams: you write a [`Handler`], it does the rest.

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
