//! The script of a season: which games there are, and what the game master and the user service tell of them.

use std::collections::BTreeSet;

use super::events::{Event, Fields, Topic, finished, lifecycle, snapshot};
use super::galaxy::{Dice, Empire, Fortune};

/// How much time passes in the story between two events.
const STEP_MS: u64 = 1_000;

/// A game of the season, before its first turn.
#[derive(Debug)]
pub(super) struct NewGame {
    pub(super) id: String,
    pub(super) members: BTreeSet<String>,
}

/// A season: its games, and its events in the order in which they are told.
#[derive(Debug)]
pub(super) struct Season {
    pub(super) games: Vec<NewGame>,
    pub(super) events: Vec<Event>,
}

/// A game as it is played here: how many turns, whether it comes to its end, and with whom.
struct Plan {
    name: &'static str,
    turns: i64,
    finishes: bool,
    players: &'static [(&'static str, Fortune)],
}

/// Players whose names end in `-` leave the lobby for good in this season: each season has others of them.
const PLANS: [Plan; 5] = [
    Plan {
        name: "andromeda",
        turns: 20,
        finishes: true,
        players: &[("ada", Fortune::Rising), ("grace", Fortune::Raided), ("mallory-", Fortune::Warlike)],
    },
    Plan {
        name: "cassiopeia",
        turns: 24,
        finishes: true,
        players: &[
            ("barbara", Fortune::Rising),
            ("edsger", Fortune::Fading),
            ("ken", Fortune::Warlike),
            ("oscar-", Fortune::Raided),
        ],
    },
    Plan {
        name: "hydra",
        turns: 12,
        finishes: true,
        players: &[("dennis", Fortune::Fading), ("niklaus", Fortune::Warlike)],
    },
    Plan {
        name: "lyra",
        turns: 16,
        finishes: true,
        players: &[("ada", Fortune::Raided), ("dennis", Fortune::Rising), ("radia", Fortune::Rising)],
    },
    Plan {
        name: "orion",
        turns: 28,
        finishes: false,
        players: &[("grace", Fortune::Rising), ("ken", Fortune::Fading)],
    },
];

impl Season {
    /// The season of this number, which began at `started_at_ms`. Always the same for the same two numbers.
    pub(super) fn write(number: u64, started_at_ms: u64) -> Self {
        let mut tables: Vec<Table> = PLANS.iter().map(|plan| Table::set(plan, number)).collect();
        let games = tables.iter().map(Table::game).collect();
        let mut story = Story { number, now_ms: started_at_ms, events: Vec::new() };
        let rounds = PLANS.iter().map(|plan| plan.turns).max().unwrap_or(0);
        for round in 1..=rounds {
            for table in &mut tables {
                if let Some(fields) = table.play(round, story.now_ms) {
                    story.tell(Topic::GameMaster, fields);
                }
            }
            story.interrupt(round);
        }
        let events = story.events;
        Self { games, events }
    }
}

/// A game while it is played.
struct Table {
    id: String,
    plan: &'static Plan,
    members: Vec<String>,
    empires: Vec<Empire>,
    dice: Dice,
}

impl Table {
    fn set(plan: &'static Plan, season: u64) -> Self {
        let mut dice = Dice::new(season.wrapping_mul(1_000) + plan.turns.unsigned_abs());
        let mut members = Vec::new();
        let mut empires = Vec::new();
        for &(name, fortune) in plan.players {
            let user_id = in_season(name, season);
            empires.push(Empire::found(user_id.clone(), fortune, &mut dice));
            members.push(user_id);
        }
        Self { id: format!("{}-{season}", plan.name), plan, members, empires, dice }
    }

    fn game(&self) -> NewGame {
        NewGame { id: self.id.clone(), members: self.members.iter().cloned().collect() }
    }

    /// What the game master tells of a turn; nothing once the game is over. The first turn is as founded.
    fn play(&mut self, turn: i64, now_ms: u64) -> Option<Fields> {
        let turns = self.plan.turns;
        if turn > turns {
            return None;
        }
        if turn > 1 {
            for empire in &mut self.empires {
                empire.play(turn, turns, &mut self.dice);
            }
        }
        let players: Vec<_> = self.empires.iter().map(Empire::observe).collect();
        if self.plan.finishes && turn == turns {
            return Some(finished(&self.id, turn, &players, now_ms));
        }
        Some(snapshot(&self.id, turn, &players))
    }
}

/// The events so far, and the time in the story.
struct Story {
    number: u64,
    now_ms: u64,
    events: Vec<Event>,
}

impl Story {
    fn tell(&mut self, topic: Topic, fields: Fields) {
        self.events.push(Event { topic, fields });
        self.now_ms = self.now_ms.saturating_add(STEP_MS);
    }

    /// Tells an event of the game master's once more, word for word.
    fn repeat(&mut self, matches: impl Fn(&Event) -> bool) {
        if let Some(event) = self.events.iter().find(|event| matches(event)).cloned() {
            self.tell(event.topic, event.fields);
        }
    }

    /// What else happens after a round: users come to grief, and producers make the mistakes that they make.
    fn interrupt(&mut self, round: i64) {
        let mallory = in_season("mallory-", self.number);
        let oscar = in_season("oscar-", self.number);
        match round {
            3 => self.user("user.lifecycle.permanent_blocked", &mallory, self.now_ms, "abuse"),
            5 => self.malformed_snapshot(),
            // An older deletion, told late: the block is the newer one and stays.
            7 => {
                let earlier = self.now_ms.saturating_sub(60_000);
                self.user("user.lifecycle.deleted", &mallory, earlier, "requested");
            }
            8 => self.user("user.lifecycle.deleted", &oscar, self.now_ms, "requested"),
            9 => self.unknown_kind(),
            10 => self.user("user.lifecycle.email_changed", "grace", self.now_ms, ""),
            11 => self.repeat(|event| event.topic == Topic::UserService),
            13 => self.user_without_time(),
            // The game master was restarted and tells a finish again.
            15 => self.repeat(|event| event.has("kind", "game_finished")),
            18 => self.unknown_game(),
            _ => {}
        }
    }

    fn user(&mut self, event_type: &str, user_id: &str, occurred_at_ms: u64, reason_code: &str) {
        let trace = format!("season-{}-{}", self.number, self.events.len());
        let fields = lifecycle(event_type, user_id, occurred_at_ms, reason_code, &trace);
        self.tell(Topic::UserService, fields);
    }

    fn user_without_time(&mut self) {
        let mut fields = lifecycle("user.lifecycle.deleted", "edsger", self.now_ms, "requested", "");
        fields.retain(|(name, _)| *name != "occurred_at_ms");
        self.tell(Topic::UserService, fields);
    }

    /// A snapshot whose statistics were cut off half way.
    fn malformed_snapshot(&mut self) {
        let mut fields = snapshot(&format!("andromeda-{}", self.number), 5, &[]);
        fields.push(("player_turn_stats", r#"[{"user_id":"ada","plan"#.to_owned()));
        self.tell(Topic::GameMaster, fields);
    }

    fn unknown_kind(&mut self) {
        let mut fields = snapshot(&format!("orion-{}", self.number), 9, &[]);
        fields.retain(|(name, _)| *name != "kind");
        fields.insert(0, ("kind", "galaxy_exploded".to_owned()));
        self.tell(Topic::GameMaster, fields);
    }

    fn unknown_game(&mut self) {
        let fields = finished("nobody-knows-this-game", 1, &[], self.now_ms);
        self.tell(Topic::GameMaster, fields);
    }
}

/// The user of this name in this season.
fn in_season(name: &str, season: u64) -> String {
    if name.ends_with('-') {
        return format!("{name}{season}");
    }
    name.to_owned()
}
