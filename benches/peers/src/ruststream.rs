//! ruststream-fred: with handlers of 500 entries, acknowledged one by one or in a window, and with one of one entry.

use std::sync::{Arc, OnceLock};

use anyhow::anyhow;
use benches::contest::{Contender, Job};
use benches::progress::Progress;
use bytes::BytesMut;
use ruststream::codec::{Codec, CodecError};
use ruststream_fred::stream::prelude::*;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, UnitDeserializer};
use serde::{Deserialize, Serialize};

use crate::{STREAM, group};

/// ruststream-fred in its three ways.
pub const CONTENDERS: [Contender; 3] = [
    Contender {
        name: "ruststream-batch",
        label: "ruststream-fred, batches of 500",
        slow: false,
        prepare: group::prepare,
        run: |job| {
            let app = RustStream::new(info()).with_broker_codec(broker(job), Blind, |b| {
                b.include(batch.batch(nonzero!(500)));
            });
            drain(job, app)
        },
    },
    Contender {
        name: "ruststream-batch-pipeline",
        label: "ruststream-fred, batches of 500, pipeline",
        slow: false,
        prepare: group::prepare,
        run: |job| {
            let app = RustStream::new(info()).with_broker_codec(broker(job), Blind, |b| {
                b.include(batch.batch(nonzero!(500)).pipeline());
            });
            drain(job, app)
        },
    },
    Contender {
        name: "ruststream-pipeline",
        label: "ruststream-fred, entry by entry, pipeline",
        slow: false,
        prepare: group::prepare,
        run: |job| {
            let app = RustStream::new(info()).with_broker_codec(broker(job), Blind, |b| {
                b.include(single.pipeline());
            });
            drain(job, app)
        },
    },
];

/// Handlers are functions, so this is how they tell.
static PROGRESS: OnceLock<Arc<Progress>> = OnceLock::new();

fn one() {
    if let Some(progress) = PROGRESS.get() {
        progress.one();
    }
}

/// The body of an entry. ruststream looks for it in a field `_payload`, which these entries don't have: it reads their
/// fields and finds it empty, so that no codec adds to what is measured.
#[derive(Deserialize)]
struct Nothing;

#[subscriber(RedisStream::new(STREAM).group(group::NAME))]
async fn batch(entries: &[Nothing]) -> HandlerOutcome {
    entries.iter().for_each(|_| one());
    HandlerOutcome::ack()
}

#[subscriber(RedisStream::new(STREAM).group(group::NAME))]
async fn single(_: &Nothing) -> HandlerOutcome {
    one();
    HandlerOutcome::ack()
}

fn info() -> AppInfo {
    AppInfo::new("peers", "0.1.0")
}

fn broker(job: &Job) -> RedisBroker {
    RedisBroker::standalone(job.url())
}

fn drain(job: &Job, app: impl App) -> anyhow::Result<()> {
    let progress = PROGRESS.get_or_init(|| Arc::new(Progress::new(job.entries)));
    job.runtime
        .block_on(app.run_until(progress.finished()))
        .map_err(|error| anyhow!("ruststream: {error}"))?;
    group::check(job)
}

/// Decodes anything into what needs nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Blind;

impl Codec for Blind {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    fn encode<T: Serialize>(&self, _: &T) -> Result<BytesMut, CodecError> {
        Ok(BytesMut::new())
    }

    fn encode_into<T: Serialize>(&self, _: &T, _: &mut BytesMut) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode<T: DeserializeOwned>(&self, _: &[u8]) -> Result<T, CodecError> {
        let decoded: Result<T, ValueError> = T::deserialize(UnitDeserializer::new());
        decoded.map_err(|error| CodecError::Decode(Box::new(error)))
    }
}
