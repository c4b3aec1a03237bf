//! A small galaxy: how planets, population and ships of the players go up and down, turn by turn.

use gmevents::PlayerObservedStats;

/// How things go for a player.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fortune {
    /// Settles and prospers.
    Rising,
    /// Prospers, is raided and loses most of it again: the maxima remember the better days.
    Raided,
    /// Conquers planets, and the wars cost more people than they bring.
    Warlike,
    /// Loses from the first turn on.
    Fading,
}

/// A player's empire as it stands.
#[derive(Debug)]
pub(super) struct Empire {
    user_id: String,
    fortune: Fortune,
    planets: i64,
    population: i64,
    ships_built: i64,
}

impl Empire {
    /// An empire at its first turn.
    pub(super) fn found(user_id: String, fortune: Fortune, dice: &mut Dice) -> Self {
        Self {
            user_id,
            fortune,
            planets: dice.between(4, 9),
            population: dice.between(900, 1_800),
            ships_built: dice.between(0, 3),
        }
    }

    /// Plays turn `turn` of `turns`.
    pub(super) fn play(&mut self, turn: i64, turns: i64, dice: &mut Dice) {
        let raided = turn * 2 > turns;
        let (planets, population) = match self.fortune {
            Fortune::Raided if raided => (-dice.between(0, 2), -dice.between(60, 240)),
            Fortune::Rising | Fortune::Raided => (dice.between(0, 2), dice.between(-20, 160)),
            Fortune::Warlike => (dice.between(-1, 2), -dice.between(10, 90)),
            Fortune::Fading => (-dice.between(0, 1), -dice.between(20, 120)),
        };
        self.planets = (self.planets + planets).max(0);
        self.population = (self.population + population).max(0);
        self.ships_built += dice.between(0, 4);
    }

    /// What the game master observes of it.
    pub(super) fn observe(&self) -> PlayerObservedStats {
        PlayerObservedStats {
            user_id: self.user_id.clone(),
            planets: self.planets,
            population: self.population,
            ships_built: self.ships_built,
        }
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from `low` to `high`, both among them.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let choices = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(z % choices)
    }
}
