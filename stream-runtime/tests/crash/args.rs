//! The command line: flags of this program's own, and those of a test harness, which `cargo test` passes to all.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, bail};

use crate::sabotage::Control;

pub(crate) const HELP: &str = "\
The crash suite. Flags:
  --kills N          kills on each backend (default 100)
  --backend NAME     redis or embedded (default both)
  --seed N           for the same choices again; the moments still differ
  --controls         the controls alone
  --control NAME     one control alone: commit-before-handling, commit-read-ahead, swallow-hold,
                     start-off-by-one, drop-batch-tail, window-plus-one
  --list             what there is to run
  FILTER...          run only what has one of these in its name";

/// Flags of the standard harness that mean nothing here, with whether a value follows.
const HARNESS_FLAGS: [(&str, bool); 14] = [
    ("--nocapture", false),
    ("--no-capture", false),
    ("--show-output", false),
    ("--quiet", false),
    ("-q", false),
    ("--test", false),
    ("--include-ignored", false),
    ("--report-time", false),
    ("--ensure-time", false),
    ("--test-threads", true),
    ("--color", true),
    ("--format", true),
    ("--logfile", true),
    ("-Z", true),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Redis,
    Embedded,
}

impl Backend {
    pub(crate) const ALL: [Self; 2] = [Self::Redis, Self::Embedded];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    pub(crate) list: bool,
    pub(crate) help: bool,
    backend: Option<Backend>,
    controls_alone: bool,
    control: Option<Control>,
    /// `--ignored`: only what is ignored otherwise, which is nothing.
    ignored_alone: bool,
    exact: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut args = Self::default();
        while let Some(word) = words.next() {
            // `--flag=value` is `--flag value`.
            let (flag, mut given) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with('-') => (flag.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            let mut value = || given.take().or_else(|| words.next()).context("a value is missing");
            match flag.as_str() {
                "--kills" => args.kills = value()?.parse().context("--kills: no number")?,
                "--seed" => args.seed = value()?.parse().context("--seed: no number")?,
                "--backend" => args.backend = Some(backend(&value()?)?),
                "--control" => args.control = Some(control(&value()?)?),
                "--controls" => args.controls_alone = true,
                "--list" => args.list = true,
                "--help" | "-h" => args.help = true,
                "--ignored" => args.ignored_alone = true,
                "--exact" => args.exact = true,
                "--skip" => args.skipped.push(value()?),
                flag if flag.starts_with('-') => {
                    let known = HARNESS_FLAGS.iter().find(|(name, _)| *name == flag);
                    let Some((_, has_value)) = known else { bail!("unknown flag {flag}\n{HELP}") };
                    if *has_value {
                        value()?;
                    }
                }
                filter => args.filters.push(filter.to_owned()),
            }
        }
        Ok(args)
    }

    /// Whether what has this name is to be run: on this backend, as this control.
    pub(crate) fn wants(&self, name: &str, backend: Option<Backend>, control: Option<Control>) -> bool {
        let backend_fits = self.backend.is_none() || backend.is_none() || self.backend == backend;
        let control_fits = match self.control {
            Some(_) => self.control == control,
            None => !self.controls_alone || control.is_some(),
        };
        let matches = |text: &String| if self.exact { name == text } else { name.contains(text) };
        let filter_fits = self.filters.is_empty() || self.filters.iter().any(matches);
        backend_fits
            && control_fits
            && filter_fits
            && !self.skipped.iter().any(matches)
            && !self.ignored_alone
    }
}

impl Default for Args {
    fn default() -> Self {
        Self {
            kills: 100,
            seed: RandomState::new().hash_one(()) % 1_000_000,
            list: false,
            help: false,
            backend: None,
            controls_alone: false,
            control: None,
            ignored_alone: false,
            exact: false,
            filters: Vec::new(),
            skipped: Vec::new(),
        }
    }
}

fn backend(name: &str) -> anyhow::Result<Backend> {
    let found = Backend::ALL.into_iter().find(|backend| backend.to_string() == name);
    found.with_context(|| format!("--backend {name}: there are redis and embedded"))
}

fn control(name: &str) -> anyhow::Result<Control> {
    let found = Control::ALL.into_iter().find(|control| control.name() == name);
    found.with_context(|| format!("--control {name}: no such control\n{HELP}"))
}
