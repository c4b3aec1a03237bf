//! What the programs of this package share: a backlog, contenders that drain it, and how they are measured and shown.
//!
//! A program runs each contender in a process of its own, which is the same program started again with a hidden
//! flag: so processor time and memory are the contender's alone. Nothing here asserts a time.

pub mod backlog;
pub mod chart;
pub mod contest;
pub mod drain;
pub mod latency;
pub mod layers;
pub mod loops;
pub mod machine;
pub mod marks;
pub mod ours;
mod ports;
pub mod progress;
pub mod report;
mod round_trips;
pub mod scale;
pub mod stats;
pub mod usage;
pub mod wire;
