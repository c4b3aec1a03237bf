//! The network fails.

use std::sync::Arc;

use stream_runtime::testing::RedisServer;
use tokio::sync::oneshot;

use crate::proxy::{Act, Proxy};
use crate::support::{Fault, OFFSET, Worker, add, caught_up, consumer_config, ids, redis_at, run};

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_the_server_is_back() {
    let mut server = RedisServer::durable().await;
    // Its connections are refused in the server's place, and counted.
    let proxy = Proxy::to(server.port()).await;
    add(&mut server.connection().await, 1..=20).await;
    server.stop();

    let direct = Worker::start(redis_at(server.port()));
    let counted = Worker::start({
        let mut config = redis_at(proxy.port);
        config.offset_key_prefix = "counted:".to_owned();
        config
    });
    let fault = Fault::begins(&proxy);
    direct.fails_by("refused").await;
    counted.fails_by("").await;
    direct.fails_again(2).await;
    fault.lasts().await;
    assert!(proxy.connections() <= 10, "{} tries", proxy.connections());
    server.restart().await;
    direct.has_handled(&ids(1..=20)).await;
    counted.has_handled(&ids(1..=20)).await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_reply_loses_nothing() {
    half_a_reply(Act::HalfThenReset).await;
}

#[tokio::test]
async fn half_a_reply_and_then_silence_is_given_up_and_loses_nothing() {
    half_a_reply(Act::HalfThenSilence).await;
}

/// Replies are cut in half, twice each: reads with entries in them, commits, and what connecting asks.
async fn half_a_reply(act: Act) {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let fault = Fault::begins(&proxy);
    add(&mut connection, 1..=20).await;
    let reads_are_cut = cut(&proxy, |command| command[0] == "XREAD", &act);
    let worker = Worker::start(redis_at(proxy.port));
    worker.fails_by("read stream").await;
    reads_are_cut.await.unwrap();
    worker.has_handled(&ids(1..=20)).await;

    let commits_are_cut = cut(&proxy, commits_or_connects, &act);
    add(&mut connection, 21..=40).await;
    worker.fails_by("commit offset").await;
    commits_are_cut.await.unwrap();
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

fn commits_or_connects(command: &[String]) -> bool {
    command[0] == "CLIENT" || command.get(3).is_some_and(|key| key == OFFSET)
}

/// Cuts the next two replies to these commands in half. Done when it is done.
fn cut(proxy: &Proxy, matching: fn(&[String]) -> bool, act: &Act) -> oneshot::Receiver<()> {
    let (done, is_done) = oneshot::channel();
    let (mut left, mut done, act) = (2, Some(done), act.clone());
    proxy.rule(move |command| {
        if left == 0 || !matching(command) {
            return Act::Pass;
        }
        left -= 1;
        if left == 0 {
            done.take().unwrap().send(()).unwrap();
        }
        act.clone()
    });
    is_done
}

#[tokio::test]
async fn a_black_hole_is_noticed_and_what_arrives_late_from_it_does_no_harm() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    proxy.dark(true);
    add(&mut connection, 21..=40).await;
    worker.fails_by("").await;
    worker.fails_again(3).await;
    proxy.dark(false);
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn a_black_hole_between_commit_and_answer_repeats_no_entry() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Arc::new(Proxy::to(server.port()).await);
    let worker = Worker::start(redis_at(proxy.port));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    let hole = Arc::downgrade(&proxy);
    proxy.rule(move |command| {
        if command.get(3).is_some_and(|key| key == OFFSET) {
            // This commit still gets through: its answer does not.
            hole.upgrade().unwrap().dark(true);
        }
        Act::Pass
    });
    add(&mut connection, 21..=40).await;
    worker.fails_by("no answer within").await;
    proxy.pass();
    proxy.dark(false);
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

#[tokio::test]
async fn killed_connections_are_made_again() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let mut config = consumer_config();
    // A commit per batch: these tests' usual few uncommitted entries make many commits of many entries.
    config.max_uncommitted = 512;
    let worker = Worker::with(redis_at(proxy.port), config);
    let fault = Fault::begins(&proxy);
    for round in 0..5_u64 {
        add(&mut connection, round * 100 + 1..=round * 100 + 100).await;
        run(&mut connection, "CLIENT KILL TYPE normal").await;
    }
    let all = ids((0..500).map(|n| n + 1));
    worker.has_handled(&all).await;
    run(&mut connection, "CLIENT KILL TYPE normal").await;
    worker.until("it noticed", |status| status.last_error.is_some()).await;
    worker.has_handled(&all).await;
    fault.was_calm();
}
