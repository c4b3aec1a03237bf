//! Replays what the original worker did with recorded entries: outcome, store calls and log lines must be the same.
//!
//! Every `*.jsonl` file in `tests/vectors` counts, one case a line: the entry, the answers of the stores, and what
//! the worker made of them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod log_lines;
mod script;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use gmevents::GmEventsHandler;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stream_runtime::{Advance, Clock, Entry, Handler, Outcome};

use log_lines::{LogLine, LogLines};
use script::Ports;

const STREAM: &str = "gm:lobby_events";

#[derive(Deserialize)]
struct Case {
    name: String,
    id: String,
    now_ms: u64,
    fields: Map<String, Value>,
    script: Value,
    outcome: String,
    calls: Vec<Value>,
    log_levels: Vec<String>,
}

#[tokio::test]
async fn every_recorded_case_comes_out_as_recorded() {
    let cases = recorded_cases();
    assert!(cases.len() >= 600, "only {} cases were found", cases.len());

    let log = LogLines::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let mut differences = Vec::new();
    for case in &cases {
        differences.extend(replay(case, &log).await);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn recorded_cases() -> Vec<Case> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut cases = Vec::new();
    for file in fs::read_dir(vectors).expect("the directory of vectors") {
        let path = file.expect("a file of vectors").path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = fs::read_to_string(&path).expect("a readable file of vectors");
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            cases.extend(lines.map(|line| serde_json::from_str::<Case>(line).expect("a recorded case")));
        }
    }
    cases
}

/// What happens now, where it differs from what was recorded.
async fn replay(case: &Case, log: &LogLines) -> Vec<String> {
    let ports = Arc::new(Ports::answering(&case.script));
    let now = UNIX_EPOCH + Duration::from_millis(case.now_ms);
    let handler = GmEventsHandler::new(ports.clone(), ports.clone(), ports.clone(), ports.clone())
        .clock(Clock::new(move || now));

    let outcome = handler.handle(&entry(case)).await;

    let lines = log.take();
    let recorded = json!({
        "outcome": recorded_outcome(case),
        "calls": case.calls,
        "log lines": case.log_levels,
        "log fields": case.log_levels.iter().map(|line| recorded_fields(case, line)).collect::<Vec<_>>(),
    });
    let now = json!({
        "outcome": describe(&outcome),
        "calls": ports.calls(),
        "log lines": lines.iter().map(LogLine::level_and_message).collect::<Vec<_>>(),
        "log fields": lines.iter().map(fields).collect::<Vec<_>>(),
    });
    ["outcome", "calls", "log lines", "log fields"]
        .into_iter()
        .filter(|what| recorded[what] != now[what])
        .map(|what| format!("{}: {what}\n  recorded {}\n  now      {}", case.name, recorded[what], now[what]))
        .collect()
}

fn entry(case: &Case) -> Entry {
    let text = |value: &Value| value.as_str().expect("a field's text").to_owned();
    let fields = case.fields.iter().map(|(name, value)| (name, text(value)));
    Entry::new(STREAM, case.id.parse().expect("an id"), fields)
}

/// The recording knows `advance` and `hold`. An entry that is let pass because it doesn't decode is skipped, and a hold
/// says the same as the last line of the log.
fn recorded_outcome(case: &Case) -> String {
    match (case.outcome.as_str(), case.log_levels.last()) {
        ("advance", Some(line)) if line == "WARN decode gm event" => "skipped".to_owned(),
        ("advance", _) => "handled".to_owned(),
        ("hold", Some(line)) => line.replace("WARN", "hold:"),
        other => panic!("{other:?} is no outcome"),
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Ok(Advance::Handled) => "handled".to_owned(),
        Ok(Advance::Skipped(_)) => "skipped".to_owned(),
        Ok(other) => format!("{other:?}"),
        Err(hold) => format!("hold: {}", hold.cause),
    }
}

/// The target and the fields of a line, whatever the error's text.
fn fields(line: &LogLine) -> Value {
    let mut fields = json!(line.fields);
    if let Some(error) = fields.get_mut("err") {
        *error = json!("…");
    }
    json!([line.target, fields])
}

/// The fields of a line that was recorded, which had to be worked out: the recording has none.
fn recorded_fields(case: &Case, line: &str) -> Value {
    let mut fields = json!({ "worker": "lobby.gmevents", "stream": STREAM, "stream_entry_id": case.id });
    if line != "WARN decode gm event" {
        fields["game_id"] = case.fields["game_id"].clone();
    }
    match line {
        "INFO game finished" => {
            let transition = calls_of(case, "record_transition")[0];
            fields["from_status"] = transition["from"].clone();
            fields["to_status"] = transition["to"].clone();
            fields["trigger"] = transition["trigger"].clone();
        }
        "INFO game finished event ignored for unexpected status"
        | "WARN game record not finished after transition attempt" => {
            let answers = case.script["get"].as_array().expect("the store's answers");
            let last = calls_of(case, "get").len().min(answers.len()) - 1;
            fields["current_status"] = answers[last]["status"].clone();
        }
        "INFO game finished event observed for already finished game"
        | "INFO game finished transition absorbed by status conflict"
        | "INFO game finished processed"
        | "WARN game finished for unknown game id"
        | "WARN finished game missing finished_at" => {}
        _ => fields["err"] = json!("…"),
    }
    json!(["gmevents::handler", fields])
}

fn calls_of<'a>(case: &'a Case, port: &str) -> Vec<&'a Value> {
    case.calls.iter().filter(|call| call["call"] == port).collect()
}
