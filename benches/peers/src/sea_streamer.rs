//! sea-streamer-redis: a group of one consumer, which acknowledges each entry and commits as it reads on.

use std::hint::black_box;

use benches::contest::{Contender, Job};
use sea_streamer_redis::{
    AutoCommit, AutoStreamReset, RedisConnectOptions, RedisConsumerOptions, RedisStreamer,
};
use sea_streamer_types::{
    Consumer, ConsumerGroup, ConsumerId, ConsumerMode, ConsumerOptions, Message, StreamKey, Streamer,
};

use crate::group;

/// sea-streamer in its "recommended option for at-least-once", reading 500 at a time.
pub const CONTENDER: Contender = Contender {
    name: "sea-streamer",
    label: "sea-streamer-redis, batches of 500, rolling commits",
    slow: false,
    prepare: group::prepare,
    run: |job| {
        job.runtime.block_on(drain(job))?;
        group::check(job)
    },
};

async fn drain(job: &Job) -> anyhow::Result<()> {
    let mut connect = RedisConnectOptions::default();
    // A message is one field of an entry, here the longest.
    connect.set_message_field("player_turn_stats");
    let streamer = RedisStreamer::connect(job.url().parse()?, connect).await?;
    let mut options = RedisConsumerOptions::new(ConsumerMode::Resumable);
    options.set_consumer_group(ConsumerGroup::new(group::NAME))?;
    options.set_consumer_id(ConsumerId::new("bench"));
    options.set_auto_stream_reset(AutoStreamReset::Earliest);
    options.set_auto_commit(AutoCommit::Rolling);
    options.set_batch_size(500);
    let consumer = streamer.create_consumer(&[StreamKey::new(&job.stream)?], options).await?;
    for _ in 0..job.entries {
        let message = consumer.next().await?;
        black_box(message.message());
        consumer.ack(&message)?;
    }
    Ok(consumer.end().await?)
}
