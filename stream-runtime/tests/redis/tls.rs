//! `rediss://`, with a private authority.

use std::time::Duration;

use stream_runtime::redis::RedisBackend;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, ErrorKind, Read};

use crate::support::{LIMIT, after, config};

/// Made for these tests, for 127.0.0.1 and localhost, and good for a century.
const CA: &str = include_str!("tls/ca.pem");
/// Another authority, which signed a certificate that has expired and one for `elsewhere.example`.
const ANOTHER_CA: &str = include_str!("tls/another-ca.pem");

async fn server() -> RedisServer {
    server_with("server.pem", "server.key").await
}

async fn server_with(certificate: &str, key: &str) -> RedisServer {
    let path = |file| format!("{}/tests/redis/tls/{file}", env!("CARGO_MANIFEST_DIR"));
    let args = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"].map(str::to_owned);
    let files = ["--tls-cert-file".to_owned(), path(certificate), "--tls-key-file".to_owned(), path(key)];
    RedisServer::with_args(args.into_iter().chain(files)).await
}

/// What each part of the backend says of a server that it must not trust.
async fn refusals(server: &RedisServer, ca: Option<&str>) -> Vec<String> {
    let mut config = config(&format!("rediss://ada:hidden@127.0.0.1:{}", server.port()));
    config.ca_certificate = ca.map(str::to_owned);
    let backend = RedisBackend::new(config).unwrap();
    let read = backend.source("s").read(&after(0), LIMIT, Duration::from_millis(10)).await;
    let load = backend.offsets("c").load().await;
    [read.unwrap_err(), load.unwrap_err()]
        .into_iter()
        .map(|error| {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
            error.to_string()
        })
        .collect()
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_private_authority_is_read() {
    let server = server().await;
    let mut config = config(&format!("rediss://127.0.0.1:{}", server.port()));
    config.ca_certificate = Some(CA.to_owned());
    let mut source = RedisBackend::new(config).unwrap().source("s");
    let read = source.read(&after(0), LIMIT, Duration::from_millis(10)).await.unwrap();
    assert!(matches!(read, Read::Idle));
}

#[tokio::test]
async fn a_private_authority_is_not_trusted_unless_it_is_named() {
    let server = server().await;
    for error in refusals(&server, None).await {
        assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    }
}

#[tokio::test]
async fn another_authority_than_the_servers_is_not_trusted() {
    let server = server().await;
    for error in refusals(&server, Some(ANOTHER_CA)).await {
        assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_trusted() {
    let server = server_with("expired.pem", "another-server.key").await;
    for error in refusals(&server, Some(ANOTHER_CA)).await {
        assert!(error.contains("invalid peer certificate: certificate expired"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_trusted() {
    let server = server_with("elsewhere.pem", "another-server.key").await;
    for error in refusals(&server, Some(ANOTHER_CA)).await {
        assert!(error.contains("invalid peer certificate: certificate not valid for name"), "{error}");
        assert!(error.contains("elsewhere.example"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_and_no_panic() {
    let server = RedisServer::start().await;
    let mut config = config(&format!("rediss://127.0.0.1:{}", server.port()));
    config.connect_timeout = Duration::from_millis(200);
    let mut source = RedisBackend::new(config).unwrap().source("s");
    let read = source.read(&after(0), LIMIT, Duration::from_millis(10)).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Transient);
}
