//! A worker: a runtime of one consumer in a task of its own.

use std::future::pending;

use stream_runtime::{
    BackoffConfig, ConfigError, Consumer, ConsumerConfig, ConsumerState, EntryId, OnGap, Runtime,
    RuntimeConfig, RuntimeHandle, StartAt,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Duration;

use crate::chance::Chance;
use crate::handler::RandomHandler;
use crate::model::Model;
use crate::watched::Watched;
use crate::world::{CONSUMER, STREAM, World};

pub(crate) struct Worker {
    world: World,
    pub(crate) life: usize,
    drain_timeout: Duration,
    handle: RuntimeHandle,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ConfigError>>,
}

impl Worker {
    pub(crate) fn start(world: &World) -> Self {
        let mut model = world.model();
        let config = draw_config(&mut model.chance);
        let mut runtime_config = RuntimeConfig::default();
        runtime_config.drain_timeout = model.chance.pick(&[0, 50, 1000, 10_000].map(Duration::from_millis));
        let seed = model.chance.next();
        let life = model.born(config.clone());
        model.note(Some(life), "starts", None);
        drop(model);

        let handler = RandomHandler { world: world.clone(), life, config: config.clone() };
        let drain_timeout = runtime_config.drain_timeout;
        let runtime = Runtime::new(Watched { world: world.clone(), life })
            .config(runtime_config)
            .jitter_seed(seed)
            .consumer(Consumer::new(CONSUMER, STREAM, handler).config(config));
        let handle = runtime.handle();
        let (shutdown, asked) = oneshot::channel::<()>();
        let task = tokio::spawn(runtime.run(async move {
            if asked.await.is_err() {
                pending::<()>().await;
            }
        }));
        Self { world: world.clone(), life, drain_timeout, handle, shutdown: Some(shutdown), task }
    }

    pub(crate) fn state(&self) -> ConsumerState {
        self.handle.status().remove(0).state
    }

    /// Whether it handles nothing any more, and says so.
    pub(crate) fn has_given_up(&self) -> bool {
        matches!(self.state(), ConsumerState::Superseded | ConsumerState::Gap)
    }

    /// Ends it as a service would.
    pub(crate) async fn stop(mut self) {
        self.note_stop();
        self.shutdown.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap().unwrap();
        self.note_stopped();
    }

    /// Ends it as a crash would.
    pub(crate) async fn crash(mut self) {
        self.note_crash();
        self.task.abort();
        let _aborted = (&mut self.task).await;
        self.world.model().lives[self.life].ended = true;
    }

    fn note_stop(&self) {
        let mut model = self.world.model();
        model.note(Some(self.life), "is asked to end", None);
        let Model { lives, deleted, .. } = &mut *model;
        lives[self.life].asked_to_stop(self.drain_timeout, deleted);
    }

    fn note_stopped(&self) {
        let (life, status) = (self.life, self.handle.status().remove(0));
        let mut model = self.world.model();
        for _ in 0..status.counts.deleted {
            model.note(Some(life), "passed a deleted entry", None);
        }
        let offset = status.offset.map(|id| id.ms);
        model.check(life, "ended", None, |model| model.lives[life].stopped(self.drain_timeout, offset));
    }

    fn note_crash(&self) {
        let mut model = self.world.model();
        model.note(Some(self.life), "crashed", None);
        model.lives[self.life].killed = true;
    }
}

fn draw_config(chance: &mut Chance) -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    config.max_uncommitted = chance.pick(&[1, 1, 2, 3, 5, 8, 16, 64]);
    config.batch.entries = chance.pick(&[1, 2, 3, 5, 10, 50]);
    config.batch.bytes = chance.pick(&[1, 20, 1 << 20]);
    config.block_timeout = chance.ms(400..=5000);
    let min = chance.ms(10..=200);
    config.hold_backoff = BackoffConfig { min, max: min * chance.within(1..=40) as u32 };
    config.handler_timeout = chance.ms(100..=3000);
    config.retry.retries = chance.pick(&[0, 0, 0, 1, 2]);
    let min = chance.ms(1..=20);
    config.retry.backoff = BackoffConfig { min, max: min * 4 };
    if chance.one_in(6) {
        config.on_gap = OnGap::Hold;
    }
    config.start = match chance.within(0..=9) {
        0 => StartAt::Latest,
        1 => StartAt::After(EntryId::new(chance.within(0..=5), 0)),
        _ => StartAt::Beginning,
    };
    config
}
