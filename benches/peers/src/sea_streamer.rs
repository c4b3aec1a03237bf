//! sea-streamer-redis: a group of one consumer, which acknowledges each entry and commits as it reads on.

use std::hint::black_box;
use std::pin::pin;
use std::time::Duration;

use benches::contest::{Contender, Job};
use redis::aio::MultiplexedConnection;
use redis::{Client, cmd};
use sea_streamer_redis::{
    AutoCommit, AutoStreamReset, RedisConnectOptions, RedisConsumer, RedisConsumerOptions, RedisStreamer,
};
use sea_streamer_types::{
    Consumer, ConsumerGroup, ConsumerId, ConsumerMode, ConsumerOptions, Message, StreamKey, Streamer,
};

use tokio::time::sleep;

use crate::group;

const UNBLOCK_EVERY: Duration = Duration::from_millis(2);

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
    end(consumer, job).await
}

/// Ends the consumer, which commits what was acknowledged. By itself it does so when its blocked read comes back, after
/// up to 10 s, which would say nothing of how fast it drains: so the read is unblocked.
async fn end(consumer: RedisConsumer, job: &Job) -> anyhow::Result<()> {
    let mut connection = Client::open(job.url())?.get_multiplexed_async_connection().await?;
    let mut ended = pin!(consumer.end());
    loop {
        tokio::select! {
            ended = &mut ended => return Ok(ended?),
            () = sleep(UNBLOCK_EVERY) => unblock(&mut connection).await?,
        }
    }
}

/// Lets every blocked read come back, as if its time were over.
async fn unblock(connection: &mut MultiplexedConnection) -> anyhow::Result<()> {
    let clients: String = cmd("CLIENT").arg("LIST").query_async(connection).await?;
    for client in clients.lines().filter(|client| client.contains(" flags=b ")) {
        let id = client.split(' ').find_map(|field| field.strip_prefix("id="));
        cmd("CLIENT").arg("UNBLOCK").arg(id).exec_async(connection).await?;
    }
    Ok(())
}
