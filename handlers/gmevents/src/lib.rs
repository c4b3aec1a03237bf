//! Applies the game master's runtime events (`gm:lobby_events`) to games and to the statistics of their players.
//!
//! [`GmEventsHandler`] is the handler; what it needs of the world are the traits here, [`GameStore`] first.

mod event;
mod game;
mod handler;
mod ports;

pub use game::{GameId, GameRecord, GameStatus, InvalidGameId, RuntimeSnapshot, Trigger, UnknownGameStatus};
pub use handler::GmEventsHandler;
pub use ports::{
    CapabilityEvaluator, GameStore, GameTurnStatsStore, PlayerObservedStats, StoreError, TransitionRecorder,
    UpdateRuntimeSnapshot, UpdateStatus,
};
