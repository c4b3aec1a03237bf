//! A handler of random outcomes.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::Duration;

use anyhow::anyhow;
use stream_runtime::{Advance, ConsumerConfig, Entry, Handler, Hold, Outcome, async_trait};
use tokio::time::sleep;

use crate::held::Ended;
use crate::model::Model;
use crate::world::World;

/// No entry makes more trouble than this, so that every history comes to an end.
const MOST_TROUBLES: u64 = 6;

#[derive(Clone, Copy, Debug)]
enum Do {
    Advance,
    Skip,
    Hold,
    HoldFor(Duration),
    Panic,
    Hang,
}

pub(crate) struct RandomHandler {
    pub(crate) world: World,
    pub(crate) life: usize,
    pub(crate) config: ConsumerConfig,
}

impl RandomHandler {
    /// Tells the model, and draws how long it takes and what comes of it.
    fn begin(&self, id: u64) -> (Call<'_>, Duration, Do) {
        let mut model = self.world.model();
        model.check(self.life, "begins", Some(id), |model| model.begins(self.life, id));
        let (time, outcome) = if model.calm {
            (Duration::ZERO, Do::Advance)
        } else {
            (draw_time(&mut model, &self.config), draw_outcome(&mut model, id))
        };
        (Call { handler: self, id, ended: Ended::Dropped, what: "gave up" }, time, outcome)
    }
}

/// One call; tells the model how it ended, also when it is dropped half-way.
struct Call<'handler> {
    handler: &'handler RandomHandler,
    id: u64,
    ended: Ended,
    what: &'static str,
}

impl Call<'_> {
    fn end(&mut self, what: &'static str, ended: Ended) {
        (self.what, self.ended) = (what, ended);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let (id, life) = (self.id, self.handler.life);
        let mut model = self.handler.world.model();
        model.check(life, self.what, Some(id), |model| model.ended(life, id, self.ended));
    }
}

#[async_trait]
impl Handler for RandomHandler {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        if self.world.is_broken() {
            pending::<()>().await;
        }
        let (mut call, time, outcome) = self.begin(entry.id().ms);
        if !time.is_zero() {
            sleep(time).await;
        }
        match outcome {
            Do::Advance => {
                call.end("handled", Ended::Advanced);
                Ok(Advance::Handled)
            }
            Do::Skip => {
                call.end("skipped", Ended::Advanced);
                Ok(Advance::skip(anyhow!("scripted skip")))
            }
            Do::Hold => {
                call.end("held", Ended::Held(None));
                Err(anyhow!("scripted hold").into())
            }
            Do::HoldFor(wait) => {
                call.end("held with retry_after", Ended::Held(Some(wait)));
                Err(Hold::new(anyhow!("scripted hold")).retry_after(wait))
            }
            Do::Panic => {
                call.end("panicked", Ended::Held(None));
                // A panic without the hook's message: there are thousands.
                resume_unwind(Box::new("scripted panic"))
            }
            Do::Hang => {
                call.end("hung", Ended::Dropped);
                pending().await
            }
        }
    }
}

fn draw_time(model: &mut Model, config: &ConsumerConfig) -> Duration {
    match model.chance.within(0..=99) {
        0..=79 => Duration::ZERO,
        80..=97 => model.chance.ms(1..=50),
        // At times beyond the timeout.
        _ => config.handler_timeout.mul_f64(model.chance.within(1..=12) as f64 / 10.0),
    }
}

fn draw_outcome(model: &mut Model, id: u64) -> Do {
    let draw = model.chance.within(0..=99);
    let troubles = model.troubles.entry(id).or_default();
    if draw < 75 || *troubles >= MOST_TROUBLES {
        return Do::Advance;
    }
    if draw < 82 {
        return Do::Skip;
    }
    *troubles += 1;
    match draw {
        82..=90 => Do::Hold,
        91..=94 => Do::HoldFor(model.chance.ms(0..=8000)),
        95..=97 => Do::Panic,
        _ => Do::Hang,
    }
}
