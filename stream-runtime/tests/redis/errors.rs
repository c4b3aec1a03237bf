//! What goes wrong: its kind, its deadline, and no password in its text.

use std::time::{Duration, Instant};

use stream_runtime::redis::RedisBackend;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, BackendError, ErrorKind};
use tokio::net::TcpListener;

use crate::support::{
    LIMIT, after, at, backend, backend_at, config, eventually, fake_server, impatient, run, until_info,
};

const WAIT: Duration = Duration::from_millis(100);

/// What a source and an offset store say of a server that is wrong in some way.
async fn all_errors(backend: &RedisBackend) -> Vec<BackendError> {
    let mut source = backend.source("s");
    vec![
        source.read(&after(0), LIMIT, WAIT).await.unwrap_err(),
        source.tail().await.unwrap_err(),
        source.presence(at(1)).await.unwrap_err(),
        backend.offsets("c").load().await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_key_of_another_type_is_configuration() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "SET s text").await;
    run(&mut connection, "SADD stream-runtime:offset:c member").await;
    for error in all_errors(&backend(&server)).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("WRONGTYPE Operation"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_user_is_configuration_and_the_password_is_in_no_text() {
    let server = RedisServer::with_args(["--requirepass", "the-right-word"]).await;
    for (user, protocol) in [("", ""), ("ada", ""), ("", "?protocol=resp3"), ("ada", "?protocol=resp3")] {
        let config = config(&format!("redis://{user}:hidden@127.0.0.1:{}/{protocol}", server.port()));
        let backend = RedisBackend::new(config.clone()).unwrap();
        for error in all_errors(&backend).await {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            let shown = format!("{error} {error:?} {backend:?} {config:?}");
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
    let without = RedisBackend::new(config(&server.url())).unwrap();
    for error in all_errors(&without).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("NOAUTH"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_repeats_what_it_was_sent_shows_no_password() {
    let port = fake_server(|command| {
        let args: String = command[1..].iter().map(|arg| format!("'{arg}' ")).collect();
        Some(format!("-ERR unknown command '{}', with args beginning with: {args}\r\n", command[0]))
    })
    .await;
    for protocol in ["", "?protocol=resp3"] {
        let backend =
            RedisBackend::new(config(&format!("redis://ada:hidden@127.0.0.1:{port}/{protocol}"))).unwrap();
        for error in all_errors(&backend).await {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_configuration() {
    let server = RedisServer::start().await;
    let backend = RedisBackend::new(config(&format!("{}/99", server.url()))).unwrap();
    for error in all_errors(&backend).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("DB index is out of range"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_transient() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for error in all_errors(&impatient(port)).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_by_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = Instant::now();
    for error in all_errors(&impatient(port)).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
    // Four times the 200 ms that connecting may take.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn many_consumers_wait_for_a_dead_server_at_once_and_not_in_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = impatient(listener.local_addr().unwrap().port());
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for consumer in 0..100 {
        let mut offsets = backend.offsets(&format!("c{consumer}"));
        tasks.spawn(async move { offsets.load().await.unwrap_err() });
    }
    while let Some(error) = tasks.join_next().await {
        assert_eq!(error.unwrap().kind(), ErrorKind::Transient);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_that_goes_dead_is_given_up_and_made_again() {
    let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&connections);
    let port = fake_server(move |command| match command[0].as_str() {
        "CLIENT" if command[2] == "LIB-NAME" => {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Some("+OK\r\n".to_owned())
        }
        "CLIENT" => Some("+OK\r\n".to_owned()),
        _ => None,
    })
    .await;
    let errors = all_errors(&impatient(port)).await;
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.to_string().contains("no answer within"), "{error}");
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), errors.len());
}

#[tokio::test]
async fn a_readonly_replica_is_transient_and_another_connection_finds_the_master() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut offsets = backend(&server).offsets("c");
    offsets.load().await.unwrap();
    run(&mut connection, "REPLICAOF 127.0.0.1 1").await;
    let error = offsets.commit(after(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    run(&mut connection, "REPLICAOF NO ONE").await;
    let offsets = tokio::sync::Mutex::new(offsets);
    eventually(|| async { offsets.lock().await.commit(after(1)).await }).await;
}

#[tokio::test]
async fn a_reader_whose_master_became_a_replica_connects_again() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    let reading = tokio::spawn(async move {
        let error = source.read(&after(0), LIMIT, Duration::from_secs(20)).await.unwrap_err();
        (source, error)
    });
    until_info(&mut connection, "blocked_clients:1").await;
    run(&mut connection, "REPLICAOF 127.0.0.1 1").await;
    let (mut source, error) = reading.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("UNBLOCKED"), "{error}");
    run(&mut connection, "REPLICAOF NO ONE").await;
    run(&mut connection, "XADD s 1-0 a b").await;
    source.read(&after(0), LIMIT, WAIT).await.unwrap();
}

#[tokio::test]
async fn an_odd_answer_is_transient_and_said() {
    let port = fake_server(|_| Some("+OK\r\n".to_owned())).await;
    for error in all_errors(&backend_at(port)).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.to_string().contains("odd reply"), "{error}");
    }
    let port = fake_server(|_| Some("nonsense\r\n".to_owned())).await;
    for error in all_errors(&backend_at(port)).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
}
