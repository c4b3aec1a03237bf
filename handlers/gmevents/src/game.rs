//! The words of a game that this handler needs: id, status, trigger, snapshot, record.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// The id of a game: not empty, no white space around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GameId(String);

impl GameId {
    /// The id `text`.
    ///
    /// # Errors
    ///
    /// The text is empty or has white space around it.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidGameId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidGameId("must not be empty"));
        }
        if text.trim() != text {
            return Err(InvalidGameId("must not have white space around it"));
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`GameId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGameId(&'static str);

impl fmt::Display for InvalidGameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for InvalidGameId {}

/// Where a game stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GameStatus {
    /// `draft`
    Draft,
    /// `enrollment_open`
    EnrollmentOpen,
    /// `ready_to_start`
    ReadyToStart,
    /// `starting`
    Starting,
    /// `start_failed`
    StartFailed,
    /// `running`
    Running,
    /// `paused`
    Paused,
    /// `finished`
    Finished,
    /// `cancelled`
    Cancelled,
}

impl GameStatus {
    const ALL: [Self; 9] = [
        Self::Draft,
        Self::EnrollmentOpen,
        Self::ReadyToStart,
        Self::Starting,
        Self::StartFailed,
        Self::Running,
        Self::Paused,
        Self::Finished,
        Self::Cancelled,
    ];

    /// The status as stores, logs and metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::EnrollmentOpen => "enrollment_open",
            Self::ReadyToStart => "ready_to_start",
            Self::Starting => "starting",
            Self::StartFailed => "start_failed",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for GameStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GameStatus {
    type Err = UnknownGameStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownGameStatus)
    }
}

/// A text that is no [`GameStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownGameStatus;

impl fmt::Display for UnknownGameStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown game status")
    }
}

impl Error for UnknownGameStatus {}

/// What made a game change its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// `runtime_event`: an event of the game master.
    RuntimeEvent,
}

impl Trigger {
    /// The trigger as stores, logs and metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RuntimeEvent => "runtime_event",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the game master last said of a running game.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeSnapshot {
    /// The turn; not negative.
    pub current_turn: i64,
    /// The runtime's own word for its state.
    pub runtime_status: String,
    /// The engine's health, in its own words.
    pub engine_health_summary: String,
}

/// What the handler needs of a stored game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GameRecord {
    /// The game.
    pub game_id: GameId,
    /// Its status.
    pub status: GameStatus,
    /// When it finished, once it has.
    pub finished_at: Option<SystemTime>,
}
