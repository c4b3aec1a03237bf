//! One stream on a real server, and what happens to it.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, Value, cmd, pipe};

use crate::random::Random;
use crate::suites::Op;
use crate::tally::{Story, Tag};

pub(crate) struct World {
    connection: MultiplexedConnection,
    pub(crate) random: Random,
    pub(crate) key: String,
    /// The clock that ids come from.
    ms: u64,
    next_tag: Tag,
    dumps: Vec<(Vec<u8>, u64)>,
    pub(crate) story: Story,
}

impl World {
    pub(crate) fn new(connection: MultiplexedConnection, key: String, seed: u64) -> Self {
        Self {
            connection,
            random: Random::new(seed),
            key,
            ms: 1000,
            next_tag: 1,
            dumps: Vec::new(),
            story: Story::default(),
        }
    }

    /// Does to the stream what the operation says; those of the consumer do nothing to it.
    pub(crate) async fn step(&mut self, op: Op) {
        match op {
            Op::Add => self.add(None).await,
            Op::AddTrim => {
                let length = self.random.range(1, 8);
                self.add(Some(length)).await;
            }
            Op::Trim => {
                let length = self.random.range(0, 6);
                self.run(cmd("XTRIM").arg(&self.key).arg("MAXLEN").arg(length)).await;
            }
            Op::MinId => {
                let ms = self.ms - self.random.range(0, 6);
                self.run(cmd("XTRIM").arg(&self.key).arg("MINID").arg(ms)).await;
            }
            Op::Xdel => {
                let alive = self.alive().await;
                if let Some((id, tag)) = self.random.one_of(&alive) {
                    self.run(cmd("XDEL").arg(&self.key).arg(id)).await;
                    self.story.deleted.insert(*tag);
                }
            }
            Op::Del => self.delete().await,
            Op::ClockBack => {
                self.delete().await;
                self.ms = (self.ms - self.random.range(1, 20)).max(1000);
            }
            Op::Dump => {
                if let Value::BulkString(dump) = self.run(cmd("DUMP").arg(&self.key)).await {
                    self.dumps.push((dump, self.ms));
                }
            }
            Op::Restore => self.restore().await,
            Op::Read | Op::Restart => {}
        }
    }

    async fn add(&mut self, max_length: Option<u64>) {
        let count = self.random.range(1, 6);
        let tags: Vec<Tag> = (self.next_tag..).take(count as usize).collect();
        self.next_tag += count;
        let refused = self.xadd(max_length, &tags).await;
        if !refused.is_empty() {
            // After a rollback the clock may be behind the stream.
            self.ms += 50;
            self.xadd(max_length, &refused).await;
        }
    }

    /// Returns what was not added.
    async fn xadd(&mut self, max_length: Option<u64>, tags: &[Tag]) -> Vec<Tag> {
        let mut adds = pipe();
        for tag in tags {
            self.ms += 1;
            let add = adds.cmd("XADD").arg(&self.key);
            if let Some(length) = max_length {
                add.arg("MAXLEN").arg(length);
            }
            add.arg(format!("{}-1", self.ms)).arg("t").arg(tag);
        }
        let replies: Vec<Value> = adds.ignore_errors().query_async(&mut self.connection).await.unwrap();
        let (added, refused): (Vec<_>, Vec<_>) =
            tags.iter().zip(replies).partition(|(_, reply)| matches!(reply, Value::BulkString(_)));
        self.story.added.extend(added.into_iter().map(|(tag, _)| *tag));
        refused.into_iter().map(|(tag, _)| *tag).collect()
    }

    async fn delete(&mut self) {
        self.run(cmd("DEL").arg(&self.key)).await;
        self.story.rewrites += 1;
        self.dumps.clear();
    }

    /// One of the last three copies takes the stream's place; sometimes the clock goes back with it.
    async fn restore(&mut self) {
        let copies = self.dumps.len() as u64;
        if copies == 0 {
            return;
        }
        let index = self.random.range(copies.saturating_sub(3), copies - 1) as usize;
        self.dumps.truncate(index + 1);
        let (dump, ms) = self.dumps[index].clone();
        self.run(cmd("RESTORE").arg(&self.key).arg(0).arg(dump).arg("REPLACE")).await;
        self.story.rewrites += 1;
        if self.random.chance() {
            self.ms = ms + self.random.range(0, 3);
        }
    }

    /// What is in the stream.
    pub(crate) async fn alive(&mut self) -> Vec<(String, Tag)> {
        let reply = self.run(cmd("XRANGE").arg(&self.key).arg("-").arg("+")).await;
        let entries: Vec<(String, Vec<(String, Tag)>)> = redis::from_redis_value(reply).unwrap();
        entries.into_iter().map(|(id, fields)| (id, fields[0].1)).collect()
    }

    /// The end of the story.
    pub(crate) async fn end(&mut self) {
        self.story.alive = self.alive().await.into_iter().map(|(_, tag)| tag).collect();
        self.story.is_missing = self.run(cmd("EXISTS").arg(&self.key)).await == Value::Int(0);
        self.run(cmd("DEL").arg(&self.key)).await;
    }

    async fn run(&self, command: &Cmd) -> Value {
        let result: Result<Value, RedisError> = command.query_async(&mut self.connection.clone()).await;
        result.unwrap()
    }
}
