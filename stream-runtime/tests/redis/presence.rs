//! Whether an entry is still there, after everything that can happen to a stream.

use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, ErrorKind, Presence};

use crate::support::{at, backend, config, run};

#[tokio::test]
async fn presence_says_only_what_is_proven() {
    use Presence::{Deleted, Present, Trimmed, Unclear};
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut source = backend(&server).source("s");
    // What happens to the entries 1 to 5, and what becomes of one of them.
    for (history, id, expected) in [
        (&[][..], 3, Present),
        (&["XTRIM s MAXLEN 3"], 3, Present),
        (&["XDEL s 1-0"], 1, Deleted),
        (&["XDEL s 3-0"], 3, Deleted),
        (&["XDEL s 5-0"], 5, Deleted),
        (&["XDEL s 3-0", "XDEL s 4-0"], 3, Deleted),
        (&["XDEL s 3-0", "XDEL s 2-0"], 3, Deleted),
        (&["XDEL s 3-0", "XTRIM s MAXLEN 1"], 3, Deleted),
        (&["XDEL s 1-0 2-0 3-0 4-0 5-0"], 5, Deleted),
        (&["XTRIM s MAXLEN 2"], 3, Trimmed),
        (&["XTRIM s MAXLEN 0"], 3, Trimmed),
        (&["XDEL s 1-0", "XTRIM s MAXLEN 1"], 3, Trimmed),
        (&["XDEL s 4-0", "XTRIM s MAXLEN 1"], 3, Unclear),
        (&["DEL s"], 3, Unclear),
        (&["DEL s", "XADD s 9-0 a b"], 3, Trimmed),
        (&["DEL s", "XADD s 2-0 a b"], 3, Unclear),
        (&["DEL s", "XADD s 2-0 a b", "XADD s 9-0 a b"], 3, Unclear),
        (&["DEL s", "XADD s 3-0 a b"], 3, Present),
    ] {
        run(&mut connection, "DEL s").await;
        for ms in 1..=5 {
            run(&mut connection, &format!("XADD s {ms}-0 a b")).await;
        }
        for command in history {
            run(&mut connection, command).await;
        }
        let found = source.presence(at(id)).await.unwrap();
        assert_eq!(found, expected, "{id} after {history:?}");
    }
}

#[tokio::test]
async fn presence_needs_no_more_rights_than_documented() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    run(&mut connection, "XADD s 1-0 a b").await;
    let rights = "+xread +get +set +eval +evalsha +xinfo +xrange";
    run(&mut connection, &format!("ACL SETUSER least on >word ~* {rights}")).await;
    let url = format!("redis://least:word@127.0.0.1:{}", server.port());
    let backend = stream_runtime::redis::RedisBackend::new(config(&url)).unwrap();
    assert_eq!(backend.source("s").presence(at(1)).await.unwrap(), Presence::Present);
    assert_eq!(backend.source("s").tail().await.unwrap(), at(1));
    let mut offsets = backend.offsets("c");
    offsets.load().await.unwrap();
    offsets.commit(crate::support::after(1)).await.unwrap();

    run(&mut connection, "ACL SETUSER least -xinfo").await;
    let error = backend.source("s").presence(at(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
}
