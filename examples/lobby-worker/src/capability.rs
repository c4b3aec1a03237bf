//! Who of a finished game's members is capable.

use std::time::SystemTime;

use anyhow::Context;
use async_trait::async_trait;
use gmevents::{CapabilityEvaluator, GameId};

use crate::stores::Stores;
use crate::stores::model::{Capability, Game, PlayerStats, Stats, to_ms};

/// Judges each member, once: the judgement is one document, and its being there is the guard.
///
/// Between reading the statistics and writing the judgement they cannot change to matter: the entries before the
/// finish are applied, by this consumer, and maxima only rise.
#[async_trait]
impl CapabilityEvaluator for Stores {
    async fn evaluate(&self, game_id: &GameId, finished_at: SystemTime) -> anyhow::Result<()> {
        let id = game_id.as_str();
        if self.load::<Capability>(id).await?.is_some() {
            return Ok(());
        }
        let game: Game = self.load(id).await?.context("game not found")?;
        let stats: Stats = self.load(id).await?.unwrap_or_default();
        let capable = game.members.into_iter().map(|member| {
            let capable = stats.players.get(&member).is_some_and(is_capable);
            (member, capable)
        });
        let judged = Capability { finished_at_ms: to_ms(finished_at), capable: capable.collect() };
        self.change(id, |found: Option<Capability>| Ok(found.is_none().then(|| judged.clone()))).await?;
        Ok(())
    }
}

/// A member is capable when both max planets and max population exceed their initial values.
fn is_capable(player: &PlayerStats) -> bool {
    match (player.initial, player.max) {
        (Some(initial), Some(max)) => max.planets > initial.planets && max.population > initial.population,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::model::Counts;

    fn counts(planets: i64, population: i64) -> Option<Counts> {
        Some(Counts { planets, population, ships_built: 0 })
    }

    #[test]
    fn capable_is_who_exceeded_both_initial_values() {
        let judge = |initial, max| is_capable(&PlayerStats { initial, max });
        assert!(judge(counts(3, 100), counts(4, 101)));
        assert!(!judge(counts(3, 100), counts(4, 100)), "population did not grow");
        assert!(!judge(counts(3, 100), counts(3, 101)), "planets did not grow");
        assert!(!judge(counts(3, 100), counts(3, 100)), "nothing grew");
        assert!(!judge(None, counts(4, 101)), "never observed at first");
        assert!(!judge(counts(3, 100), None), "no maximum");
        assert!(judge(counts(0, i64::MAX - 1), counts(1, i64::MAX)), "exact beyond 2^53");
    }
}
