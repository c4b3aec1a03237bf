//! Adding entries to streams, for who plays the part of another service.

use async_trait::async_trait;
use stream_runtime::EntryId;
use stream_runtime::embedded::EmbeddedBackend;

/// Adds entries to streams.
#[async_trait]
pub(crate) trait Producer: Send + Sync + 'static {
    /// Adds one entry; durable, as far as the place is, when this returns.
    async fn append(&self, stream: &str, fields: &[(&'static str, String)]) -> anyhow::Result<EntryId>;
}

#[async_trait]
impl Producer for EmbeddedBackend {
    async fn append(&self, stream: &str, fields: &[(&'static str, String)]) -> anyhow::Result<EntryId> {
        let fields = fields.iter().map(|(name, value)| (name, value));
        Ok(Self::append(self, stream, fields).await?)
    }
}
