//! Text into HTML: escaping, badges, tables.

use crate::certify::Outcome;
use std::fmt::Write as _;

/// Text as content or attribute value. What XML and HTML cannot hold becomes a visible mark.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A name for an anchor: letters and digits of `raw`, everything else a hyphen.
pub(super) fn anchor(raw: &str) -> String {
    raw.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The class of an outcome.
pub(super) const fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Fail | Outcome::Error => "bad",
        Outcome::Unknown | Outcome::ExpectedFail => "warn",
        Outcome::Skip | Outcome::NotRun => "none",
    }
}

/// A word on a coloured ground; the word alone says everything.
pub(super) fn badge(class: &str, word: &str) -> String {
    format!("<span class=\"badge {class}\">{}</span>", text(word))
}

/// The class and word of a NetBackup status.
pub(super) const fn status_class(status: i32) -> &'static str {
    match status {
        0 => "good",
        1 => "warn",
        _ => "bad",
    }
}

/// A table whose rows are ready HTML: cells that scroll sideways when they do not fit. A heading that begins with `#` is of
/// a column of numbers.
pub(super) fn table(caption: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table>\n");
    if !caption.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", text(caption));
    }
    out.push_str("<thead><tr>");
    for heading in headings {
        match heading.strip_prefix('#') {
            Some(heading) => {
                let _ = write!(out, "<th class=\"number\" scope=\"col\">{}</th>", text(heading));
            }
            None => {
                let _ = write!(out, "<th scope=\"col\">{}</th>", text(heading));
            }
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (heading, cell) in headings.iter().zip(row) {
            let class = if heading.starts_with('#') { " class=\"number\"" } else { "" };
            let _ = write!(out, "<td{class}>{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Milliseconds for people.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(text("<a href=\"x\">'&'\u{1b}"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;\u{fffd}");
        assert_eq!(anchor("lib <x>.so"), "lib--x--so");
        let table = table("a<b", &["x", "#n"], &[vec!["1".into(), "2".into()]]);
        assert!(table.contains("a&lt;b") && table.contains("<td class=\"number\">2</td>"), "{table}");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!([0, 999, 1250, 125_000].map(duration), ["0 ms", "999 ms", "1.2 s", "2 min 5 s"]);
    }
}
