//! Entries in the format of the game master and of the user service.

use gmevents::PlayerObservedStats;
use serde::Serialize;

/// The fields of an entry, in order.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// Who tells it, and so in which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    GameMaster,
    UserService,
}

/// An entry that is to be told.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) topic: Topic,
    pub(super) fields: Fields,
}

impl Event {
    /// Whether it has a field of this value.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.fields.iter().any(|(of_name, of_value)| *of_name == name && of_value == value)
    }
}

/// `runtime_snapshot_update`: how a game stands after a turn. Without players, without the statistics' field.
pub(super) fn snapshot(game_id: &str, turn: i64, players: &[PlayerObservedStats]) -> Fields {
    let health = match turn % 8 {
        0 => "engine: 1 restart since the last turn",
        _ => "engine: ok",
    };
    let mut fields = vec![
        ("kind", "runtime_snapshot_update".to_owned()),
        ("game_id", game_id.to_owned()),
        ("current_turn", turn.to_string()),
        ("runtime_status", "running".to_owned()),
        ("engine_health_summary", health.to_owned()),
    ];
    if !players.is_empty() {
        fields.push(("player_turn_stats", stats_json(players)));
    }
    fields
}

/// `game_finished`: the last snapshot, and when the game ended.
pub(super) fn finished(
    game_id: &str,
    turn: i64,
    players: &[PlayerObservedStats],
    finished_at_ms: u64,
) -> Fields {
    let mut fields = snapshot(game_id, turn, players);
    fields[0].1 = "game_finished".to_owned();
    fields[3].1 = "finished".to_owned();
    fields.push(("finished_at_ms", finished_at_ms.to_string()));
    fields
}

/// An event of a user's account.
pub(super) fn lifecycle(
    event_type: &str,
    user_id: &str,
    occurred_at_ms: u64,
    reason_code: &str,
    trace_id: &str,
) -> Fields {
    vec![
        ("event_type", event_type.to_owned()),
        ("user_id", user_id.to_owned()),
        ("occurred_at_ms", occurred_at_ms.to_string()),
        ("source", "user".to_owned()),
        ("actor_type", "admin".to_owned()),
        ("actor_id", "demo-admin".to_owned()),
        ("reason_code", reason_code.to_owned()),
        ("trace_id", trace_id.to_owned()),
    ]
}

/// `player_turn_stats`, as the game master writes it.
fn stats_json(players: &[PlayerObservedStats]) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        user_id: &'a str,
        planets: i64,
        population: i64,
        ships_built: i64,
    }

    let lines = players.iter().map(|player| {
        serde_json::json!(Line {
            user_id: &player.user_id,
            planets: player.planets,
            population: player.population,
            ships_built: player.ships_built,
        })
    });
    serde_json::Value::Array(lines.collect()).to_string()
}
