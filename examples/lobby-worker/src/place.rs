//! Where everything is kept: files in one directory, or a Redis database.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use stream_runtime::Backend;
use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::redis::{RedisBackend, RedisConfig};
use tracing::info;

use crate::cli::PlaceConfig;
use crate::producer::Producer;
use crate::stores::Stores;
use crate::stores::embedded::EmbeddedDocuments;
use crate::stores::redis::{Connection, RedisDocuments};

/// One place, seen from three sides.
pub(crate) struct Place {
    /// For the runtime: streams and offsets.
    pub(crate) backend: Arc<dyn Backend>,
    /// For the handlers: the lobby's records.
    pub(crate) stores: Stores,
    /// For the demo feed: a way to add entries.
    pub(crate) producer: Box<dyn Producer>,
}

impl Place {
    /// Opens files; a Redis server need not be up yet.
    pub(crate) fn open(config: PlaceConfig) -> anyhow::Result<Self> {
        match config {
            PlaceConfig::Files(directory) => Self::files(&directory),
            PlaceConfig::Redis(config) => Self::redis(config),
        }
    }

    /// Two files: redb opens a file once, and the runtime's belongs to the runtime.
    fn files(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("make the directory {} (--data)", directory.display()))?;
        let backend = EmbeddedBackend::open(directory.join("streams.redb"))?;
        let documents = EmbeddedDocuments::open(&directory.join("lobby.redb"))?;
        info!(directory = %directory.display(), "running on local files");
        Ok(Self {
            backend: Arc::new(backend.clone()),
            stores: Stores::new(documents),
            producer: Box::new(backend),
        })
    }

    fn redis(config: RedisConfig) -> anyhow::Result<Self> {
        let connection = Connection::new(&config)?;
        let url = config.url.to_string();
        let backend = RedisBackend::new(config)?;
        info!(url, "running on Redis");
        Ok(Self {
            backend: Arc::new(backend),
            stores: Stores::new(RedisDocuments::new(connection.clone())),
            producer: Box::new(connection),
        })
    }
}
