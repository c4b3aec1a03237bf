//! Connections: one that all commands share, and others for reads that block.

use std::time::Duration;

use anyhow::anyhow;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, RedisError, TlsCertificates, Value};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::config::RedisConfig;
use super::errors;
use crate::backend::BackendError;

/// Makes connections, and keeps the one that is shared.
pub(super) struct Connections {
    client: Client,
    connect_timeout: Duration,
    response_timeout: Duration,
    shared: Mutex<Shared>,
}

/// The shared connection, `None` until it is needed and after it was lost.
#[derive(Default)]
struct Shared {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that an error discards the one that it came from and not its successor.
    generation: u64,
    /// When the last try to connect failed, and why.
    failure: Option<(Instant, RedisError)>,
}

impl Connections {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, BackendError> {
        Ok(Self {
            client: client(config)?,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            shared: Mutex::default(),
        })
    }

    /// Runs a command that does not block on the shared connection.
    ///
    /// Dropping the future loses the reply and nothing else: no other command gets it.
    pub(super) async fn call(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (mut connection, generation) = self.shared().await?;
        let result = send(&mut connection, command, self.response_timeout).await;
        if result.as_ref().is_err_and(errors::is_stale) {
            self.discard(generation).await;
        }
        result
    }

    /// A connection of its own, for reads that block.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            // The default of 500 ms would end every blocking read: `send` has the deadline.
            .set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&settings).await
    }

    /// Runs a command that may block for `block` on a connection of its own.
    pub(super) async fn call_blocking(
        &self,
        connection: &mut MultiplexedConnection,
        command: &Cmd,
        block: Duration,
    ) -> Result<Value, RedisError> {
        send(connection, command, block.saturating_add(self.response_timeout)).await
    }

    async fn shared(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        let asked = Instant::now();
        let mut shared = self.shared.lock().await;
        if let Some(connection) = &shared.connection {
            return Ok((connection.clone(), shared.generation));
        }
        // Who waited while another tried in vain does not wait for a try of its own as well.
        if let Some((at, error)) = &shared.failure
            && *at >= asked
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                shared.generation += 1;
                shared.connection = Some(connection.clone());
                Ok((connection, shared.generation))
            }
            Err(error) => {
                shared.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn discard(&self, generation: u64) {
        let mut shared = self.shared.lock().await;
        if shared.generation == generation {
            shared.connection = None;
        }
    }
}

/// Sends a command and waits for its reply, so long and no longer: a dead network never says that it is dead.
async fn send(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    deadline: Duration,
) -> Result<Value, RedisError> {
    match timeout(deadline, connection.send_packed_command(command)).await {
        Ok(Ok(Value::ServerError(error))) => Err(error.into()),
        Ok(result) => result,
        Err(_) => {
            let text = format!("no answer within {deadline:?}");
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text).into())
        }
    }
}

impl RedisConfig {
    /// A client of the redis crate for this server, for commands of your own beside the streams. It does not
    /// connect. The timeouts are not in it: each connection is made with its own.
    ///
    /// # Errors
    ///
    /// As of [`RedisBackend::new`](super::RedisBackend::new): a URL that is none, a certificate that does not
    /// parse.
    pub fn client(&self) -> Result<Client, BackendError> {
        client(self)
    }
}

fn client(config: &RedisConfig) -> Result<Client, BackendError> {
    let info = config.url.connection_info().map_err(BackendError::configuration)?;
    let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    if tls {
        // The redis crate asks rustls for the process's provider, and panics when there is none. An error says
        // that the embedding service has chosen one: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let server =
        info.redis_settings().clone().set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let info = info.set_redis_settings(server).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = match &config.ca_certificate {
        None => Client::open(info),
        Some(_) if !tls => return Err(refused("it needs a `rediss://` URL")),
        Some(pem) if CertificateDer::pem_slice_iter(pem.as_bytes()).next().is_none() => {
            return Err(refused("no certificate in PEM"));
        }
        Some(pem) => {
            let certificates =
                TlsCertificates { client_tls: None, root_cert: Some(pem.clone().into_bytes()) };
            Client::build_with_tls(info, certificates)
        }
    };
    client.map_err(|error| refused(&error.to_string()))
}

fn refused(reason: &str) -> BackendError {
    BackendError::configuration(anyhow!("ca_certificate: {reason}"))
}
