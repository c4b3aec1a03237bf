//! Checkpoints: claims, commits, and what a server does to scripts.

use std::time::Duration;

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Checkpoint, ErrorKind, OffsetStore};

use crate::support::{after, at, backend, backend_at, calls, eventually, fake_server, run};

#[tokio::test]
async fn a_committed_offset_is_loaded_again() {
    let server = RedisServer::start().await;
    let backend = backend(&server);
    let mut first = backend.offsets("c");
    assert!(first.load().await.unwrap().is_none());
    first.commit(after(3)).await.unwrap();
    first.commit(after(4)).await.unwrap();
    first.verify().await.unwrap();
    assert_eq!(loaded(backend.offsets("c")).await.id, at(4));
    assert!(backend.offsets("another").load().await.unwrap().is_none());
}

#[tokio::test]
async fn the_offset_is_a_string_under_the_prefix_that_never_expires() {
    let server = RedisServer::start().await;
    let mut config = crate::support::config(&server.url());
    config.offset_key_prefix = "lobby:".to_owned();
    let backend = stream_runtime::redis::RedisBackend::new(config).unwrap();
    let mut connection = server.connection().await;
    run(&mut connection, "SET lobby:c 7-1 EX 100").await;
    let mut offsets = backend.offsets("c");
    assert_eq!(offsets.load().await.unwrap().unwrap().id.to_string(), "7-1");
    offsets.commit(after(8)).await.unwrap();
    assert_eq!(run(&mut connection, "TTL lobby:c").await, redis::Value::Int(-1));
    let record: String = redis::cmd("GET").arg("lobby:c").query_async(&mut connection).await.unwrap();
    assert!(record.ends_with(" 8-0"), "{record}");
}

#[tokio::test]
async fn who_claimed_last_commits_and_the_other_is_told() {
    let server = RedisServer::start().await;
    let backend = backend(&server);
    let (mut older, mut newer) = (backend.offsets("c"), backend.offsets("c"));
    older.load().await.unwrap();
    older.commit(after(3)).await.unwrap();
    assert_eq!(newer.load().await.unwrap().unwrap().id, at(3));
    assert_eq!(older.commit(after(4)).await.unwrap_err().kind(), ErrorKind::Superseded);
    assert_eq!(older.verify().await.unwrap_err().kind(), ErrorKind::Superseded);
    assert_eq!(older.load().await.unwrap_err().kind(), ErrorKind::Superseded);
    newer.commit(after(5)).await.unwrap();
}

#[tokio::test]
async fn a_record_that_somebody_changed_is_a_conflict() {
    let server = RedisServer::start().await;
    let backend = backend(&server);
    let mut connection = server.connection().await;
    let mut offsets = backend.offsets("c");
    offsets.load().await.unwrap();
    offsets.commit(after(3)).await.unwrap();
    for change in ["DEL stream-runtime:offset:c", "SET stream-runtime:offset:c 1-0"] {
        run(&mut connection, change).await;
        assert_eq!(offsets.commit(after(4)).await.unwrap_err().kind(), ErrorKind::Conflict, "{change}");
        offsets.load().await.unwrap();
        offsets.commit(after(4)).await.unwrap();
    }
    run(&mut connection, "SET stream-runtime:offset:c nonsense").await;
    let error = backend.offsets("c").load().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn the_scripts_text_is_sent_once_and_again_when_the_server_forgot_it() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut offsets = backend(&server).offsets("c");
    offsets.load().await.unwrap();
    for ms in 1..=4 {
        offsets.commit(after(ms)).await.unwrap();
    }
    assert_eq!(calls(&mut connection, "eval").await, 1);
    run(&mut connection, "SCRIPT FLUSH").await;
    offsets.commit(after(5)).await.unwrap();
    offsets.commit(after(6)).await.unwrap();
    assert_eq!(calls(&mut connection, "eval").await, 2);
}

#[tokio::test]
async fn a_commit_works_when_the_server_is_out_of_memory() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let backend = backend(&server);
    let mut before = backend.offsets("before");
    before.load().await.unwrap();
    run(&mut connection, "CONFIG SET maxmemory 1").await;
    let refused = redis::cmd("SET").arg("a").arg("b").query_async::<()>(&mut connection).await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));

    before.commit(after(1)).await.unwrap();
    let mut new = backend.offsets("new");
    new.load().await.unwrap();
    run(&mut connection, "SCRIPT FLUSH").await;
    backend.source("s").presence(at(1)).await.unwrap();
    new.commit(after(1)).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_dropped_halfway_gives_its_answer_to_nobody() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let backend = backend(&server);
    let mut offsets = backend.offsets("c");
    offsets.load().await.unwrap();
    for ms in 1..=5 {
        run(&mut connection, "CLIENT PAUSE 20000 WRITE").await;
        let halfway = Duration::from_millis(10);
        let dropped = tokio::time::timeout(halfway, offsets.commit(after(2 * ms))).await;
        assert!(dropped.is_err(), "the server did not pause");
        run(&mut connection, "CLIENT UNPAUSE").await;
        assert_eq!(backend.source("none").tail().await.unwrap(), at(0));
        offsets.commit(after(2 * ms + 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_knows_no_script_flags_gets_the_script_without() {
    let port = fake_server(|command| {
        let reply = match (command[0].as_str(), command.get(1)) {
            ("GET", _) => "$-1\r\n",
            ("EVALSHA", _) => "-NOSCRIPT No matching script. Please use EVAL.\r\n",
            ("EVAL", Some(script)) if script.starts_with("#!") => {
                "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n"
            }
            ("EVAL", _) => ":1\r\n",
            _ => "+OK\r\n",
        };
        Some(reply.to_owned())
    })
    .await;
    let mut offsets = backend_at(port).offsets("c");
    assert!(offsets.load().await.unwrap().is_none());
    offsets.commit(after(1)).await.unwrap();
}

#[tokio::test]
async fn commits_go_on_after_the_server_came_back() {
    let mut server = RedisServer::durable().await;
    let backend = backend(&server);
    let mut offsets = backend.offsets("c");
    offsets.load().await.unwrap();
    offsets.commit(after(1)).await.unwrap();
    server.stop();
    for _ in 0..2 {
        let error = offsets.commit(after(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
    server.restart().await;
    let offsets = tokio::sync::Mutex::new(offsets);
    eventually(|| async { offsets.lock().await.commit(after(2)).await }).await;
    assert_eq!(loaded(backend.offsets("c")).await.id, at(2));
}

async fn loaded(mut offsets: Box<dyn OffsetStore>) -> Checkpoint {
    offsets.load().await.unwrap().unwrap()
}
