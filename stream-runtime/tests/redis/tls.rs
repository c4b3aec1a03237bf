//! `rediss://`, with a private authority.

use std::time::Duration;

use stream_runtime::redis::RedisBackend;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, ErrorKind, Read};

use crate::support::{LIMIT, after, config};

/// Made for these tests, for 127.0.0.1 and localhost, and good for a century.
const CA: &str = include_str!("tls/ca.pem");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/tls/server.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/tls/server.key");

async fn server() -> RedisServer {
    let args = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY];
    RedisServer::with_args(args.into_iter().chain(files)).await
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
async fn a_certificate_that_is_not_trusted_is_configuration() {
    let server = server().await;
    let backend = RedisBackend::new(config(&format!("rediss://127.0.0.1:{}", server.port()))).unwrap();
    let error = backend.source("s").read(&after(0), LIMIT, Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
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
