//! The stream is odd: gone, enormous, at its end, or on an old server.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use stream_runtime::EntryId;
use stream_runtime::testing::RedisServer;

use crate::proxy::{Act, Proxy};
use crate::support::{Fault, STREAM, Worker, add, calls, caught_up_by, ids, patient, run};

#[tokio::test]
async fn a_stream_deleted_while_it_is_waited_for_is_read_when_it_is_back() {
    let (_server, mut connection, proxy, worker) = caught_up_by(patient).await;

    let fault = Fault::begins(&proxy);
    run(&mut connection, "DEL events").await;
    let reads = calls(&mut connection, "xread").await;
    let again = async {
        while calls(&mut connection, "xread").await < reads + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    assert!(worker.status().is_ready(), "{:?}", worker.status());
    add(&mut connection, 21..=40).await;
    // What comes before the worker notices that the stream was made anew comes again from its beginning.
    worker.has_handled_again(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn empty_replies_that_are_no_timeouts_are_no_errors_and_no_spin() {
    let (_server, mut connection, proxy, worker) = caught_up_by(patient).await;

    let fault = Fault::begins(&proxy);
    let (enough, is_enough) = tokio::sync::oneshot::channel();
    let (mut left, mut enough) = (20, Some(enough));
    proxy.rule(move |command| {
        if command[0] != "XREAD" {
            return Act::Pass;
        }
        left -= 1;
        if left == 0 {
            enough.take().unwrap().send(()).unwrap();
        }
        Act::Say("*1\r\n*2\r\n$6\r\nevents\r\n*0\r\n".to_owned())
    });
    add(&mut connection, 21..=40).await;
    is_enough.await.unwrap();
    assert_eq!(worker.status().last_error, None);
    proxy.pass();
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn an_entry_of_64_mib_is_handled_between_small_ones() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    add(&mut connection, 1..=20).await;
    let body = vec![b'x'; 64 << 20];
    add_entry(&mut connection, "21-0", &[("body", &body)]).await;
    add(&mut connection, 22..=40).await;
    let worker = Worker::start(patient(server.port()));
    worker.has_handled(&ids(1..=40)).await;
    assert_eq!(worker.status().last_error, None);
}

#[tokio::test]
async fn an_entry_of_100_000_fields_is_handled_between_small_ones() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    add(&mut connection, 1..=20).await;
    let names: Vec<_> = (0..100_000).map(|n| format!("name{n}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), &b"value"[..])).collect();
    add_entry(&mut connection, "21-0", &fields).await;
    add(&mut connection, 22..=40).await;
    let worker = Worker::start(patient(server.port()));
    worker.has_handled(&ids(1..=40)).await;
    assert_eq!(worker.status().last_error, None);
}

#[tokio::test]
async fn the_last_ids_there_are_are_handled_and_the_worker_then_waits() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let fault = Fault::begins(&proxy);
    let mut expected = ids([1]);
    expected.push(EntryId::new(u64::MAX - 1, u64::MAX));
    expected.push(EntryId::new(u64::MAX, 0));
    expected.push(EntryId::new(u64::MAX, u64::MAX));
    for id in &expected {
        add_entry(&mut connection, &id.to_string(), &[("a", b"b")]).await;
    }
    let worker = Worker::start(patient(proxy.port));
    worker.has_handled(&expected).await;
    let started = Instant::now();
    worker.until("two block timeouts have passed", |_| started.elapsed() > Duration::from_millis(500)).await;
    worker.has_handled(&expected).await;
    assert_eq!((worker.status().lag, worker.status().last_error), (Duration::ZERO, None));

    // And the stored offset is one to start from.
    drop(worker);
    let worker = Worker::start(patient(proxy.port));
    worker.has_committed(expected.last().copied()).await;
    assert_eq!(worker.handled(), []);
    fault.was_calm();
}

async fn add_entry(connection: &mut MultiplexedConnection, id: &str, fields: &[(&str, &[u8])]) {
    let mut command = redis::cmd("XADD");
    command.arg(STREAM).arg(id);
    for (name, value) in fields {
        command.arg(*name).arg(*value);
    }
    command.query_async::<()>(connection).await.unwrap();
}

#[tokio::test]
async fn a_server_older_than_7_is_read_and_committed_to() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    proxy.rule(as_redis_6);
    let fault = Fault::begins(&proxy);
    let worker = Worker::start(patient(proxy.port));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;
    add(&mut connection, 21..=40).await;
    worker.has_handled(&ids(1..=40)).await;
    assert_eq!(worker.status().last_error, None);
    fault.was_calm();
}

/// What Redis 6.2 says where 7.0 says something else.
fn as_redis_6(command: &[String]) -> Act {
    let unknown =
        |name: &str| Act::Say(format!("-ERR unknown command `{name}`, with args beginning with: \r\n"));
    match command[0].as_str() {
        "EVAL" if command[1].starts_with("#!") => Act::Say(
            "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n"
                .to_owned(),
        ),
        name @ ("EVAL_RO" | "EVALSHA_RO" | "FCALL" | "FCALL_RO") => unknown(name),
        "XINFO" if command[1] == "STREAM" && command.len() == 3 => Act::Say(
            "*14\r\n$6\r\nlength\r\n:20\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n\
             $17\r\nlast-generated-id\r\n$4\r\n20-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n$-1\r\n\
             $10\r\nlast-entry\r\n$-1\r\n"
                .to_owned(),
        ),
        "CLIENT" if command[1] == "SETINFO" => Act::Say(
            "-ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.\r\n"
                .to_owned(),
        ),
        _ => Act::Pass,
    }
}
