//! A lifecycle handler that answers by a script and remembers what it was told.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Value, json};
use stream_runtime::async_trait;
use userlifecycle::{UserLifecycleEvent, UserLifecycleHandler};

/// What the handler answers, call by call, if there is one.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) no_handler: bool,
    handler: Vec<Answer>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok,
    Error,
}

pub(crate) struct ScriptedHandler {
    answers: Vec<Answer>,
    calls: Mutex<Vec<Value>>,
}

impl ScriptedHandler {
    pub(crate) fn answering(script: &Script) -> Self {
        Self { answers: script.handler.clone(), calls: Mutex::default() }
    }

    /// The calls so far, in order, in the words of the recording.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.calls.lock().expect("the calls").clone()
    }

    /// Answers in order; the last one goes on for ever.
    fn answer(&self, call: usize) -> Answer {
        *self.answers.get(call).or(self.answers.last()).expect("an answer in the script")
    }
}

#[async_trait]
impl UserLifecycleHandler for ScriptedHandler {
    async fn on_event(&self, event: UserLifecycleEvent) -> anyhow::Result<()> {
        let mut calls = self.calls.lock().expect("the calls");
        let answer = self.answer(calls.len());
        calls.push(as_recorded(&event));
        match answer {
            Answer::Ok => Ok(()),
            Answer::Error => bail!("no answer"),
        }
    }
}

fn as_recorded(event: &UserLifecycleEvent) -> Value {
    let occurred_at = event.occurred_at.duration_since(UNIX_EPOCH).expect("a time after 1970");
    json!({
        "call": "on_event",
        "entry_id": event.entry_id.to_string(),
        "event_type": event.event_type.as_str(),
        "user_id": event.user_id,
        "occurred_at_ms": u64::try_from(occurred_at.as_millis()).expect("a time in the years of u64"),
        "source": event.source,
        "actor_type": event.actor_type,
        "actor_id": event.actor_id,
        "reason_code": event.reason_code,
        "trace_id": event.trace_id,
    })
}
