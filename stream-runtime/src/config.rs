//! Settings, with their defaults. Values come from the embedding service: nothing here reads a file or the
//! environment.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::backoff::Backoff;
use crate::entry::{EntryId, ParseEntryIdError};

/// Settings of a [`Runtime`](crate::Runtime).
///
/// Durations are written as [humantime](https://docs.rs/humantime) reads them: `250ms`, `5s`, `1m 30s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// At shutdown, how long the entry in hand may take to finish and its commit to be made; default 10 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { drain_timeout: Duration::from_secs(10) }
    }
}

/// Settings of a [`Consumer`](crate::Consumer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// Where to start when no offset is stored; default `beginning`.
    pub start: StartAt,
    /// How long one read waits for an entry (`XREAD BLOCK`); default 5 s.
    #[serde(with = "humantime_serde")]
    pub block_timeout: Duration,
    /// How much one read may bring.
    pub batch: BatchConfig,
    /// How many entries may be handled ahead of the committed offset, and so may be handled again after a crash;
    /// default 1024. `1` commits each entry before the next one starts; more lets commits overlap handling. With less
    /// than twice [`BatchConfig::entries`], a drain at full speed waits for its commits.
    pub max_uncommitted: usize,
    /// The waits before a held entry is delivered again; default 100 ms to 30 s.
    pub hold_backoff: BackoffConfig,
    /// How long one call of the handler may take; default 30 s. A call that takes longer is held.
    #[serde(with = "humantime_serde")]
    pub handler_timeout: Duration,
    /// The short retries within one delivery.
    pub retry: RetryConfig,
    /// What to do where the stream lost entries before they were read; default `continue`.
    pub on_gap: OnGap,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            start: StartAt::Beginning,
            block_timeout: Duration::from_secs(5),
            batch: BatchConfig::default(),
            max_uncommitted: 1024,
            hold_backoff: BackoffConfig { min: Duration::from_millis(100), max: Duration::from_secs(30) },
            handler_timeout: Duration::from_secs(30),
            retry: RetryConfig::default(),
            on_gap: OnGap::Continue,
        }
    }
}

impl ConsumerConfig {
    /// What cannot be right, in words; `None` when all is well.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let faults = [
            (self.block_timeout.is_zero(), "block_timeout must not be zero"),
            (self.batch.entries == 0, "batch.entries must not be zero"),
            (self.batch.bytes == 0, "batch.bytes must not be zero"),
            (self.max_uncommitted == 0, "max_uncommitted must not be zero"),
            (self.hold_backoff.min.is_zero(), "hold_backoff.min must not be zero"),
            (
                self.hold_backoff.min > self.hold_backoff.max,
                "hold_backoff.min must not be above hold_backoff.max",
            ),
            (self.handler_timeout.is_zero(), "handler_timeout must not be zero"),
            (
                self.retry.backoff.min > self.retry.backoff.max,
                "retry.backoff.min must not be above retry.backoff.max",
            ),
        ];
        faults.into_iter().find_map(|(wrong, text)| wrong.then_some(text))
    }
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchConfig {
    /// At most this many entries (`XREAD COUNT`); default 512.
    pub entries: usize,
    /// About this many bytes; default 4 MiB. One entry is read whatever its size.
    pub bytes: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { entries: 512, bytes: 4 << 20 }
    }
}

/// Waits that double from `min` to `max`, with jitter, and never leave these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackoffConfig {
    /// The shortest wait.
    #[serde(with = "humantime_serde")]
    pub min: Duration,
    /// The longest wait.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

impl From<BackoffConfig> for Backoff {
    fn from(config: BackoffConfig) -> Self {
        Self { min: config.min, max: config.max }
    }
}

/// Retries within one delivery, for hiccups that pass in milliseconds. Longer waits are the consumer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How often the handler is called again within a delivery; default 2. `0` turns retries off.
    pub retries: u32,
    /// The waits between the calls; default 10 ms to 200 ms. No wait is longer than 1 s.
    pub backoff: BackoffConfig,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let backoff = BackoffConfig { min: Duration::from_millis(10), max: Duration::from_millis(200) };
        Self { retries: 2, backoff }
    }
}

/// What to do where the stream lost entries before they were read. Written `continue` or `hold`.
///
/// Either way it is reported: an error in the log, a counter, a place in the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Go on with what there is.
    #[default]
    Continue,
    /// Stop there, unready, until somebody has looked and started the worker again with `continue`.
    Hold,
}

/// Where a consumer starts when no offset is stored for it. Written `beginning`, `latest`, or an entry id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the first entry that the stream still has.
    #[default]
    Beginning,
    /// After the last entry that the stream ever had. Found out once, and committed at once.
    Latest,
    /// After the entry of this id.
    After(EntryId),
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::Latest => f.write_str("latest"),
            Self::After(id) => id.fmt(f),
        }
    }
}

impl FromStr for StartAt {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "latest" => Ok(Self::Latest),
            id => id.parse().map(Self::After),
        }
    }
}

impl Serialize for StartAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StartAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            let expected = "`beginning`, `latest` or an entry id";
            de::Error::invalid_value(de::Unexpected::Str(&text), &expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ConsumerConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = parse("{}").unwrap();
        assert_eq!(config, ConsumerConfig::default());
        assert_eq!(config.block_timeout, Duration::from_secs(5));
        assert_eq!((config.batch.entries, config.batch.bytes), (512, 4 * 1024 * 1024));
        assert_eq!(config.max_uncommitted, 1024);
        assert_eq!(config.hold_backoff.min, Duration::from_millis(100));
        assert_eq!(config.hold_backoff.max, Duration::from_secs(30));
        assert_eq!(config.handler_timeout, Duration::from_secs(30));
        assert_eq!(RuntimeConfig::default().drain_timeout, Duration::from_secs(10));
        assert_eq!(config.fault(), None);
    }

    #[test]
    fn durations_are_human_and_starts_are_words_or_ids() {
        let config = parse(r#"{"block_timeout": "250ms", "start": "17-3"}"#).unwrap();
        assert_eq!(config.block_timeout, Duration::from_millis(250));
        assert_eq!(config.start, StartAt::After(EntryId::new(17, 3)));
        assert_eq!(parse(r#"{"start": "latest"}"#).unwrap().start, StartAt::Latest);
        let error = parse(r#"{"start": "$"}"#).unwrap_err().to_string();
        assert!(error.contains("expected `beginning`, `latest` or an entry id"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let error = parse(r#"{"blok_timeout": "1s"}"#).unwrap_err().to_string();
        assert!(error.contains("blok_timeout"), "{error}");
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        let config = ConsumerConfig { block_timeout: Duration::ZERO, ..ConsumerConfig::default() };
        assert_eq!(config.fault(), Some("block_timeout must not be zero"));
        let config = ConsumerConfig { max_uncommitted: 0, ..ConsumerConfig::default() };
        assert_eq!(config.fault(), Some("max_uncommitted must not be zero"));
    }
}
