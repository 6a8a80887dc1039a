//! What is wrong with a description, for people: file, line, column, the line itself, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};

/// A mistake in a description.
#[derive(Debug, Diagnostic)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// Line from 1; 0 when the mistake is the file itself.
    pub line: usize,
    /// Column from 1, in characters; 0 as above.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[help]
    pub help: Option<String>,
    #[source_code]
    text: Arc<NamedSource<String>>,
    #[label("here")]
    span: Option<SourceSpan>,
}

impl Mistake {
    /// A mistake with the file as a whole.
    pub fn of_file(file: &str, message: String) -> Self {
        let text = Arc::new(NamedSource::new(file, String::new()));
        Self { file: file.into(), line: 0, column: 0, message, help: None, text, span: None }
    }

    /// A mistake at a place in the text, in bytes.
    pub fn at(file: &str, text: &str, place: Range<usize>, message: String, help: Option<String>) -> Self {
        let start = text.floor_char_boundary(place.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        // A table's span covers the whole table: its first line is enough to find it.
        let first_line = text[start..].find('\n').map_or(text.len(), |n| start + n);
        let end = place.end.clamp(start, first_line.max(start));
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help,
            text: Arc::new(NamedSource::new(file, text.to_owned()).with_language("toml")),
            span: Some((start, (end - start).max(1)).into()),
            file: file.into(),
        }
    }

    /// A mistake that the TOML reader found.
    pub(super) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let (message, help) = explain(error.message());
        match error.span() {
            Some(span) => Self::at(file, text, span, message, help),
            None => Self { help, ..Self::of_file(file, message) },
        }
    }

    /// The report for a terminal (`colour`) or a file.
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut out = String::new();
        match GraphicalReportHandler::new_themed(theme).with_width(110).render_report(&mut out, self) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl std::error::Error for Mistake {}

/// The reader's message in two: what is wrong, and what to do.
fn explain(message: &str) -> (String, Option<String>) {
    for kind in ["field", "variant"] {
        let what = if kind == "field" { "key" } else { "value" };
        let Some(rest) = message.strip_prefix(&format!("unknown {kind} `")) else { continue };
        let Some((given, expected)) = rest.split_once("`, expected ") else { continue };
        let valid: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        return (format!("unknown {what} `{given}`"), Some(nearest(what, given, &valid)));
    }
    if let Some(field) = message.strip_prefix("missing field `").and_then(|m| m.strip_suffix('`')) {
        return (format!("the key `{field}` is missing here"), Some(format!("add `{field} = ...`")));
    }
    match message.split_once(", expected ") {
        Some((found, expected)) => {
            let found =
                found.replacen("invalid type: ", "found ", 1).replacen("invalid value: ", "found ", 1);
            (found, Some(format!("expected {expected}")))
        }
        None => (message.lines().next().unwrap_or(message).to_owned(), None),
    }
}

/// "did you mean" with the nearest of the valid words, when one is near, and all of them.
pub fn nearest(what: &str, given: &str, valid: &[&str]) -> String {
    let distance = |word: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &word.to_lowercase());
    let near = valid.iter().copied().min_by_key(|w| distance(w)).filter(|w| distance(w) <= 1 + w.len() / 3);
    let all = valid.join(", ");
    match near {
        Some(word) => format!("did you mean `{word}`? valid {what}s here: {all}"),
        None if valid.is_empty() => format!("there is no valid {what} here"),
        None => format!("valid {what}s here: {all}"),
    }
}
