//! Tables in Markdown, and where they go.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// A table in Markdown.
#[derive(Debug)]
pub struct Table(String);

impl Table {
    /// A table with these column heads.
    pub fn new(heads: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(heads);
        let rules: Vec<_> =
            heads.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }).collect();
        table.row(&rules);
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "| {} ", cell.as_ref());
        }
        self.0.push_str("|\n");
    }

    /// The table as text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// Replaces what stands in this file between `<!-- name -->` and `<!-- /name -->`.
///
/// # Errors
///
/// The file has no such place.
pub fn put(file: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let shown = file.display();
    let old = fs::read_to_string(file).with_context(|| format!("read {shown}"))?;
    let new = replace(&old, name, text).with_context(|| format!("{shown} has no <!-- {name} -->"))?;
    fs::write(file, new).with_context(|| format!("write {shown}"))
}

fn replace(old: &str, name: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = old.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}\n\n{}\n\n{close}{after}", text.trim_end()))
}

/// A number with its thousands set apart: `1,234,567`.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Tells on standard error how far the program is.
#[expect(clippy::print_stderr, reason = "for the person who waits")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "the result")]
pub fn show(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(7.4), "7");
        assert_eq!(thousands(999.0), "999");
        assert_eq!(thousands(13_600.0), "13,600");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let old = "a\n<!-- x -->\nold\n<!-- /x -->\nb";
        assert_eq!(replace(old, "x", "new\n").unwrap(), "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb");
        assert_eq!(replace(old, "y", "new"), None);
    }
}
