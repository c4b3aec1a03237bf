//! Every backend of ours keeps the contract, and so does one that only knows the public API; one with a flaw does
//! not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails the test"
)]

mod controls;
mod embedded;
mod flawed;
mod memory;
mod redis;
mod shelf;
