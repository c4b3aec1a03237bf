//! The server refuses: somebody has to change something, and when it is done the worker goes on.
//!
//! A refusal is tried again after five seconds or more, so these tests take their time: they run side by side.

use stream_runtime::testing::RedisServer;

use crate::proxy::Proxy;
use crate::support::{Fault, OFFSET, Worker, add, caught_up, ids, last_error, redis_at, redis_url, run};

#[tokio::test]
async fn a_stream_of_another_type_is_waited_for() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "RENAME events away").await;
    run(&mut connection, "SET events text").await;
    worker.fails_by("WRONGTYPE").await;
    fault.lasts().await;
    run(&mut connection, "XADD away 21-0 n 21").await;
    run(&mut connection, "RENAME away events").await;
    worker.has_handled(&ids(1..=21)).await;
    fault.was_calm();
}

#[tokio::test]
async fn an_offset_of_another_type_is_waited_for() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, &format!("RENAME {OFFSET} away")).await;
    run(&mut connection, &format!("SADD {OFFSET} member")).await;
    add(&mut connection, 21..=40).await;
    worker.fails_by("WRONGTYPE").await;
    fault.lasts().await;
    run(&mut connection, &format!("RENAME away {OFFSET}")).await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_right_that_is_revoked_at_run_time_is_waited_for() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER worker on >word ~* +@all").await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(redis_url(&format!("redis://worker:word@127.0.0.1:{}", proxy.port)));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "ACL SETUSER worker -xread").await;
    add(&mut connection, 21..=40).await;
    worker.fails_by("NOPERM").await;
    fault.lasts().await;
    run(&mut connection, "ACL SETUSER worker +xread").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_right_that_only_the_commits_script_needs_is_waited_for() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER worker on >word ~* +@all").await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(redis_url(&format!("redis://worker:word@127.0.0.1:{}", proxy.port)));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "ACL SETUSER worker -set").await;
    add(&mut connection, 21..=40).await;
    worker.fails_by("commit offset").await;
    fault.lasts().await;
    // 8 entries may be uncommitted.
    worker.until("its window is full", |_| worker.handled().len() >= 28).await;
    assert_eq!(worker.handled(), ids(1..=28));
    run(&mut connection, "ACL SETUSER worker +set").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_password_that_is_suddenly_needed_is_waited_for() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "CONFIG SET requirepass word").await;
    run(&mut connection, "CLIENT KILL TYPE normal").await;
    add(&mut connection, 21..=40).await;
    worker.fails_by("NOAUTH").await;
    fault.lasts().await;
    run(&mut connection, "CONFIG SET requirepass ''").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_password_that_was_changed_is_waited_for_and_in_no_error() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER worker on >secretword ~* +@all").await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(redis_url(&format!("redis://worker:secretword@127.0.0.1:{}", proxy.port)));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "ACL SETUSER worker resetpass >another").await;
    run(&mut connection, "CLIENT KILL USER worker").await;
    add(&mut connection, 21..=40).await;
    // In the server's words, or in those of the redis crate.
    worker
        .until("it is refused", |status| {
            let error = last_error(status);
            error.contains("WRONGPASS") || error.contains("Password authentication failed")
        })
        .await;
    assert!(!worker.status().is_ready());
    fault.lasts().await;
    assert!(!format!("{:?}", worker.status()).contains("secretword"));
    run(&mut connection, "ACL SETUSER worker resetpass >secretword").await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_stored_offset_that_is_no_id_is_waited_for_at_start() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    add(&mut connection, 1..=20).await;
    run(&mut connection, &format!("SET {OFFSET} nonsense")).await;
    let fault = Fault::begins(&proxy);
    let worker = Worker::start(redis_at(proxy.port));
    worker.fails_by("the stored offset \"nonsense\" is no offset").await;
    fault.lasts().await;
    assert_eq!(worker.handled(), []);
    run(&mut connection, &format!("SET {OFFSET} 5-0")).await;
    worker.has_handled(&ids(6..=20)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_stored_offset_that_becomes_no_id_is_waited_for_and_not_written_over() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, &format!("COPY {OFFSET} away")).await;
    run(&mut connection, &format!("SET {OFFSET} nonsense")).await;
    add(&mut connection, 21..=40).await;
    worker.fails_by("the stored offset \"nonsense\" is no offset").await;
    fault.lasts().await;
    assert_eq!(
        run(&mut connection, &format!("GET {OFFSET}")).await,
        redis::Value::BulkString("nonsense".into())
    );
    run(&mut connection, &format!("RENAME away {OFFSET}")).await;
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}
