//! What each event does to its game.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use stream_runtime::{Advance, Clock, Entry, Handler, Hold, Outcome, async_trait};

use crate::event::{GmEvent, Kind};
use crate::game::{GameRecord, GameStatus, Trigger};
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
        Self {
            games,
            stats,
            capability,
            transitions,
            clock: Clock::system(),
        }
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
                self.observe(entry, &event, now, &ON_UPDATE).await;
                Ok(Advance::Handled)
            }
            Kind::GameFinished => {
                self.observe(entry, &event, now, &ON_FINISH).await;
                self.finish(entry, &event, event.finished_at.unwrap_or(now)).await
            }
        }
    }
}

/// What the log says when an observation could not be saved.
struct Complaints {
    snapshot: &'static str,
    initial: &'static str,
    max: &'static str,
}

const ON_UPDATE: Complaints = Complaints {
    snapshot: "apply runtime snapshot",
    initial: "save initial player stats",
    max: "update max player stats",
};

const ON_FINISH: Complaints = Complaints {
    snapshot: "apply final runtime snapshot",
    initial: "save initial player stats on finish",
    max: "update max player stats on finish",
};

impl GmEventsHandler {
    /// Saves what the event says of the game and its players, as far as that works.
    async fn observe(&self, entry: &Entry, event: &GmEvent, at: SystemTime, complaints: &Complaints) {
        let update = UpdateRuntimeSnapshot {
            game_id: event.game_id.clone(),
            snapshot: event.snapshot.clone(),
            at,
        };
        match self.games.update_runtime_snapshot(update).await {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => warn(entry, event, complaints.snapshot, &error.into()),
        }
        if event.player_stats.is_empty() {
            return;
        }
        if let Err(error) = self.stats.save_initial(&event.game_id, &event.player_stats).await {
            warn(entry, event, complaints.initial, &error.into());
        }
        if let Err(error) = self.stats.update_max(&event.game_id, &event.player_stats).await {
            warn(entry, event, complaints.max, &error.into());
        }
    }

    /// Sees to it that the game is finished and its players evaluated.
    async fn finish(&self, entry: &Entry, event: &GmEvent, finished_at: SystemTime) -> Outcome {
        let record = match self.games.get(&event.game_id).await {
            Ok(record) => record,
            Err(StoreError::NotFound) => {
                log!(warn, entry, game_id = %event.game_id, "game finished for unknown game id");
                return Ok(Advance::Handled);
            }
            Err(error) => return Err(hold(entry, event, "load game for finish", error)),
        };
        match record.status {
            GameStatus::Running | GameStatus::Paused => {
                self.move_to_finished(entry, event, &record, finished_at).await?;
            }
            GameStatus::Finished => {
                log!(info, entry, game_id = %event.game_id,
                    "game finished event observed for already finished game"
                );
            }
            status => {
                log!(info, entry, game_id = %event.game_id, current_status = %status, "game finished event ignored for unexpected status");
                return Ok(Advance::Handled);
            }
        }
        self.evaluate(entry, event).await
    }

    /// Moves the game to finished, unless someone else has changed its status meanwhile.
    async fn move_to_finished(
        &self,
        entry: &Entry,
        event: &GmEvent,
        record: &GameRecord,
        at: SystemTime,
    ) -> Result<(), Hold> {
        let (from, to, trigger) = (record.status, GameStatus::Finished, Trigger::RuntimeEvent);
        let update = UpdateStatus {
            game_id: record.game_id.clone(),
            expected_from: from,
            to,
            trigger,
            at,
        };
        match self.games.update_status(update).await {
            Ok(()) => {
                self.transitions.record_transition(from, to, trigger);
                log!(info, entry, game_id = %event.game_id, from_status = %from, to_status = %to, trigger = %trigger, "game finished");
                Ok(())
            }
            Err(StoreError::Conflict | StoreError::InvalidTransition) => {
                log!(info, entry, game_id = %event.game_id,
                    "game finished transition absorbed by status conflict"
                );
                Ok(())
            }
            Err(error) => Err(hold(entry, event, "transition game to finished", error)),
        }
    }

    /// Has the players of the finished game evaluated. Its record is read again: it knows when the game finished,
    /// whoever moved it.
    async fn evaluate(&self, entry: &Entry, event: &GmEvent) -> Outcome {
        let record = match self.games.get(&event.game_id).await {
            Ok(record) => record,
            Err(error) => return Err(hold(entry, event, "reload finished game record", error)),
        };
        if record.status != GameStatus::Finished {
            log!(
                warn,
                entry,
                game_id = %event.game_id,
                current_status = %record.status,
                "game record not finished after transition attempt"
            );
            return Ok(Advance::Handled);
        }
        let Some(finished_at) = record.finished_at else {
            log!(warn, entry, game_id = %event.game_id, "finished game missing finished_at");
            return Ok(Advance::Handled);
        };
        if let Err(error) = self.capability.evaluate(&record.game_id, finished_at).await {
            return Err(hold(entry, event, "capability evaluation failed", error));
        }
        log!(info, entry, game_id = %event.game_id, "game finished processed");
        Ok(Advance::Handled)
    }
}

/// Says what failed.
fn warn(entry: &Entry, event: &GmEvent, message: &str, error: &anyhow::Error) {
    log!(warn, entry, game_id = %event.game_id, err = format_args!("{error:#}"), "{message}");
}

/// Says what failed, and holds the entry for it.
fn hold(entry: &Entry, event: &GmEvent, message: &'static str, error: impl Into<anyhow::Error>) -> Hold {
    let error = error.into();
    warn(entry, event, message, &error);
    Hold::from(error.context(message))
}

impl fmt::Debug for GmEventsHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GmEventsHandler").finish_non_exhaustive()
    }
}
