//! What every place of documents must do for the stores: one test, run on each.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gmevents::{
    CapabilityEvaluator, GameId, GameStatus, GameStore, GameTurnStatsStore, PlayerObservedStats,
    RuntimeSnapshot, StoreError, Trigger, UpdateRuntimeSnapshot, UpdateStatus,
};
use stream_runtime::EntryId;
use stream_runtime::redis::RedisConfig;
use stream_runtime::testing::RedisServer;
use userlifecycle::{UserLifecycleEvent, UserLifecycleEventType, UserLifecycleHandler};

use super::embedded::EmbeddedDocuments;
use super::model::{Capability, Counts, Game, PlayerStats, Stats, User, UserMark};
use super::redis::{Connection, RedisDocuments};
use super::{Kind, Stores};

/// Above 2^53, where floating point and Lua lose the last digits.
const BIG: i64 = 9_007_199_254_740_993;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_file_keeps_the_contract() {
    let dir = crate::testing::TempDir::new();
    let stores = Stores::new(EmbeddedDocuments::open(&dir.path().join("lobby.redb")).unwrap());
    holds_the_contract(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract() {
    let server = RedisServer::start().await;
    let mut config = RedisConfig::default();
    config.url = server.url().parse().unwrap();
    let connection = Connection::new(&config).unwrap();
    holds_the_contract(&Stores::new(RedisDocuments::new(connection))).await;
}

#[tokio::test]
async fn a_local_file_is_there_again_after_it_was_closed() {
    let dir = crate::testing::TempDir::new();
    let path = dir.path().join("lobby.redb");
    let stores = Stores::new(EmbeddedDocuments::open(&path).unwrap());
    create(&stores, "g", &["ada"]).await;
    let busy = EmbeddedDocuments::open(&path).unwrap_err().to_string();
    assert!(busy.contains("in use by another process"), "{busy}");
    drop(stores);
    let stores = Stores::new(EmbeddedDocuments::open(&path).unwrap());
    assert_eq!(stores.get(&id("g")).await.unwrap().status, GameStatus::Running);
}

async fn holds_the_contract(stores: &Stores) {
    games_are_found_and_their_snapshots_overwritten(stores).await;
    a_status_changes_from_the_expected_one_only(stores).await;
    initial_values_freeze_and_maxima_rise(stores).await;
    concurrent_maxima_lose_nothing(stores).await;
    a_judgement_is_made_once(stores).await;
    a_user_is_marked_by_the_latest_event(stores).await;
    the_latest_changes_come_first(stores).await;
    nonsense_is_reported_and_not_overwritten(stores).await;
}

async fn games_are_found_and_their_snapshots_overwritten(stores: &Stores) {
    let unknown = stores.update_runtime_snapshot(snapshot("nowhere", 1)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");
    let unknown = stores.get(&id("nowhere")).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");

    assert!(create(stores, "snapshots", &["ada"]).await);
    stores.update_runtime_snapshot(snapshot("snapshots", 7)).await.unwrap();
    stores.update_runtime_snapshot(snapshot("snapshots", 5)).await.unwrap();
    assert!(!create(stores, "snapshots", &[]).await, "a game that exists stays");
    let game: Game = stores.load("snapshots").await.unwrap().unwrap();
    assert_eq!((game.current_turn, game.snapshot_at_ms), (5, Some(5_000)));
    assert_eq!(game.members, members(&["ada"]));
    assert_eq!(game.engine_health_summary, "all \"well\"");
}

async fn a_status_changes_from_the_expected_one_only(stores: &Stores) {
    use GameStatus::{Draft, Finished, Paused, Running};
    let missing = stores.update_status(status("nowhere", Running, Finished, 1)).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");

    create(stores, "moves", &[]).await;
    let wrong = stores.update_status(status("moves", Paused, Finished, 1)).await;
    assert!(matches!(wrong, Err(StoreError::Conflict)), "{wrong:?}");
    let never = stores.update_status(status("moves", Running, Draft, 1)).await;
    assert!(matches!(never, Err(StoreError::InvalidTransition)), "{never:?}");

    stores.update_status(status("moves", Running, Paused, 2)).await.unwrap();
    let game = stores.get(&id("moves")).await.unwrap();
    assert_eq!((game.status, game.finished_at), (Paused, None));
    stores.update_status(status("moves", Paused, Finished, 3)).await.unwrap();
    let game = stores.get(&id("moves")).await.unwrap();
    assert_eq!((game.status, game.finished_at), (Finished, Some(at(3))));

    create(stores, "race", &[]).await;
    let finish = |ms| stores.update_status(status("race", Running, Finished, ms));
    let (one, other) = tokio::join!(finish(1), finish(2));
    assert!(one.is_ok() != other.is_ok(), "one of two wins: {one:?}, {other:?}");
}

async fn initial_values_freeze_and_maxima_rise(stores: &Stores) {
    let game = id("stats");
    let observe = async |players: &[PlayerObservedStats]| {
        stores.save_initial(&game, players).await.unwrap();
        stores.update_max(&game, players).await.unwrap();
    };
    observe(&[player("ada", 3, BIG), player("bob", 5, 50)]).await;
    observe(&[player("ada", 2, BIG + 1), player("eve", 1, 1)]).await;
    observe(&[player("ada", 4, BIG - 1)]).await;
    let stats: Stats = stores.load("stats").await.unwrap().unwrap();
    let expected = |initial, max| PlayerStats { initial: Some(initial), max: Some(max) };
    assert_eq!(stats.players["ada"], expected(counts(3, BIG), counts(4, BIG + 1)));
    assert_eq!(stats.players["bob"], expected(counts(5, 50), counts(5, 50)));
    assert_eq!(stats.players["eve"], expected(counts(1, 1), counts(1, 1)));
}

async fn concurrent_maxima_lose_nothing(stores: &Stores) {
    let game = id("crowd");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16_i64 {
        let (stores, game) = (stores.clone(), game.clone());
        let all: Vec<_> = (0..4).map(|user| player(&format!("u{user}"), n, BIG + (n * 7) % 16)).collect();
        tasks.spawn(async move { stores.update_max(&game, &all).await });
    }
    for done in tasks.join_all().await {
        done.unwrap();
    }
    let stats: Stats = stores.load("crowd").await.unwrap().unwrap();
    assert_eq!(stats.players.len(), 4);
    for (user, of_player) in &stats.players {
        assert_eq!(of_player.max, Some(counts(15, BIG + 15)), "{user}");
    }
}

async fn a_judgement_is_made_once(stores: &Stores) {
    let game = id("judged");
    let unknown = stores.evaluate(&id("nowhere"), at(1)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "game not found");

    create(stores, "judged", &["ada", "bob", "cleo"]).await;
    let first = [player("ada", 1, 10), player("bob", 1, 10), player("zed", 1, 10)];
    stores.save_initial(&game, &first).await.unwrap();
    let second = [player("ada", 2, 11), player("bob", 2, 10), player("zed", 9, 99)];
    stores.update_max(&game, &second).await.unwrap();
    stores.evaluate(&game, at(100)).await.unwrap();
    let judged: Capability = stores.load("judged").await.unwrap().unwrap();
    let expected = [("ada", true), ("bob", false), ("cleo", false)];
    let expected = expected.map(|(user, capable)| (user.to_owned(), capable));
    assert_eq!(judged.capable, expected.into(), "members only, the unobserved incapable");
    assert_eq!(judged.finished_at_ms, 100);

    stores.update_max(&game, &[player("bob", 9, 99)]).await.unwrap();
    stores.evaluate(&game, at(200)).await.unwrap();
    assert_eq!(stores.load("judged").await.unwrap(), Some(judged), "a replay changes nothing");
}

async fn a_user_is_marked_by_the_latest_event(stores: &Stores) {
    use UserLifecycleEventType::{Deleted, PermanentBlocked};
    let tell = async |ms, seq, what| stores.on_event(lifecycle(ms, seq, what)).await.unwrap();
    let now = async || {
        let user: User = stores.load("mallory").await.unwrap().unwrap();
        (user.mark, user.occurred_at_ms, user.entry_id)
    };
    tell(500, 1, PermanentBlocked).await;
    assert_eq!(now().await, (UserMark::Blocked, 500, "9-1".to_owned()));
    tell(400, 2, Deleted).await;
    assert_eq!(now().await, (UserMark::Blocked, 500, "9-1".to_owned()), "the older does not win");
    tell(500, 3, PermanentBlocked).await;
    assert_eq!(now().await, (UserMark::Blocked, 500, "9-1".to_owned()), "a replay");
    tell(600, 4, Deleted).await;
    assert_eq!(now().await, (UserMark::Deleted, 600, "9-4".to_owned()));
}

async fn the_latest_changes_come_first(stores: &Stores) {
    for name in ["x", "y", "z"] {
        create(stores, name, &[]).await;
    }
    stores.update_runtime_snapshot(snapshot("x", 1)).await.unwrap();
    let recent: Vec<(String, Game)> = stores.recent(2).await.unwrap();
    let ids: Vec<_> = recent.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["x", "z"]);
}

async fn nonsense_is_reported_and_not_overwritten(stores: &Stores) {
    for text in ["{", "7", r#"{"members":[]}"#, r#"{"status":"lost"}"#, r#"{"status":"running","x":1}"#] {
        let before = stores.documents.get(Kind::Game, "bad").await.unwrap();
        stores.documents.swap(Kind::Game, "bad", before.as_deref(), text).await.unwrap();
        let error = stores.update_runtime_snapshot(snapshot("bad", 1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{text}: {error:?}");
        let shown = error.to_string();
        assert!(shown.contains(r#"the stored game "bad" is invalid; correct or remove it"#), "{shown}");
        let now = stores.documents.get(Kind::Game, "bad").await.unwrap();
        assert_eq!(now.as_deref(), Some(text));
    }
}

async fn create(stores: &Stores, id: &str, users: &[&str]) -> bool {
    stores.create_game(id, &members(users)).await.unwrap()
}

fn members(users: &[&str]) -> BTreeSet<String> {
    users.iter().map(|&user| user.to_owned()).collect()
}

fn id(text: &str) -> GameId {
    GameId::new(text).unwrap()
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn counts(planets: i64, population: i64) -> Counts {
    Counts { planets, population, ships_built: 1 }
}

fn player(user_id: &str, planets: i64, population: i64) -> PlayerObservedStats {
    PlayerObservedStats { user_id: user_id.to_owned(), planets, population, ships_built: 1 }
}

fn snapshot(game_id: &str, turn: u32) -> UpdateRuntimeSnapshot {
    UpdateRuntimeSnapshot {
        game_id: id(game_id),
        snapshot: RuntimeSnapshot {
            current_turn: turn.into(),
            runtime_status: "running".to_owned(),
            engine_health_summary: "all \"well\"".to_owned(),
        },
        at: at(u64::from(turn) * 1_000),
    }
}

fn status(game_id: &str, expected_from: GameStatus, to: GameStatus, ms: u64) -> UpdateStatus {
    UpdateStatus { game_id: id(game_id), expected_from, to, trigger: Trigger::RuntimeEvent, at: at(ms) }
}

fn lifecycle(ms: u64, seq: u64, event_type: UserLifecycleEventType) -> UserLifecycleEvent {
    UserLifecycleEvent {
        entry_id: EntryId::new(9, seq),
        event_type,
        user_id: "mallory".to_owned(),
        occurred_at: at(ms),
        source: "user".to_owned(),
        actor_type: String::new(),
        actor_id: String::new(),
        reason_code: "abuse".to_owned(),
        trace_id: String::new(),
    }
}
