//! A connection to Redis of the lobby's own, made when it is first used and again after an error.

use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue};
use stream_runtime::BackendError;
use stream_runtime::redis::RedisConfig;
use tokio::sync::Mutex;

/// Cheap to clone; the clones share one connection.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    settings: AsyncConnectionConfig,
    current: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection to the server of these settings. Does not connect yet.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, BackendError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout));
        Ok(Self { client: config.client()?, settings, current: Arc::default() })
    }

    /// Sends a command. After any error the next one goes over a new connection: whatever was wrong with the old
    /// one, a server that became a replica among it, is then behind us.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> anyhow::Result<T> {
        let mut connection = self.connect().await?;
        let answer = command.query_async(&mut connection).await;
        if answer.is_err() {
            *self.current.lock().await = None;
        }
        Ok(answer?)
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current {
            return Ok(connection.clone());
        }
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&self.settings)
            .await
            .context("connect to Redis")?;
        Ok(current.insert(connection).clone())
    }
}
