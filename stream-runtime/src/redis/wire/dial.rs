//! Where the server is, and how a connection to it begins: TCP, TLS or a socket file; `AUTH`, `SELECT`, a name.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisConnectionInfo, RedisError, cmd};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Wire, WireError};

/// What bytes come and go through.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// Makes connections to one server.
pub(in crate::redis) struct Dialer {
    address: Address,
    server: RedisConnectionInfo,
    connect_timeout: Duration,
}

enum Address {
    Tcp(String, u16),
    Tls(String, u16, ServerName<'static>, TlsConnector),
    Unix(PathBuf),
}

impl Dialer {
    /// Connections by this URL; `tls` is for `rediss://`.
    pub(in crate::redis) fn new(
        info: &ConnectionInfo,
        tls: Option<ClientConfig>,
        connect_timeout: Duration,
    ) -> Result<Self, &'static str> {
        let address = match (info.addr(), tls) {
            (ConnectionAddr::Tcp(host, port), _) => Address::Tcp(host.clone(), *port),
            (ConnectionAddr::TcpTls { host, port, .. }, Some(tls)) => {
                let name = ServerName::try_from(host.clone()).map_err(|_| "no server name for TLS")?;
                Address::Tls(host.clone(), *port, name, TlsConnector::from(Arc::new(tls)))
            }
            (ConnectionAddr::Unix(path), _) => Address::Unix(path.clone()),
            _ => return Err("no address that can be connected to"),
        };
        Ok(Self { address, server: info.redis_settings().clone(), connect_timeout })
    }

    /// A connection that is ready to read streams.
    pub(in crate::redis) async fn dial(&self) -> Result<Wire, WireError> {
        match timeout(self.connect_timeout, self.set_up()).await {
            Ok(wire) => wire,
            Err(_) => {
                let text = format!("no connection within {:?}", self.connect_timeout);
                Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
            }
        }
    }

    async fn set_up(&self) -> Result<Wire, WireError> {
        let mut wire = Wire::new(self.connect().await?);
        if let Some(password) = self.server.password() {
            authenticate(&mut wire, self.server.username(), password).await?;
        }
        if self.server.db() != 0 {
            wire.run(cmd("SELECT").arg(self.server.db())).await?;
        }
        for (what, value) in [("LIB-NAME", self.server.lib_name()), ("LIB-VER", self.server.lib_ver())] {
            let named = wire.run(cmd("CLIENT").arg("SETINFO").arg(what).arg(value)).await;
            named.or_else(unless_unknown)?;
        }
        Ok(wire)
    }

    async fn connect(&self) -> io::Result<Box<dyn Socket>> {
        Ok(match &self.address {
            Address::Tcp(host, port) => Box::new(tcp(host, *port).await?),
            Address::Tls(host, port, name, connector) => {
                Box::new(connector.connect(name.clone(), tcp(host, *port).await?).await?)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn authenticate(wire: &mut Wire, user: Option<&str>, password: &str) -> Result<(), WireError> {
    let result = match user {
        Some(user) => match wire.run(cmd("AUTH").arg(user).arg(password)).await {
            // Before Redis 6 there are no users.
            Err(WireError::Redis(error)) if says(&error, "wrong number of arguments") => {
                wire.run(cmd("AUTH").arg(password)).await
            }
            result => result,
        },
        None => wire.run(cmd("AUTH").arg(password)).await,
    };
    match result {
        // A server without a password, or one that does not know AUTH: waiting does not help.
        Err(WireError::Redis(error))
            if error.code() == Some("ERR") && !says(&error, "max number of clients") =>
        {
            let refused = (ErrorKind::AuthenticationFailed, "Password authentication failed");
            Err(WireError::Redis(refused.into()))
        }
        result => result,
    }
}

/// A server need not know a command that is only for its operators' eyes, nor allow it.
fn unless_unknown(error: WireError) -> Result<(), WireError> {
    match error {
        WireError::Redis(error) if matches!(error.code(), Some("ERR" | "NOPERM")) => Ok(()),
        error => Err(error),
    }
}

fn says(error: &RedisError, text: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(text))
}
