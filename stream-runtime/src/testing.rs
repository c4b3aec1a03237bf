//! For the tests of services that embed the runtime.

mod redis_server;

pub use redis_server::RedisServer;
