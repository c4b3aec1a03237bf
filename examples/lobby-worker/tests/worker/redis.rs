//! On a real Redis.

use redis::aio::MultiplexedConnection;
use redis::cmd;
use stream_runtime::testing::RedisServer;

use crate::support::{TempDir, Worker};

/// A worker on this server. It reads at once what is added: a short block time lets it go idle soon.
fn start(server: &RedisServer, dir: &TempDir, more: &[&str]) -> Worker {
    let config = dir.file(
        "lobby.toml",
        "[demo]\npace = \"0s\"\n[consumers.gm_lobby_events]\nhold_backoff = { min = \"50ms\", max = \"200ms\" }\n",
    );
    let url = server.url();
    let mut args = vec!["--config", &config, "--redis", &url, "--exit-when-idle", "500ms"];
    args.extend(more);
    Worker::start(&args)
}

async fn set(connection: &mut MultiplexedConnection, key: &str, text: &str) {
    cmd("SET").arg(key).arg(text).exec_async(connection).await.unwrap();
}

async fn add(connection: &mut MultiplexedConnection, stream: &str, fields: &[(&str, &str)]) -> String {
    cmd("XADD").arg(stream).arg("*").arg(fields).query_async(connection).await.unwrap()
}

async fn get(connection: &mut MultiplexedConnection, key: &str) -> serde_json::Value {
    let text: String = cmd("GET").arg(key).query_async(connection).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn finish(connection: &mut MultiplexedConnection, game: &str) -> String {
    let stats = r#"[{"user_id":"ada","planets":9,"population":200,"ships_built":7}]"#;
    let fields = [
        ("kind", "game_finished"),
        ("game_id", game),
        ("current_turn", "12"),
        ("player_turn_stats", stats),
        ("finished_at_ms", "1763760000000"),
    ];
    add(connection, "gm:lobby_events", &fields).await
}

#[tokio::test]
async fn the_demo_plays_when_asked_to_and_works_as_on_files() {
    let (server, dir) = (RedisServer::start().await, TempDir::new());
    let quiet = start(&server, &dir, &[]).ends();
    assert!(quiet.summary.contains("nothing new to handle"), "{}", quiet.summary);
    for season in 1..=2 {
        let ended = start(&server, &dir, &["--demo"]).ends();
        assert!(ended.status.success(), "{}", ended.log);
        assert_eq!(ended.counts("gm_lobby_events"), [102, 2, 0, 0]);
        assert_eq!(ended.counts("user_lifecycle"), [5, 1, 0, 0]);
        assert_eq!(ended.games().len(), 5 * season);
    }
}

#[tokio::test]
async fn entries_in_the_originals_format_end_in_the_documented_records() {
    let (server, dir) = (RedisServer::start().await, TempDir::new());
    let connection = &mut server.connection().await;
    set(connection, "lobby:game:g-1", r#"{"status":"running","members":["ada","bob"]}"#).await;
    let stats = r#"[{"user_id":"ada","planets":3,"population":120,"ships_built":5}]"#;
    let snapshot = [
        ("kind", "runtime_snapshot_update"),
        ("game_id", "g-1"),
        ("current_turn", "11"),
        ("player_turn_stats", stats),
    ];
    add(connection, "gm:lobby_events", &snapshot).await;
    finish(connection, "g-1").await;
    let blocked = [
        ("event_type", "user.lifecycle.permanent_blocked"),
        ("user_id", "mallory"),
        ("occurred_at_ms", "1763760000000"),
        ("reason_code", "abuse"),
    ];
    let blocked = add(connection, "user:lifecycle_events", &blocked).await;
    let ended = start(&server, &dir, &[]).ends();
    assert!(ended.status.success(), "{}", ended.log);

    let game = get(connection, "lobby:game:g-1").await;
    assert_eq!((&game["status"], &game["current_turn"]), (&"finished".into(), &12.into()));
    assert_eq!(game["finished_at_ms"], 1_763_760_000_000_u64);
    let ada = &get(connection, "lobby:stats:g-1").await["ada"];
    assert_eq!((&ada["initial"]["planets"], &ada["max"]["planets"]), (&3.into(), &9.into()));
    let judged = get(connection, "lobby:capability:g-1").await;
    assert_eq!(judged["capable"], serde_json::json!({"ada": true, "bob": false}));
    let user = get(connection, "lobby:user:mallory").await;
    assert_eq!((&user["mark"], &user["entry_id"]), (&"blocked".into(), &blocked.into()));
}

#[tokio::test]
async fn an_evaluation_that_fails_holds_its_entry_until_it_works_again() {
    let (server, dir) = (RedisServer::start().await, TempDir::new());
    let connection = &mut server.connection().await;
    set(connection, "lobby:game:g-1", r#"{"status":"running","members":["ada"]}"#).await;
    set(connection, "lobby:game:g-2", r#"{"status":"running","members":["ada"]}"#).await;
    set(connection, "lobby:capability:g-1", "nonsense").await;
    let held = finish(connection, "g-1").await;
    finish(connection, "g-2").await;
    let worker = start(&server, &dir, &[]);
    worker.says("entry held, it will be delivered again");
    assert!(worker.log().contains(&format!("stream_entry_id={held}")), "{}", worker.log());
    // The other consumer goes on.
    let gone = [("event_type", "user.lifecycle.deleted"), ("user_id", "oscar"), ("occurred_at_ms", "7")];
    add(connection, "user:lifecycle_events", &gone).await;
    worker.says("user_id=\"oscar\"");
    assert_eq!(get(connection, "lobby:game:g-2").await["status"], "running", "it waits behind the held one");

    cmd("DEL").arg("lobby:capability:g-1").exec_async(connection).await.unwrap();
    let ended = worker.ends();
    assert!(ended.status.success(), "{}", ended.log);
    let [handled, skipped, holds, _] = ended.counts("gm_lobby_events");
    assert_eq!((handled, skipped), (2, 0));
    assert!(holds >= 1, "{}", ended.summary);
    assert_eq!(get(connection, "lobby:capability:g-1").await["finished_at_ms"], 1_763_760_000_000_u64);
    assert_eq!(get(connection, "lobby:game:g-2").await["status"], "finished");
}

#[tokio::test]
async fn a_held_entry_is_skipped_by_deleting_it() {
    let (server, dir) = (RedisServer::start().await, TempDir::new());
    let connection = &mut server.connection().await;
    set(connection, "lobby:game:g-1", "nonsense").await;
    let held = finish(connection, "g-1").await;
    let worker = start(&server, &dir, &[]);
    worker.says("entry held, it will be delivered again");
    cmd("XDEL").arg("gm:lobby_events").arg(&held).exec_async(connection).await.unwrap();
    let ended = worker.ends();
    assert!(ended.status.success(), "{}", ended.log);
    let [handled, skipped, _, deleted] = ended.counts("gm_lobby_events");
    assert_eq!((handled, skipped, deleted), (0, 0, 1));
    assert!(ended.log.contains("held entry was deleted from the stream"), "{}", ended.log);
}

#[tokio::test]
async fn a_worker_outlives_its_redis() {
    let (mut server, dir) = (RedisServer::durable().await, TempDir::new());
    set(&mut server.connection().await, "lobby:game:g-1", r#"{"status":"running","members":[]}"#).await;
    server.stop();
    let worker = start(&server, &dir, &[]);
    worker.says("running on Redis");
    worker.says("WARN");
    server.restart().await;
    finish(&mut server.connection().await, "g-1").await;
    let ended = worker.ends();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.counts("gm_lobby_events"), [1, 0, 0, 0]);
    assert_eq!(get(&mut server.connection().await, "lobby:game:g-1").await["status"], "finished");
}
