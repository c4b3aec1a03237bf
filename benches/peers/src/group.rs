//! The consumer group that the peers read by.

use anyhow::ensure;
use benches::contest::Job;
use benches::usage::Server;

/// The group's name.
pub const NAME: &str = "bench";

/// Removes what an earlier round left, and makes the group anew, at the beginning of the stream.
pub fn prepare(job: &Job) -> anyhow::Result<()> {
    let script = "redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) \
                  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0') return ''";
    Server::connect(job.port)?.ask(&["EVAL", script, "1", &job.stream, NAME])?;
    Ok(())
}

/// Looks whether every entry was delivered and acknowledged.
pub fn check(job: &Job) -> anyhow::Result<()> {
    let script = "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do \
                  if group[2] == ARGV[1] then return 'at ' .. group[8] .. ', pending ' .. group[6] end end";
    let found = Server::connect(job.port)?.ask(&["EVAL", script, "1", &job.stream, NAME])?;
    let expected = format!("at {}, pending 0", job.last_id());
    ensure!(found == expected, "the group is {found}, not {expected}");
    Ok(())
}
