//! Ports that answer by a script and remember what they were asked.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use gmevents::{
    CapabilityEvaluator, GameId, GameRecord, GameStatus, GameStore, GameTurnStatsStore, PlayerObservedStats,
    StoreError, TransitionRecorder, Trigger, UpdateRuntimeSnapshot, UpdateStatus,
};
use serde::Deserialize;
use serde_json::{Value, json};
use stream_runtime::async_trait;

/// What each port answers, call by call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    update_runtime_snapshot: Answers<Word>,
    get: Answers<Found>,
    update_status: Answers<Word>,
    save_initial: Answers<Word>,
    update_max: Answers<Word>,
    evaluate: Answers<Word>,
}

/// Answers in order; the last one goes on for ever.
#[derive(Deserialize)]
struct Answers<T>(VecDeque<T>);

impl<T: Clone> Answers<T> {
    fn next(&mut self) -> T {
        let last = self.0.len() == 1;
        let answer = if last { self.0.front().cloned() } else { self.0.pop_front() };
        answer.expect("an answer in the script")
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Ok,
    Error,
    NotFound,
    Conflict,
    InvalidTransition,
}

impl Word {
    fn result(self) -> Result<(), StoreError> {
        match self {
            Self::Ok => Ok(()),
            Self::Error => Err(StoreError::Unavailable(anyhow!("no answer"))),
            Self::NotFound => Err(StoreError::NotFound),
            Self::Conflict => Err(StoreError::Conflict),
            Self::InvalidTransition => Err(StoreError::InvalidTransition),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Found {
    Failure { err: Word },
    Record { status: String, finished_at_ms: Option<u64> },
}

/// All four ports in one.
pub(crate) struct Ports {
    script: Mutex<Script>,
    calls: Mutex<Vec<Value>>,
}

impl Ports {
    pub(crate) fn answering(script: &Value) -> Self {
        let script = Script::deserialize(script).expect("a script");
        Self { script: Mutex::new(script), calls: Mutex::default() }
    }

    /// The calls so far, in order, in the words of the recording.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.calls.lock().expect("the calls").clone()
    }

    fn called(&self, call: Value) {
        self.calls.lock().expect("the calls").push(call);
    }

    fn answer<T: Clone>(&self, of: impl FnOnce(&mut Script) -> &mut Answers<T>) -> T {
        of(&mut self.script.lock().expect("the script")).next()
    }
}

#[async_trait]
impl GameStore for Ports {
    async fn update_runtime_snapshot(&self, update: UpdateRuntimeSnapshot) -> Result<(), StoreError> {
        self.called(json!({
            "call": "update_runtime_snapshot",
            "game_id": update.game_id.as_str(),
            "current_turn": update.snapshot.current_turn,
            "runtime_status": update.snapshot.runtime_status,
            "engine_health_summary": update.snapshot.engine_health_summary,
            "at_ms": ms(update.at),
        }));
        self.answer(|script| &mut script.update_runtime_snapshot).result()
    }

    async fn get(&self, game_id: &GameId) -> Result<GameRecord, StoreError> {
        self.called(json!({ "call": "get", "game_id": game_id.as_str() }));
        match self.answer(|script| &mut script.get) {
            Found::Failure { err } => Err(err.result().expect_err("a failure in the script")),
            Found::Record { status, finished_at_ms } => Ok(GameRecord {
                game_id: game_id.clone(),
                status: status.parse().expect("a status in the script"),
                finished_at: finished_at_ms.map(|ms| UNIX_EPOCH + Duration::from_millis(ms)),
            }),
        }
    }

    async fn update_status(&self, update: UpdateStatus) -> Result<(), StoreError> {
        self.called(json!({
            "call": "update_status",
            "game_id": update.game_id.as_str(),
            "expected_from": update.expected_from.as_str(),
            "to": update.to.as_str(),
            "trigger": update.trigger.as_str(),
            "at_ms": ms(update.at),
        }));
        self.answer(|script| &mut script.update_status).result()
    }
}

#[async_trait]
impl GameTurnStatsStore for Ports {
    async fn save_initial(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.called(
            json!({ "call": "save_initial", "game_id": game_id.as_str(), "stats": as_recorded(stats) }),
        );
        self.answer(|script| &mut script.save_initial).result()
    }

    async fn update_max(&self, game_id: &GameId, stats: &[PlayerObservedStats]) -> Result<(), StoreError> {
        self.called(
            json!({ "call": "update_max", "game_id": game_id.as_str(), "stats": as_recorded(stats) }),
        );
        self.answer(|script| &mut script.update_max).result()
    }
}

#[async_trait]
impl CapabilityEvaluator for Ports {
    async fn evaluate(&self, game_id: &GameId, finished_at: SystemTime) -> anyhow::Result<()> {
        self.called(
            json!({ "call": "evaluate", "game_id": game_id.as_str(), "finished_at_ms": ms(finished_at) }),
        );
        Ok(self.answer(|script| &mut script.evaluate).result()?)
    }
}

impl TransitionRecorder for Ports {
    fn record_transition(&self, from: GameStatus, to: GameStatus, trigger: Trigger) {
        self.called(json!({
            "call": "record_transition",
            "from": from.as_str(),
            "to": to.as_str(),
            "trigger": trigger.as_str(),
        }));
    }
}

fn as_recorded(stats: &[PlayerObservedStats]) -> Vec<Value> {
    stats
        .iter()
        .map(|player| {
            json!({
                "user_id": player.user_id,
                "planets": player.planets,
                "population": player.population,
                "ships_built": player.ships_built,
            })
        })
        .collect()
}

fn ms(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(since_epoch.as_millis()).expect("a time in the years of u64")
}
