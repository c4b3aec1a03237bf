//! Who takes entries as they come, and marks when: stream-runtime, and the bare loops of a blocking read.

use std::sync::Arc;

use anyhow::{Context, ensure};
use redis::{AsyncConnectionConfig, Client, cmd};
use stream_runtime::{Advance, Consumer, Entry, Handler, Hold, Outcome, Runtime, async_trait};

use crate::contest::Job;
use crate::loops::Reply;
use crate::marks::{Marks, NUMBER};
use crate::ours;
use crate::progress::Progress;
use crate::wire::{Visitor, Wire, encode};

/// The name of stream-runtime's consumer.
pub const CONSUMER: &str = "latency";

/// Where the bare loops keep their offset.
const OFFSET_KEY: &str = "latency:offset";

/// One way to take entries.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// Takes the job's entries as they come.
    pub run: fn(&Job, Arc<Marks>) -> anyhow::Result<()>,
}

/// All of them.
pub const TAKERS: [Taker; 3] = [
    Taker { name: "socket", label: "bare loop on a plain socket", run: socket },
    Taker { name: "redis-rs", label: "bare redis-rs loop", run: client },
    Taker { name: "ours", label: "stream-runtime", run: runtime },
];

/// `XREAD BLOCK`, mark, `SET`, wait.
#[expect(clippy::needless_pass_by_value, reason = "as the others")]
fn socket(job: &Job, marks: Arc<Marks>) -> anyhow::Result<()> {
    let mut wire = Wire::connect(job.port)?;
    let mut page = Page { marks: &marks, last: b"0".to_vec(), failure: None, is_number: false };
    let mut command = Vec::new();
    let mut left = job.entries;
    while left > 0 {
        command.clear();
        encode(
            &mut command,
            &[b"XREAD", b"COUNT", b"500", b"BLOCK", b"5000", b"STREAMS", job.stream.as_bytes(), &page.last],
        );
        wire.send(&command)?;
        left -= wire.entries(&mut page)?;
        if let Some(failure) = page.failure {
            return Err(failure);
        }
        command.clear();
        encode(&mut command, &[b"SET", OFFSET_KEY.as_bytes(), &page.last]);
        wire.send(&command)?;
        wire.ok()?;
    }
    Ok(())
}

/// Marks entries as they are walked.
struct Page<'a> {
    marks: &'a Marks,
    last: Vec<u8>,
    /// Whether the next field is the number, which is behind its name.
    is_number: bool,
    failure: Option<anyhow::Error>,
}

impl Visitor for Page<'_> {
    fn id(&mut self, id: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(id);
    }

    fn field(&mut self, bytes: &[u8]) {
        if self.is_number {
            self.failure = self.marks.handled(bytes).err();
        }
        self.is_number = bytes == NUMBER.as_bytes();
    }
}

/// The same by the `redis` crate.
#[expect(clippy::needless_pass_by_value, reason = "as the others")]
fn client(job: &Job, marks: Arc<Marks>) -> anyhow::Result<()> {
    job.runtime.block_on(async {
        // The default response timeout of half a second would end a blocking read.
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let client = Client::open(job.url())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await?;
        let (mut left, mut last) = (job.entries, "0".to_owned());
        while left > 0 {
            let mut command = cmd("XREAD");
            command.arg("COUNT").arg(500).arg("BLOCK").arg(5_000);
            command.arg("STREAMS").arg(&job.stream).arg(&last);
            let reply: Option<Reply> = command.query_async(&mut connection).await?;
            for (id, fields) in reply.into_iter().flatten().flat_map(|(_, entries)| entries) {
                let (_, number) = fields.first().context("no field")?;
                marks.handled(number)?;
                last = id;
                left -= 1;
            }
            cmd("SET").arg(OFFSET_KEY).arg(&last).exec_async(&mut connection).await?;
        }
        Ok(())
    })
}

/// The runtime with its default settings.
fn runtime(job: &Job, marks: Arc<Marks>) -> anyhow::Result<()> {
    let recorder = ours::observe()?;
    let progress = Arc::new(Progress::new(job.entries));
    let handler = Marking { marks, progress: Arc::clone(&progress) };
    let runtime =
        Runtime::new(ours::backend(job.port)?).consumer(Consumer::new(CONSUMER, &*job.stream, handler));
    let handle = runtime.handle();
    job.runtime.spawn(ours::keep_up(recorder));
    job.runtime.block_on(runtime.run(progress.finished()))?;
    let handled: u64 = handle.status().iter().map(|status| status.counts.handled).sum();
    ensure!(handled == job.entries, "{handled} of {} entries were handled", job.entries);
    Ok(())
}

struct Marking {
    marks: Arc<Marks>,
    progress: Arc<Progress>,
}

#[async_trait]
impl Handler for Marking {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        let marked = self.marks.handled(entry.fields().get(NUMBER).unwrap_or_default());
        self.progress.one();
        Ok(marked.map_or_else(Advance::skip, |()| Advance::Handled))
    }
}
