//! The server reads but does not write: handling pauses where the window is full, and goes on by itself.

use stream_runtime::testing::RedisServer;

use crate::proxy::{Act, Proxy};
use crate::support::{Fault, OFFSET, Worker, add, add_and, caught_up, ids, patient, run};

#[tokio::test]
async fn a_server_out_of_memory_still_takes_commits() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(patient(proxy.port));
    let fault = Fault::begins(&proxy);
    add_and(&mut connection, 1..=100, "CONFIG SET maxmemory 1").await;
    let error = redis::cmd("SET").arg("a").arg("b").query_async::<()>(&mut connection).await.unwrap_err();
    assert_eq!(error.code(), Some("OOM"));
    worker.has_handled(&ids(1..=100)).await;
    assert_eq!(worker.status().last_error, None);

    // Also where the claim and the script are new to it.
    drop(worker);
    run(&mut connection, "SCRIPT FLUSH").await;
    let worker = Worker::start(patient(proxy.port));
    worker.has_committed(ids([100]).pop()).await;
    assert_eq!(worker.status().last_error, None);
    run(&mut connection, "CONFIG SET maxmemory 0").await;
    add(&mut connection, 101..=120).await;
    worker.has_handled(&ids(101..=120)).await;
    fault.was_calm();
}

#[tokio::test]
async fn commits_refused_for_want_of_memory_pause_handling_while_reads_work() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    // As a server before 7 says it, which knows no scripts that may run all the same.
    let fault = Fault::begins(&proxy);
    proxy.rule(|command| match command.get(3) {
        Some(key) if key == OFFSET => {
            Act::Say("-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_owned())
        }
        _ => Act::Pass,
    });
    add(&mut connection, 21..=60).await;
    worker.fails_by("OOM").await;
    // 8 entries may be uncommitted.
    worker.pauses_after(&ids(1..=28)).await;
    fault.lasts().await;
    proxy.pass();
    worker.has_handled(&ids(1..=60)).await;
    fault.was_calm();
}

#[tokio::test]
async fn commits_refused_for_want_of_replicas_pause_handling_while_reads_work() {
    let (_server, mut connection, proxy, worker) = caught_up().await;

    let fault = Fault::begins(&proxy);
    add_and(&mut connection, 21..=60, "CONFIG SET min-replicas-to-write 1").await;
    worker.fails_by("NOREPLICAS").await;
    // 8 entries may be uncommitted.
    worker.pauses_after(&ids(1..=28)).await;
    fault.lasts().await;
    run(&mut connection, "CONFIG SET min-replicas-to-write 0").await;
    worker.has_handled(&ids(1..=60)).await;
    fault.was_calm();
}
