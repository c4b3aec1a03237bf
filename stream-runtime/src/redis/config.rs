//! Where the server is, and how long to wait for it.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use redis::{ConnectionAddr, ConnectionInfo};
use serde::Deserialize;

use crate::backend::BackendError;

/// Settings of a [`RedisBackend`](super::RedisBackend).
///
/// Durations are written as [humantime](https://docs.rs/humantime) reads them: `250ms`, `5s`. It can be read by
/// serde but not written: it holds a password.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The server; default `redis://127.0.0.1:6379`.
    pub url: RedisUrl,
    /// For `rediss://`: the certificates of the authority that signed the server's, in PEM, instead of the
    /// public authorities that are trusted by default.
    pub ca_certificate: Option<String>,
    /// What stands before a consumer's name in the key of its offset; default `stream-runtime:offset:`.
    pub offset_key_prefix: String,
    /// How long it may take to connect, TLS and authentication included; default 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an answer may take, beyond the time that a blocking read was told to wait; default 5 s. A
    /// connection that takes longer is given up.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: RedisUrl::default(),
            ca_certificate: None,
            offset_key_prefix: "stream-runtime:offset:".to_owned(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
        }
    }
}

impl RedisConfig {
    /// Refuses what cannot be right, but for the URL and the certificate, which are checked where they are used.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        for (name, timeout) in
            [("connect_timeout", self.connect_timeout), ("response_timeout", self.response_timeout)]
        {
            if timeout.is_zero() {
                return Err(BackendError::configuration(anyhow!("{name} must not be zero")));
            }
        }
        Ok(())
    }
}

/// The address of a server, with user, password and database:
/// `redis://[[user][:password]@]host[:port][/database]`, `rediss://…` for TLS, or
/// `unix:///path?db=0&user=…&pass=…` for a socket.
///
/// Port 6379 and database 0 unless given. Characters with a meaning in URLs are written `%40` and so on.
/// `?protocol=resp3` speaks RESP3, but for reading streams, where it has nothing to add.
///
/// Shown without the password. Read by serde, any text is taken, and
/// [`RedisBackend::new`](super::RedisBackend::new) refuses one that is no URL: the error of a configuration
/// file's format would show the whole line.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// What the redis crate makes of it.
    pub(super) fn connection_info(&self) -> Result<ConnectionInfo, ParseRedisUrlError> {
        let info: ConnectionInfo = self.0.parse().map_err(|error: redis::RedisError| {
            // "what - kind: detail", where only the detail may hold a part of the URL.
            let text = error.to_string();
            let reason = text.split(" - ").next().unwrap_or_default();
            ParseRedisUrlError(reason.to_owned())
        })?;
        if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
            let reason = "`#insecure` is not supported: set `ca_certificate`";
            return Err(ParseRedisUrlError(reason.to_owned()));
        }
        Ok(info)
    }
}

impl Default for RedisUrl {
    fn default() -> Self {
        Self("redis://127.0.0.1:6379".to_owned())
    }
}

impl FromStr for RedisUrl {
    type Err = ParseRedisUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Self(text.to_owned());
        url.connection_info()?;
        Ok(url)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(info) = self.connection_info() else {
            return f.write_str("(not a Redis URL)");
        };
        let scheme = match info.addr() {
            ConnectionAddr::TcpTls { .. } => "rediss",
            ConnectionAddr::Unix(_) => "unix",
            _ => "redis",
        };
        let server = info.redis_settings();
        // A name without a password is as likely a password in the wrong place.
        let user = match (server.username(), server.password()) {
            (None, None) => "",
            (Some(_), None) => "***@",
            (user, Some(_)) => &format!("{}:***@", user.unwrap_or_default()),
        };
        write!(f, "{scheme}://{user}{}/{}", info.addr(), server.db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no Redis URL. It says why, and does not show the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRedisUrlError(String);

impl fmt::Display for ParseRedisUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no Redis URL: {}; expected `redis://[user:password@]host[:port][/database]`, `rediss://…` or \
             `unix:///path`",
            self.0
        )
    }
}

impl Error for ParseRedisUrlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisBackend;

    fn parse(json: &str) -> Result<RedisConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = parse("{}").unwrap();
        assert_eq!(config, RedisConfig::default());
        assert_eq!(config.url.to_string(), "redis://127.0.0.1:6379/0");
        assert_eq!(config.offset_key_prefix, "stream-runtime:offset:");
        assert_eq!(config.ca_certificate, None);
        assert_eq!(config.connect_timeout, Duration::from_secs(5));
        assert_eq!(config.response_timeout, Duration::from_secs(5));
    }

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let config = parse(r#"{"url": "redis://h:7/3", "connect_timeout": "250ms"}"#).unwrap();
        assert_eq!(config.url.to_string(), "redis://h:7/3");
        assert_eq!(config.connect_timeout, Duration::from_millis(250));
        let error = parse(r#"{"uri": "redis://h"}"#).unwrap_err().to_string();
        assert!(error.contains("uri"), "{error}");
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://h", "redis://h:6379/0"),
            ("redis://ada:hidden@h:7/2", "redis://ada:***@h:7/2"),
            ("redis://:hidden@h", "redis://:***@h:6379/0"),
            ("redis://hidden@h", "redis://***@h:6379/0"),
            ("rediss://ada:hidden@h", "rediss://ada:***@h:6379/0"),
            ("unix:///run/redis.sock?db=1&pass=hidden", "unix://:***@/run/redis.sock/1"),
        ] {
            let url: RedisUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for (url, reason) in [
            ("hidden", "did not parse"),
            ("http://u:hidden@h", "did not parse"),
            ("redis://u:hidden@", "did not parse"),
            ("redis://u:hidden@h/notadb", "Invalid database number"),
            ("redis://u:p@h/?protocol=hidden", "Invalid protocol version"),
            ("rediss://u:hidden@h/#insecure", "set `ca_certificate`"),
        ] {
            let error = url.parse::<RedisUrl>().unwrap_err();
            assert!(error.to_string().contains(reason), "{url}: {error}");

            let config = parse(&format!(r#"{{"url": "{url}"}}"#)).unwrap();
            let refused = RedisBackend::new(config.clone()).unwrap_err();
            for text in [format!("{error}{error:?}{refused}{refused:?}"), format!("{config:?}")] {
                assert!(!text.contains("hidden"), "{text}");
            }
        }
    }

    #[test]
    fn a_zero_timeout_is_refused() {
        let config = RedisConfig { response_timeout: Duration::ZERO, ..RedisConfig::default() };
        let error = RedisBackend::new(config).unwrap_err().to_string();
        assert_eq!(error, "response_timeout must not be zero");
    }

    #[test]
    fn a_certificate_must_be_one_and_needs_tls() {
        let build = |url: &str, certificate: &str| {
            RedisBackend::new(RedisConfig {
                url: url.parse().unwrap(),
                ca_certificate: Some(certificate.to_owned()),
                ..RedisConfig::default()
            })
        };
        let error = build("rediss://h", "no certificate").unwrap_err().to_string();
        assert!(error.contains("ca_certificate: no certificate"), "{error}");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = build("rediss://h", broken).unwrap_err().to_string();
        assert!(error.contains("ca_certificate"), "{error}");
        let error = build("redis://h", broken).unwrap_err().to_string();
        assert!(error.contains("rediss://"), "{error}");
    }
}
