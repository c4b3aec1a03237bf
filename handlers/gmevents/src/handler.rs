//! What each event does to its game.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use stream_runtime::{Advance, Clock, Entry, Handler, Hold, Outcome, async_trait};

use crate::event::{GmEvent, Kind};
use crate::game::{GameId, GameRecord, GameStatus, Trigger};
use crate::ports::{
    CapabilityEvaluator, GameStore, GameTurnStatsStore, StoreError, TransitionRecorder,
    UpdateRuntimeSnapshot, UpdateStatus,
};

/// Logs one line about an entry, with the fields that dashboards look for on each.
macro_rules! log {
    ($level:ident, $entry:expr, $($rest:tt)+) => {
        tracing::$level!(
            worker = "lobby.gmevents",
            stream = $entry.stream(),
            stream_entry_id = %$entry.id(),
            $($rest)+
        )
    };
}

/// Applies the game master's events to games.
///
/// - `runtime_snapshot_update` overwrites the game's runtime snapshot, freezes the initial statistics of players
///   seen for the first time, and raises everyone's maxima.
/// - `game_finished` does the same, then moves a running or paused game to finished and has its players
///   evaluated.
///
/// An entry that is no event of the game master is skipped. A snapshot or statistics that cannot be saved are
/// logged and let go: the next event brings newer ones. A finish that cannot be completed is held.
///
/// A replay is harmless: the status moves by compare-and-set, the snapshot is overwritten with what it was, and
/// the evaluator knows a game that it has evaluated.
pub struct GmEventsHandler {
    games: Arc<dyn GameStore>,
    stats: Arc<dyn GameTurnStatsStore>,
    capability: Arc<dyn CapabilityEvaluator>,
    transitions: Arc<dyn TransitionRecorder>,
    clock: Clock,
}

impl GmEventsHandler {
    /// A handler on these stores, by the system's clock.
    pub fn new(
        games: Arc<dyn GameStore>,
        stats: Arc<dyn GameTurnStatsStore>,
        capability: Arc<dyn CapabilityEvaluator>,
        transitions: Arc<dyn TransitionRecorder>,
    ) -> Self {
        Self { games, stats, capability, transitions, clock: Clock::system() }
    }

    /// Takes the time from `clock`: when a snapshot was applied, and when a game finished whose event doesn't say.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

#[async_trait]
impl Handler for GmEventsHandler {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        let event = match GmEvent::decode(entry.fields()) {
            Ok(event) => event,
            Err(error) => {
                log!(warn, entry, err = format_args!("{error:#}"), "decode gm event");
                return Ok(Advance::skip(error));
            }
        };
        let now = self.clock.now();
        match event.kind {
            Kind::RuntimeSnapshotUpdate => {
                self.observe(entry, event, now, &ON_UPDATE).await;
                Ok(Advance::Handled)
            }
            Kind::GameFinished => {
                let (game_id, finished_at) = (event.game_id.clone(), event.finished_at.unwrap_or(now));
                self.observe(entry, event, now, &ON_FINISH).await;
                self.finish(entry, &game_id, finished_at).await
            }
        }
    }
}

/// What the log says of an observation that could not be saved.
struct Messages {
    snapshot: &'static str,
    initial_stats: &'static str,
    max_stats: &'static str,
}

const ON_UPDATE: Messages = Messages {
    snapshot: "apply runtime snapshot",
    initial_stats: "save initial player stats",
    max_stats: "update max player stats",
};

const ON_FINISH: Messages = Messages {
    snapshot: "apply final runtime snapshot",
    initial_stats: "save initial player stats on finish",
    max_stats: "update max player stats on finish",
};

impl GmEventsHandler {
    /// Saves what the event tells of the game and its players, as far as the stores let it.
    async fn observe(&self, entry: &Entry, event: GmEvent, at: SystemTime, messages: &Messages) {
        let GmEvent { game_id, snapshot, player_stats: stats, .. } = event;
        let update = UpdateRuntimeSnapshot { game_id: game_id.clone(), snapshot, at };
        match self.games.update_runtime_snapshot(update).await {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => warn(entry, &game_id, messages.snapshot, &error.into()),
        }
        if stats.is_empty() {
            return;
        }
        if let Err(error) = self.stats.save_initial(&game_id, &stats).await {
            warn(entry, &game_id, messages.initial_stats, &error.into());
        }
        if let Err(error) = self.stats.update_max(&game_id, &stats).await {
            warn(entry, &game_id, messages.max_stats, &error.into());
        }
    }

    /// Sees to it that the game is finished and its players are evaluated.
    async fn finish(&self, entry: &Entry, game_id: &GameId, finished_at: SystemTime) -> Outcome {
        let game = match self.games.get(game_id).await {
            Ok(game) => game,
            Err(StoreError::NotFound) => {
                log!(warn, entry, %game_id, "game finished for unknown game id");
                return Ok(Advance::Handled);
            }
            Err(error) => return Err(hold(entry, game_id, "load game for finish", error)),
        };
        match game.status {
            GameStatus::Running | GameStatus::Paused => {
                self.move_to_finished(entry, &game, finished_at).await?;
            }
            GameStatus::Finished => {
                log!(info, entry, %game_id, "game finished event observed for already finished game");
            }
            current_status => {
                log!(
                    info, entry, %game_id, %current_status,
                    "game finished event ignored for unexpected status"
                );
                return Ok(Advance::Handled);
            }
        }
        self.evaluate(entry, game_id).await
    }

    /// Moves the game to finished, unless its status has changed since it was read.
    async fn move_to_finished(&self, entry: &Entry, game: &GameRecord, at: SystemTime) -> Result<(), Hold> {
        let game_id = &game.game_id;
        let (from, to, trigger) = (game.status, GameStatus::Finished, Trigger::RuntimeEvent);
        let update = UpdateStatus { game_id: game_id.clone(), expected_from: from, to, trigger, at };
        match self.games.update_status(update).await {
            Ok(()) => {
                self.transitions.record_transition(from, to, trigger);
                log!(
                    info, entry, %game_id, from_status = %from, to_status = %to, %trigger,
                    "game finished"
                );
                Ok(())
            }
            Err(StoreError::Conflict | StoreError::InvalidTransition) => {
                log!(info, entry, %game_id, "game finished transition absorbed by status conflict");
                Ok(())
            }
            Err(error) => Err(hold(entry, game_id, "transition game to finished", error)),
        }
    }

    /// Has the finished game's players evaluated.
    ///
    /// The game is read again: only its record knows when it finished, whoever it was that moved it.
    async fn evaluate(&self, entry: &Entry, game_id: &GameId) -> Outcome {
        let game = match self.games.get(game_id).await {
            Ok(game) => game,
            Err(error) => return Err(hold(entry, game_id, "reload finished game record", error)),
        };
        if game.status != GameStatus::Finished {
            log!(
                warn, entry, %game_id, current_status = %game.status,
                "game record not finished after transition attempt"
            );
            return Ok(Advance::Handled);
        }
        let Some(finished_at) = game.finished_at else {
            log!(warn, entry, %game_id, "finished game missing finished_at");
            return Ok(Advance::Handled);
        };
        if let Err(error) = self.capability.evaluate(&game.game_id, finished_at).await {
            return Err(hold(entry, game_id, "capability evaluation failed", error));
        }
        log!(info, entry, %game_id, "game finished processed");
        Ok(Advance::Handled)
    }
}

/// Says what failed.
fn warn(entry: &Entry, game_id: &GameId, message: &str, error: &anyhow::Error) {
    log!(warn, entry, %game_id, err = format_args!("{error:#}"), "{message}");
}

/// Says what failed, and holds the entry for it.
fn hold(entry: &Entry, game_id: &GameId, message: &'static str, error: impl Into<anyhow::Error>) -> Hold {
    let error = error.into();
    warn(entry, game_id, message, &error);
    error.context(message).into()
}

impl fmt::Debug for GmEventsHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GmEventsHandler").finish_non_exhaustive()
    }
}
