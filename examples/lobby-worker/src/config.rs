//! The configuration file. Everything in it has a default; the README shows all of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use stream_runtime::redis::RedisConfig;
use stream_runtime::{ConsumerConfig, RuntimeConfig};

use crate::redact::redact;

/// The file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) runtime: RuntimeConfig,
    pub(crate) streams: Streams,
    pub(crate) consumers: Consumers,
    /// Where the section is there, the worker runs on Redis.
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) embedded: Option<EmbeddedConfig>,
    pub(crate) demo: DemoConfig,
}

/// The names of the streams. The consumers keep their own names, whatever the streams are called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Streams {
    pub(crate) gm_lobby_events: String,
    pub(crate) user_lifecycle: String,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            gm_lobby_events: "gm:lobby_events".to_owned(),
            user_lifecycle: "user:lifecycle_events".to_owned(),
        }
    }
}

/// The settings of each consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Consumers {
    pub(crate) gm_lobby_events: ConsumerConfig,
    pub(crate) user_lifecycle: ConsumerConfig,
}

/// The local files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EmbeddedConfig {
    /// The directory that they are in; made where it is missing.
    pub(crate) data: PathBuf,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { data: PathBuf::from("lobby-data") }
    }
}

/// The demo feed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DemoConfig {
    /// How long it pauses after each event.
    #[serde(with = "humantime_serde")]
    pub(crate) pace: Duration,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { pace: Duration::from_millis(25) }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// They name the file, the line and what would be right, and show no password.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("--config {}: the file can't be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("--config {}: correct the file", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // The error shows the line at fault, with what is in it.
        let config: Self = toml::from_str(text).map_err(|error| anyhow!(redact(&error.to_string())))?;
        if config.redis.is_some() && config.embedded.is_some() {
            bail!("it has both [redis] and [embedded]; keep the one to run on");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.streams.gm_lobby_events, "gm:lobby_events");
        assert_eq!(config.streams.user_lifecycle, "user:lifecycle_events");
        assert_eq!(config.demo.pace, Duration::from_millis(25));
        assert!(config.redis.is_none());
    }

    #[test]
    fn the_readmes_file_is_the_defaults() {
        let readme = include_str!("../README.md");
        let (_, from_file) = readme.split_once("```toml\n").unwrap();
        let (file, _) = from_file.split_once("```").unwrap();
        let embedded = Some(EmbeddedConfig::default());
        assert_eq!(Config::parse(file).unwrap(), Config { embedded, ..Config::default() });
        let (_, redis) = file.split_once("# [redis]").unwrap();
        let redis = redis.lines().take_while(|line| !line.is_empty()).skip(1);
        let redis: Vec<&str> = redis.map(|line| line.strip_prefix("# ").unwrap()).collect();
        let redis = Config::parse(&format!("[redis]\n{}", redis.join("\n"))).unwrap().redis.unwrap();
        let url = redis.url.clone();
        let mut expected = RedisConfig::default();
        expected.url = url;
        assert_eq!(redis, expected);
    }

    #[test]
    fn every_section_is_read() {
        let text = r#"
            [runtime]
            drain_timeout = "3s"
            [streams]
            user_lifecycle = "users"
            [consumers.gm_lobby_events]
            max_uncommitted = 1
            block_timeout = "1s"
            hold_backoff = { min = "50ms", max = "2s" }
            [consumers.user_lifecycle]
            start = "latest"
            [redis]
            url = "redis://me:secret@host/2"
            [demo]
            pace = "0s"
        "#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.runtime.drain_timeout, Duration::from_secs(3));
        assert_eq!(config.streams.user_lifecycle, "users");
        assert_eq!(config.streams.gm_lobby_events, "gm:lobby_events");
        let consumer = &config.consumers.gm_lobby_events;
        assert_eq!((consumer.max_uncommitted, consumer.block_timeout), (1, Duration::from_secs(1)));
        assert_eq!(consumer.hold_backoff.max, Duration::from_secs(2));
        assert_eq!(config.consumers.user_lifecycle.start.to_string(), "latest");
        assert!(config.redis.is_some());
        assert!(!format!("{config:?}").contains("secret"));
        let config = Config::parse("[embedded]\ndata = \"/var/lib/lobby\"").unwrap();
        assert_eq!(config.embedded.unwrap().data, Path::new("/var/lib/lobby"));
    }

    #[test]
    fn an_unknown_setting_and_a_bad_duration_are_named() {
        let unknown = error("[consumers.gm_lobby_events]\nblok_timeout = \"1s\"");
        assert!(unknown.contains("blok_timeout") && unknown.contains("block_timeout"), "{unknown}");
        let section = error("[consumer]");
        assert!(section.contains("consumer") && section.contains("consumers"), "{section}");
        let duration = error("[demo]\npace = \"soon\"");
        assert!(duration.contains("pace = \"soon\""), "{duration}");
    }

    #[test]
    fn two_places_are_refused() {
        let both = error("[redis]\n[embedded]");
        assert!(both.contains("keep the one to run on"), "{both}");
    }

    #[test]
    fn an_error_shows_no_password() {
        for text in [
            "[redis]\nurl = { no = \"redis://me:secret@host\" }",
            "[redis]\nurl = \"redis://me:secret@host\" x",
            "redis = \"redis://me:secret@host\"",
        ] {
            let shown = error(text);
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
