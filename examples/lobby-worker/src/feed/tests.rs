//! The season is believable, and the feed plays each event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use stream_runtime::EntryId;

use super::events::{Event, Fields};
use super::*;
use crate::stores::embedded::EmbeddedDocuments;
use crate::testing::TempDir;

/// Of each game, of each user: planets and population, turn by turn.
type Course = BTreeMap<String, BTreeMap<String, Vec<(i64, i64)>>>;

fn field<'a>(event: &'a Event, name: &str) -> &'a str {
    let found = event.fields.iter().rev().find(|(of_name, _)| *of_name == name);
    found.map_or("", |(_, value)| value)
}

fn course(season: &Season) -> Course {
    let mut course = Course::new();
    for event in &season.events {
        let Ok(Value::Array(lines)) = serde_json::from_str(field(event, "player_turn_stats")) else {
            continue;
        };
        let game = course.entry(field(event, "game_id").to_owned()).or_default();
        for line in lines {
            let user = line["user_id"].as_str().unwrap().to_owned();
            let counts = (line["planets"].as_i64().unwrap(), line["population"].as_i64().unwrap());
            game.entry(user).or_default().push(counts);
        }
    }
    course
}

fn is_capable(turns: &[(i64, i64)]) -> bool {
    let (planets, population) = turns[0];
    turns.iter().any(|turn| turn.0 > planets) && turns.iter().any(|turn| turn.1 > population)
}

fn finished_games(season: &Season) -> BTreeSet<&str> {
    let finishes = season.events.iter().filter(|event| event.has("kind", "game_finished"));
    let known = season.games.iter().map(|game| game.id.as_str()).collect::<BTreeSet<_>>();
    finishes.map(|event| field(event, "game_id")).filter(|id| known.contains(id)).collect()
}

#[test]
fn games_finish_with_capable_players_and_without_in_every_season() {
    for number in 1..=200 {
        let season = Season::write(number, 1_000_000);
        let course = course(&season);
        let finished = finished_games(&season);
        assert_eq!(finished.len(), 4, "season {number}");
        assert_eq!(season.games.len(), 5, "one of them goes on");
        let capable = |id: &str| course[id].values().filter(|turns| is_capable(turns)).count();
        let with = finished.iter().filter(|id| capable(id) > 0).count();
        let without = finished.iter().filter(|id| capable(id) == 0).count();
        assert!(with >= 2 && without >= 1, "season {number}: {with} with, {without} without");
    }
}

#[test]
fn planets_and_population_rise_and_fall_and_are_never_negative() {
    let course = course(&Season::write(1, 1_000_000));
    let turns: Vec<_> = course.values().flat_map(BTreeMap::values).collect();
    let changes = || turns.iter().flat_map(|turns| turns.windows(2));
    assert!(changes().any(|pair| pair[0].0 < pair[1].0), "planets rise");
    assert!(changes().any(|pair| pair[0].0 > pair[1].0), "planets fall");
    assert!(changes().any(|pair| pair[0].1 < pair[1].1), "population rises");
    assert!(changes().any(|pair| pair[0].1 > pair[1].1), "population falls");
    assert!(turns.iter().flat_map(|turns| turns.iter()).all(|turn| turn.0 >= 0 && turn.1 >= 0));
}

#[test]
fn a_season_has_the_accidents_of_real_streams() {
    let season = Season::write(3, 1_000_000);
    let told = |name: &str, value: &str| season.events.iter().filter(|event| event.has(name, value)).count();
    assert_eq!(told("kind", "galaxy_exploded"), 1, "an unknown kind");
    assert_eq!(told("game_id", "nobody-knows-this-game"), 1, "an unknown game");
    assert_eq!(told("event_type", "user.lifecycle.email_changed"), 1, "an unknown lifecycle type");
    assert_eq!(told("event_type", "user.lifecycle.permanent_blocked"), 2, "a block and its replay");
    assert_eq!(told("kind", "game_finished"), 4 + 1 + 1, "a replay and an unknown game");
    let cut_off = |event: &&Event| {
        let stats = field(event, "player_turn_stats");
        !stats.is_empty() && serde_json::from_str::<Value>(stats).is_err()
    };
    assert_eq!(season.events.iter().filter(cut_off).count(), 1, "statistics that were cut off");
    let timeless =
        |event: &&Event| event.topic == Topic::UserService && field(event, "occurred_at_ms").is_empty();
    assert_eq!(season.events.iter().filter(timeless).count(), 1, "an event without a time");
}

#[test]
fn a_season_is_always_the_same_and_no_two_share_a_game() {
    let fields =
        |season: Season| -> Vec<Fields> { season.events.into_iter().map(|event| event.fields).collect() };
    assert_eq!(fields(Season::write(2, 77)), fields(Season::write(2, 77)));
    let ids = |number| -> BTreeSet<String> {
        Season::write(number, 77).games.into_iter().map(|game| game.id).collect()
    };
    assert!(ids(1).is_disjoint(&ids(2)));
}

/// Remembers what it is given, and refuses every fifth append.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    calls: u64,
    told: Vec<(String, Fields)>,
}

#[async_trait]
impl Producer for Recorder {
    async fn append(&self, stream: &str, fields: &[(&'static str, String)]) -> anyhow::Result<EntryId> {
        let mut recorded = self.0.lock().unwrap();
        recorded.calls += 1;
        anyhow::ensure!(!recorded.calls.is_multiple_of(5), "out of order");
        recorded.told.push((stream.to_owned(), fields.to_vec()));
        Ok(EntryId::new(recorded.calls, 0))
    }
}

/// Plays until the season is told, or until `events` are.
async fn play(stores: &Stores, recorder: &Recorder, events: usize) {
    let feed = Feed {
        stores: stores.clone(),
        producer: Box::new(recorder.clone()),
        streams: Streams::default(),
        pace: Duration::from_millis(1),
    };
    let enough = async {
        while recorder.0.lock().unwrap().told.len() < events {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = feed.play() => {}
        () = enough => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_season_is_gone_on_with_and_then_comes_the_next() {
    let dir = TempDir::new();
    let stores = Stores::new(EmbeddedDocuments::open(&dir.path().join("lobby.redb")).unwrap());
    let recorder = Recorder::default();
    play(&stores, &recorder, 30).await;
    play(&stores, &recorder, usize::MAX).await;

    let first: Progress = stores.load(PROGRESS).await.unwrap().unwrap();
    let script = Season::write(1, first.started_at_ms).events;
    assert_eq!((first.season, first.told), (1, script.len()));
    let mut told = std::mem::take(&mut recorder.0.lock().unwrap().told);
    told.dedup();
    let streams: BTreeSet<_> = told.iter().map(|(stream, _)| stream.clone()).collect();
    assert_eq!(streams, ["gm:lobby_events", "user:lifecycle_events"].map(str::to_owned).into());
    let told: Vec<_> = told.into_iter().map(|(_, fields)| fields).collect();
    let script: Vec<_> = script.into_iter().map(|event| event.fields).collect();
    assert_eq!(told, script, "every event in order, at most the interrupted one twice");

    play(&stores, &recorder, usize::MAX).await;
    let second: Progress = stores.load(PROGRESS).await.unwrap().unwrap();
    assert_eq!(second.season, 2);
}
