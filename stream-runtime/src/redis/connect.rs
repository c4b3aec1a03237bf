//! Connections: one that all commands share, and others for reads that block.

use std::future::Future;
use std::io;
use std::time::Duration;

use anyhow::anyhow;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, RedisError, TlsCertificates, Value,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::config::RedisConfig;
use super::errors;
use super::wire::{Dialer, Page, Wire, WireError, Xread};
use crate::backend::BackendError;

/// Makes connections, and keeps the one that is shared.
pub(super) struct Connections {
    client: Client,
    dialer: Dialer,
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
        let (client, dialer) = client_and_dialer(config)?;
        Ok(Self {
            client,
            dialer,
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
    pub(super) async fn dial(&self) -> Result<Wire, WireError> {
        self.dialer.dial().await
    }

    /// Runs a read that may block for `block` on a connection of its own.
    pub(super) async fn read(
        &self,
        wire: &mut Wire,
        xread: &Xread<'_>,
        block: Duration,
    ) -> Result<Page, WireError> {
        let deadline = block.saturating_add(self.response_timeout);
        within(deadline, wire.xread(xread)).await.unwrap_or_else(|late| Err(late.into()))
    }

    /// Sends a read ahead of its time, on a connection of its own.
    pub(super) async fn send_ahead(&self, wire: &mut Wire, xread: &Xread<'_>) -> Result<(), WireError> {
        within(self.response_timeout, wire.send_ahead(xread)).await.unwrap_or_else(|late| Err(late.into()))
    }

    /// Runs a command that answers with one text, and does not block, on a connection of its own.
    pub(super) async fn ask(&self, wire: &mut Wire, command: &Cmd) -> Result<String, WireError> {
        within(self.response_timeout, wire.ask(command)).await.unwrap_or_else(|late| Err(late.into()))
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            // `send` has the deadline.
            .set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&settings).await
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
    match within(deadline, connection.send_packed_command(command)).await {
        Ok(Ok(Value::ServerError(error))) => Err(error.into()),
        Ok(result) => result,
        Err(late) => Err(late.into()),
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
        client_and_dialer(self).map(|(client, _)| client)
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> io::Result<T> {
    timeout(deadline, work)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {deadline:?}")))
}

/// Both for the same server, with the same trust.
fn client_and_dialer(config: &RedisConfig) -> Result<(Client, Dialer), BackendError> {
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
    let roots = match &config.ca_certificate {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(_) if !tls => return Err(refused("it needs a `rediss://` URL")),
        Some(pem) => private_roots(pem).map_err(|error| refused(&error))?,
    };
    let tls = tls.then(|| ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let dialer = Dialer::new(&info, tls, config.connect_timeout)
        .map_err(|reason| BackendError::configuration(anyhow!(reason)))?;
    Ok((client(info, config.ca_certificate.as_deref())?, dialer))
}

fn client(info: ConnectionInfo, ca_certificate: Option<&str>) -> Result<Client, BackendError> {
    let client = match ca_certificate {
        None => Client::open(info),
        Some(pem) => {
            let root_cert = Some(pem.as_bytes().to_vec());
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        }
    };
    client.map_err(|error| refused(&error.to_string()))
}

/// The certificates in this PEM and no others.
fn private_roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in PEM".to_owned()) } else { Ok(roots) }
}

fn refused(reason: &str) -> BackendError {
    BackendError::configuration(anyhow!("ca_certificate: {reason}"))
}
