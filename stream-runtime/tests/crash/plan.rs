//! What the dice say: the settings of each run, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::trap::{Point, Trap};

/// Random numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number from 1 to `most`, as often of one size as of another.
    fn of_any_size(&mut self, most: u64) -> u64 {
        let bits = u64::from(most.ilog2()) + 1;
        let bound = 1 << (self.below(bits) + 1);
        (self.below(bound) + 1).min(most)
    }

    /// How long after the worker is at its point. Where only a future stays there and the rest goes on, the rest has
    /// time to run into `max_uncommitted`.
    fn after(&mut self, trap: Trap) -> Duration {
        match (trap.stops_thread, self.below(8)) {
            (true, _) => Duration::from_micros(self.below(1000)),
            (false, 0) => Duration::from_millis(300),
            (false, _) => Duration::from_micros(self.below(40_000)),
        }
    }

    /// A moment from 0.1 ms on, as often of one order of magnitude as of another.
    fn moment(&mut self, longest: Duration) -> Duration {
        let unit = Duration::from_micros(100);
        unit * self.of_any_size((longest.as_micros() / unit.as_micros()) as u64) as u32
    }
}

/// One run of the worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) max_uncommitted: usize,
    pub(crate) batch: usize,
    pub(crate) ending: Ending,
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// SIGKILL so long after the process was started: perhaps before it has claimed the consumer.
    KilledYoung(Duration),
    /// SIGKILL so long after the claim.
    KilledAfter(Duration),
    /// SIGKILL at a point, and so long after the worker said that it is there.
    KilledAt(Trap, Duration),
    /// SIGTERM so long after the claim: it drains and ends by itself.
    Terminated(Duration),
    /// SIGTERM once all entries are handled.
    CaughtUp,
}

impl Plan {
    /// A run; of the points, one at which the fewest kills were.
    pub(crate) fn roll(dice: &mut Dice, fired: &BTreeMap<Point, u64>) -> Self {
        let ending = match dice.below(20) {
            0 => Ending::KilledYoung(dice.moment(Duration::from_millis(40))),
            1..7 => Ending::KilledAfter(dice.moment(Duration::from_millis(60))),
            7 => Ending::Terminated(dice.moment(Duration::from_millis(60))),
            _ => {
                let trap = roll_trap(dice, fired);
                Ending::KilledAt(trap, dice.after(trap))
            }
        };
        Self {
            max_uncommitted: dice.one_of(&[1, 7, 64, 1024]),
            batch: dice.one_of(&[1, 10, 100, 512]),
            ending,
        }
    }

    /// The point at which the worker stops, where it does.
    pub(crate) fn trap(&self) -> Option<Trap> {
        match self.ending {
            Ending::KilledAt(trap, _) => Some(trap),
            _ => None,
        }
    }

    /// The last run of a round.
    pub(crate) fn catch_up() -> Self {
        Self { max_uncommitted: 1024, batch: 512, ending: Ending::CaughtUp }
    }
}

fn roll_trap(dice: &mut Dice, fired: &BTreeMap<Point, u64>) -> Trap {
    let times = |point: &Point| fired.get(point).copied().unwrap_or_default();
    let fewest = Point::ALL.iter().map(times).min().unwrap_or_default();
    let rarest: Vec<Point> = Point::ALL.into_iter().filter(|point| times(point) == fewest).collect();
    let point = dice.one_of(&rarest);
    let time = match point {
        Point::AfterRead => dice.of_any_size(4),
        Point::InHandler | Point::AfterEffect => dice.of_any_size(300),
        Point::BeforeCommit | Point::DuringCommit | Point::AfterCommit => dice.of_any_size(16),
    };
    Trap { point, time, stops_thread: dice.below(2) == 0, sent_for_us: dice.below(3000) }
}
