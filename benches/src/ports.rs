//! The world of the `gmevents` handler as it costs nothing.

use std::sync::Arc;
use std::time::SystemTime;

use gmevents::{
    CapabilityEvaluator, GameId, GameRecord, GameStatus, GameStore, GameTurnStatsStore, GmEventsHandler,
    PlayerObservedStats, StoreError, TransitionRecorder, Trigger, UpdateRuntimeSnapshot, UpdateStatus,
};
use stream_runtime::async_trait;

use crate::progress::Progress;

/// The handler on ports that do nothing, but for the one that is called once an entry, which counts it: a handler
/// around the handler would cost an allocation more.
pub(crate) fn gmevents(progress: Arc<Progress>) -> GmEventsHandler {
    let ports = Arc::new(Ports(progress));
    GmEventsHandler::new(ports.clone(), ports.clone(), ports.clone(), ports)
}

struct Ports(Arc<Progress>);

#[async_trait]
impl GameStore for Ports {
    async fn update_runtime_snapshot(&self, _: UpdateRuntimeSnapshot) -> Result<(), StoreError> {
        self.0.one();
        Ok(())
    }

    async fn get(&self, game_id: &GameId) -> Result<GameRecord, StoreError> {
        let finished_at = Some(SystemTime::UNIX_EPOCH);
        Ok(GameRecord { game_id: game_id.clone(), status: GameStatus::Finished, finished_at })
    }

    async fn update_status(&self, _: UpdateStatus) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl GameTurnStatsStore for Ports {
    async fn save_initial(&self, _: &GameId, _: &[PlayerObservedStats]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn update_max(&self, _: &GameId, _: &[PlayerObservedStats]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl CapabilityEvaluator for Ports {
    async fn evaluate(&self, _: &GameId, _: SystemTime) -> anyhow::Result<()> {
        Ok(())
    }
}

impl TransitionRecorder for Ports {
    fn record_transition(&self, _: GameStatus, _: GameStatus, _: Trigger) {}
}
