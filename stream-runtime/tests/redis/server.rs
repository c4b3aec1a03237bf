//! The private server itself.

use std::path::PathBuf;

use redis::aio::MultiplexedConnection;
use stream_runtime::testing::RedisServer;

use crate::support::run;

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_directory() {
    let server = RedisServer::start().await;
    let (connection, dir) = (server.connection().await, server.dir().to_owned());
    assert!(dir.is_dir());
    drop(server);
    assert_gone(connection, dir).await;
}

#[tokio::test]
async fn a_test_that_panics_leaves_no_server() {
    let server = RedisServer::start().await;
    let (connection, dir) = (server.connection().await, server.dir().to_owned());
    let test = tokio::spawn(async move {
        let _server = server;
        panic!("as a failing test does");
    });
    assert!(test.await.unwrap_err().is_panic());
    assert_gone(connection, dir).await;
}

#[tokio::test]
async fn a_server_that_is_not_durable_forgets_and_a_durable_one_does_not() {
    for (mut server, kept) in [(RedisServer::start().await, 0), (RedisServer::durable().await, 1)] {
        let port = server.port();
        run(&mut server.connection().await, "SET a b").await;
        server.stop();
        server.restart().await;
        assert_eq!(server.port(), port);
        let found = run(&mut server.connection().await, "EXISTS a").await;
        assert_eq!(found, redis::Value::Int(kept));
    }
}

#[tokio::test]
async fn many_servers_start_side_by_side() {
    let mut starting = tokio::task::JoinSet::new();
    for number in 0..8 {
        starting.spawn(async move {
            let server = RedisServer::start().await;
            let mut connection = server.connection().await;
            run(&mut connection, &format!("SET number {number}")).await;
            server
        });
    }
    let mut ports: Vec<_> = starting.join_all().await.iter().map(RedisServer::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let starting = tokio::spawn(RedisServer::with_args(["--no-such-setting", "1"]));
    let panic = starting.await.unwrap_err().into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("the server did not start: "), "{text}");
    assert!(text.contains("no-such-setting") && text.lines().count() == 1, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_starts_also_while_tokios_time_is_paused() {
    RedisServer::start().await;
}

async fn assert_gone(mut connection: MultiplexedConnection, dir: PathBuf) {
    redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap_err();
    assert!(!dir.exists());
}
