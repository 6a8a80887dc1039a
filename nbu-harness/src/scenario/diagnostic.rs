//! What is wrong with a scenario file, for people: file, line, column, the line itself, and what would be right.

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use serde_saphyr::{Error as YamlError, Location};
use std::fmt;

/// The least that a scenario needs.
const MINIMAL: &str = "\
a scenario needs at least
  scenario: NBU-BKP-001
  title: what it shows
  storage: {lsus: [{name: lsu0}], units: [{label: stu1, lsu: lsu0}]}
  policy: {name: policy1, storage: stu1}
  selections: [GEN_DATA, GEN_KBSIZE=64, GEN_MAXFILES=4]
  run: [backup: {}, restore: {}]";

/// A problem in a scenario file.
#[derive(Debug)]
pub struct Diagnostic {
    /// The file.
    pub file: String,
    /// Line from 1; 0 when the problem is the file itself.
    pub line: usize,
    /// Column from 1, in characters; 0 as above.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    source: NamedSource<String>,
    span: Option<SourceSpan>,
}

impl Diagnostic {
    /// A problem with the file as a whole.
    pub(super) fn of_file(file: &str, message: String) -> Self {
        let source = NamedSource::new(file, String::new());
        Self { file: file.into(), line: 0, column: 0, message, help: None, source, span: None }
    }

    /// A file without content.
    pub(super) fn empty_file(file: &str) -> Self {
        Self { help: Some(MINIMAL.into()), ..Self::of_file(file, "there is no scenario in it".into()) }
    }

    /// A problem at a place in the text.
    pub(super) fn at(file: &str, text: &str, place: Location, message: String, help: Option<String>) -> Self {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let (line, column) = (number(place.line()), number(place.column()));
        Self {
            file: file.into(),
            line,
            column,
            message,
            help,
            source: NamedSource::new(file, text.to_owned()).with_language("yaml"),
            span: span(text, line, column),
        }
    }

    /// A problem that the YAML reader found.
    pub(super) fn of_yaml(file: &str, text: &str, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let (message, help) = explain(error);
        match error.location() {
            Some(place) => Self::at(file, text, place, message, help),
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

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.span.as_ref().map(|_| &self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), span))))
    }
}

/// Bytes of the word at a place.
fn span(text: &str, line: usize, column: usize) -> Option<SourceSpan> {
    let line_start = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let rest = text.get(line_start..)?;
    let in_line = rest.char_indices().nth(column.checked_sub(1)?).map_or(rest.len(), |(at, _)| at);
    let word = rest.get(in_line..)?;
    let len = word.find(|c: char| c.is_whitespace() || ",:{}[]".contains(c)).unwrap_or(word.len());
    Some((line_start + in_line, len.max(1).min(word.len())).into())
}

fn explain(error: &YamlError) -> (String, Option<String>) {
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), Some(nearest("key", field, expected)))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), Some(nearest("value", variant, expected)))
        }
        YamlError::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing here"), None),
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("found {unexpected}"), Some(format!("expected {expected}")))
        }
        YamlError::InvalidScalar { ty, .. } => {
            ("this value has the wrong type".into(), Some(format!("expected {}", readable(ty))))
        }
        YamlError::Unexpected { expected, .. } => {
            ("this is not what belongs here".into(), Some(format!("expected {}", readable(expected))))
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            (format!("`{key}` is written twice"), Some("remove one of the two".into()))
        }
        YamlError::Message { msg, .. } => match msg.split_once("; ") {
            Some((message, help)) => (message.into(), Some(help.into())),
            None => (msg.clone(), None),
        },
        other => (plain(&other.to_string()), None),
    }
}

/// The reader's names of types and tokens, as people say them.
fn readable(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a number that is not negative",
        "i8" | "i16" | "i32" | "i64" => "a number",
        "bool" => "true or false",
        "sequence start" => "a list",
        "mapping start" => "a mapping such as {key: value}",
        "string scalar" => "text",
        other => other,
    }
}

/// The reader's own text without the place at its end, which is printed already.
fn plain(text: &str) -> String {
    let first = text.lines().next().unwrap_or(text);
    first.rsplit_once(" at line ").map_or(first, |(message, _)| message).to_owned()
}

/// "did you mean" with the nearest of the valid words, when one is near, and all of them.
pub(super) fn nearest(what: &str, given: &str, valid: &[&str]) -> String {
    let all = valid.join(", ");
    match crate::nearest::nearest(given, valid.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? valid {what}s here: {all}"),
        None => format!("valid {what}s here: {all}"),
    }
}
