//! The end of a stream, and servers that may evict offsets.

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, EntryId, ErrorKind};

use crate::support::{at, backend, config, logs, run};

#[tokio::test]
async fn the_tail_is_the_last_id_ever_given() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    assert_eq!(source.tail().await.unwrap(), EntryId::ZERO, "no such stream");
    run(&mut connection, "XADD s 5-0 a b").await;
    run(&mut connection, "XADD s 7-0 a b").await;
    assert_eq!(source.tail().await.unwrap(), at(7));
    run(&mut connection, "XDEL s 7-0").await;
    assert_eq!(source.tail().await.unwrap(), at(7), "also when that entry is gone");
}

#[tokio::test]
async fn a_user_who_may_not_ask_gets_the_last_entry_there_is() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER plain on >word ~* +@all -xinfo -info").await;
    let url = format!("redis://plain:word@127.0.0.1:{}", server.port());
    let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
    let (logs, _guard) = logs();
    let mut source = backend.source("s");
    assert_eq!(source.tail().await.unwrap(), EntryId::ZERO);
    run(&mut connection, "XADD s 5-0 a b").await;
    assert_eq!(source.tail().await.unwrap(), at(5));
    backend.offsets("c").load().await.unwrap();
    let lines = logs.lines();
    assert_eq!(lines.len(), 1, "said once: {lines:?}");
    assert!(lines[0].starts_with("INFO") && lines[0].contains("INFO is denied"), "{lines:?}");
}

#[tokio::test]
async fn a_server_that_may_evict_offsets_is_warned_of_and_has_no_tail() {
    let server = RedisServer::with_args(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let backend = backend(&server);
    let (logs, _guard) = logs();
    backend.offsets("a").load().await.unwrap();
    backend.offsets("b").load().await.unwrap();
    let lines = logs.lines();
    assert_eq!(lines.len(), 1, "said once: {lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("allkeys-lru"), "{lines:?}");

    let error = backend.source("s").tail().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("maxmemory-policy allkeys-lru"), "{error}");
}

#[tokio::test]
async fn a_server_that_keeps_offsets_is_not_warned_of() {
    let server = RedisServer::with_args(["--maxmemory-policy", "volatile-lru"]).await;
    let (logs, _guard) = logs();
    backend(&server).offsets("a").load().await.unwrap();
    assert_eq!(logs.lines(), [""; 0]);
}
