//! A replica that lags is promoted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use redis::aio::MultiplexedConnection;
use stream_runtime::Finding;
use stream_runtime::testing::RedisServer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::*;

/// A name for a server that can be given to another server: connections lead to the port that is set, and end when
/// another is.
struct Name {
    port: u16,
    target: Arc<AtomicU16>,
    changed: Arc<tokio::sync::Notify>,
}

impl Name {
    async fn of(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(server.port()));
        let changed = Arc::new(tokio::sync::Notify::new());
        let (to, end) = (Arc::clone(&target), Arc::clone(&changed));
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = end.notified() => connections.shutdown().await,
                    Ok((mut client, _)) = listener.accept() => {
                        let port = to.load(Ordering::SeqCst);
                        connections.spawn(async move {
                            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                                let _ended = copy_bidirectional(&mut client, &mut server).await;
                            }
                        });
                    }
                }
            }
        });
        Self { port, target, changed }
    }

    fn give_to(&self, server: &RedisServer) {
        self.target.store(server.port(), Ordering::SeqCst);
        self.changed.notify_one();
    }
}

async fn until_replicated(replica: &mut MultiplexedConnection, entries: i64) {
    let length = |replica: &MultiplexedConnection| {
        let mut replica = replica.clone();
        async move { run(&mut replica, "XLEN s").await }
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while length(replica).await != redis::Value::Int(entries) {
        assert!(std::time::Instant::now() < deadline, "not replicated");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn writes_lost_by_a_failover_are_found_and_what_took_their_place_is_read() {
    let (master, replica) = (RedisServer::start().await, RedisServer::start().await);
    let (mut on_master, mut on_replica) = (master.connection().await, replica.connection().await);
    run(&mut on_replica, &format!("REPLICAOF 127.0.0.1 {}", master.port())).await;
    add(&mut on_master, 1..=5).await;
    until_replicated(&mut on_replica, 5).await;

    let name = Name::of(&master).await;
    let handled = Handled::default();
    let running = start(backend(name.port), "s", quick(), &handled);
    let offset = || running.status().offset.map(|id| id.ms);
    until("committed", offset, |offset| *offset == Some(5)).await;
    until_checked(&mut on_master).await;

    // The replica is cut off, and the consumer reads what it will never get.
    run(&mut on_replica, "REPLICAOF NO ONE").await;
    add(&mut on_master, 6..=8).await;
    until("committed", offset, |offset| *offset == Some(8)).await;
    until_checked(&mut on_master).await;

    // On the new master others take the lost entries' place, with ids that the consumer has passed.
    run(&mut on_replica, "XADD s 6-0 t 106").await;
    run(&mut on_replica, "XADD s 7-0 t 107").await;
    name.give_to(&replica);
    until(
        "read",
        || handled.lock().unwrap().clone(),
        |handled| [106, 107].iter().all(|tag| handled.contains(tag)),
    )
    .await;
    add(&mut on_replica, 9..=12).await;
    until("committed", offset, |offset| *offset == Some(12)).await;
    assert!((1..=12).all(|tag| handled.lock().unwrap().contains(&tag)));
    // Either the reader found it, or the offset, which was rolled back as well, led back to before the loss.
    let (gaps, finding) = running.gaps();
    assert!(gaps == 0 || finding == Some(Finding::HistoryLost), "{finding:?}");
}

#[tokio::test]
async fn a_stream_that_was_rolled_back_under_a_committed_offset_is_gone_back_to() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    add(&mut connection, 1..=5).await;
    let handled = Handled::default();
    let running = start(backend(server.port()), "s", quick(), &handled);
    let offset = || running.status().offset.map(|id| id.ms);
    until("committed", offset, |offset| *offset == Some(5)).await;
    until_checked(&mut connection).await;
    let copy: Vec<u8> = redis::cmd("DUMP").arg("s").query_async(&mut connection).await.unwrap();
    add(&mut connection, 6..=8).await;
    until("committed", offset, |offset| *offset == Some(8)).await;
    until_checked(&mut connection).await;
    let mut restore = redis::cmd("RESTORE");
    restore.arg("s").arg(0).arg(copy).arg("REPLACE");
    let _: () = restore.query_async(&mut connection).await.unwrap();
    let finding = || running.gaps();
    until("found", finding, |gaps| *gaps == (1, Some(Finding::HistoryLost))).await;
    until("gone back", offset, |offset| *offset == Some(5)).await;
    run(&mut connection, "XADD s 7-0 t 107").await;
    until("committed", offset, |offset| *offset == Some(7)).await;
    assert!(handled.lock().unwrap().contains(&107));
    running.stop().await;
}
