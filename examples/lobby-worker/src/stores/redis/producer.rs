//! Adding entries to the streams of a Redis database.

use anyhow::Context;
use async_trait::async_trait;
use redis::cmd;
use stream_runtime::EntryId;

use super::Connection;
use crate::producer::Producer;

#[async_trait]
impl Producer for Connection {
    async fn append(&self, stream: &str, fields: &[(&'static str, String)]) -> anyhow::Result<EntryId> {
        let mut add = cmd("XADD");
        add.arg(stream).arg("*");
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        let id: anyhow::Result<String> = self.query(&add).await;
        let id = id.with_context(|| format!("add an entry to {stream:?}"))?;
        id.parse().context("the id of the added entry")
    }
}
