//! The games: snapshots overwritten, statuses changed by compare-and-set.

use std::collections::BTreeSet;

use anyhow::anyhow;
use async_trait::async_trait;
use gmevents::{GameId, GameRecord, GameStatus, GameStore, StoreError, UpdateRuntimeSnapshot, UpdateStatus};

use super::Stores;
use super::model::{Game, from_ms, to_ms};

impl Stores {
    /// Creates a running game; one that exists stays as it is.
    pub(crate) async fn create_game(&self, id: &str, members: &BTreeSet<String>) -> Result<bool, StoreError> {
        self.change(id, |game: Option<Game>| {
            let new = Game {
                status: GameStatus::Running,
                members: members.clone(),
                current_turn: 0,
                runtime_status: String::new(),
                engine_health_summary: String::new(),
                snapshot_at_ms: None,
                finished_at_ms: None,
            };
            Ok(game.is_none().then_some(new))
        })
        .await
    }
}

#[async_trait]
impl GameStore for Stores {
    async fn update_runtime_snapshot(&self, update: UpdateRuntimeSnapshot) -> Result<(), StoreError> {
        let rule = |game: Option<Game>| {
            let snapshot = update.snapshot.clone();
            Ok(Some(Game {
                current_turn: snapshot.current_turn,
                runtime_status: snapshot.runtime_status,
                engine_health_summary: snapshot.engine_health_summary,
                snapshot_at_ms: Some(to_ms(update.at)),
                ..game.ok_or(StoreError::NotFound)?
            }))
        };
        self.change(update.game_id.as_str(), rule).await.map(drop)
    }

    async fn get(&self, game_id: &GameId) -> Result<GameRecord, StoreError> {
        let game: Option<Game> = self.load(game_id.as_str()).await?;
        let game = game.ok_or(StoreError::NotFound)?;
        let finished_at = match game.finished_at_ms {
            Some(ms) => Some(from_ms(ms).ok_or_else(|| {
                StoreError::Unavailable(anyhow!(
                    "the stored finished_at_ms of game {:?} is no time",
                    game_id.as_str()
                ))
            })?),
            None => None,
        };
        Ok(GameRecord { game_id: game_id.clone(), status: game.status, finished_at })
    }

    async fn update_status(&self, update: UpdateStatus) -> Result<(), StoreError> {
        if !allowed(update.expected_from, update.to) {
            return Err(StoreError::InvalidTransition);
        }
        let rule = |game: Option<Game>| {
            let game = game.ok_or(StoreError::NotFound)?;
            if game.status != update.expected_from {
                return Err(StoreError::Conflict);
            }
            let finished_at_ms = match update.to {
                GameStatus::Finished => Some(to_ms(update.at)),
                _ => game.finished_at_ms,
            };
            Ok(Some(Game { status: update.to, finished_at_ms, ..game }))
        };
        self.change(update.game_id.as_str(), rule).await.map(drop)
    }
}

/// The moves of a game's life. Finished and cancelled are its ends.
fn allowed(from: GameStatus, to: GameStatus) -> bool {
    use GameStatus as S;
    matches!(
        (from, to),
        (S::Draft, S::EnrollmentOpen | S::Cancelled)
            | (S::EnrollmentOpen, S::ReadyToStart | S::Cancelled)
            | (S::ReadyToStart, S::Starting | S::Cancelled)
            | (S::Starting, S::Running | S::Paused | S::StartFailed)
            | (S::StartFailed, S::ReadyToStart | S::Cancelled)
            | (S::Running, S::Paused | S::Finished)
            | (S::Paused, S::Running | S::Finished)
    )
}
