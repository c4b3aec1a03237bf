//! Counts the games' changes of status.

use gmevents::{GameStatus, TransitionRecorder, Trigger};

const TRANSITIONS: &str = "lobby.game.transitions";

/// Counts in the metric `lobby.game.transitions`.
#[derive(Debug)]
pub(crate) struct TransitionCounter(());

impl TransitionCounter {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(TRANSITIONS, "Changes of games' status, by from, to and trigger");
        Self(())
    }
}

impl TransitionRecorder for TransitionCounter {
    fn record_transition(&self, from: GameStatus, to: GameStatus, trigger: Trigger) {
        metrics::counter!(
            TRANSITIONS, "from" => from.as_str(), "to" => to.as_str(), "trigger" => trigger.as_str()
        )
        .increment(1);
    }
}
