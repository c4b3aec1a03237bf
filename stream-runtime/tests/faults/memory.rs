//! The memory of a worker is bounded, whatever the backlog. The worker is a process of its own, measured by the
//! system.

use std::env;
use std::fs;
use std::process::Output;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use stream_runtime::redis::RedisBackend;
use stream_runtime::testing::RedisServer;
use stream_runtime::{Advance, Consumer, Entry, EntryId, Runtime, handler_fn};
use tokio::sync::Notify;

use crate::child::{is_child, run_again};
use crate::support::{STREAM, redis_at};

const PORT: &str = "STREAM_RUNTIME_TEST_PORT";
const ENTRIES: &str = "STREAM_RUNTIME_TEST_ENTRIES";
/// Multiplies the backlogs; 1 unless set.
const SCALE: &str = "STREAM_RUNTIME_MEMORY_SCALE";

/// What a worker may need above what it has when it starts: two batches of 4 MiB, what is being received, and the
/// first read, which can't know how large entries are and asks for 16.
const MAY_NEED_KIB: u64 = 48 << 10;

#[tokio::test]
async fn a_backlog_of_large_entries_drains_in_bounded_memory() {
    let test = "memory::a_backlog_of_large_entries_drains_in_bounded_memory";
    drain(test, 160, 1 << 20).await;
}

#[tokio::test]
async fn a_backlog_of_small_entries_drains_in_bounded_memory() {
    let test = "memory::a_backlog_of_small_entries_drains_in_bounded_memory";
    drain(test, 100_000, 100).await;
}

async fn drain(test: &str, entries: u64, bytes: usize) {
    if is_child() {
        return drain_and_measure().await;
    }
    let scale = env::var(SCALE).map_or(1, |scale| scale.parse().unwrap());
    let entries = entries * scale;
    let server = RedisServer::start().await;
    fill(&mut server.connection().await, entries, bytes).await;
    let environment = [(PORT, server.port().to_string()), (ENTRIES, entries.to_string())];
    let output = run_again(test, &environment).await;
    assert!(output.status.success(), "{output:?}");
    let measured = measured(&output);
    println!(
        "{entries} entries of {bytes} bytes: resident KiB at start, at each tenth, and at most: {measured:?}"
    );
    let (start, peak) = (measured[0], measured[measured.len() - 1]);
    assert!(peak <= start + MAY_NEED_KIB, "{measured:?}");
    // And flat: what it has after four tenths, it has at the end, but for what the allocator keeps.
    let (early, end) = (measured[4], measured[measured.len() - 2]);
    assert!(end <= early + (8 << 10), "{measured:?}");
}

/// Appends entries with a body of so many bytes.
async fn fill(connection: &mut MultiplexedConnection, entries: u64, bytes: usize) {
    let body = vec![b'x'; bytes];
    let at_once = ((4 << 20) / bytes).clamp(1, 1_000) as u64;
    for start in (0..entries).step_by(at_once as usize) {
        let mut pipe = redis::pipe();
        for n in start..entries.min(start + at_once) {
            pipe.cmd("XADD").arg(STREAM).arg(format!("{}-0", n + 1)).arg("body").arg(&body).ignore();
        }
        pipe.query_async::<()>(connection).await.unwrap();
    }
}

/// The child: drains the backlog, and says how much memory it has at the start, at each tenth, and had at most.
async fn drain_and_measure() {
    let port = env::var(PORT).unwrap().parse().unwrap();
    let entries: u64 = env::var(ENTRIES).unwrap().parse().unwrap();
    println!("\n@{}", status_kib("VmRSS:"));
    let all_handled = Arc::new(Notify::new());
    let last = Arc::clone(&all_handled);
    // Remembers nothing, unlike the recording handler.
    let handler = handler_fn(move |entry: Entry| {
        if entry.id().ms.is_multiple_of(entries / 10) {
            println!("\n@{}", status_kib("VmRSS:"));
        }
        if entry.id().ms == entries {
            last.notify_one();
        }
        async { Ok(Advance::Handled) }
    });
    let backend = RedisBackend::new(redis_at(port)).unwrap();
    let runtime = Runtime::new(backend).consumer(Consumer::new("c", STREAM, handler));
    let handle = runtime.handle();
    runtime.run(async move { all_handled.notified().await }).await.unwrap();
    assert_eq!(handle.status()[0].offset, Some(EntryId::new(entries, 0)));
    println!("\n@{}", status_kib("VmHWM:"));
}

/// What the system says of this process.
fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn measured(output: &Output) -> Vec<u64> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix('@')?.parse().ok()).collect()
}
