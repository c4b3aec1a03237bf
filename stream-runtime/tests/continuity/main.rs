//! Whatever happens to a stream, the Redis source notices: random histories, and each finding by itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod failover;
mod fuzz;
mod random;
mod restarts;
mod runtime;
mod suites;
mod support;
mod tally;
mod world;
