//! Random histories through the whole runtime, which is stopped and killed in between.

use stream_runtime::testing::RedisServer;

use crate::suites::{Op, SUITES};
use crate::support::*;
use crate::world::World;

/// Histories of the last suite, in which everything happens.
const HISTORIES: u64 = 40;

#[tokio::test]
async fn a_runtime_that_is_killed_in_between_leaves_no_hole() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    for seed in 0..HISTORIES {
        let key = format!("everything:{seed}");
        let mut world = World::new(connection.clone(), key.clone(), seed);
        let handled = Handled::default();
        let mut running = start(backend(server.port()), &key, quick(), &handled);
        for _ in 0..world.random.range(10, 40) {
            let op = world.random.weighted(SUITES[10].ops);
            world.story.trace.push(op);
            match op {
                // One that came and went between two checks leaves no trace.
                Op::Del | Op::ClockBack | Op::Restore => {
                    until_checked(&mut connection).await;
                    world.step(op).await;
                    until_checked(&mut connection).await;
                }
                Op::Read if world.random.chance() => {
                    if world.random.chance() {
                        running.stop().await;
                    } else {
                        running.crash().await;
                    }
                    running = start(backend(server.port()), &key, quick(), &handled);
                }
                op => world.step(op).await,
            }
        }
        let alive: Vec<_> = world.alive().await.into_iter().map(|(_, tag)| tag).collect();
        let missing = || -> Vec<_> {
            let handled = handled.lock().unwrap();
            alive.iter().filter(|tag| !handled.contains(tag)).copied().collect()
        };
        let what = format!("without a hole, by seed {seed}: {:?}", world.story.trace);
        until(&what, missing, Vec::is_empty).await;
        running.stop().await;
    }
}
