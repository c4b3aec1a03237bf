//! Reading: order, bytes, waiting, and how much at once.

use std::time::{Duration, Instant};

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Limit, Read};

use crate::support::{
    LIMIT, after, at, backend, backend_at, batch, config, eventually, fake_server, ids, run, until_info,
};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn entries_come_in_order_with_their_bytes() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let binary: &[u8] = &[0, 0xff, b'\r', b'\n', b'$'];
    for id in ["1-0", "1-1", "7-0"] {
        let mut add = redis::cmd("XADD");
        add.arg("s").arg(id).arg("name").arg("first").arg(binary).arg(binary).arg("name").arg("last");
        let _: String = add.query_async(&mut connection).await.unwrap();
    }
    for url in [server.url(), format!("{}/?protocol=resp3", server.url())] {
        let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
        let mut source = backend.source("s");
        let all = batch(source.read(&after(0), LIMIT, LONG).await.unwrap());
        let found: Vec<_> = all.entries().iter().map(|entry| entry.id().to_string()).collect();
        assert_eq!(found, ["1-0", "1-1", "7-0"]);
        let entry = &all.entries()[1];
        assert_eq!(entry.stream(), "s");
        let fields: Vec<_> = entry.fields().iter().collect();
        assert_eq!(fields, [(&b"name"[..], &b"first"[..]), (binary, binary), (b"name", b"last")]);

        let rest = batch(source.read(&all.checkpoint(&all.entries()[0]), LIMIT, LONG).await.unwrap());
        assert_eq!(rest.entries().len(), 2);
        assert_eq!(all.end().id, at(7));
        assert!(matches!(source.read(&all.end(), LIMIT, SHORT).await.unwrap(), Read::Idle));
    }
}

#[tokio::test]
async fn a_database_and_a_socket_are_read_by_their_urls() {
    let server = RedisServer::with_args(["--unixsocket", "redis.sock"]).await;
    let mut connection = server.connection().await;
    run(&mut connection, "SELECT 3").await;
    run(&mut connection, "XADD s 4-0 a b").await;
    let socket = server.dir().join("redis.sock");
    for url in [format!("{}/3", server.url()), format!("unix://{}?db=3", socket.display())] {
        let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
        let read = backend.source("s").read(&after(0), LIMIT, LONG).await.unwrap();
        assert_eq!(ids(&batch(read)), [4]);
    }
}

#[tokio::test]
async fn a_waiting_read_wakes_up_when_an_entry_comes() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    let started = Instant::now();
    let reading = tokio::spawn(async move { source.read(&after(0), LIMIT, LONG).await });
    until_info(&mut connection, "blocked_clients:1").await;
    run(&mut connection, "XADD s 1-0 a b").await;
    assert_eq!(ids(&batch(reading.await.unwrap().unwrap())), [1]);
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn a_read_waits_its_time_and_is_idle() {
    let server = RedisServer::start().await;
    let mut source = backend(&server).source("s");
    for wait in [Duration::from_millis(120), Duration::from_micros(10), Duration::ZERO] {
        let started = Instant::now();
        assert!(matches!(source.read(&after(0), LIMIT, wait).await.unwrap(), Read::Idle));
        assert!(started.elapsed() >= wait, "{wait:?}");
        assert!(started.elapsed() < LONG, "{wait:?}");
    }
}

#[tokio::test]
async fn a_read_longer_than_the_response_timeout_is_not_cut_short() {
    let server = RedisServer::start().await;
    let mut config = config(&server.url());
    config.response_timeout = Duration::from_millis(600);
    let mut source = stream_runtime::redis::RedisBackend::new(config).unwrap().source("s");
    let wait = Duration::from_millis(700);
    let started = Instant::now();
    assert!(matches!(source.read(&after(0), LIMIT, wait).await.unwrap(), Read::Idle));
    assert!(started.elapsed() >= wait);
}

#[tokio::test]
async fn a_dropped_read_holds_up_nothing_and_loses_nothing() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    for round in 1..=5_u64 {
        {
            let position = after(round - 1);
            let reading = source.read(&position, LIMIT, LONG);
            tokio::select! {
                _ = reading => panic!("there is nothing to read"),
                () = until_info(&mut connection, "blocked_clients:1") => {}
            }
        }
        run(&mut connection, &format!("XADD s {round}-0 a b")).await;
        let read = source.read(&after(round - 1), LIMIT, LONG).await.unwrap();
        assert_eq!(ids(&batch(read)), [round]);
    }
    // The test's own connection and the last reader's.
    until_info(&mut connection, "connected_clients:2").await;
}

#[tokio::test]
async fn one_readers_wait_does_not_hold_up_another_or_a_commit() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let backend = backend(&server);
    let mut waiting = backend.source("quiet");
    let waiting = tokio::spawn(async move { waiting.read(&after(0), LIMIT, LONG).await });
    until_info(&mut connection, "blocked_clients:1").await;
    let started = Instant::now();
    run(&mut connection, "XADD s 1-0 a b").await;
    let mut source = backend.source("s");
    assert_eq!(ids(&batch(source.read(&after(0), LIMIT, LONG).await.unwrap())), [1]);
    assert!(backend.offsets("c").load().await.unwrap().is_none());
    assert_eq!(source.tail().await.unwrap(), at(1));
    assert!(started.elapsed() < LONG && !waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_batch_has_about_the_bytes_it_may_and_the_count_at_most() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let body = vec![b'x'; 100 << 10];
    for ms in 1..=60 {
        let mut add = redis::cmd("XADD");
        add.arg("s").arg(format!("{ms}-0")).arg("body").arg(&body);
        let _: String = add.query_async(&mut connection).await.unwrap();
    }
    let limit = Limit { entries: 256, bytes: 1 << 20 };
    let mut source = backend(&server).source("s");
    let (mut position, mut sizes) = (after(0), Vec::new());
    while sizes.iter().sum::<usize>() < 60 {
        let batch = batch(source.read(&position, limit, LONG).await.unwrap());
        sizes.push(batch.entries().len());
        position = batch.end();
    }
    assert_eq!(sizes[0], 11, "the first batch is cut at the first entry over 1 MiB");
    assert!(sizes.iter().all(|&size| size <= 11), "{sizes:?}");
    assert!(sizes.len() <= 7, "{sizes:?}");

    let limit = Limit { entries: 2, ..limit };
    let two = batch(source.read(&after(0), limit, LONG).await.unwrap());
    assert_eq!(ids(&two), [1, 2]);
    let limit = Limit { entries: 9, bytes: 1 };
    let one = batch(source.read(&after(0), limit, LONG).await.unwrap());
    assert_eq!(ids(&one), [1], "the first entry comes whatever its size");
}

#[tokio::test]
async fn an_answer_with_nothing_is_no_reason_to_spin() {
    let reads = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&reads);
    let port = fake_server(move |command| match command[0].as_str() {
        "XREAD" => {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Some("*1\r\n*2\r\n$1\r\ns\r\n*0\r\n".to_owned())
        }
        "EVALSHA" => Some("-ERR no such key\r\n".to_owned()),
        _ => Some("+OK\r\n".to_owned()),
    })
    .await;
    let wait = Duration::from_millis(300);
    let started = Instant::now();
    let read = backend_at(port).source("s").read(&after(0), LIMIT, wait).await.unwrap();
    assert!(matches!(read, Read::Idle));
    assert!(started.elapsed() >= wait);
    let reads = reads.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=8).contains(&reads), "{reads} reads");
}

#[tokio::test]
async fn reading_goes_on_after_the_server_came_back() {
    let mut server = RedisServer::durable().await;
    let mut source = backend(&server).source("s");
    run(&mut server.connection().await, "XADD s 1-0 a b").await;
    assert_eq!(ids(&batch(source.read(&after(0), LIMIT, LONG).await.unwrap())), [1]);

    server.stop();
    for _ in 0..2 {
        let error = source.read(&after(1), LIMIT, LONG).await.unwrap_err();
        assert_eq!(error.kind(), stream_runtime::ErrorKind::Transient, "{error}");
    }
    server.restart().await;
    let source = tokio::sync::Mutex::new(source);
    let read = eventually(|| async { source.lock().await.read(&after(0), LIMIT, LONG).await }).await;
    assert_eq!(ids(&batch(read)), [1], "the data was kept");
}
