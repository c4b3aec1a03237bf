//! The embedded backend, as its users see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails the test"
)]

mod crash;
mod file;
mod offsets;
mod read;
mod scratch;
mod streams;
