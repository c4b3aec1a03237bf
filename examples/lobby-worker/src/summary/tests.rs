//! The summary, word for word.

use std::collections::BTreeMap;

use super::*;
use crate::stores::model::UserMark;

fn consumer(name: &str, handled: u64, skipped: u64) -> ConsumerRow {
    ConsumerRow {
        name: name.to_owned(),
        handled,
        skipped,
        holds: 0,
        deleted: 0,
        offset: "1763760000123-0".to_owned(),
        lag: Duration::ZERO,
        trouble: None,
    }
}

fn counts(planets: i64, population: i64, ships_built: i64) -> Option<Counts> {
    Some(Counts { planets, population, ships_built })
}

fn game(id: &str, status: GameStatus, members: &[(&str, PlayerStats, Option<bool>)]) -> GameRow {
    let names = || members.iter().map(|(name, ..)| (*name).to_owned());
    let judged: BTreeMap<String, bool> =
        members.iter().filter_map(|(name, _, capable)| Some(((*name).to_owned(), (*capable)?))).collect();
    let players = names().zip(members.iter().map(|(_, stats, _)| *stats)).collect();
    GameRow {
        id: id.to_owned(),
        game: Game {
            status,
            members: names().collect(),
            current_turn: 20,
            runtime_status: "running".to_owned(),
            engine_health_summary: String::new(),
            snapshot_at_ms: None,
            finished_at_ms: None,
        },
        stats: Stats { players },
        capability: (!judged.is_empty()).then_some(Capability { finished_at_ms: 1, capable: judged }),
    }
}

fn lobby() -> Lobby {
    let rose = PlayerStats { initial: counts(3, 1_200, 0), max: counts(12, 23_456, 31) };
    let fell = PlayerStats { initial: counts(7, 900, 2), max: counts(7, 950, 9) };
    let user = User {
        mark: UserMark::Blocked,
        occurred_at_ms: 1_763_760_000_000,
        entry_id: "1763760000100-0".to_owned(),
        reason_code: "abuse\u{1b}[2J".to_owned(),
    };
    Lobby {
        games: vec![
            game(
                "andromeda-1",
                GameStatus::Finished,
                &[("ada", rose, Some(true)), ("mallory", fell, Some(false))],
            ),
            game("orion-1", GameStatus::Running, &[("grace", PlayerStats::default(), None)]),
            game("void-1", GameStatus::Running, &[]),
        ],
        users: vec![("mallory".to_owned(), user)],
    }
}

#[test]
fn the_whole_summary_of_a_run_that_worked() {
    let summary = Summary {
        ending: Ending::Idle,
        consumers: vec![consumer("gm_lobby_events", 103, 2), consumer("user_lifecycle", 5, 1)],
        lobby: Ok(lobby()),
    };
    assert_eq!(summary.to_string(), include_str!("golden.txt"));
}

#[test]
fn a_held_entry_is_what_the_last_line_is_about() {
    let mut stuck = consumer("gm_lobby_events", 7, 0);
    stuck.trouble = Some("held entry 17-3 after 4 deliveries: store down".to_owned());
    let summary = Summary {
        ending: Ending::Asked { mid_feed: false },
        consumers: vec![stuck, consumer("user_lifecycle", 5, 0)],
        lobby: Err("connection refused".to_owned()),
    };
    let text = summary.to_string();
    assert!(text.contains("Games and users can't be told: connection refused\n"), "{text}");
    let held =
        "Not everything could be handled: gm_lobby_events held entry 17-3 after 4 deliveries: store down.\n";
    assert!(text.contains(held), "{text}");
    assert!(!text.contains("It worked"), "{text}");
}

#[test]
fn an_interrupted_feed_and_a_run_without_news_are_said() {
    let summary = |ending, handled| Summary {
        ending,
        consumers: vec![consumer("gm_lobby_events", handled, 0)],
        lobby: Ok(Lobby { games: Vec::new(), users: Vec::new() }),
    };
    let text = summary(Ending::Asked { mid_feed: true }, 9).to_string();
    assert!(text.contains("The demo feed was interrupted"), "{text}");
    let text = summary(Ending::Idle, 0).to_string();
    assert!(text.contains("nothing new to handle"), "{text}");
}
