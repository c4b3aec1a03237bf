//! What the game master says in one entry.

mod player_stats;

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use stream_runtime::{FieldError, Fields};

use crate::game::{GameId, RuntimeSnapshot};
use crate::ports::PlayerObservedStats;

/// An event of the game master.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GmEvent {
    pub(crate) kind: Kind,
    pub(crate) game_id: GameId,
    pub(crate) snapshot: RuntimeSnapshot,
    /// In the order of the entry; a player may come twice.
    pub(crate) player_stats: Vec<PlayerObservedStats>,
    /// When the game finished, if the entry says so. Read, and refused, whatever the kind.
    pub(crate) finished_at: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RuntimeSnapshotUpdate,
    GameFinished,
}

impl GmEvent {
    /// The event of an entry with these fields. An error means that the entry is bad input, for good.
    ///
    /// An absent field is as good as an empty one.
    pub(crate) fn decode(fields: &Fields) -> anyhow::Result<Self> {
        Ok(Self {
            kind: text(fields, "kind")?.parse()?,
            game_id: game_id(text(fields, "game_id")?)?,
            snapshot: RuntimeSnapshot {
                current_turn: current_turn(text(fields, "current_turn")?).context("invalid current_turn")?,
                runtime_status: text(fields, "runtime_status")?.to_owned(),
                engine_health_summary: text(fields, "engine_health_summary")?.to_owned(),
            },
            player_stats: player_stats::decode(text(fields, "player_turn_stats")?)
                .context("invalid player_turn_stats")?,
            finished_at: finished_at(text(fields, "finished_at_ms")?).context("invalid finished_at_ms")?,
        })
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "runtime_snapshot_update" => Ok(Self::RuntimeSnapshotUpdate),
            "game_finished" => Ok(Self::GameFinished),
            _ => {
                let shown: String = text.chars().take(64).collect();
                bail!("unsupported event kind {shown:?}")
            }
        }
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, FieldError> {
    Ok(fields.text(name)?.unwrap_or_default())
}

fn game_id(text: &str) -> anyhow::Result<GameId> {
    ensure!(!text.trim().is_empty(), "missing game_id");
    GameId::new(text).context("invalid game_id")
}

fn current_turn(text: &str) -> anyhow::Result<i64> {
    if text.is_empty() {
        return Ok(0);
    }
    let turn = text.parse()?;
    ensure!(turn >= 0, "must not be negative");
    Ok(turn)
}

fn finished_at(text: &str) -> anyhow::Result<Option<SystemTime>> {
    if text.is_empty() {
        return Ok(None);
    }
    let ms: i64 = text.parse()?;
    ensure!(ms > 0, "must be positive");
    let since_epoch = Duration::from_millis(ms.unsigned_abs());
    let at = UNIX_EPOCH.checked_add(since_epoch).ok_or_else(|| anyhow!("out of range"))?;
    Ok(Some(at))
}

#[cfg(test)]
mod tests;
