//! Whatever an entry has in its fields, the handler comes to an outcome, and what it hands on is sound.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

#[path = "recorded/log_lines.rs"]
#[expect(dead_code, reason = "the recorded cases look at more of a line")]
mod log_lines;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use gmevents::{
    CapabilityEvaluator, GameId, GameRecord, GameStatus, GameStore, GameTurnStatsStore, GmEventsHandler,
    PlayerObservedStats, StoreError, TransitionRecorder, Trigger, UpdateRuntimeSnapshot, UpdateStatus,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use stream_runtime::{Advance, Entry, EntryId, Handler, async_trait};

use log_lines::LogLines;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Stores that always work, and refuse to be called with what no entry may come to.
#[derive(Default)]
struct Ports {
    calls: AtomicU32,
    status: Mutex<Option<(GameStatus, SystemTime)>>,
}

impl Ports {
    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self, game_id: &GameId, stats: &[PlayerObservedStats]) {
        self.called();
        assert_eq!(game_id.as_str(), game_id.as_str().trim());
        assert!(!game_id.as_str().is_empty());
        for player in stats {
            assert!(!player.user_id.is_empty() && player.user_id.trim() == player.user_id, "{player:?}");
            assert!(player.planets >= 0 && player.population >= 0 && player.ships_built >= 0, "{player:?}");
        }
    }
}

#[async_trait]
impl GameStore for Ports {
    async fn update_runtime_snapshot(&self, update: UpdateRuntimeSnapshot) -> Result<(), StoreError> {
        self.check(&update.game_id, &[]);
        assert!(update.snapshot.current_turn >= 0);
        Ok(())
    }

    async fn get(&self, game_id: &GameId) -> Result<GameRecord, StoreError> {
        self.check(game_id, &[]);
        let (status, finished_at) = match *self.status.lock().expect("the status") {
            Some((status, at)) => (status, Some(at)),
            None => (GameStatus::Running, None),
        };
        Ok(GameRecord { game_id: game_id.clone(), status, finished_at })
    }

    async fn update_status(&self, update: UpdateStatus) -> Result<(), StoreError> {
        self.check(&update.game_id, &[]);
        assert!(update.at > UNIX_EPOCH);
        *self.status.lock().expect("the status") = Some((update.to, update.at));
        Ok(())
    }
}

#[async_trait]
impl GameTurnStatsStore for Ports {
    async fn save_initial(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.check(game_id, stats);
        Ok(())
    }

    async fn update_max(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.check(game_id, stats);
        Ok(())
    }
}

#[async_trait]
impl CapabilityEvaluator for Ports {
    async fn evaluate(&self, game_id: &GameId, _finished_at: SystemTime) -> anyhow::Result<()> {
        self.check(game_id, &[]);
        Ok(())
    }
}

impl TransitionRecorder for Ports {
    fn record_transition(&self, _from: GameStatus, _to: GameStatus, _trigger: Trigger) {
        self.called();
    }
}

/// Numbers and other short values, whole, with a fraction, huge.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["null", "true", "0", "-0", "1e9", "1.0", "[]", "{}"]).prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<i128>().prop_map(|n| n.to_string()),
        "-?[0-9]{1,40}([.][0-9]{1,5})?([eE][-+]?[0-9]{1,6})?",
    ]
}

/// JSON of any shape and depth, with names and values that the handler knows among others.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => number(),
        2 => "[a-zé 1]{0,9}".prop_map(|text| format!("{text:?}")),
        1 => "\\PC{0,12}".prop_map(|text| format!("{text:?}")),
        1 => select(vec![r#""\ud800""#, r#""\u0000""#, "\"\u{7f}\t\"", r#""\x""#]).prop_map(str::to_owned),
    ];
    let name = select(vec!["user_id", "USER_ID", "planets", "population", "ſhips_built", "x", ""]);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("{name:?}: {value}"));
        prop_oneof![
            vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    })
}

/// Statistics that decode.
fn stats() -> impl Strategy<Value = String> {
    let player = ("[a-zé]{1,8}", 0..i64::MAX, 0..50_000_i64, 0..9_i64);
    vec(player, 0..5).prop_map(|players| {
        let players = players.iter().map(|(user, planets, population, ships)| {
            format!(
                r#"{{"user_id":"{user}","planets":{planets},"population":{population},"ships_built":{ships}}}"#
            )
        });
        format!("[{}]", players.collect::<Vec<_>>().join(","))
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => vec(any::<u8>(), 0..60),
        2 => "\\PC{0,30}".prop_map(String::into_bytes),
        2 => json().prop_map(String::into_bytes),
        1 => "[-+ ]?[0-9]{0,30}".prop_map(String::into_bytes),
        1 => (select(vec!["[", "{\"user_id\":", "[{\"x\":["]), 1..30_000_usize)
            .prop_map(|(open, depth)| open.repeat(depth).into_bytes()),
        1 => (1..30_000_usize).prop_map(|depth| (["[".repeat(depth), "]".repeat(depth)].concat()).into_bytes()),
        1 => (1..30_000_usize).prop_map(|depth| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"[{{"user_id":"u","planets":1,"x":{open}{close}}}]"#).into_bytes()
        }),
    ]
}

const NAMES: [&str; 7] = [
    "kind",
    "game_id",
    "current_turn",
    "runtime_status",
    "engine_health_summary",
    "player_turn_stats",
    "finished_at_ms",
];

/// An entry that decodes.
fn event() -> impl Strategy<Value = Fields> {
    let kind = select(vec!["runtime_snapshot_update", "game_finished"]);
    (kind, "[a-z]{1,9}", 0..i64::MAX, stats(), 1..i64::MAX).prop_map(|(kind, game, turn, stats, at)| {
        let values =
            [kind.into(), game, turn.to_string(), "running".into(), "ok".into(), stats, at.to_string()];
        NAMES.iter().zip(values).map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())).collect()
    })
}

/// An entry that decodes, with one thing changed.
fn changed_event() -> impl Strategy<Value = Fields> {
    let change = (0..6_u8, 0..NAMES.len(), any_bytes(), any::<prop::sample::Index>());
    (event(), change).prop_map(|(mut fields, (change, at, bytes, index))| {
        match change {
            0 => fields[at].1 = bytes,
            1 => fields[at].0 = bytes,
            2 => drop(fields.remove(at)),
            3 => fields.insert(0, (fields[at].0.clone(), bytes)),
            4 => fields.push((bytes, fields[at].1.clone())),
            // One byte of a value.
            _ => {
                let value = &mut fields[at].1;
                let place = index.index(value.len());
                value[place] = bytes.first().copied().unwrap_or(b'"');
            }
        }
        fields
    })
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let name = prop_oneof![
        3 => select(NAMES.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec((name, any_bytes()), 0..12)
}

/// Has the handler handle entries with such fields. Returns how many of them it skipped.
fn skipped_of(cases: u32, fields: &impl Strategy<Value = Fields>) -> u32 {
    let log = LogLines::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let skipped = AtomicU32::new(0);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let run = runner.run(fields, |fields| {
        let ports = Arc::new(Ports::default());
        let handler = GmEventsHandler::new(ports.clone(), ports.clone(), ports.clone(), ports.clone());
        let entry = Entry::new("gm:lobby_events", EntryId::new(1, 0), fields);
        let calls = || ports.calls.load(Ordering::Relaxed);
        match runtime.block_on(handler.handle(&entry)) {
            Ok(Advance::Handled) => prop_assert!(calls() > 0, "handled without a store"),
            Ok(Advance::Skipped(error)) => {
                skipped.fetch_add(1, Ordering::Relaxed);
                prop_assert_eq!(calls(), 0, "a store was called, and then the entry was skipped");
                let message = format!("{error:#}");
                prop_assert!(!message.contains('\n') && message.len() < 1_000, "{:?}", message);
            }
            other => prop_assert!(false, "the stores work, and the outcome is {:?}", other),
        }
        prop_assert!(!log.take().is_empty() || calls() > 0);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    skipped.into_inner()
}

#[test]
fn a_sound_entry_is_handled() {
    assert_eq!(skipped_of(100, &event()), 0);
}

#[test]
fn an_entry_with_one_thing_changed_is_handled_or_skipped() {
    let skipped = skipped_of(500, &changed_event());
    assert!((100..400).contains(&skipped), "{skipped} of 500 were skipped: the cases no longer go both ways");
}

#[test]
fn an_entry_of_any_bytes_is_handled_or_skipped() {
    skipped_of(300, &any_fields());
}

#[test]
fn any_json_in_the_statistics_is_handled_or_skipped() {
    let around = |json: String| {
        let fields = [("kind", "game_finished"), ("game_id", "g"), ("player_turn_stats", &json)];
        fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).to_vec()
    };
    let count = |number: String| format!(r#"[{{"user_id": "u", "planets": {number}}}]"#);
    let unknown = |json: String| format!(r#"[{{"x": {json}, "user_id": "u"}}]"#);
    let fields = prop_oneof![
        json(),
        json().prop_map(|json| format!("[{json}]")),
        number().prop_map(count),
        json().prop_map(unknown),
    ];
    let skipped = skipped_of(500, &fields.prop_map(around));
    assert!((100..480).contains(&skipped), "{skipped} of 500 were skipped: the cases no longer go both ways");
}
