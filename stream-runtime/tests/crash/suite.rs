//! What there is to run: the kills on each backend, the controls, and the verifier's own checks.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::bail;

use crate::args::{Args, Backend};
use crate::plan::Dice;
use crate::round::Round;
use crate::sabotage::Control;
use crate::site::Server;
use crate::tally::Tally;
use crate::verifier::{Violation, checks};

/// A judged run is told of so often.
const PROGRESS: Duration = Duration::from_secs(5);
/// Fewer kills than these need not have met every point.
const ENOUGH_FOR_EVERY_POINT: u64 = 80;
/// So many runs may a broken worker take until it is found out.
const RUNS_OF_A_CONTROL: u64 = 200;
/// So many violations are shown.
const SHOWN: usize = 10;

/// One thing to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Check(&'static str, fn()),
    Control(Control, Backend),
    Kills(Backend),
}

impl Item {
    /// All there is, in the order in which it is run: first what is quick.
    pub(crate) fn all() -> Vec<Self> {
        let checks = checks::ALL.iter().map(|(name, check)| Self::Check(name, *check));
        let controls = Control::ALL
            .into_iter()
            .flat_map(|control| Backend::ALL.into_iter().map(move |backend| Self::Control(control, backend)));
        checks.chain(controls).chain(Backend::ALL.map(Self::Kills)).collect()
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Check(name, _) => format!("crash::verifier::{name}"),
            Self::Control(control, backend) => format!("crash::control::{}::{backend}", control.name()),
            Self::Kills(backend) => format!("crash::kills::{backend}"),
        }
    }

    pub(crate) fn is_wanted(self, args: &Args) -> bool {
        let (backend, control) = match self {
            Self::Check(..) => (None, None),
            Self::Control(control, backend) => (Some(backend), Some(control)),
            Self::Kills(backend) => (Some(backend), None),
        };
        args.wants(&self.name(), backend, control)
    }

    /// Runs it; what there is to say of it.
    pub(crate) async fn run(self, args: &Args, server: &Server) -> anyhow::Result<String> {
        let scratch = Scratch::new(&self.name());
        let result = match self {
            Self::Check(_, check) => match catch_unwind(check) {
                Ok(()) => Ok("ok".to_owned()),
                Err(_) => bail!("the verifier judges wrongly"),
            },
            Self::Control(control, backend) => caught(control, backend, args, server, &scratch).await,
            Self::Kills(backend) => kills(backend, args, server, &scratch).await,
        };
        if result.is_ok() {
            scratch.remove();
        }
        result
    }
}

/// Kills the worker as often as asked, in rounds: so no file grows without bound.
async fn kills(backend: Backend, args: &Args, server: &Server, scratch: &Scratch) -> anyhow::Result<String> {
    let started = Instant::now();
    let mut told = started;
    let mut tally = Tally::default();
    let mut dice = Dice::new(args.seed);
    while tally.kills < args.kills {
        let round_dice = Dice::new(dice.below(u64::MAX));
        let dir = scratch.0.join(format!("round-at-{}", tally.kills));
        let mut round = Round::new(backend, server, dir.clone(), round_dice, None)?;
        let end = args.kills.min(tally.kills + round_length(backend)) - tally.kills;
        while round.tally().kills < end {
            let violations = round.next().await?;
            refuse(&violations, args, scratch)?;
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                let mut so_far = tally.clone();
                so_far.add(&round.tally());
                println!("  {backend}, {:.0?}: {so_far}", started.elapsed());
            }
        }
        refuse(&round.finish().await?, args, scratch)?;
        tally.add(&round.tally());
        fs::remove_dir_all(dir)?;
    }
    if let Some(missing) = tally.missing().filter(|_| args.kills >= ENOUGH_FOR_EVERY_POINT) {
        bail!("{tally}\nthat proves too little, there was {missing}: try again with more --kills");
    }
    let a_minute = tally.kills as f64 / started.elapsed().as_secs_f64() * 60.0;
    Ok(format!("{tally}\n{}\n  {a_minute:.0} kills a minute", tally.details()))
}

/// How many kills a stream lives through. The embedded file is checked and copied as a whole after each.
fn round_length(backend: Backend) -> u64 {
    match backend {
        Backend::Redis => 100,
        Backend::Embedded => 25,
    }
}

fn refuse(violations: &[Violation], args: &Args, scratch: &Scratch) -> anyhow::Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = violations.iter().take(SHOWN).map(ToString::to_string).collect();
    bail!(
        "{} violations\n  {}\nmanifest and journals are in {}; the same choices again: --seed {}",
        violations.len(),
        shown.join("\n  "),
        scratch.0.display(),
        args.seed
    )
}

/// Runs a worker that breaks the promise, until the verifier has noticed.
async fn caught(
    control: Control,
    backend: Backend,
    args: &Args,
    server: &Server,
    scratch: &Scratch,
) -> anyhow::Result<String> {
    let mut round = Round::new(backend, server, scratch.0.clone(), Dice::new(args.seed), Some(control))?;
    for run in 1..=RUNS_OF_A_CONTROL {
        let violations = round.next().await?;
        if let Some(violation) = violations.iter().find(|violation| violation.kind == control.breaks()) {
            return Ok(format!("caught after {run} runs: {violation}"));
        }
    }
    bail!(
        "the verifier has not noticed in {RUNS_OF_A_CONTROL} runs that the worker does {}: it cannot be trusted; \
         journals are in {}",
        control.name(),
        scratch.0.display()
    )
}

/// A directory, kept when something is to be looked at.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = name.replace("::", "-");
        Self(env::temp_dir().join(format!("stream-runtime-{name}-{}", process::id())))
    }

    fn remove(self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(self.0);
    }
}
