//! Parts for tests, ours and those of embedding services: a backend in memory, a clock set by hand, a private
//! redis-server, and the contract that every backend keeps.

pub mod contract;
mod manual_clock;
mod memory;
mod redis_server;

#[doc(inline)]
pub use crate::backend_contract;
pub use manual_clock::ManualClock;
pub use memory::{Fault, MemoryBackend, Operation};
pub use redis_server::RedisServer;
