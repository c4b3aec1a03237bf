//! The connection that streams are read on: how it begins, what it survives, and what it brings in pieces.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, ErrorKind, Limit, Read};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{LIMIT, after, backend, backend_at, batch, config, fake_server, ids, impatient, run};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

/// What a check of a stream that is not there is told.
const NO_STREAM: &str = "-ERR no such key\r\n";

const ONE: &str = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";

/// A server that takes connections and answers all that comes first on each with these bytes, slowly.
async fn slow_server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            // CLIENT SETINFO, twice.
            for _ in 0..2 {
                let _ = socket.read(&mut [0; 1024]).await;
                let _ = socket.write_all(b"+OK\r\n").await;
            }
            // The check before the first read.
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(NO_STREAM.as_bytes()).await;
            let _ = socket.read(&mut [0; 1024]).await;
            for byte in answer {
                let _ = socket.write_all(&[*byte]).await;
                tokio::task::yield_now().await;
            }
        }
    });
    port
}

#[tokio::test]
async fn a_reply_in_the_smallest_pieces_is_read() {
    let port = slow_server(ONE.as_bytes()).await;
    let read = backend_at(port).source("s").read(&after(0), LIMIT, LONG).await.unwrap();
    assert_eq!(ids(&batch(read)), [1]);
}

#[tokio::test]
async fn a_connection_that_ends_within_a_reply_is_transient() {
    let port = slow_server(&ONE.as_bytes()[..30]).await;
    let error = backend_at(port).source("s").read(&after(0), LIMIT, LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("closed the connection"), "{error}");
}

#[tokio::test]
async fn an_odd_reply_costs_the_connection_and_no_more() {
    let replies = Arc::new(Mutex::new(vec![ONE, "*1\r\n$1\r\nx\r\n"]));
    let port = fake_server(move |command| match command[0].as_str() {
        "XREAD" => replies.lock().unwrap().pop().map(str::to_owned),
        "EVALSHA" => Some(NO_STREAM.to_owned()),
        _ => Some("+OK\r\n".to_owned()),
    })
    .await;
    let mut source = backend_at(port).source("s");
    let error = source.read(&after(0), LIMIT, LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("odd reply"), "{error}");
    assert_eq!(ids(&batch(source.read(&after(0), LIMIT, LONG).await.unwrap())), [1]);
}

#[tokio::test]
async fn a_servers_error_leaves_the_connection_in_use() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    assert!(matches!(source.read(&after(0), LIMIT, SHORT).await.unwrap(), Read::Idle));
    let made = connections_made(&mut connection).await;
    run(&mut connection, "SET s text").await;
    for _ in 0..3 {
        let error = source.read(&after(0), LIMIT, SHORT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    run(&mut connection, "DEL s").await;
    for ms in 1..=3 {
        run(&mut connection, &format!("XADD s {ms}-0 a b")).await;
        assert_eq!(ids(&batch(source.read(&after(ms - 1), LIMIT, LONG).await.unwrap())), [ms]);
    }
    assert_eq!(connections_made(&mut connection).await, made);
}

async fn connections_made(connection: &mut redis::aio::MultiplexedConnection) -> String {
    let info: String = redis::cmd("INFO").arg("stats").query_async(connection).await.unwrap();
    info.lines().find(|line| line.starts_with("total_connections_received")).unwrap().to_owned()
}

#[tokio::test]
async fn an_entry_of_64_mib_is_read_whole() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let body = vec![b'x'; 64 << 20];
    for id in ["1-0", "2-0"] {
        let mut add = redis::cmd("XADD");
        add.arg("s").arg(id).arg("body").arg(&body);
        let _: String = add.query_async(&mut connection).await.unwrap();
    }
    let mut source = backend(&server).source("s");
    let limit = Limit { entries: 256, bytes: 1 << 20 };
    for ms in 1..=2 {
        let read = batch(source.read(&after(ms - 1), limit, LONG).await.unwrap());
        assert_eq!(ids(&read), [ms]);
        assert!(read.entries()[0].fields().get("body") == Some(&body[..]));
    }
}

#[tokio::test]
async fn a_user_with_a_password_reads() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "XADD s 1-0 a b").await;
    run(&mut connection, "ACL SETUSER ada on >hidden ~s +xread").await;
    let url = format!("redis://ada:hidden@127.0.0.1:{}", server.port());
    let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
    let read = backend.source("s").read(&after(0), LIMIT, LONG).await.unwrap();
    assert_eq!(ids(&batch(read)), [1], "without the right to name itself");
}

#[tokio::test]
async fn a_server_that_knows_no_users_is_given_the_password_alone() {
    let port = fake_server(|command| {
        let reply = match (command[0].as_str(), command.len()) {
            ("AUTH", 3) => "-ERR wrong number of arguments for 'auth' command\r\n",
            ("XREAD", _) => ONE,
            ("EVALSHA", _) => NO_STREAM,
            _ => "+OK\r\n",
        };
        Some(reply.to_owned())
    })
    .await;
    let url = format!("redis://ada:hidden@127.0.0.1:{port}");
    let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
    assert_eq!(ids(&batch(backend.source("s").read(&after(0), LIMIT, LONG).await.unwrap())), [1]);
}

#[tokio::test]
async fn a_server_that_is_full_or_still_loading_is_transient_whatever_it_is_asked_first() {
    for answer in
        ["-ERR max number of clients reached\r\n", "-LOADING Redis is loading the dataset in memory\r\n"]
    {
        let port = fake_server(move |_| Some(answer.to_owned())).await;
        for user in ["", "ada:hidden@"] {
            let url = format!("redis://{user}127.0.0.1:{port}");
            let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
            let error = backend.source("s").read(&after(0), LIMIT, SHORT).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
            assert!(!format!("{error:?}").contains("hidden"));
        }
    }
}

#[tokio::test]
async fn what_comes_late_or_unasked_is_not_taken_for_the_next_reply() {
    // Behind the first reply comes a push, in one piece with it.
    let port = fake_server(|command| match (command[0].as_str(), command.last().map(String::as_str)) {
        ("XREAD", Some("0-0")) => Some(format!("{ONE}>2\r\n+invalidate\r\n*-1\r\n")),
        ("XREAD", Some("1-0")) => Some(ONE.replace("1-0", "2-0")),
        ("XREAD", _) => None,
        ("EVALSHA", _) => Some(NO_STREAM.to_owned()),
        _ => Some("+OK\r\n".to_owned()),
    })
    .await;
    let mut source = impatient(port).source("s");
    for ms in 1..=2 {
        assert_eq!(ids(&batch(source.read(&after(ms - 1), LIMIT, SHORT).await.unwrap())), [ms]);
    }
    let error = source.read(&after(2), LIMIT, SHORT).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}
