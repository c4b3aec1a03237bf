//! A read that is sent ahead of its time, while the batch before it is handled.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Batch, Checkpoint, Limit, Read, Source};
use tokio::time::{Instant, sleep};

use crate::support::{after, backend, batch, calls, ids, run, until_info};

const TWO: Limit = Limit { entries: 2, bytes: 1 << 20 };
const LONG: Duration = Duration::from_secs(20);

/// A server with the entries 1 to `last`, and what the first read of two of them brought.
async fn first_two(last: u64) -> (RedisServer, MultiplexedConnection, Box<dyn Source>, Batch) {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    for id in 1..=last {
        run(&mut connection, &format!("XADD s {id}-0 a b")).await;
    }
    let mut source = backend(&server).source("s");
    let first = batch(source.read(&after(0), TWO, LONG).await.unwrap());
    assert_eq!(ids(&first), [1, 2]);
    until_read_twice(&mut connection).await;
    (server, connection, source, first)
}

/// Until the server was asked for entries twice.
async fn until_read_twice(connection: &mut MultiplexedConnection) {
    let deadline = Instant::now() + LONG;
    while calls(connection, "xread").await < 2 {
        assert!(Instant::now() < deadline, "the server was not asked twice");
        sleep(Duration::from_millis(1)).await;
    }
}

/// The next batch, whatever is found before it.
async fn next(source: &mut dyn Source, mut after: Checkpoint) -> Batch {
    loop {
        match source.read(&after, TWO, LONG).await.unwrap() {
            Read::Batch(batch) => return batch,
            Read::Found { resume, .. } => after = resume,
            other => panic!("no batch: {other:?}"),
        }
    }
}

#[tokio::test]
async fn behind_a_full_batch_the_next_is_asked_for_at_once() {
    let (_server, mut connection, mut source, first) = first_two(3).await;
    // It comes behind what was asked for, which has no more than the third.
    run(&mut connection, "XADD s 4-0 a b").await;
    let second = batch(source.read(&first.end(), TWO, LONG).await.unwrap());
    assert_eq!(ids(&second), [3]);
    let third = batch(source.read(&second.end(), TWO, LONG).await.unwrap());
    assert_eq!(ids(&third), [4]);
}

#[tokio::test]
async fn a_read_ahead_that_brings_nothing_is_followed_by_one_that_waits() {
    let (_server, mut connection, mut source, first) = first_two(2).await;
    let waiting = tokio::spawn(async move { batch(source.read(&first.end(), TWO, LONG).await.unwrap()) });
    until_info(&mut connection, "blocked_clients:1").await;
    run(&mut connection, "XADD s 3-0 a b").await;
    assert_eq!(ids(&waiting.await.unwrap()), [3]);
}

#[tokio::test]
async fn a_read_from_another_position_does_not_get_what_was_asked_for_ahead() {
    let (_server, _connection, mut source, _) = first_two(4).await;
    let again = batch(source.read(&after(1), TWO, LONG).await.unwrap());
    assert_eq!(ids(&again), [2, 3]);
}

#[tokio::test]
async fn where_a_check_is_due_what_was_asked_for_ahead_is_read_again_behind_it() {
    let (_server, mut connection, mut source, first) = first_two(4).await;
    run(&mut connection, "XDEL s 3-0").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    assert_eq!(ids(&next(source.as_mut(), first.end()).await), [4]);
}
