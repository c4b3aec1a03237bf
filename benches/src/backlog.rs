//! The backlog: entries as the game master writes them to `gm:lobby_events`, 5 fields and about 330 bytes each.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::wire::{Wire, encode};

/// The stream of the backlog.
pub const STREAM: &str = "gm:lobby_events";

/// The first entry's id is `FIRST_MS-0`; each further one is a millisecond younger.
const FIRST_MS: u64 = 1_753_000_000_000;

/// How many entries are sent before their replies are taken.
const CHUNK: u64 = 1_000;

/// The five fields of an entry.
#[derive(Debug, Deserialize, Serialize)]
pub struct Event<S> {
    /// What happened.
    pub kind: S,
    /// To which game.
    pub game_id: S,
    /// In which turn.
    pub current_turn: u64,
    /// The runtime's word for its state.
    pub runtime_status: S,
    /// JSON of three players.
    pub player_turn_stats: S,
}

/// The entry of this number, from 0.
pub fn event(number: u64) -> Event<String> {
    let turn = number % 400;
    let player = |player: u64| {
        format!(
            r#"{{"user_id":"user-{:08}","planets":{},"population":{},"ships_built":{}}}"#,
            number % 5_000 * 3 + player,
            3 + turn / 20,
            1_200 + turn * 37,
            turn * 2 + player
        )
    };
    Event {
        kind: "runtime_snapshot_update".to_owned(),
        game_id: format!("game-{:06}", number % 5_000),
        current_turn: turn,
        runtime_status: "running".to_owned(),
        player_turn_stats: format!("[{},{},{}]", player(1), player(2), player(3)),
    }
}

/// The id of the entry of this number.
pub fn id(number: u64) -> String {
    format!("{}-0", FIRST_MS + number)
}

/// Writes a backlog of so many entries to an empty stream.
///
/// # Errors
///
/// The server refuses.
pub fn fill(port: u16, stream: &str, entries: u64) -> anyhow::Result<()> {
    let mut wire = Wire::connect(port)?;
    let mut commands = Vec::new();
    for start in (0..entries).step_by(CHUNK as usize) {
        let numbers = start..entries.min(start + CHUNK);
        commands.clear();
        for number in numbers.clone() {
            add(&mut commands, stream, number);
        }
        wire.send(&commands)?;
        for number in numbers {
            let added = wire.string()?;
            ensure!(added == id(number).as_bytes(), "added {:?}", String::from_utf8_lossy(added));
        }
    }
    Ok(())
}

fn add(out: &mut Vec<u8>, stream: &str, number: u64) {
    let event = event(number);
    let (id, turn) = (id(number), event.current_turn.to_string());
    let args = [
        "XADD",
        stream,
        &id,
        "kind",
        &event.kind,
        "game_id",
        &event.game_id,
        "current_turn",
        &turn,
        "runtime_status",
        &event.runtime_status,
        "player_turn_stats",
        &event.player_turn_stats,
    ];
    encode(out, &args.map(str::as_bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_about_330_bytes() {
        let names = "kind game_id current_turn runtime_status player_turn_stats".len() - 4;
        for number in [0, 399, 4_999, 200_000] {
            let event = event(number);
            let texts = [event.kind, event.game_id, event.runtime_status, event.player_turn_stats];
            let bytes = names + event.current_turn.to_string().len() + texts.concat().len();
            assert!((300..=370).contains(&bytes), "entry {number} has {bytes} bytes");
        }
    }
}
