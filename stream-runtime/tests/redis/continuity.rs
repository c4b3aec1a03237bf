//! Where a stream cannot be followed: it is said once, and read on.

use std::time::Duration;

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Read};

use crate::support::{LIMIT, Logs, after, backend, backend_at, batch, fake_server, ids, logs, run};

const SHORT: Duration = Duration::from_millis(10);

fn warnings(logs: &Logs) -> Vec<String> {
    logs.lines().into_iter().filter(|line| line.starts_with("WARN")).collect()
}

#[tokio::test]
async fn a_user_who_may_not_follow_the_stream_is_told_so_once() {
    let (logs, _guard) = logs();
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "XADD s 1-0 a b").await;
    run(&mut connection, "ACL SETUSER default -xinfo").await;
    let backend = backend(&server);
    for _ in 0..3 {
        let mut source = backend.source("s");
        assert_eq!(ids(&batch(source.read(&after(0), LIMIT, SHORT).await.unwrap())), [1]);
        assert!(matches!(source.read(&after(1), LIMIT, SHORT).await.unwrap(), Read::Idle));
    }
    let warnings = warnings(&logs);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("streams cannot be checked"), "{warnings:?}");
}

#[tokio::test]
async fn a_server_that_does_not_count_is_said_to_be_old_once() {
    let (logs, _guard) = logs();
    let port = fake_server(|command| {
        let reply = match command[0].as_str() {
            // Role, no counter, length, last, first, no greatest deleted; the digests of the last and of one more.
            "EVALSHA" => "$27\r\nmaster - 1 1-0 1-0 - 0 ff -\r\n",
            "XREAD" => "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            _ => "+OK\r\n",
        };
        Some(reply.to_owned())
    })
    .await;
    let backend = backend_at(port);
    for _ in 0..3 {
        let read = backend.source("s").read(&after(0), LIMIT, SHORT).await.unwrap();
        assert_eq!(ids(&batch(read)), [1]);
    }
    let warnings = warnings(&logs);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("older than Redis 7"), "{warnings:?}");
}

#[tokio::test]
async fn a_replica_is_read_and_not_judged() {
    let (master, replica) = (RedisServer::start().await, RedisServer::start().await);
    let (mut on_master, mut on_replica) = (master.connection().await, replica.connection().await);
    for ms in 1..=3 {
        run(&mut on_master, &format!("XADD s {ms}-0 a b")).await;
    }
    let mut source = backend(&replica).source("s");
    run(&mut on_replica, "XADD s 9-0 a b").await;
    assert_eq!(ids(&batch(source.read(&after(0), LIMIT, SHORT).await.unwrap())), [9]);
    run(&mut on_replica, &format!("REPLICAOF 127.0.0.1 {}", master.port())).await;
    let replicated = async {
        while run(&mut on_replica, "XLEN s").await != redis::Value::Int(3) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replicated).await.unwrap();
    // While it is a replica, what it lacks may be late. Its promotion brings the finding.
    assert!(matches!(source.read(&after(9), LIMIT, SHORT).await.unwrap(), Read::Idle));
    run(&mut on_replica, "REPLICAOF NO ONE").await;
    assert!(matches!(source.read(&after(9), LIMIT, SHORT).await.unwrap(), Read::Found { .. }));
}
