//! What the handler needs of the world: two stores, the evaluator, and a counter.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::game::{GameId, GameRecord, GameStatus, RuntimeSnapshot, Trigger};

/// The games.
#[async_trait]
pub trait GameStore: Send + Sync + 'static {
    /// Overwrites the runtime snapshot of a game.
    async fn update_runtime_snapshot(&self, update: UpdateRuntimeSnapshot) -> Result<(), StoreError>;

    /// The game as it is stored.
    async fn get(&self, game_id: &GameId) -> Result<GameRecord, StoreError>;

    /// Moves a game from one status to another, if it still has the first (compare-and-set).
    async fn update_status(&self, update: UpdateStatus) -> Result<(), StoreError>;
}

/// The observed statistics of a game's players.
#[async_trait]
pub trait GameTurnStatsStore: Send + Sync + 'static {
    /// Freezes each user's initial statistics on the first observation of the user in the game.
    async fn save_initial(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError>;

    /// Raises each user's maxima, component by component.
    async fn update_max(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError>;
}

/// Judges the players of a finished game.
#[async_trait]
pub trait CapabilityEvaluator: Send + Sync + 'static {
    /// Evaluates the game that finished at `finished_at`. A second evaluation of the same game changes nothing.
    /// An error holds the event: the evaluation is tried again.
    async fn evaluate(&self, game_id: &GameId, finished_at: SystemTime) -> anyhow::Result<()>;
}

/// Counts changes of status, as `lobby.game.transitions` with the labels from, to and trigger.
pub trait TransitionRecorder: Send + Sync + 'static {
    /// Counts one.
    fn record_transition(&self, from: GameStatus, to: GameStatus, trigger: Trigger);
}

/// The input of [`GameStore::update_runtime_snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRuntimeSnapshot {
    /// The game.
    pub game_id: GameId,
    /// Its new snapshot.
    pub snapshot: RuntimeSnapshot,
    /// When the handler applied it.
    pub at: SystemTime,
}

/// The input of [`GameStore::update_status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateStatus {
    /// The game.
    pub game_id: GameId,
    /// The status that it must still have.
    pub expected_from: GameStatus,
    /// The status that it gets.
    pub to: GameStatus,
    /// What made it change.
    pub trigger: Trigger,
    /// When it changed.
    pub at: SystemTime,
}

/// What the game master observed of one player. No count is negative and the user id is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerObservedStats {
    /// The player.
    pub user_id: String,
    /// Planets owned.
    pub planets: i64,
    /// Population ruled.
    pub population: i64,
    /// Ships built so far.
    pub ships_built: i64,
}

/// What can go wrong in a store, as far as the handler tells it apart.
#[derive(Debug)]
pub enum StoreError {
    /// There is no such game.
    NotFound,
    /// The game no longer has the expected status.
    Conflict,
    /// No game goes from the one status to the other.
    InvalidTransition,
    /// The store did not answer, or answered nonsense.
    Unavailable(anyhow::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("game not found"),
            Self::Conflict => f.write_str("game status conflict"),
            Self::InvalidTransition => f.write_str("invalid game status transition"),
            Self::Unavailable(cause) => write!(f, "{cause}"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(cause) => cause.source(),
            Self::NotFound | Self::Conflict | Self::InvalidTransition => None,
        }
    }
}
