//! Parts for tests, ours and those of embedding services: a backend in memory, a clock set by hand, and a
//! private redis-server.

mod manual_clock;
mod memory;
mod redis_server;

pub use manual_clock::ManualClock;
pub use memory::{Fault, MemoryBackend, Operation};
pub use redis_server::RedisServer;
