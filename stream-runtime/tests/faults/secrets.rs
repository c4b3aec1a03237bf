//! Passwords are in nothing that a worker writes or shows.

use std::env;
use std::fmt::{Debug, Write as _};

use anyhow::anyhow;
use stream_runtime::redis::{RedisBackend, RedisConfig, RedisUrl};
use stream_runtime::testing::RedisServer;
use stream_runtime::{Advance, Consumer, Runtime, handler_fn};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::child::{is_child, run_again};
use crate::support::{Worker, add, connect, consumer_config, ids, redis_url, run};

/// As it is, and as it is written in a URL.
const PASSWORD: [&str; 2] = ["hid/den word", "hid%2Fden%20word"];
const WRONG_PASSWORD: [&str; 2] = ["mis/taken word", "mis%2Ftaken%20word"];
const PORT: &str = "STREAM_RUNTIME_TEST_PORT";

/// All that is logged, by anybody, at any level, also as the fields of spans, is captured; so are the texts of
/// panics, and what values show of themselves. (The redis crate logs nothing in the features we use.)
#[tokio::test]
async fn a_password_is_in_no_log_no_error_no_debug_and_no_panic() {
    if is_child() {
        return speak_of_everything(env::var(PORT).unwrap().parse().unwrap()).await;
    }
    let server = RedisServer::with_args(["--requirepass", PASSWORD[0]]).await;
    let test = "secrets::a_password_is_in_no_log_no_error_no_debug_and_no_panic";
    let output = run_again(test, &[(PORT, server.port().to_string())]).await;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    for said in [
        "consumer started",
        "Password authentication failed",
        "a panic's text",
        "delivery",
        "TRACE",
        "***",
        "no Redis URL",
    ] {
        assert!(text.contains(said), "{said:?} was not captured: {text}");
    }
    for secret in PASSWORD.into_iter().chain(WRONG_PASSWORD) {
        assert!(!text.contains(secret), "{secret:?} is in: {text}");
    }
}

async fn speak_of_everything(port: u16) {
    tracing::subscriber::set_global_default(Everything).unwrap();
    tracing::trace!("captured at TRACE");
    for protocol in ["", "?protocol=resp3"] {
        let url = |password| format!("redis://:{password}@127.0.0.1:{port}/{protocol}");
        worker_with_the_right_password(redis_url(&url(PASSWORD[1]))).await;
        let wrong = redis_url(&url(WRONG_PASSWORD[1]));
        show(&wrong);
        let worker = Worker::start(wrong);
        worker.fails_by("").await;
        show(&worker.status());
    }
    // Not a URL, by a slip: the slash is not escaped.
    let slip: Result<RedisUrl, _> = format!("redis://:{}@127.0.0.1:x{port}", PASSWORD[0]).parse();
    show(&slip.unwrap_err());
    eprintln!("{}", slip_of_configuration());
    let refused: RedisConfig =
        serde_json::from_str(&format!("{{\"url\": \"http://:{}@h\"}}", PASSWORD[1])).unwrap();
    show(&refused);
    show(&RedisBackend::new(refused).unwrap_err());
}

/// The error of a configuration file in which the URL stands in a wrong place.
fn slip_of_configuration() -> String {
    let text = format!("{{\"url\": \"redis://:{}@h\", \"uri\": 1}}", PASSWORD[1]);
    serde_json::from_str::<RedisConfig>(&text).unwrap_err().to_string()
}

async fn worker_with_the_right_password(config: RedisConfig) {
    show(&config);
    let mut connection = connect(&format!("redis://127.0.0.1:{}", port_of(&config))).await;
    redis::cmd("AUTH").arg(PASSWORD[0]).query_async::<()>(&mut connection).await.unwrap();
    run(&mut connection, "FLUSHALL").await;
    add(&mut connection, 1..=20).await;

    let backend = RedisBackend::new(config.clone()).unwrap();
    show(&backend);
    let handler = handler_fn(|_| async { Ok(Advance::Handled) });
    let runtime = Runtime::new(backend).consumer(Consumer::new("other", "other", handler));
    show(&runtime);
    show(&runtime.handle());
    runtime.run(std::future::ready(())).await.unwrap();

    let worker = Worker::handling(config, consumer_config(), {
        let calls = std::sync::atomic::AtomicU64::new(0);
        move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            3 => Err(anyhow!("a hold").into()),
            5 => panic!("a panic's text"),
            _ => Ok(Advance::Handled),
        }
    });
    worker.has_handled(&ids(1..=20)).await;
    show(&worker.status());
    run(&mut connection, "CLIENT KILL TYPE normal").await;
    worker.until("it noticed", |status| status.last_error.is_some()).await;
    show(&worker.status());
}

fn port_of(config: &RedisConfig) -> String {
    let shown = config.url.to_string();
    shown.rsplit(':').next().unwrap().trim_end_matches("/0").to_owned()
}

/// As somebody who looks for a fault prints it.
fn show(value: &impl Debug) {
    eprintln!("{value:?} {value:#?}");
}

/// Writes all that is logged.
struct Everything;

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(format!("{} {}", attributes.metadata().level(), attributes.metadata().name()));
        attributes.record(&mut line);
        eprintln!("{}", line.0);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line("record".to_owned());
        values.record(&mut line);
        eprintln!("{}", line.0);
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        eprintln!("{}", line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
