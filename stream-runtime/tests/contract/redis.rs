//! The Redis backend, each on a server of its own.

use redis::aio::MultiplexedConnection;
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::testing::contract::Subject;
use stream_runtime::testing::{RedisServer, backend_contract};
use stream_runtime::{Backend, EntryId, async_trait};

struct Redis {
    backend: RedisBackend,
    connection: MultiplexedConnection,
    server: RedisServer,
}

impl Redis {
    async fn on(server: RedisServer) -> Self {
        Self { backend: backend(&server), connection: server.connection().await, server }
    }

    async fn run<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }
}

fn backend(server: &RedisServer) -> RedisBackend {
    let mut config = RedisConfig::default();
    config.url = server.url().parse().unwrap();
    RedisBackend::new(config).unwrap()
}

#[async_trait]
impl Subject for Redis {
    async fn start() -> Self {
        Self::on(RedisServer::durable().await).await
    }

    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
        let mut command = redis::cmd("XADD");
        command.arg(stream).arg("*");
        for (name, value) in fields {
            command.arg(name).arg(value);
        }
        self.run::<String>(&command).await.parse().unwrap()
    }

    async fn trim(&self, stream: &str, max_len: usize) {
        self.run::<u64>(redis::cmd("XTRIM").arg(stream).arg("MAXLEN").arg(max_len)).await;
    }

    async fn delete(&self, stream: &str, id: EntryId) -> bool {
        assert_eq!(self.run::<u64>(redis::cmd("XDEL").arg(stream).arg(id.to_string())).await, 1);
        true
    }

    async fn reopen(&mut self) -> bool {
        self.server.restart().await;
        self.backend = backend(&self.server);
        self.connection = self.server.connection().await;
        true
    }
}

backend_contract!(Redis);
