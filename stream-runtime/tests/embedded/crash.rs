//! What a killed process, and a full disk, leave behind. The process is this test binary, run again.

use std::collections::BTreeMap;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::{Backend, Checkpoint, EntryId, ErrorKind};

use crate::scratch::{Scratch, n, read_all};

/// Names the file to a child.
const FILE: &str = "STREAM_RUNTIME_TEST_FILE";
/// Tasks that append side by side.
const APPENDERS: u64 = 4;
const ROUNDS: usize = 25;

/// A child that runs the test of this name alone, with a way to hear what it says.
fn run_again(test: &str, scratch: &Scratch, mut command: Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, scratch.file())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

/// Says a line to the parent.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n@{line}\n").as_bytes()).unwrap();
}

/// The next line that a child said; `None` at its end. A line that was cut short was not said.
fn hear(said: &mut BufReader<ChildStdout>) -> Option<String> {
    loop {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let whole = line.strip_suffix('\n')?;
        if let Some(line) = whole.strip_prefix('@') {
            return Some(line.to_owned());
        }
    }
}

/// In the child: appends and commits until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_appends_and_commits() {
    let Ok(file) = env::var(FILE) else { return };
    let backend = EmbeddedBackend::open(file).unwrap();
    for appender in 0..APPENDERS {
        let backend = backend.clone();
        tokio::spawn(async move {
            let stream = format!("s{appender}");
            for number in read_all(&backend, &stream).await.len().. {
                let id = backend.append(&stream, [("n", number.to_string())]).await.unwrap();
                say(&format!("{stream} {id}"));
            }
        });
    }
    let mut offsets = backend.offsets("c");
    let start = offsets.load().await.unwrap().map_or(0, |checkpoint| checkpoint.id.ms);
    for ms in start + 1.. {
        offsets.commit(Checkpoint::at(EntryId::new(ms, 0))).await.unwrap();
        say(&format!("offset {ms}-0"));
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let scratch = Scratch::new();
    let mut acknowledged: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
    for round in 0..ROUNDS {
        let command = Command::new(env::current_exe().unwrap());
        let (mut child, mut said) = run_again("crash::a_child_that_appends_and_commits", &scratch, command);
        let lines = RandomState::new().hash_one(round) % 600 + 1;
        let mut heard = 0;
        while let Some(line) = hear(&mut said) {
            let (what, id) = line.split_once(' ').unwrap();
            acknowledged.entry(what.to_owned()).or_default().push(id.parse().unwrap());
            heard += 1;
            if heard == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= lines, "round {round}: the child ended by itself");
        check(&scratch, &acknowledged).await;
    }
}

/// All that was acknowledged is there, in order, and all that is there is whole.
async fn check(scratch: &Scratch, acknowledged: &BTreeMap<String, Vec<EntryId>>) {
    let backend = scratch.open();
    for (what, ids) in acknowledged {
        if what == "offset" {
            let loaded = backend.offsets("c").load().await.unwrap().unwrap().id;
            assert!(Some(&loaded) >= ids.last(), "the offset went back to {loaded}");
            continue;
        }
        let entries = read_all(&backend, what).await;
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(n(entry), index as u64, "{what}");
        }
        let mut stored = entries.iter().map(stream_runtime::Entry::id);
        for id in ids {
            assert!(stored.any(|found| found == *id), "{what}: {id} is lost or out of order");
        }
    }
}

#[test]
fn a_second_process_is_told_what_to_do() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let command = Command::new(env::current_exe().unwrap());
    let (mut child, mut said) = run_again("crash::a_child_that_opens", &scratch, command);
    let heard = hear(&mut said).unwrap();
    assert!(heard.starts_with("Configuration") && heard.contains("another process"), "{heard}");
    child.wait().unwrap();
    drop(backend);
}

/// In the child: opens the file, and says what came of it.
#[test]
fn a_child_that_opens() {
    let Ok(file) = env::var(FILE) else { return };
    match EmbeddedBackend::open(file) {
        Ok(_) => say("opened"),
        Err(error) => say(&format!("{:?} {error}", error.kind())),
    }
}

/// A disk that is full for a while, played by a limit on the size of files, which the parent lifts.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_passes_without_a_restart() {
    let scratch = Scratch::new();
    let mut shell = Command::new("sh");
    // With the signal ignored, a write beyond the limit is an error. The limit counts blocks of 512 bytes.
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\""]);
    shell.arg(env::current_exe().unwrap());
    let (mut child, mut said) = run_again("crash::a_child_that_fills_the_disk", &scratch, shell);
    assert_eq!(hear(&mut said).as_deref(), Some("full"));
    let lifted = Command::new("prlimit")
        .args(["--fsize=unlimited:", "--pid", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(lifted.success());
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let acknowledged: usize = hear(&mut said).unwrap().parse().unwrap();
    assert!(child.wait().unwrap().success());

    let backend = scratch.open();
    let entries = read_all(&backend, "s").await;
    assert!(acknowledged > 1 && entries.len() >= acknowledged);
}

/// In the child: appends until the disk is full, and again when it no longer is. Says how many were added.
#[tokio::test]
async fn a_child_that_fills_the_disk() {
    let Ok(file) = env::var(FILE) else { return };
    let backend = EmbeddedBackend::open(file).unwrap();
    let body = "x".repeat(100_000);
    let mut added = 0;
    let error = loop {
        match backend.append("s", [("body", &body)]).await {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    // Reads go on, and appends go on to fail as they did.
    assert!(read_all(&backend, "s").await.len() >= added);
    let error = backend.append("s", [("body", &body)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    say("full");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    backend.append("s", [("body", &body)]).await.unwrap();
    say(&(added + 1).to_string());
}
