//! The smallest ACL of a worker: it lives its whole life by it, and each right in it is needed.

use std::time::Duration;

use anyhow::anyhow;
use redis::Value;
use redis::aio::MultiplexedConnection;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Advance, StartAt};
use tokio::task::JoinSet;

use crate::support::{OFFSET, STREAM, Worker, add, consumer_config, ids, patient, run};

/// The commands that the README names.
const COMMANDS: [&str; 8] =
    ["+xread", "+xrange", "+xinfo|stream", "+get", "+set", "+eval", "+evalsha", "+info"];

/// The keys that the README names.
const KEYS: [&str; 2] = ["~events", "~stream-runtime:offset:*"];

#[tokio::test]
async fn a_worker_lives_its_whole_life_by_the_smallest_acl() {
    let (server, mut connection) = server_for(&COMMANDS, &KEYS).await;
    live(&server, &mut connection).await;
    assert_eq!(denials(&mut connection).await, [""; 0]);
}

/// Else it would not be the smallest.
#[tokio::test]
async fn each_right_of_the_smallest_acl_is_needed() {
    let mut lives = JoinSet::new();
    for right in COMMANDS.into_iter().chain(KEYS) {
        lives.spawn(async move {
            let without = |rights: &[&'static str]| -> Vec<_> {
                rights.iter().copied().filter(|other| *other != right).collect()
            };
            let (server, mut connection) = server_for(&without(&COMMANDS), &without(&KEYS)).await;
            let life = tokio::spawn(async move {
                let mut connection = server.connection().await;
                live(&server, &mut connection).await;
            });
            loop {
                let is_over = life.is_finished();
                if !denials(&mut connection).await.is_empty() {
                    break;
                }
                assert!(!is_over, "nobody missed {right}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            life.abort();
        });
    }
    while let Some(life) = lives.join_next().await {
        life.unwrap();
    }
}

/// Claims, reads, commits, goes on after a restart, finds the end of the stream, and asks after a held entry.
async fn live(server: &RedisServer, connection: &mut MultiplexedConnection) {
    let mut redis = patient(server.port());
    redis.url = format!("redis://worker:word@127.0.0.1:{}", server.port()).parse().unwrap();
    add(connection, 1..=20).await;
    let worker = Worker::start(redis.clone());
    worker.has_handled(&ids(1..=20)).await;
    drop(worker);

    let holding = Worker::handling(redis.clone(), consumer_config(), |entry| match entry.id().ms {
        21 => Err(anyhow!("not now").into()),
        _ => Ok(Advance::Handled),
    });
    add(connection, 21..=40).await;
    holding.until("it holds", |status| status.held.is_some()).await;
    run(connection, &format!("XDEL {STREAM} 21-0")).await;
    holding.has_handled(&ids(22..=40)).await;
    assert_eq!((holding.status().counts.deleted, holding.status().last_error), (1, None));
    drop(holding);

    run(connection, &format!("DEL {OFFSET}")).await;
    let mut config = consumer_config();
    config.start = StartAt::Latest;
    let latest = Worker::with(redis, config);
    latest.has_committed(ids([40]).pop()).await;
    add(connection, 41..=60).await;
    latest.has_handled(&ids(41..=60)).await;
    assert_eq!(latest.status().last_error, None);
}

async fn server_for(commands: &[&str], keys: &[&str]) -> (RedisServer, MultiplexedConnection) {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let rights = format!("{} {}", keys.join(" "), commands.join(" "));
    run(&mut connection, &format!("ACL SETUSER worker on >word {rights}")).await;
    // Servers since 7.2 know it; without it they log a denial, and nothing else is amiss.
    let mut setinfo = redis::cmd("ACL");
    let _ = setinfo.arg(&["SETUSER", "worker", "+client|setinfo"]).query_async::<()>(&mut connection).await;
    (server, connection)
}

/// What the server has denied so far.
async fn denials(connection: &mut MultiplexedConnection) -> Vec<String> {
    let Value::Array(denials) = run(connection, "ACL LOG").await else { panic!("no log") };
    denials.iter().map(|denial| format!("{denial:?}")).collect()
}
