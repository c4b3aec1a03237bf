//! On local files, with the demo feed.

use crate::support::{Ended, TempDir, Worker};

/// What a season has for each consumer: handled, skipped, holds, deleted.
const GM_LOBBY_EVENTS: [u64; 4] = [102, 2, 0, 0];
const USER_LIFECYCLE: [u64; 4] = [5, 1, 0, 0];

/// A worker on the files of this directory, its feed without pauses.
fn start(dir: &TempDir, pace: &str) -> Worker {
    let config = dir.file("lobby.toml", &format!("[demo]\npace = \"{pace}\"\n"));
    Worker::start(&["--config", &config, "--data", &dir.join("data"), "--exit-when-idle", "500ms"])
}

fn assert_worked(ended: &Ended, season: u64) {
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.counts("gm_lobby_events"), GM_LOBBY_EVENTS);
    assert_eq!(ended.counts("user_lifecycle"), USER_LIFECYCLE);
    assert!(ended.summary.contains("It worked: 107 new entries handled, 3 skipped"), "{}", ended.summary);
    let games = ended.games();
    let finished = format!("andromeda-{season} finished 20 ada");
    let andromeda = games.iter().find(|game| game.starts_with(&finished)).unwrap();
    assert!(andromeda.contains(" yes\n") && andromeda.contains(" no"), "{andromeda}");
    assert!(games.iter().any(|game| game.starts_with(&format!("orion-{season} running 28"))));
    let blocked = |line: &str| line.contains(&format!("mallory-{season}")) && line.contains("blocked");
    assert!(ended.summary.lines().any(blocked), "{}", ended.summary);
}

#[test]
fn a_second_run_plays_new_games_and_counts_new_entries_only() {
    let dir = TempDir::new();
    let first = start(&dir, "0s").ends();
    assert_worked(&first, 1);
    let second = start(&dir, "0s").ends();
    assert_worked(&second, 2);
    assert_eq!(second.games().len(), 10);
    for game in first.games() {
        assert!(second.games().contains(&game), "an old game has not changed: {game}");
    }
}

#[test]
fn a_run_that_was_terminated_is_gone_on_with() {
    let dir = TempDir::new();
    let worker = start(&dir, "20ms");
    worker.says("user lifecycle event processed");
    worker.terminate();
    let first = worker.ends();
    assert!(first.status.success(), "{}", first.log);
    assert!(first.summary.contains("The demo feed was interrupted"), "{}", first.summary);
    let second = start(&dir, "0s").ends();
    assert!(second.log.contains("the demo feed goes on with its season"), "{}", second.log);

    let total = |consumer| {
        let (first, second) = (first.counts(consumer), second.counts(consumer));
        first[0] + second[0] + first[1] + second[1]
    };
    // The event that was being told may have been told twice.
    let told = total("gm_lobby_events") + total("user_lifecycle");
    assert!((110..=111).contains(&told), "{told}");
    assert_eq!(second.games(), uninterrupted());
}

#[test]
fn a_run_that_was_killed_ends_in_the_same_state_as_one_that_was_not() {
    let dir = TempDir::new();
    for said in ["user lifecycle event processed", "game finished processed"] {
        let worker = start(&dir, "3ms");
        worker.says(said);
        worker.kill();
    }
    let last = start(&dir, "0s").ends();
    assert!(last.status.success(), "{}", last.log);
    assert_eq!(last.games(), uninterrupted());
}

/// The games at the end of a first season in which nothing went wrong.
fn uninterrupted() -> Vec<String> {
    start(&TempDir::new(), "0s").ends().games()
}

#[test]
fn a_second_worker_on_the_same_files_is_refused() {
    let dir = TempDir::new();
    let first = start(&dir, "1s");
    first.says("the demo feed begins a season");
    let second = start(&dir, "0s").ends();
    assert_eq!(second.status.code(), Some(1));
    assert!(second.log.contains("error: "), "{}", second.log);
    assert!(second.log.contains("streams.redb"), "{}", second.log);
}
