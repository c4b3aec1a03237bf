//! What the worker says when it ends: who handled what, how the games stand, and whether it worked.

mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use gmevents::{GameStatus, StoreError};
use humantime_serde::re::humantime;
use stream_runtime::{ConsumerState, ConsumerStatus};

use crate::stores::Stores;
use crate::stores::model::{Capability, Counts, Game, PlayerStats, Stats, User, from_ms};
use table::{Align, Table};

/// At most so many games, and so many users, are shown: those that changed last.
const SHOWN: usize = 20;

/// Why the worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was told to, by Ctrl-C or SIGTERM; `mid_feed`: before the demo feed was done.
    Asked { mid_feed: bool },
    /// There was nothing left to do.
    Idle,
}

/// The summary; shown with `Display`.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) ending: Ending,
    pub(crate) consumers: Vec<ConsumerRow>,
    /// The games and the users, or why they can't be told.
    pub(crate) lobby: Result<Lobby, String>,
}

/// What a consumer did since the process started.
#[derive(Debug)]
pub(crate) struct ConsumerRow {
    pub(crate) name: String,
    pub(crate) handled: u64,
    pub(crate) skipped: u64,
    pub(crate) holds: u64,
    pub(crate) deleted: u64,
    /// `-` before the first commit.
    pub(crate) offset: String,
    pub(crate) lag: Duration,
    /// What it is stuck at, if it is.
    pub(crate) trouble: Option<String>,
}

/// The lobby's records, those that changed last first.
#[derive(Debug)]
pub(crate) struct Lobby {
    pub(crate) games: Vec<GameRow>,
    pub(crate) users: Vec<(String, User)>,
}

/// A game with what belongs to it.
#[derive(Debug)]
pub(crate) struct GameRow {
    pub(crate) id: String,
    pub(crate) game: Game,
    pub(crate) stats: Stats,
    pub(crate) capability: Option<Capability>,
}

impl ConsumerRow {
    /// A consumer that has ended, `now`, and what it was in trouble with `before` that.
    pub(crate) fn new(now: &ConsumerStatus, before: &ConsumerStatus) -> Self {
        Self {
            name: now.consumer.clone(),
            handled: now.counts.handled,
            skipped: now.counts.skipped,
            holds: now.counts.holds,
            deleted: now.counts.deleted,
            offset: now.offset.map_or("-".to_owned(), |id| id.to_string()),
            lag: before.lag,
            trouble: trouble(before),
        }
    }
}

fn trouble(status: &ConsumerStatus) -> Option<String> {
    if let Some(held) = &status.held {
        let (id, deliveries, cause) = (held.id, held.deliveries, &held.cause);
        return Some(format!("held entry {id} after {deliveries} deliveries: {cause}"));
    }
    if let Some(gap) = &status.last_gap {
        return Some(format!("gap in the stream: {}", gap.finding));
    }
    match status.state {
        ConsumerState::Failing | ConsumerState::Superseded => {
            let error = status.last_error.as_ref().map_or("", |error| &error.message);
            Some(format!("was {}: {error}", status.state))
        }
        _ => None,
    }
}

impl Lobby {
    /// Reads what changed last.
    pub(crate) async fn read(stores: &Stores) -> Result<Self, StoreError> {
        let mut games = Vec::new();
        for (id, game) in stores.recent(SHOWN).await? {
            games.push(GameRow {
                stats: stores.load(&id).await?.unwrap_or_default(),
                capability: stores.load(&id).await?,
                id,
                game,
            });
        }
        let users = stores.recent(SHOWN).await?;
        Ok(Self { games, users })
    }
}

impl GameRow {
    /// Whether the member is capable: `None` while the game is not judged.
    fn is_capable(&self, member: &str) -> Option<bool> {
        self.capability.as_ref()?.capable.get(member).copied()
    }

    fn capable(&self) -> usize {
        let judged = self.capability.as_ref().map(|judged| judged.capable.values());
        judged.map_or(0, |capable| capable.filter(|capable| **capable).count())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nConsumers, since this start\n\n{}", self.consumers_table())?;
        match &self.lobby {
            Ok(lobby) => {
                writeln!(f, "Games: first observed → greatest\n\n{}", games_table(&lobby.games))?;
                if !lobby.users.is_empty() {
                    writeln!(f, "Users who left\n\n{}", users_table(&lobby.users))?;
                }
            }
            Err(error) => writeln!(f, "Games and users can't be told: {error}\n")?,
        }
        writeln!(f, "{}", self.verdict())
    }
}

impl Summary {
    fn consumers_table(&self) -> Table {
        let mut table = Table::new(&[
            ("consumer", Align::Left),
            ("handled", Align::Right),
            ("skipped", Align::Right),
            ("holds", Align::Right),
            ("deleted", Align::Right),
            ("lag", Align::Right),
            ("offset", Align::Left),
        ]);
        for row in &self.consumers {
            table.row([
                row.name.clone(),
                row.handled.to_string(),
                row.skipped.to_string(),
                row.holds.to_string(),
                row.deleted.to_string(),
                format!("{} ms", row.lag.as_millis()),
                row.offset.clone(),
            ]);
        }
        table
    }

    /// Whether it worked, in words.
    fn verdict(&self) -> String {
        let stuck: Vec<String> = self
            .consumers
            .iter()
            .filter_map(|row| Some(format!("{} {}", row.name, row.trouble.as_ref()?)))
            .collect();
        if !stuck.is_empty() {
            return format!(
                "Not everything could be handled: {}.\nNothing is lost: the offset stays where it is, and the next run goes on from there.",
                stuck.join("; ")
            );
        }
        let sum = |count: fn(&ConsumerRow) -> u64| self.consumers.iter().map(count).sum::<u64>();
        let (handled, skipped) = (sum(|row| row.handled), sum(|row| row.skipped));
        let mut text = match (handled + skipped, self.ending) {
            (0, _) => "It worked, and there was nothing new to handle.".to_owned(),
            (_, Ending::Idle) => format!(
                "It worked: {handled} new entries handled, {skipped} skipped as bad input, none left in the streams."
            ),
            (_, Ending::Asked { .. }) => {
                format!("It worked: {handled} new entries handled, {skipped} skipped as bad input.")
            }
        };
        if let Ok(lobby) = &self.lobby {
            text.push_str(&lobby.verdict());
        }
        text.push_str(match self.ending {
            Ending::Asked { mid_feed: true } => {
                "\nThe demo feed was interrupted: run again, and both go on where they stopped."
            }
            _ => "\nThe offsets are stored: run again, and no entry of this run is handled a second time.",
        });
        text
    }
}

impl Lobby {
    fn verdict(&self) -> String {
        let finished: Vec<&GameRow> =
            self.games.iter().filter(|row| row.game.status == GameStatus::Finished).collect();
        let players: usize = finished.iter().map(|row| row.game.members.len()).sum();
        let capable: usize = finished.iter().map(|row| row.capable()).sum();
        match finished.len() {
            0 => String::new(),
            games => {
                format!("\nFinished games above: {games}; capable players in them: {capable} of {players}.")
            }
        }
    }
}

fn games_table(games: &[GameRow]) -> Table {
    let mut table = Table::new(&[
        ("game", Align::Left),
        ("status", Align::Left),
        ("turn", Align::Right),
        ("player", Align::Left),
        ("planets", Align::Right),
        ("population", Align::Right),
        ("ships built", Align::Right),
        ("capable", Align::Left),
    ]);
    for row in games {
        let mut game = [row.id.clone(), row.game.status.to_string(), row.game.current_turn.to_string()];
        if row.game.members.is_empty() {
            let [id, status, turn] = std::mem::take(&mut game);
            table.row([id, status, turn].into_iter().chain(vec![String::new(); 5]));
        }
        for member in &row.game.members {
            let stats = row.stats.players.get(member).copied().unwrap_or_default();
            // The game is told once, beside its first player.
            let cells = std::mem::take(&mut game).into_iter();
            table.row(cells.chain([
                member.clone(),
                course(stats, |counts| counts.planets),
                course(stats, |counts| counts.population),
                course(stats, |counts| counts.ships_built),
                match row.is_capable(member) {
                    Some(true) => "yes".to_owned(),
                    Some(false) => "no".to_owned(),
                    None => String::new(),
                },
            ]));
        }
    }
    table
}

/// From where to where a count went.
fn course(stats: PlayerStats, count: impl Fn(Counts) -> i64) -> String {
    let show = |counts: Option<Counts>| counts.map_or("?".to_owned(), |counts| count(counts).to_string());
    format!("{} → {}", show(stats.initial), show(stats.max))
}

fn users_table(users: &[(String, User)]) -> Table {
    let mut table = Table::new(&[
        ("user", Align::Left),
        ("is", Align::Left),
        ("since", Align::Left),
        ("reason", Align::Left),
        ("by entry", Align::Left),
    ]);
    for (id, user) in users {
        let since =
            from_ms(user.occurred_at_ms).map(|time| humantime::format_rfc3339_seconds(time).to_string());
        table.row([
            id.clone(),
            user.mark.as_str().to_owned(),
            since.unwrap_or_default(),
            user.reason_code.clone(),
            user.entry_id.clone(),
        ]);
    }
    table
}
