//! Applies the game master's runtime events (`gm:lobby_events`) to games and to the statistics of their players.

mod game;
mod ports;

pub use game::{GameId, GameRecord, GameStatus, InvalidGameId, RuntimeSnapshot, Trigger, UnknownGameStatus};
pub use ports::{
    CapabilityEvaluator, GameStore, GameTurnStatsStore, PlayerObservedStats, StoreError, TransitionRecorder,
    UpdateRuntimeSnapshot, UpdateStatus,
};
