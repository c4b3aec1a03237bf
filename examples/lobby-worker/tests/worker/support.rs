//! The program as a child process, and what it says.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a crowded machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running worker; killed on drop.
pub(crate) struct Worker {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

/// How a worker ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) summary: String,
    pub(crate) log: String,
}

impl Worker {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lobby-worker"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let into = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = into.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    /// Waits until the log has this text.
    pub(crate) fn says(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "it never said {text:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to end, as an operator does.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        };
        self.reader.take().unwrap().join().unwrap();
        let mut summary = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
        Ended { status, summary, log: self.log() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Handled, skipped, holds and deleted of a consumer.
    pub(crate) fn counts(&self, consumer: &str) -> [u64; 4] {
        let row = self.summary.lines().find(|line| line.trim_start().starts_with(consumer)).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        [1, 2, 3, 4].map(|column| cells[column].parse().unwrap())
    }

    /// The rows of the games' table, in the order of their ids, whatever changed last.
    pub(crate) fn games(&self) -> Vec<String> {
        let (_, table) = self.summary.split_once("Games: first observed").unwrap();
        let rows = table.lines().skip(3).take_while(|line| !line.is_empty());
        let mut games: Vec<String> = Vec::new();
        for row in rows {
            match (row.starts_with("   "), games.last_mut()) {
                (true, Some(game)) => {
                    game.push('\n');
                    game.push_str(row.trim());
                }
                _ => games.push(row.split_whitespace().collect::<Vec<_>>().join(" ")),
            }
        }
        games.sort();
        games
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An empty directory of the test's own, removed on drop.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = format!("lobby-run-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file in it, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The path of something in it.
    pub(crate) fn join(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
