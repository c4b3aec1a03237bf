//! The suites: which things happen to a stream, and how often.

use crate::random::Random;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// One to six entries are added.
    Add,
    /// The same, with `MAXLEN`.
    AddTrim,
    /// `XTRIM` by length.
    Trim,
    /// `XTRIM` by id.
    MinId,
    /// One entry is deleted.
    Xdel,
    /// The stream is deleted.
    Del,
    /// The stream is deleted, and the clock that ids come from goes back.
    ClockBack,
    /// A copy of the stream is kept.
    Dump,
    /// A kept copy takes the stream's place.
    Restore,
    /// A check, then a read.
    Read,
    /// The consumer starts again from a checkpoint within its last batch, as it was stored.
    Restart,
}

pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) ops: &'static [(Op, u64)],
}

impl Suite {
    /// Whether another stream may take the stream's place.
    pub(crate) fn replaces(&self) -> bool {
        self.ops.iter().any(|(op, _)| matches!(op, Op::Del | Op::ClockBack | Op::Restore))
    }

    /// In every second history, by chance, the consumer starts again now and then.
    pub(crate) fn ops_with_restarts(&self, random: &mut Random) -> Vec<(Op, u64)> {
        let mut ops = self.ops.to_vec();
        if random.chance() {
            ops.push((Op::Restart, 3));
        }
        ops
    }
}

use Op::{Add, AddTrim, ClockBack, Del, Dump, MinId, Read, Restore, Trim, Xdel};

pub(crate) const SUITES: [Suite; 11] = [
    Suite { name: "plain adds and reads", ops: &[(Add, 10), (Read, 8)] },
    Suite { name: "trim only", ops: &[(Add, 10), (AddTrim, 4), (Read, 8), (Trim, 2), (MinId, 2)] },
    Suite { name: "trim and XDEL", ops: &[(Add, 10), (AddTrim, 4), (Read, 8), (Trim, 2), (Xdel, 4)] },
    Suite { name: "XDEL, no trim", ops: &[(Add, 10), (Read, 8), (Xdel, 4)] },
    Suite { name: "recreate, clock forward", ops: &[(Add, 10), (Read, 8), (Del, 2)] },
    Suite {
        name: "recreate, clock forward, trim",
        ops: &[(Add, 10), (AddTrim, 4), (Read, 8), (Trim, 2), (Del, 2)],
    },
    Suite { name: "recreate, clock back", ops: &[(Add, 10), (Read, 8), (ClockBack, 2)] },
    Suite {
        name: "recreate, clock back, trim",
        ops: &[(Add, 10), (AddTrim, 4), (Read, 8), (Trim, 2), (ClockBack, 2)],
    },
    Suite { name: "rollback", ops: &[(Add, 10), (Read, 8), (Dump, 4), (Restore, 2)] },
    Suite {
        name: "rollback, trim",
        ops: &[(Add, 10), (AddTrim, 4), (Read, 8), (Trim, 2), (Dump, 4), (Restore, 2)],
    },
    Suite {
        name: "everything",
        ops: &[
            (Add, 10),
            (AddTrim, 4),
            (Read, 8),
            (Trim, 2),
            (Xdel, 2),
            (Del, 1),
            (ClockBack, 1),
            (Dump, 4),
            (Restore, 2),
        ],
    },
];
