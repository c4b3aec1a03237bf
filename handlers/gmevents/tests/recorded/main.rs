//! Replays what the original worker did with recorded entries: outcome, store calls and log lines must be the same.
//!
//! Every `*.jsonl` file in `tests/vectors` counts, one case a line: the entry, the answers of the stores, and what
//! the worker made of them.

mod log_lines;
mod script;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fs};

use gmevents::GmEventsHandler;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stream_runtime::{Advance, Clock, Entry, Handler, Outcome};

use log_lines::{LogLine, LogLines};
use script::{Ports, Script};

const STREAM: &str = "gm:lobby_events";

#[derive(Deserialize)]
struct Case {
    name: String,
    id: String,
    now_ms: u64,
    fields: Map<String, Value>,
    script: Script,
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
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("the directory of vectors")
        .map(|file| file.expect("a file of vectors").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a readable file of vectors");
            let cases: Vec<Case> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(|line| serde_json::from_str(line).expect("a recorded case"))
                .collect();
            cases
        })
        .collect()
}

/// The differences between what was recorded and what happens now.
async fn replay(case: &Case, log: &LogLines) -> Vec<String> {
    let ports = Arc::new(Ports::answering(case.script.clone()));
    let now = UNIX_EPOCH + Duration::from_millis(case.now_ms);
    let handler = GmEventsHandler::new(ports.clone(), ports.clone(), ports.clone(), ports.clone())
        .clock(Clock::new(move || now));
    let fields = case
        .fields
        .iter()
        .map(|(name, value)| (name, value.as_str().expect("text")));
    let entry = Entry::new(STREAM, case.id.parse().expect("an id"), fields);

    let outcome = handler.handle(&entry).await;

    let lines = log.take();
    let said: Vec<_> = lines.iter().map(LogLine::level_and_message).collect();
    let compared = [
        (
            "outcome",
            json!(recorded_outcome(case)),
            json!(describe(&outcome)),
        ),
        ("calls", json!(case.calls), json!(ports.calls())),
        ("log lines", json!(case.log_levels), json!(said)),
        (
            "log fields",
            json!(expected_fields(case, &said)),
            json!(fields_of(&lines)),
        ),
    ];
    compared
        .into_iter()
        .filter(|(_, recorded, now)| recorded != now)
        .map(|(what, recorded, now)| {
            format!("{}: {what}\n  recorded {recorded}\n  now      {now}", case.name)
        })
        .collect()
}

/// The recording knows `advance` and `hold`; an entry that was let pass because it didn't decode is skipped.
fn recorded_outcome(case: &Case) -> &str {
    match case.outcome.as_str() {
        "advance" if case.log_levels == ["WARN decode gm event"] => "skipped",
        "advance" => "handled",
        other => other,
    }
}

fn describe(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(Advance::Handled) => "handled",
        Ok(Advance::Skipped(_)) => "skipped",
        Ok(_) => "another advance",
        Err(_) => "hold",
    }
}

fn fields_of(lines: &[LogLine]) -> Vec<Value> {
    lines
        .iter()
        .map(|line| {
            assert_eq!(line.target, "gmevents::handler");
            let names: Vec<_> = line.fields.keys().collect();
            let [worker, stream, id, game] =
                ["worker", "stream", "stream_entry_id", "game_id"].map(|name| line.fields.get(name));
            json!({ "names": names, "common": [worker, stream, id, game] })
        })
        .collect()
}

fn expected_fields(case: &Case, said: &[String]) -> Vec<Value> {
    said.iter()
        .map(|line| {
            let decoded = line != "WARN decode gm event";
            let game = case.fields.get("game_id").filter(|_| decoded);
            let mut names = vec!["worker", "stream", "stream_entry_id"];
            names.extend(decoded.then_some("game_id"));
            names.extend(fields_beyond_the_common(line));
            names.sort_unstable();
            json!({ "names": names, "common": ["lobby.gmevents", STREAM, case.id, game] })
        })
        .collect()
}

fn fields_beyond_the_common(line: &str) -> &'static [&'static str] {
    match line {
        "INFO game finished" => &["from_status", "to_status", "trigger"],
        "INFO game finished event ignored for unexpected status"
        | "WARN game record not finished after transition attempt" => &["current_status"],
        "INFO game finished event observed for already finished game"
        | "INFO game finished transition absorbed by status conflict"
        | "INFO game finished processed"
        | "WARN game finished for unknown game id"
        | "WARN finished game missing finished_at" => &[],
        _ => &["err"],
    }
}
