//! The Redis backend against real servers, and against listeners that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod ahead;
mod continuity;
mod errors;
mod offsets;
mod presence;
mod read;
mod server;
mod support;
mod tail;
mod tls;
mod wire;
