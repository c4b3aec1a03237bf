//! A stream and its consumer's offset on one backend, with the producer that feeds it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::anyhow;
use redis::aio::MultiplexedConnection;
use stream_runtime::testing::RedisServer;

use crate::args::Backend;
use crate::journal::{Produced, Tail};
use crate::producer::RedisProducer;
use crate::stored::Stored;
use crate::worker::{Store, manifest_path};

/// A server, and the one connection that this process has to it.
pub(crate) struct Server {
    server: RedisServer,
    connection: MultiplexedConnection,
}

impl Server {
    /// A server whose writes are on disk before they are acknowledged.
    pub(crate) async fn start() -> Self {
        let server = RedisServer::durable().await;
        let connection = server.connection().await;
        Self { server, connection }
    }
}

pub(crate) enum Site {
    Redis {
        connection: MultiplexedConnection,
        producer: RedisProducer,
        manifest: Tail,
        url: String,
        stream: String,
        offset_key_prefix: String,
    },
    Embedded {
        dir: PathBuf,
    },
}

impl Site {
    /// A new stream, without entries and without an offset.
    pub(crate) fn new(backend: Backend, server: &Server, dir: &Path) -> anyhow::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        if backend == Backend::Embedded {
            return Ok(Self::Embedded { dir: dir.to_owned() });
        }
        let connection = server.connection.clone();
        let (stream, manifest) = (format!("entries-{number}"), dir.join("manifest"));
        Ok(Self::Redis {
            producer: RedisProducer::start(connection.clone(), &stream, &manifest)?,
            connection,
            manifest: Tail::new(manifest),
            url: server.server.url(),
            stream,
            offset_key_prefix: format!("offset-{number}:"),
        })
    }

    /// What a worker must know of it.
    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Redis { url, stream, offset_key_prefix, .. } => Store::Redis {
                url: url.clone(),
                stream: stream.clone(),
                offset_key_prefix: offset_key_prefix.clone(),
            },
            Self::Embedded { dir } => Store::Embedded(embedded_file(dir)),
        }
    }

    /// Lets the producer append so many entries more. On the embedded file the worker is told.
    pub(crate) async fn allow(&self, more: u64) {
        if let Self::Redis { producer, .. } = self {
            producer.allow(more).await;
        }
    }

    /// After the end of a run: what the manifest has more, and what is stored. The manifest is whole: the producer
    /// is dead, or held where all it has sent is acknowledged.
    pub(crate) async fn after_run(&mut self, run: u64) -> anyhow::Result<(Vec<Produced>, Stored)> {
        match self {
            Self::Redis { connection, producer, manifest, offset_key_prefix, .. } => {
                let _still = producer.hold_still().await?;
                let produced = manifest.added().map_err(|error| anyhow!(error))?;
                Ok((produced, Stored::in_redis(connection, offset_key_prefix).await?))
            }
            Self::Embedded { dir } => {
                let produced = Tail::new(manifest_path(dir, run)).added().map_err(|error| anyhow!(error))?;
                Ok((produced, Stored::in_file(&embedded_file(dir))?))
            }
        }
    }

    /// Removes the stream from the server, which has others to hold.
    pub(crate) async fn remove(&mut self) -> anyhow::Result<()> {
        if let Self::Redis { connection, stream, .. } = self {
            redis::cmd("DEL").arg(stream.as_str()).exec_async(connection).await?;
        }
        Ok(())
    }
}

fn embedded_file(dir: &Path) -> PathBuf {
    dir.join("streams.redb")
}
