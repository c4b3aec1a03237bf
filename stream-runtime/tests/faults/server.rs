//! The server is not ready, pauses, or is no master any more.

use std::time::Duration;

use stream_runtime::testing::RedisServer;
use stream_runtime::{EntryId, StartAt};

use crate::proxy::Proxy;
use crate::support::{
    Fault, Worker, add, add_and, calls, caught_up, connect, consumer_config, ids, last_error, redis_at,
    redis_url, run,
};

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    // It takes 5 ms to load a key, and answers in between.
    let slow = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"];
    let mut server = RedisServer::with_args(slow).await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(redis_at(proxy.port));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    proxy.dark(true);
    add(&mut connection, 21..=40).await;
    let mut fillers = redis::pipe();
    for key in 0..4_000 {
        fillers.set(format!("filler:{key}"), "x".repeat(100)).ignore();
    }
    fillers.query_async::<()>(&mut connection).await.unwrap();
    run(&mut connection, "SAVE").await;
    server.stop();
    proxy.dark(false);
    let url = server.url();
    let seen = async {
        worker.fails_by("LOADING").await;
        let mut connection = connect(&url).await;
        run(&mut connection, "CONFIG SET key-load-delay 0").await;
    };
    tokio::join!(server.restart(), seen);
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_replica_is_read_until_the_window_is_full_and_goes_on_when_it_is_promoted() {
    let (mut master, replica) = (RedisServer::start().await, RedisServer::start().await);
    let (mut on_master, mut on_replica) = (master.connection().await, replica.connection().await);
    run(&mut on_replica, &format!("REPLICAOF 127.0.0.1 {}", master.port())).await;
    let proxy = Proxy::to(master.port()).await;
    let worker = Worker::start(redis_at(proxy.port));
    add(&mut on_master, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    // The master dies with entries that the replica has and the worker has not, and its address moves to the
    // replica before that one is promoted.
    let fault = Fault::begins(&proxy);
    proxy.dark(true);
    add(&mut on_master, 21..=40).await;
    until_it_has(&mut on_replica, 40).await;
    master.stop();
    proxy.lead_to(replica.port());
    proxy.dark(false);
    worker.fails_by("READONLY").await;
    // 8 entries may be uncommitted.
    worker.pauses_after(&ids(1..=28)).await;
    fault.lasts().await;
    run(&mut on_replica, "REPLICAOF NO ONE").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

/// Until the stream has so many entries.
async fn until_it_has(connection: &mut redis::aio::MultiplexedConnection, entries: i64) {
    let replicated = async {
        while run(connection, "XLEN events").await != redis::Value::Int(entries) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replicated).await.unwrap();
}

#[tokio::test]
async fn a_read_that_is_unblocked_because_its_master_became_a_replica_starts_again() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut config = consumer_config();
    config.block_timeout = Duration::from_secs(60);
    let worker = Worker::with(redis_at(server.port()), config);
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;
    until_blocked(&mut connection).await;

    let reads = calls(&mut connection, "xread").await;
    run(&mut connection, "REPLICAOF 127.0.0.1 1").await;
    worker.until("it was unblocked", |status| last_error(status).contains("UNBLOCKED")).await;
    until_blocked(&mut connection).await;
    run(&mut connection, "REPLICAOF NO ONE").await;
    add(&mut connection, 21..=40).await;
    worker.has_handled(&ids(1..=40)).await;
    assert!(calls(&mut connection, "xread").await <= reads + 5);
}

/// Until a client waits for entries.
async fn until_blocked(connection: &mut redis::aio::MultiplexedConnection) {
    let blocked = async {
        loop {
            let info: String = redis::cmd("INFO").arg("clients").query_async(connection).await.unwrap();
            if info.contains("\r\nblocked_clients:1\r\n") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), blocked).await.unwrap();
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_waited_for() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER worker on >word ~* +@all").await;
    for user in ["", "worker:word@"] {
        let first = 1 + 100 * user.len() as u64;
        let proxy = Proxy::to(server.port()).await;
        let mut redis = redis_url(&format!("redis://{user}127.0.0.1:{}", proxy.port));
        redis.offset_key_prefix = format!("offset:{user}");
        let mut config = consumer_config();
        config.start = StartAt::After(EntryId::new(first - 1, 0));
        let worker = Worker::with(redis, config);
        add(&mut connection, first..first + 20).await;
        worker.has_handled(&ids(first..first + 20)).await;

        let fault = Fault::begins(&proxy);
        run(&mut connection, "CONFIG SET maxclients 1").await;
        run(&mut connection, "CLIENT KILL TYPE normal").await;
        add(&mut connection, first + 20..first + 40).await;
        worker.fails_by("").await;
        worker.fails_again(1).await;
        fault.lasts().await;
        run(&mut connection, "CONFIG SET maxclients 1000").await;
        worker.has_handled(&ids(first..first + 40)).await;
        fault.was_calm();
    }
}

#[tokio::test]
async fn a_pause_of_the_server_is_given_up_and_waited_out() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    add_and(&mut connection, 21..=40, "CLIENT PAUSE 2000 ALL").await;
    worker.fails_by("no answer within").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}
