//! The documents, as they are stored. The README describes them for who reads them with `redis-cli`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gmevents::{GameStatus, PlayerObservedStats};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Kind;

/// What is stored under one kind. An unknown field is an error: rewriting the document would lose it.
pub(crate) trait Document: Serialize + DeserializeOwned + Send {
    const KIND: Kind;
}

/// A game and who plays in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Game {
    #[serde(with = "status_text")]
    pub(crate) status: GameStatus,
    #[serde(default)]
    pub(crate) members: BTreeSet<String>,
    #[serde(default)]
    pub(crate) current_turn: i64,
    #[serde(default)]
    pub(crate) runtime_status: String,
    #[serde(default)]
    pub(crate) engine_health_summary: String,
    /// When the last snapshot was applied, in milliseconds since 1970; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot_at_ms: Option<u64>,
    /// When it finished, in milliseconds since 1970; absent before it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at_ms: Option<u64>,
}

impl Document for Game {
    const KIND: Kind = Kind::Game;
}

/// The observed statistics of a game, by user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stats {
    pub(crate) players: BTreeMap<String, PlayerStats>,
}

impl Document for Stats {
    const KIND: Kind = Kind::Stats;
}

/// One player's statistics. Either half is absent until it was first observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlayerStats {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) initial: Option<Counts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<Counts>,
}

/// Three counts of a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) planets: i64,
    pub(crate) population: i64,
    pub(crate) ships_built: i64,
}

impl Counts {
    pub(crate) fn of(observed: &PlayerObservedStats) -> Self {
        Self { planets: observed.planets, population: observed.population, ships_built: observed.ships_built }
    }

    /// The greater of each component.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            planets: self.planets.max(other.planets),
            population: self.population.max(other.population),
            ships_built: self.ships_built.max(other.ships_built),
        }
    }
}

/// The judgement of a finished game: its being there is the guard against a second one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capability {
    pub(crate) finished_at_ms: u64,
    /// Each member, and whether capable.
    pub(crate) capable: BTreeMap<String, bool>,
}

impl Document for Capability {
    const KIND: Kind = Kind::Capability;
}

/// A user who was blocked or deleted, and by which event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) mark: UserMark,
    pub(crate) occurred_at_ms: u64,
    pub(crate) entry_id: String,
    pub(crate) reason_code: String,
}

impl Document for User {
    const KIND: Kind = Kind::User;
}

/// What happened to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserMark {
    Blocked,
    Deleted,
}

impl UserMark {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Deleted => "deleted",
        }
    }
}

/// How far the demo feed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// The season that is played, from 1.
    pub(crate) season: u64,
    /// When it began: the times in its events follow from this one.
    pub(crate) started_at_ms: u64,
    /// How many of its events were told.
    pub(crate) told: usize,
}

impl Document for Progress {
    const KIND: Kind = Kind::Demo;
}

/// Milliseconds since 1970, zero for a time before.
pub(crate) fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time of that many milliseconds since 1970; `None` where the system cannot say it.
pub(crate) fn from_ms(ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

/// A status by its name.
mod status_text {
    use gmevents::GameStatus;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` asks for a reference")]
    pub(super) fn serialize<S: Serializer>(status: &GameStatus, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<GameStatus, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom(format_args!("unknown game status {text:?}")))
    }
}
