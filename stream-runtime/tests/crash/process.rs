//! A process of the worker, as its parent sees it.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::plan::Ending;
use crate::trap::{AT_THE_POINT, CLAIMED, Point};
use crate::worker::Orders;

/// The first argument of a worker; its orders are the second.
pub(crate) const WORKER: &str = "--worker";

const SIGKILL: i32 = 9;
/// How long a worker may take to claim its consumer, and to end after a SIGTERM.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a worker has for coming to its point, before it is killed where it is.
const ON_THE_WAY: Duration = Duration::from_millis(300);

pub(crate) struct Process {
    child: Child,
    /// Closes with this process: then the worker ends. Taken from the child, whose `wait` would close it.
    _leash: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGKILL, at a named point or anywhere.
    Killed(Option<Point>),
    /// By itself, as SIGTERM asked.
    Drained,
}

impl Process {
    pub(crate) fn start(orders: &Orders) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([WORKER, &serde_json::to_string(orders)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a worker")?;
        let stdout = child.stdout.take().context("the worker's output")?;
        let leash = child.stdin.take().context("the worker's input")?;
        Ok(Self { child, _leash: leash, lines: BufReader::new(stdout).lines() })
    }

    /// Ends it as planned; `caught_up` is waited for where the plan is to end then.
    pub(crate) async fn end(
        &mut self,
        ending: Ending,
        caught_up: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<End> {
        if let Ending::KilledYoung(wait) = ending {
            sleep(wait).await;
            return self.kill(None).await;
        }
        if !self.says(CLAIMED, PATIENCE).await? {
            bail!("the worker has not claimed its consumer in {PATIENCE:?}");
        }
        match ending {
            Ending::KilledYoung(wait) | Ending::KilledAfter(wait) => {
                sleep(wait).await;
                self.kill(None).await
            }
            Ending::KilledAt(trap, wait) => {
                let is_there = self.says(AT_THE_POINT, ON_THE_WAY).await?;
                if is_there {
                    sleep(wait).await;
                }
                self.kill(is_there.then_some(trap.point)).await
            }
            Ending::Terminated(wait) => {
                sleep(wait).await;
                self.terminate().await
            }
            Ending::CaughtUp => {
                caught_up.await?;
                self.terminate().await
            }
        }
    }

    /// Whether it says so in time. Another line, or none any more, is an error.
    async fn says(&mut self, expected: &str, patience: Duration) -> anyhow::Result<bool> {
        let Ok(line) = timeout(patience, self.lines.next_line()).await else { return Ok(false) };
        match line?.as_deref() {
            Some(line) if line == expected => Ok(true),
            Some(line) => bail!("the worker said {line:?}, expected {expected:?}"),
            None => bail!("the worker ended by itself ({}); it has said why above", self.child.wait().await?),
        }
    }

    async fn kill(&mut self, at: Option<Point>) -> anyhow::Result<End> {
        self.child.start_kill()?;
        let status = self.child.wait().await?;
        if status.signal() != Some(SIGKILL) {
            bail!("the worker ended by itself ({status}) before it was killed; it has said why above");
        }
        Ok(End::Killed(at))
    }

    async fn terminate(&mut self) -> anyhow::Result<End> {
        // The child is not waited for yet, so the number is still its own.
        let id = self.child.id().context("the worker ended by itself; it has said why above")?;
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await?;
        if !told.success() {
            bail!("cannot send SIGTERM to the worker: {told}");
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => drained(status?),
            Err(_) => bail!("the worker has not ended {PATIENCE:?} after a SIGTERM"),
        }
    }
}

fn drained(status: ExitStatus) -> anyhow::Result<End> {
    if !status.success() {
        bail!("the worker ended with {status} after a SIGTERM, expected success");
    }
    Ok(End::Drained)
}
