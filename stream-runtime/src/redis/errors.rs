//! What each error of a server or a connection means for a consumer.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

use anyhow::anyhow;
use redis::{RedisError, ServerErrorKind};

use crate::backend::{BackendError, ErrorKind};

/// Codes of errors that pass only when somebody changes something. Every other code may pass by itself:
/// `LOADING`, `READONLY`, `MASTERDOWN`, `CLUSTERDOWN`, `TRYAGAIN`, `ASK`, `BUSY`, `OOM`, `NOREPLICAS`, `UNBLOCKED`,
/// `MISCONF`, and whatever a later server invents.
const CONFIGURATION_CODES: [&str; 8] = [
    "WRONGTYPE",
    "NOPERM",
    "NOAUTH",
    "WRONGPASS",
    "NOPROTO",
    "DENIED",
    // The key belongs to another node: this is a cluster.
    "MOVED",
    "CROSSSLOT",
];

/// Parts of `ERR` texts that mean the same.
const CONFIGURATION_TEXTS: [&str; 5] = [
    "unknown command",
    "unknown subcommand",
    "DB index",
    // NOPERM, met by a script.
    "can't run this command",
    "can't access at least one of the keys",
];

/// Codes after which the connection is made again, so that the server's name is looked up again: the server
/// has become a replica.
const STALE_CODES: [&str; 3] = ["READONLY", "UNBLOCKED", "MASTERDOWN"];

/// The error of `doing` something, as the loop sees it.
pub(super) fn backend_error(doing: impl Display, error: &RedisError) -> BackendError {
    BackendError::new(kind(error), anyhow!("{doing}: {}", text(error)))
}

/// A reply that is not what the command's documentation says.
pub(super) fn odd_reply(doing: impl Display, odd: &str) -> BackendError {
    BackendError::transient(anyhow!("{doing}: odd reply: {odd}"))
}

/// Whether the connection is of no more use.
pub(super) fn is_stale(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => STALE_CODES.contains(&code),
        // No error of the server's: I/O, a timeout, or bytes that are no reply.
        None => true,
    }
}

/// The user may not run the command.
pub(super) fn is_denied(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::NoPerm.into()
}

/// The key does not exist, for commands that make an error of it.
pub(super) fn is_missing_key(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn kind(error: &RedisError) -> ErrorKind {
    let configuration = match error.code() {
        Some("ERR") => {
            error.detail().is_some_and(|detail| CONFIGURATION_TEXTS.iter().any(|text| detail.contains(text)))
        }
        Some(code) => CONFIGURATION_CODES.contains(&code),
        None => is_clients_configuration(error),
    };
    if configuration { ErrorKind::Configuration } else { ErrorKind::Transient }
}

/// Of the errors that are not the server's.
fn is_clients_configuration(error: &RedisError) -> bool {
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed
        | redis::ErrorKind::InvalidClientConfig
        | redis::ErrorKind::RESP3NotSupported => true,
        redis::ErrorKind::Io => matches!(
            io_kind(error),
            // InvalidData: a certificate that is not trusted, or a port without TLS.
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData)
        ),
        _ => false,
    }
}

fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    let inner: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    inner.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// What the server said, or what went wrong on the way. Never what we sent: that may be a password.
fn text(error: &RedisError) -> String {
    let mut text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    // A server that does not know AUTH or HELLO repeats its arguments.
    if let Some(end) = text.find(", with args beginning with") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn server_error(line: &str) -> RedisError {
        let reply = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        reply.extract_error().unwrap_err()
    }

    #[test]
    fn every_error_of_a_server_has_its_kind() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN Hash slot not served",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "ASK 3999 127.0.0.1:6381",
            "BUSY Redis is busy running a script.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "NOREPLICAS Not enough good replicas to write.",
            "UNBLOCKED force unblock from blocking operation",
            "MISCONF Redis is configured to save RDB snapshots",
            "EXECABORT Transaction discarded because of previous errors.",
            "ERR max number of clients reached",
            "SOMETHINGNEW of a later server",
        ] {
            assert_eq!(kind(&server_error(line)), ErrorKind::Transient, "{line}");
        }
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "NOPERM this user has no permissions to run the 'xread' command",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "DENIED Redis is running in protected mode",
            "MOVED 3999 127.0.0.1:6381",
            "ERR unknown command 'EVALSHA'",
            "ERR DB index is out of range",
            "ERR The user executing the script can't run this command or subcommand script: 98e4",
        ] {
            assert_eq!(kind(&server_error(line)), ErrorKind::Configuration, "{line}");
        }
    }

    #[test]
    fn errors_of_the_connection_are_transient_but_for_permission_and_tls() {
        for (io, expected) in [
            (io::ErrorKind::ConnectionRefused, ErrorKind::Transient),
            (io::ErrorKind::TimedOut, ErrorKind::Transient),
            (io::ErrorKind::BrokenPipe, ErrorKind::Transient),
            (io::ErrorKind::NotFound, ErrorKind::Transient),
            (io::ErrorKind::Other, ErrorKind::Transient),
            (io::ErrorKind::PermissionDenied, ErrorKind::Configuration),
            (io::ErrorKind::InvalidData, ErrorKind::Configuration),
        ] {
            let error = RedisError::from(io::Error::from(io));
            assert_eq!(kind(&error), expected, "{io:?}");
            assert!(is_stale(&error), "{io:?}");
        }
    }

    #[test]
    fn a_server_that_became_a_replica_is_looked_up_again() {
        for line in ["READONLY x", "UNBLOCKED x", "MASTERDOWN x"] {
            assert!(is_stale(&server_error(line)), "{line}");
        }
        for line in ["WRONGTYPE x", "LOADING x", "ERR x"] {
            assert!(!is_stale(&server_error(line)), "{line}");
        }
    }

    #[test]
    fn the_text_is_the_servers_without_what_we_sent() {
        let error = server_error("WRONGTYPE Operation against a key");
        assert_eq!(
            backend_error("read stream \"s\"", &error).to_string(),
            "read stream \"s\": WRONGTYPE Operation against a key"
        );
        let error =
            server_error("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'hidden' ");
        assert_eq!(backend_error("connect", &error).to_string(), "connect: ERR unknown command 'HELLO'");
    }
}
