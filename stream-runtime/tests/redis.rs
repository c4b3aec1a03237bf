//! The Redis backend against real servers, and against listeners that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

#[path = "redis/errors.rs"]
mod errors;
#[path = "redis/offsets.rs"]
mod offsets;
#[path = "redis/presence.rs"]
mod presence;
#[path = "redis/read.rs"]
mod read;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/support.rs"]
mod support;
#[path = "redis/tail.rs"]
mod tail;
#[path = "redis/tls.rs"]
mod tls;
