//! The command line, and what it makes of the configuration file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;
use humantime_serde::re::humantime;
use stream_runtime::RuntimeConfig;
use stream_runtime::redis::RedisConfig;
use tracing_subscriber::filter::Targets;

use crate::config::{Config, Consumers, DemoConfig, Streams};
use crate::redact::redact;

/// Runs the lobby's stream handlers: the game master's events and the user service's.
///
/// Without options it needs nothing: streams, offsets and the lobby's records are files in ./lobby-data, and a demo
/// feed plays the other services. Ctrl-C ends it in order; the next run goes on where this one stopped.
#[derive(Parser)]
#[command(name = "lobby-worker", version)]
pub(crate) struct Cli {
    /// Read settings from this file (TOML); options win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Keep everything in files in this directory [default: lobby-data].
    #[arg(long, value_name = "DIR", conflicts_with = "redis")]
    data: Option<PathBuf>,

    /// Run on this server: `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    // Any text is taken here: an error of clap's would show it.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,

    /// Play the demo feed on Redis too. On files it always plays.
    #[arg(long)]
    demo: bool,

    /// Exit once the feed is done and nothing has happened for this long, such as 2s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    exit_when_idle: Option<Duration>,

    /// Serve metrics for Prometheus at this address, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<SocketAddr>,

    /// What to log: a level, or targets with levels, such as info,gmevents=debug.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: Targets,
}

/// What the worker runs with: the options, the file, and the defaults.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) runtime: RuntimeConfig,
    pub(crate) streams: Streams,
    pub(crate) consumers: Consumers,
    pub(crate) place: PlaceConfig,
    /// `None`: no demo feed.
    pub(crate) demo: Option<DemoConfig>,
    pub(crate) exit_when_idle: Option<Duration>,
    pub(crate) metrics_addr: Option<SocketAddr>,
}

/// Where streams, offsets and records are.
#[derive(Debug)]
pub(crate) enum PlaceConfig {
    Files(PathBuf),
    Redis(RedisConfig),
}

impl Cli {
    /// The options of `args`, the program's name first. The error is a text for the terminal, of help too, with
    /// the exit code for it; it shows no password.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, (String, u8)> {
        Self::try_parse_from(args).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => (error.to_string(), 0),
            _ => (redact(&error.to_string()), 2),
        })
    }

    /// Reads the file, and lets the options win over it.
    pub(crate) fn settings(self) -> anyhow::Result<Settings> {
        let config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let place = self.place(config.redis, config.embedded.unwrap_or_default().data)?;
        let demo = self.demo || matches!(place, PlaceConfig::Files(_));
        Ok(Settings {
            runtime: config.runtime,
            streams: config.streams,
            consumers: config.consumers,
            place,
            demo: demo.then_some(config.demo),
            exit_when_idle: self.exit_when_idle,
            metrics_addr: self.metrics_addr,
        })
    }

    fn place(&self, redis: Option<RedisConfig>, data: PathBuf) -> anyhow::Result<PlaceConfig> {
        if let Some(data) = &self.data {
            return Ok(PlaceConfig::Files(data.clone()));
        }
        if let Some(url) = &self.redis {
            let mut redis = redis.unwrap_or_default();
            redis.url = url.parse().context("--redis")?;
            return Ok(PlaceConfig::Redis(redis));
        }
        Ok(redis.map_or(PlaceConfig::Files(data), PlaceConfig::Redis))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::TempDir;

    fn read(args: &[&str]) -> Result<Cli, (String, u8)> {
        let args = std::iter::once(&"lobby-worker").chain(args);
        Cli::read(args.map(OsString::from))
    }

    fn settings(args: &[&str]) -> anyhow::Result<Settings> {
        read(args).map_err(|(text, _)| anyhow::anyhow!(text))?.settings()
    }

    #[test]
    fn without_options_it_runs_the_demo_on_files() {
        let settings = settings(&[]).unwrap();
        assert!(matches!(settings.place, PlaceConfig::Files(data) if data == Path::new("lobby-data")));
        assert_eq!(settings.demo, Some(DemoConfig::default()));
        assert_eq!((settings.exit_when_idle, settings.metrics_addr), (None, None));
    }

    #[test]
    fn on_redis_the_feed_plays_when_asked_to() {
        assert!(settings(&["--redis", "redis://host"]).unwrap().demo.is_none());
        assert!(settings(&["--redis", "redis://host", "--demo"]).unwrap().demo.is_some());
    }

    #[test]
    fn options_win_over_the_file() {
        let dir = TempDir::new();
        let file = dir.path().join("lobby.toml");
        std::fs::write(&file, "[redis]\nurl = \"redis://file\"\noffset_key_prefix = \"o:\"").unwrap();
        let file = file.to_str().unwrap();
        let redis = |args: &[&str]| match settings(args).unwrap().place {
            PlaceConfig::Redis(redis) => Some((redis.url.to_string(), redis.offset_key_prefix)),
            PlaceConfig::Files(_) => None,
        };
        let of_file = ("redis://file:6379/0".to_owned(), "o:".to_owned());
        assert_eq!(redis(&["--config", file]), Some(of_file));
        let of_option = ("redis://option:6379/0".to_owned(), "o:".to_owned());
        assert_eq!(redis(&["--config", file, "--redis", "redis://option"]), Some(of_option));
        assert_eq!(redis(&["--config", file, "--data", "here"]), None);
    }

    #[test]
    fn durations_are_human() {
        let settings = settings(&["--exit-when-idle", "2s"]).unwrap();
        assert_eq!(settings.exit_when_idle, Some(Duration::from_secs(2)));
        let (text, code) = read(&["--exit-when-idle", "soon"]).err().unwrap();
        assert!(code != 0 && text.contains("--exit-when-idle"), "{text}");
    }

    #[test]
    fn no_error_shows_the_password_of_a_url() {
        for args in [
            &["--redis", "redis://me:secret@host:port"][..],
            &["--redis", "http://me:secret@host"],
            &["--redis", "secret"],
            &["redis://me:secret@host"],
            &["--redis=redis://me:secret@host", "--data", "x"],
            &["--demo=redis://me:secret@host"],
            &["--config", "redis://me:secret@host"],
        ] {
            let error = settings(args).unwrap_err();
            let shown = redact(&format!("{error:#}"));
            assert!(!shown.contains("secret"), "{args:?}: {shown}");
        }
    }

    #[test]
    fn help_is_no_error() {
        let (text, code) = read(&["--help"]).err().unwrap();
        assert_eq!(code, 0);
        assert!(text.contains("--exit-when-idle <DURATION>"), "{text}");
    }
}
