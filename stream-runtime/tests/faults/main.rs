//! What a worker does when its server or its network fails: the whole runtime on the Redis backend, with a
//! handler that records what it gets.
//!
//! Each test asserts that the fault is seen in the status, that the worker does not spin, and that without a
//! restart all entries are handled once, in order, and committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod network;
mod proxy;
mod refusals;
mod server;
mod stream;
mod support;
mod table;
mod writes;
