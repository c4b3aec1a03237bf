//! The demo feed: plays the game master and the user service, so that there is something to handle.
//!
//! It plays one season a run. How far it has come is stored, so that a run that was interrupted is gone on with,
//! and the run after a finished season plays the next one, with games of its own. The event that was being told
//! when a run was killed is told again: as with real producers, once more is fine and lost is not.

mod events;
mod galaxy;
mod season;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use anyhow::Context;
use tracing::{info, warn};

use crate::config::Streams;
use crate::producer::Producer;
use crate::stores::Stores;
use crate::stores::model::{Progress, to_ms};
use events::Topic;
use season::Season;

/// The document that says how far the feed has come.
const PROGRESS: &str = "feed";

/// How long to wait when an event could not be told.
const RETRY: Duration = Duration::from_secs(1);

/// How many milliseconds before now the story begins, so that no event of it lies in the future.
const STORY_MS: u64 = 600_000;

/// The feed.
pub(crate) struct Feed {
    pub(crate) stores: Stores,
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) streams: Streams,
    /// How long to pause between two events.
    pub(crate) pace: Duration,
}

impl Feed {
    /// Plays a season to its end. What fails is tried again for as long as it takes; dropping the future stops it,
    /// and the next run goes on from there.
    pub(crate) async fn play(&self) {
        let mut progress = None;
        while let Err(error) = self.play_on(&mut progress).await {
            let err = format!("{error:#}");
            warn!(err, "the demo feed can't go on; trying again");
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn play_on(&self, reached: &mut Option<Progress>) -> anyhow::Result<()> {
        let mut progress = match *reached {
            Some(progress) => progress,
            None => self.begin().await?,
        };
        let season = Season::write(progress.season, progress.started_at_ms);
        for game in &season.games {
            self.stores.create_game(&game.id, &game.members).await?;
        }
        for event in season.events.iter().skip(progress.told) {
            let stream = match event.topic {
                Topic::GameMaster => &self.streams.gm_lobby_events,
                Topic::UserService => &self.streams.user_lifecycle,
            };
            self.producer.append(stream, &event.fields).await?;
            progress.told += 1;
            *reached = Some(progress);
            self.note(progress).await?;
            tokio::time::sleep(self.pace).await;
        }
        info!(season = progress.season, events = progress.told, "the demo feed has told its season");
        Ok(())
    }

    /// The season to play: the one that was not told to its end, else the next.
    async fn begin(&self) -> anyhow::Result<Progress> {
        let last: Option<Progress> = self.stores.load(PROGRESS).await?;
        if let Some(last) = last
            && last.told < Season::write(last.season, last.started_at_ms).events.len()
        {
            info!(season = last.season, told = last.told, "the demo feed goes on with its season");
            return Ok(last);
        }
        let next = Progress {
            season: last.map_or(1, |last| last.season.saturating_add(1)),
            started_at_ms: to_ms(SystemTime::now()).saturating_sub(STORY_MS),
            told: 0,
        };
        self.note(next).await?;
        info!(season = next.season, "the demo feed begins a season of new games");
        Ok(next)
    }

    async fn note(&self, progress: Progress) -> anyhow::Result<()> {
        let rule = |_: Option<Progress>| Ok(Some(progress));
        self.stores.change(PROGRESS, rule).await.context("note how far the feed is")?;
        Ok(())
    }
}
