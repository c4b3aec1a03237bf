//! Keeps the passwords of URLs out of what is shown.

/// The text with the user and password of each URL in it replaced by `***`, line by line.
///
/// It would rather hide too much: from `://` to the last `@` of the line, since a password that was not
/// percent-encoded may itself have an `@`, a quote or a space in it; and what follows a `pass=` to the line's end.
pub(crate) fn redact(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redact_line).collect();
    lines.join("\n")
}

fn redact_line(line: &str) -> String {
    let mut line = line.to_owned();
    if let Some(scheme) = line.find("://")
        && let Some(at) = line.rfind('@')
        && scheme + 3 < at
    {
        line.replace_range(scheme + 3..at, "***");
    }
    if let Some(pass) = line.find("pass=") {
        line.replace_range(pass + 5.., "***");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_and_the_host_is_not() {
        for (text, shown) in [
            ("redis://me:secret@host:6379/2", "redis://***@host:6379/2"),
            ("rediss://:s e'c@ret@host", "rediss://***@host"),
            ("bad 'redis://:a@b', see\nredis://c:d@e", "bad 'redis://***@b', see\nredis://***@e"),
            (
                "redis+unix:///run/redis.sock?user=me&pass=secret",
                "redis+unix:///run/redis.sock?user=me&pass=***",
            ),
            ("redis://host and no password", "redis://host and no password"),
            ("see https://example.org or mail me@example.org", "see https://***@example.org"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
