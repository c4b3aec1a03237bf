//! The smallest consumer: greets whoever is added to the stream `visitors`.

use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::{Advance, Consumer, Entry, Handler, Hold, Outcome, Runtime, async_trait};

struct Greeter;

#[async_trait]
impl Handler for Greeter {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        match entry.fields().text("name") {
            Ok(name) => tracing::info!("hello, {}", name.unwrap_or("stranger")),
            Err(error) => return Ok(Advance::skip(error)), // bad input: logged, and passed
        }
        Ok(Advance::Handled)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let redis = RedisBackend::new(RedisConfig::default())?; // redis://127.0.0.1:6379
    let greeter = Consumer::new("greeter", "visitors", Greeter);
    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot listen for ctrl-c: shutting down");
        }
    };
    Runtime::new(redis).consumer(greeter).run(ctrl_c).await?;
    Ok(())
}
