//! Noticing that there is nothing left to do.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `observe` has told the same for `quiet`. `None` is never quiet: something is in hand.
pub(crate) async fn settled<T: PartialEq>(observe: impl Fn() -> Option<T>, quiet: Duration) {
    let look_again = (quiet / 20).clamp(Duration::from_millis(5), Duration::from_millis(100));
    let mut last = observe();
    let mut since = Instant::now();
    loop {
        sleep(look_again).await;
        let now = observe();
        if now.is_none() || now != last {
            last = now;
            since = Instant::now();
        } else if since.elapsed() >= quiet {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_last_change_and_then_the_whole_quiet_time() {
        let start = Instant::now();
        settled(|| Some(start.elapsed().as_secs().min(7)), QUIET).await;
        let waited = start.elapsed();
        assert!(waited >= Duration::from_secs(9) && waited < Duration::from_secs(10), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_hand_is_waited_for_however_long_it_takes() {
        let start = Instant::now();
        let observe = || (start.elapsed() > Duration::from_secs(60)).then_some(());
        settled(observe, QUIET).await;
        assert!(start.elapsed() >= Duration::from_secs(62));
    }
}
