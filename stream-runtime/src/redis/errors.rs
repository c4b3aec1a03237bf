//! What each error of a server or a connection means for a consumer.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

use anyhow::anyhow;
use redis::{RedisError, ServerErrorKind};

use self::Connection::{Keep, Renew};
use self::Says::{Client, Code, Io, Text};
use crate::backend::BackendError;
use crate::backend::ErrorKind::{self, Configuration, Transient};

/// What somebody says who fails.
enum Says {
    /// A server's error, by its first word.
    Code(&'static str),
    /// A server's `ERR`, by a part of its text.
    Text(&'static str),
    /// The redis crate, which knows before or after it asked the server.
    Client(redis::ErrorKind),
    /// The system, or TLS.
    Io(io::ErrorKind),
}

/// What becomes of the connection that an error came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Keep,
    /// Made again, so that the server's name is looked up and the user logged in again.
    Renew,
}

/// What an error means.
type Class = (ErrorKind, Connection);

/// The one table of what errors mean. Whatever is not in it is [`OTHER_CODE`] or [`NO_REPLY`].
///
/// *Transient*: back off, go on. *Configuration*: be loud and unready, try slowly. Errors of a connection that
/// breaks, of a reply that does not come or is none, are not in it: they all are [`NO_REPLY`].
#[rustfmt::skip]
const TABLE: [(Says, Class); 31] = [
    // The server is there, but not ready.
    (Code("LOADING"),      (Transient, Keep)), // it reads its data from disk
    (Code("BUSY"),         (Transient, Keep)), // a script, somebody's, runs too long
    (Code("TRYAGAIN"),     (Transient, Keep)), // a cluster moves the key
    (Code("ASK"),          (Transient, Keep)), // a cluster moves the key
    (Code("CLUSTERDOWN"),  (Transient, Keep)), // a cluster has no node for the key
    (Text("max number of clients"), (Transient, Renew)), // the server closes the connection
    // It reads, but does not write: handling pauses at `max_uncommitted`.
    (Code("OOM"),          (Transient, Keep)), // no memory; only servers before 7 refuse a commit for it
    (Code("NOREPLICAS"),   (Transient, Keep)), // fewer replicas than `min-replicas-to-write`
    (Code("MISCONF"),      (Transient, Keep)), // its disk is full
    // It is no master any more: the name may lead to another by now.
    (Code("READONLY"),     (Transient, Renew)), // it is a replica
    (Code("MASTERDOWN"),   (Transient, Renew)), // it is a replica, and has lost its master
    (Code("UNBLOCKED"),    (Transient, Renew)), // it became a replica while we waited; it closes the connection
    // The user may not. A password can be right on a new connection, a permission comes to all of them.
    (Code("NOAUTH"),       (Configuration, Renew)), // no password given, where one is needed
    (Code("WRONGPASS"),    (Configuration, Renew)), // no such user, or another password
    (Code("DENIED"),       (Configuration, Renew)), // protected mode; the server closes the connection
    (Code("NOPERM"),       (Configuration, Keep)), // the user's ACL
    (Text("can't run this command"),                    (Configuration, Keep)), // NOPERM, met by a script
    (Text("can't access at least one of the keys"),     (Configuration, Keep)), // NOPERM, met by a script
    (Text("ACL failure in script"),                     (Configuration, Keep)), // the same, as Valkey says it
    (Client(redis::ErrorKind::AuthenticationFailed),    (Configuration, Renew)), // as NOAUTH and WRONGPASS
    // It is not the server, or not the key, that somebody meant.
    (Code("WRONGTYPE"),    (Configuration, Keep)), // the key is no stream, or no offset
    (Code("MOVED"),        (Configuration, Keep)), // the key belongs to another node: this is a cluster
    (Code("CROSSSLOT"),    (Configuration, Keep)), // two keys of two nodes: this is a cluster
    (Code("NOPROTO"),      (Configuration, Renew)), // the server does not speak the protocol asked for
    (Client(redis::ErrorKind::RESP3NotSupported),       (Configuration, Renew)), // the same
    (Text("unknown command"),                           (Configuration, Keep)), // too old, or renamed
    (Text("unknown subcommand"),                        (Configuration, Keep)), // the same
    (Text("DB index"),                                  (Configuration, Renew)), // no such database
    (Client(redis::ErrorKind::InvalidClientConfig),     (Configuration, Renew)), // a URL that cannot be used
    (Io(io::ErrorKind::PermissionDenied),               (Configuration, Renew)), // a socket's file
    (Io(io::ErrorKind::InvalidData),                    (Configuration, Renew)), // TLS: not trusted, or none
];

/// What a server says that is not in the table: a later one invents new words.
const OTHER_CODE: Class = (Transient, Keep);

/// No reply, or none that can be read: refused, reset, cut, timed out, out of step.
const NO_REPLY: Class = (Transient, Renew);

/// What hides a command, in the words of an `ERR`.
const HIDDEN_TEXTS: [&str; 5] = [
    "unknown command",
    "unknown subcommand",
    "can't run this command",
    "can't access at least one of the keys",
    "ACL failure in script",
];

/// The error of `doing` something, as the loop sees it.
pub(super) fn backend_error(doing: impl Display, error: &RedisError) -> BackendError {
    BackendError::new(class(error).0, anyhow!("{doing}: {}", text(error)))
}

/// A reply that is not what the command's documentation says.
pub(super) fn odd_reply(doing: impl Display, odd: &str) -> BackendError {
    BackendError::transient(anyhow!("{doing}: odd reply: {odd}"))
}

/// Whether the connection is of no more use.
pub(super) fn is_stale(error: &RedisError) -> bool {
    class(error).1 == Renew
}

/// The user may not run the command.
fn is_denied(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::NoPerm.into()
}

/// The command is not there for us: the user may not run it, also within a script, or the server does not have it.
pub(super) fn is_hidden(error: &RedisError) -> bool {
    let says = |text: &&str| error.detail().is_some_and(|detail| detail.contains(text));
    is_denied(error) || (error.code() == Some("ERR") && HIDDEN_TEXTS.iter().any(says))
}

/// The key does not exist, for commands that make an error of it.
pub(super) fn is_missing_key(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn class(error: &RedisError) -> Class {
    let row = TABLE.iter().find(|(says, _)| says.matches(error));
    row.map_or(if error.code().is_some() { OTHER_CODE } else { NO_REPLY }, |(_, class)| *class)
}

impl Says {
    fn matches(&self, error: &RedisError) -> bool {
        match self {
            Code(code) => code_of(error) == Some(code),
            Text(part) => {
                error.code() == Some("ERR") && error.detail().is_some_and(|detail| detail.contains(part))
            }
            Client(kind) => error.kind() == *kind,
            Io(kind) => error.kind() == redis::ErrorKind::Io && io_kind(error) == Some(*kind),
        }
    }
}

/// The word that says which error it is.
fn code_of(error: &RedisError) -> Option<&str> {
    match error.code()? {
        "ERR" => error.detail().and_then(code_within_script).or(Some("ERR")),
        code => Some(code),
    }
}

/// Servers before 7 make an `ERR` of what a script met:
/// `Error running script (call to f_…): @user_script:2: @user_script: 2: -OOM command not allowed …`.
fn code_within_script(detail: &str) -> Option<&str> {
    let (_, met) = detail.strip_prefix("Error running script")?.rsplit_once("@user_script:")?;
    let (_line, met) = met.trim_start().split_once(": ")?;
    met.trim_start_matches('-').split(' ').next()
}

fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    let inner: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    inner.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// What the server said, or what went wrong on the way. Never what we sent: that may be a password.
pub(super) fn text(error: &RedisError) -> String {
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

    fn kind(error: &RedisError) -> ErrorKind {
        class(error).0
    }

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
            "ERR ACL failure in script: User worker has no permissions to run the 'xinfo|stream' command",
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
    fn what_a_script_met_is_recognised_on_servers_before_7() {
        let within_script =
            |met: &str| server_error(&format!("ERR Error running script (call to f_0a): {met}"));
        let error = within_script("@user_script:2: @user_script: 2: -READONLY You can't write");
        assert_eq!(class(&error), (Transient, Renew));
        let error = within_script("@user_script:2: @user_script: 2: -OOM command not allowed");
        assert_eq!(class(&error), (Transient, Keep));
        let error = within_script("@user_script:2: WRONGTYPE Operation against a key");
        assert_eq!(class(&error), (Configuration, Keep));
        let error = within_script(
            "@user_script:2: @user_script: 2: The user executing the script can't run this command",
        );
        assert_eq!(class(&error), (Configuration, Keep));
        let error = within_script("of its own fault");
        assert_eq!(class(&error), OTHER_CODE);
    }

    #[test]
    fn a_connection_to_a_former_master_or_by_an_old_password_is_made_again() {
        for line in ["READONLY x", "UNBLOCKED x", "MASTERDOWN x", "NOAUTH x", "WRONGPASS x"] {
            assert!(is_stale(&server_error(line)), "{line}");
        }
        for line in ["WRONGTYPE x", "LOADING x", "NOPERM x", "ERR x"] {
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
