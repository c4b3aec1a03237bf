//! Each finding by itself, through the whole runtime.

use redis::Value;
use stream_runtime::testing::RedisServer;
use stream_runtime::{ConsumerState, Finding};

use crate::support::*;

fn trimmed(lost: u64) -> Finding {
    Finding::Trimmed { lost, exact: true }
}

async fn until_handled(handled: &Handled, tag: u64) {
    until("handled", || handled.lock().unwrap().clone(), |handled| handled.contains(&tag)).await;
}

async fn until_gap(running: &Running, expected: (u64, Option<Finding>)) {
    until("found", || running.gaps(), |gaps| *gaps == expected).await;
}

async fn until_offset(running: &Running, id: &str) {
    let offset = || running.status().offset.map(|id| id.to_string());
    until("committed", offset, |offset| offset.as_deref() == Some(id)).await;
}

#[tokio::test]
async fn entries_trimmed_while_the_consumer_was_away_are_counted() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    add(&mut connection, 1..=5).await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_offset(&running, "5-0").await;
    assert_eq!(running.stop().await.counts.gaps, 0);

    add(&mut connection, 6..=9).await;
    run(&mut connection, "XTRIM s MAXLEN 1").await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_handled(&handled, 9).await;
    assert_eq!(running.gaps(), (1, Some(trimmed(3))));
    until_offset(&running, "9-0").await;
    running.stop().await;

    // Found once: the next start finds nothing.
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_checked(&mut connection).await;
    assert_eq!(running.gaps(), (0, None));
}

#[tokio::test]
async fn entries_trimmed_at_the_tip_are_counted_though_nothing_comes() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    add(&mut connection, 1..=2).await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_offset(&running, "2-0").await;
    let mut both = redis::pipe();
    both.atomic().cmd("XADD").arg("s").arg("3-0").arg("t").arg(3);
    both.cmd("XTRIM").arg("s").arg("MAXLEN").arg(0);
    let _: Vec<Value> = both.query_async(&mut connection).await.unwrap();
    until_gap(&running, (1, Some(trimmed(1)))).await;
    assert!(running.status().is_ready());
}

#[tokio::test]
async fn a_stream_deleted_and_made_anew_is_read_from_its_beginning() {
    for ids in [1..=2, 11..=12] {
        let (server, handled) = (RedisServer::start().await, Handled::default());
        let mut connection = server.connection().await;
        add(&mut connection, 6..=9).await;
        let running = start(backend(server.port()), "s", quick(), &handled);
        until_offset(&running, "9-0").await;
        until_checked(&mut connection).await;
        run(&mut connection, "DEL s").await;
        until_checked(&mut connection).await;
        assert_eq!(running.gaps(), (0, None), "a stream that is not there is no finding");
        add(&mut connection, ids.clone()).await;
        until_gap(&running, (1, Some(Finding::Recreated))).await;
        until_offset(&running, &format!("{}-0", ids.end())).await;
        for id in ids {
            assert!(handled.lock().unwrap().contains(&id));
        }
    }
}

#[tokio::test]
async fn on_gap_hold_stops_the_consumer_and_stays_so_over_a_restart() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    add(&mut connection, 1..=5).await;
    let running = start(backend(server.port()), "s", holding(), &handled);
    until_offset(&running, "5-0").await;
    running.stop().await;
    add(&mut connection, 6..=9).await;
    run(&mut connection, "XTRIM s MAXLEN 1").await;
    for _ in 0..2 {
        let running = start(backend(server.port()), "s", holding(), &handled);
        until("stopped", || running.status().state, |state| *state == ConsumerState::Gap).await;
        assert_eq!(running.gaps(), (1, Some(trimmed(3))));
        assert!(!handled.lock().unwrap().contains(&9));
        assert_eq!(running.stop().await.offset.unwrap().to_string(), "5-0");
    }
}

#[tokio::test]
async fn entries_deleted_before_they_were_read_are_no_gap() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    add(&mut connection, 1..=2).await;
    let running = start(backend(server.port()), "s", holding(), &handled);
    until_offset(&running, "2-0").await;
    let mut both = redis::pipe();
    both.atomic().cmd("XADD").arg("s").arg("3-0").arg("t").arg(3);
    both.cmd("XDEL").arg("s").arg("3-0");
    let _: Vec<Value> = both.query_async(&mut connection).await.unwrap();
    until_checked(&mut connection).await;
    add(&mut connection, 4..=4).await;
    until_offset(&running, "4-0").await;
    assert_eq!(running.gaps(), (0, None));
}

#[tokio::test]
async fn a_bare_id_loads_and_gaps_after_it_are_noticed() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    add(&mut connection, 1..=5).await;
    run(&mut connection, "SET stream-runtime:offset:s 3-0").await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_offset(&running, "5-0").await;
    assert_eq!(running.gaps(), (0, None));
    assert_eq!(handled.lock().unwrap().len(), 2);
    until_checked(&mut connection).await;
    running.stop().await;
    add(&mut connection, 6..=9).await;
    run(&mut connection, "XTRIM s MAXLEN 1").await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_offset(&running, "9-0").await;
    // The place of the last entry was not known when its offset was committed, or it was: both is well.
    let (gaps, finding) = running.gaps();
    assert!(gaps == 1 && matches!(finding, Some(Finding::Trimmed { .. })), "{finding:?}");
}

#[tokio::test]
async fn a_user_who_may_not_look_reads_on() {
    let (server, handled) = (RedisServer::start().await, Handled::default());
    let mut connection = server.connection().await;
    run(&mut connection, "ACL SETUSER default -xinfo -info").await;
    add(&mut connection, 1..=5).await;
    let running = start(backend(server.port()), "s", quick(), &handled);
    until_offset(&running, "5-0").await;
    assert!(running.status().is_ready());
    run(&mut connection, "ACL SETUSER default +xinfo").await;
    until_checked_as(&server, &mut connection).await;
    add(&mut connection, 6..=9).await;
    until_offset(&running, "9-0").await;
    assert_eq!(running.gaps(), (0, None));
}

/// As [`until_checked`], where the default user may not ask `INFO`.
async fn until_checked_as(server: &RedisServer, connection: &mut redis::aio::MultiplexedConnection) {
    run(connection, "ACL SETUSER default +info").await;
    until_checked(&mut server.connection().await).await;
}
