//! The statistics: initial values frozen, maxima raised.

use async_trait::async_trait;
use gmevents::{GameId, GameTurnStatsStore, PlayerObservedStats, StoreError};

use super::Stores;
use super::model::{Counts, PlayerStats, Stats};

#[async_trait]
impl GameTurnStatsStore for Stores {
    async fn save_initial(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.observe(game_id, stats, |player, counts| {
            player.initial.get_or_insert(counts);
        })
        .await
    }

    async fn update_max(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.observe(game_id, stats, |player, counts| {
            player.max = Some(player.max.map_or(counts, |max| max.max(counts)));
        })
        .await
    }
}

impl Stores {
    /// Notes what was observed of each player, in one atomic change of the game's statistics.
    async fn observe(
        &self,
        game_id: &GameId,
        observed: &[PlayerObservedStats],
        note: impl Fn(&mut PlayerStats, Counts) + Send + Sync,
    ) -> Result<(), StoreError> {
        let rule = |stats: Option<Stats>| {
            let mut stats = stats.unwrap_or_default();
            for player in observed {
                let of_player = stats.players.entry(player.user_id.clone()).or_default();
                note(of_player, Counts::of(player));
            }
            Ok(Some(stats))
        };
        self.change(game_id.as_str(), rule).await.map(drop)
    }
}
