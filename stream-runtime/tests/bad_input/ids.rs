//! Ids as text.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stream_runtime::EntryId;
use stream_runtime::testing::RedisServer;

use crate::cases;

/// Texts that are ids, nearly ids, or nothing of the kind.
fn text() -> impl Strategy<Value = String> {
    let half = || {
        prop_oneof![
            4 => any::<u64>().prop_map(|n| n.to_string()),
            2 => (u128::from(u64::MAX) - 2..u128::from(u64::MAX) + 3).prop_map(|n| n.to_string()),
            2 => "[+]?0{0,30}[0-9]{1,22}",
            1 => "[+ \t-]{0,2}[0-9]{0,3}[ a*$.]{0,1}",
        ]
    };
    prop_oneof![
        4 => (half(), half()).prop_map(|(ms, seq)| format!("{ms}-{seq}")),
        2 => half(),
        1 => (half(), half(), half()).prop_map(|(a, b, c)| format!("{a}-{b}-{c}")),
        1 => "[-+0-9 ]{0,12}",
        1 => "\\PC{0,60}",
    ]
}

/// What is an id: one or two numbers of 64 bits. A number is digits, maybe after a plus.
fn expected(text: &str) -> Option<EntryId> {
    let number = |text: &str| {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let significant = digits.trim_start_matches('0');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let fits = is_number && significant.len() <= 20;
        let value = fits.then(|| significant.bytes().fold(0, |n: u128, b| n * 10 + u128::from(b - b'0')))?;
        u64::try_from(value).ok()
    };
    let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
    Some(EntryId::new(number(ms)?, number(seq)?))
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn an_id_comes_back_from_its_text(ms: u64, seq: u64) {
        let id = EntryId::new(ms, seq);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(ms.to_string().parse(), Ok(EntryId::new(ms, 0)));
    }

    #[test]
    fn ids_order_as_pairs_of_numbers(a: (u64, u64), b: (u64, u64), same_ms: bool) {
        let b = if same_ms { (a.0, b.1) } else { b };
        let (first, second) = (EntryId::new(a.0, a.1), EntryId::new(b.0, b.1));
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        prop_assert_eq!(first == second, a == b);
        if let Some(next) = first.next() {
            prop_assert!(first < next);
            prop_assert_eq!(second > first, second >= next, "nothing is between {} and {}", first, next);
        }
    }

    #[test]
    fn any_text_is_an_id_or_an_error_of_one_short_line(text in text()) {
        match text.parse::<EntryId>() {
            Ok(id) => prop_assert_eq!(Some(id), expected(&text)),
            Err(error) => {
                prop_assert_eq!(None, expected(&text));
                let message = error.to_string();
                prop_assert!(message.len() < 1_000 && !message.contains('\n'), "{}", message);
            }
        }
    }

    #[test]
    fn any_bytes_that_are_text_are_an_id_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(text.parse::<EntryId>().ok(), expected(&text));
    }
}

/// Redis reads numbers as C does: after white space, and with a minus too. Those are no ids to us; for all else we
/// and Redis agree, on what is an id and on which.
#[tokio::test]
async fn what_is_an_id_is_what_redis_takes_for_one() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let mut runner = TestRunner::new(cases(1));
    let (texts, mut ids, mut more) = (text(), 0, 0);
    for _ in 0..500 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        let added: Result<String, _> =
            redis::cmd("XADD").arg("s").arg(&text).arg("a").arg("b").query_async(&mut connection).await;
        let () = redis::cmd("DEL").arg("s").query_async(&mut connection).await.unwrap();
        match (text.parse::<EntryId>(), added) {
            (Ok(EntryId::ZERO), Err(error)) => assert!(error.to_string().contains("greater than 0-0")),
            (Ok(id), Ok(added)) => {
                assert_eq!(id.to_string(), added, "{text:?}");
                ids += 1;
            }
            (Ok(id), Err(error)) => panic!("{text:?} is {id} to us, and to Redis: {error}"),
            (Err(_), Ok(added)) => {
                let c_reads_more = text.matches('-').count() > 1 || text.contains([' ', '\t', '*']);
                assert!(c_reads_more, "{text:?} is no id to us, and to Redis {added}");
                more += 1;
            }
            (Err(_), Err(_)) => {}
        }
    }
    assert!(ids > 100, "only {ids} of 500 texts were ids");
    assert!(more < 100, "Redis takes {more} of 500 texts for ids that are none to us");
}
