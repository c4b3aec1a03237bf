//! Each word that a server may refuse with, in place of a read's and of a commit's answer.

use std::sync::Arc;
use std::time::Duration;

use stream_runtime::testing::RedisServer;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::proxy::{Act, Proxy};
use crate::support::{Fault, Worker, add, ids, redis_at};

/// What may pass by itself, in the words of the table in `src/redis/errors.rs`.
const TRANSIENT: [&str; 15] = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "ASK 3999 127.0.0.1:1",
    "CLUSTERDOWN Hash slot not served",
    "ERR max number of clients reached",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOREPLICAS Not enough good replicas to write.",
    "MISCONF Redis is configured to save RDB snapshots",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "ERR Error running script (call to f_b5): @user_script:2: @user_script: 2: -READONLY You can't write",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "SOMETHINGNEW of a later server",
    "ERR something new of a later server",
];

/// What passes when somebody changes something.
const CONFIGURATION: [&str; 15] = [
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "DENIED Redis is running in protected mode",
    "NOPERM this user has no permissions to run the 'xread' command",
    "ERR The user executing the script can't run this command or subcommand script: 98e4",
    "ERR The user executing the script can't access at least one of the keys mentioned",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR Error running script (call to f_d3): @user_script:2: WRONGTYPE Operation against a key",
    "MOVED 3999 127.0.0.1:1",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "NOPROTO unsupported protocol version",
    "ERR unknown command 'XREAD'",
    "ERR unknown subcommand 'STREAM'. Try XINFO HELP.",
    "ERR DB index is out of range",
    "ERR invalid DB index",
];

#[tokio::test]
async fn whatever_may_pass_by_itself_is_tried_again_and_passes() {
    each(&TRANSIENT, 3).await;
}

#[tokio::test]
async fn whatever_somebody_has_to_change_is_tried_slowly_and_passes() {
    each(&CONFIGURATION, 1).await;
}

/// A worker for each answer and each place to meet it, all on one stream and each behind a proxy of its own.
async fn each(answers: &'static [&'static str], failures: u32) {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    add(&mut connection, 1..=20).await;
    let ready = Arc::new(Barrier::new(2 * answers.len() + 1));
    let mut workers = JoinSet::new();
    for answer in answers {
        for meets_it in [to_reads as fn(&[String]) -> bool, to_commits] {
            workers.spawn(meet(answer, meets_it, failures, server.port(), Arc::clone(&ready)));
        }
    }
    ready.wait().await;
    add(&mut connection, 21..=40).await;
    while let Some(met) = workers.join_next().await {
        met.unwrap();
    }
}

async fn meet(
    answer: &'static str,
    meets_it: fn(&[String]) -> bool,
    failures: u32,
    port: u16,
    ready: Arc<Barrier>,
) {
    let proxy = Proxy::to(port).await;
    let mut config = redis_at(proxy.port);
    config.offset_key_prefix = format!("offset:{}:", proxy.port);
    // Many workers on one thread.
    config.connect_timeout = Duration::from_secs(10);
    config.response_timeout = Duration::from_secs(10);
    let worker = Worker::start(config);
    worker.has_handled(&ids(1..=20)).await;

    let fault = Fault::begins(&proxy);
    let reply = format!("-{answer}\r\n");
    proxy.rule(move |command| if meets_it(command) { Act::Say(reply.clone()) } else { Act::Pass });
    ready.wait().await;
    worker.fails_by(answer).await;
    worker.fails_again(failures - 1).await;
    fault.lasts().await;
    proxy.pass();
    worker.has_handled(&ids(1..=40)).await;
    fault.was_calm();
}

fn to_reads(command: &[String]) -> bool {
    command[0] == "XREAD"
}

fn to_commits(command: &[String]) -> bool {
    command.get(3).is_some_and(|key| key.starts_with("offset:"))
}
