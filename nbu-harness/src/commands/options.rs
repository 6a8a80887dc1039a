//! NetBackup's way of writing options: `-name value`, one dash, words whole; and what a command takes of them.
//!
//! The first option may be a verb (`-creatests`), which decides which others there are. An option that does not exist
//! is refused with the nearest that does.

use super::{CommandError, Context};
use crate::nearest::{hint_ended, nearest};
use std::fmt::Write;
use std::slice;
use std::str::FromStr;

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// None: it is there or not.
    Nothing,
    /// One, whatever it looks like.
    One(&'static str),
    /// All up to the next option, at least one.
    Many(&'static str),
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt {
    name: &'static str,
    takes: Takes,
    needed: bool,
    /// For an operand, what it is called.
    operand: &'static str,
}

/// Name of the option that an operand is.
pub(super) const OPERAND: &str = "";

/// An option that must be given.
pub(super) const fn needed(name: &'static str, value: &'static str) -> Opt {
    Opt { name, takes: Takes::One(value), needed: true, operand: "" }
}

/// An option with a value that may be given.
pub(super) const fn optional(name: &'static str, value: &'static str) -> Opt {
    Opt { name, takes: Takes::One(value), needed: false, operand: "" }
}

/// An option with values that may be given.
pub(super) const fn several(name: &'static str, value: &'static str) -> Opt {
    Opt { name, takes: Takes::Many(value), needed: false, operand: "" }
}

/// A word that stands for itself, before or behind the verb: what is named.
pub(super) const fn operand(value: &'static str, needed: bool) -> Opt {
    Opt { name: OPERAND, takes: Takes::Nothing, needed, operand: value }
}

/// An option without a value.
pub(super) const fn flag(name: &'static str) -> Opt {
    Opt { name, takes: Takes::Nothing, needed: false, operand: "" }
}

/// What a verb does. Returns what it prints.
pub(super) type Run = fn(&Context, &Given) -> Result<String, CommandError>;

/// One thing that a command can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    /// The option that asks for it; empty for a command that does one thing.
    pub(super) name: &'static str,
    /// Its options.
    pub(super) options: &'static [Opt],
    /// What it does.
    pub(super) run: Run,
}

/// The options that were given.
#[derive(Debug, Default)]
pub(super) struct Given(Vec<(&'static str, Vec<String>)>);

impl Given {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// All values of an option; empty without it.
    pub(super) fn values(&self, name: &str) -> &[String] {
        self.0.iter().find(|(given, _)| *given == name).map_or(&[], |(_, values)| values.as_slice())
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// The operand.
    pub(super) fn operand(&self) -> Option<&str> {
        self.value(OPERAND)
    }

    /// The value of an option that [`parse`] has made sure of.
    pub(super) fn need(&self, name: &str) -> Result<&str, CommandError> {
        self.value(name).ok_or_else(|| CommandError::usage(format!("{name} is missing")))
    }

    /// The value as a number.
    pub(super) fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, CommandError> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let refused = |_| CommandError::usage(format!("{name} {text}: that is no number that it can have"));
        text.parse().map(Some).map_err(refused)
    }
}

/// The verb that the arguments ask for, and its options.
pub(super) fn parse(verbs: &'static [Verb], args: &[String]) -> Result<(&'static Verb, Given), CommandError> {
    let (verb, words) = verb_of(verbs, args)?;
    let (mut rest, mut given) = (words.as_slice(), Given::default());
    while let Some((word, after)) = rest.split_first() {
        let name = if word.starts_with('-') { word } else { OPERAND };
        let Some(option) = verb.options.iter().find(|option| option.name == name) else {
            return Err(unknown("option", word, verb.options.iter().map(|option| option.name)));
        };
        if given.has(option.name) {
            return Err(CommandError::usage(format!("{word} is given twice")));
        }
        let count = match option.takes {
            Takes::Nothing => 0,
            Takes::One(_) => 1,
            Takes::Many(_) => {
                after.iter().position(|word| word.starts_with('-')).unwrap_or(after.len()).max(1)
            }
        };
        let Some((values, next)) = after.split_at_checked(count) else {
            return Err(CommandError::usage(format!("{word} needs a value")));
        };
        let values = if option.name == OPERAND { slice::from_ref(word) } else { values };
        given.0.push((option.name, values.to_vec()));
        rest = next;
    }
    let missing = verb.options.iter().find(|option| option.needed && !given.has(option.name));
    match missing {
        Some(option) => {
            let what = if option.name == OPERAND { option.operand } else { option.name };
            Err(CommandError::usage(format!("{what} is missing\n{}", usage(verb))))
        }
        None => Ok((verb, given)),
    }
}

/// The verb, and the other words. An operand may come before the verb. Some commands have verbs without a dash.
fn verb_of(verbs: &'static [Verb], args: &[String]) -> Result<(&'static Verb, Vec<String>), CommandError> {
    let named = |word: &str| verbs.iter().any(|verb| !verb.name.is_empty() && verb.name == word);
    let at = args.iter().position(|word| word.starts_with('-') || named(word));
    let word = at.and_then(|at| args.get(at));
    if let (Some(at), Some(verb)) =
        (at, verbs.iter().find(|verb| !verb.name.is_empty() && Some(verb.name) == word.map(String::as_str)))
    {
        let mut rest = args.to_vec();
        // A verb that is an option too keeps its word, for its value.
        if !verb.options.iter().any(|option| option.name == verb.name) {
            rest.remove(at);
        }
        return Ok((verb, rest));
    }
    if let Some(verb) = verbs.iter().find(|verb| verb.name.is_empty()) {
        return Ok((verb, args.to_vec()));
    }
    let names = verbs.iter().map(|verb| verb.name);
    Err(word.or(args.first()).map_or_else(
        || CommandError::usage(format!("it needs one of {}", names.clone().collect::<Vec<_>>().join(", "))),
        |first| unknown("verb", first, names.clone()),
    ))
}

fn unknown(what: &str, word: &str, valid: impl Iterator<Item = &'static str>) -> CommandError {
    let valid: Vec<_> = valid.filter(|name| !name.is_empty()).collect();
    let meant = hint_ended(nearest(word, valid.iter().copied()));
    CommandError::usage(format!("there is no {what} {word}{meant} There are {}", valid.join(", ")))
}

/// A verb with its options, in one line.
pub(super) fn usage(verb: &Verb) -> String {
    let is_option = verb.options.iter().any(|option| option.name == verb.name);
    let name = if is_option { "" } else { verb.name };
    let mut line = format!("usage: {name}").trim_end().to_owned();
    for option in verb.options {
        let text = match option.takes {
            Takes::Nothing if option.name == OPERAND => option.operand.to_owned(),
            Takes::Nothing => option.name.to_owned(),
            Takes::One(value) => format!("{} {value}", option.name),
            Takes::Many(value) => format!("{} {value}...", option.name),
        };
        // Writing into a string cannot fail.
        let _ = if option.needed { write!(line, " {text}") } else { write!(line, " [{text}]") };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(context: &Context, _: &Given) -> Result<String, CommandError> {
        context.existing().map(|_| String::new())
    }

    const VERBS: &[Verb] = &[
        Verb {
            name: "-createdp",
            options: &[
                needed("-dp", "POOL"),
                optional("-max_io_streams", "N"),
                several("-hosts", "HOST"),
                flag("-M"),
            ],
            run: nothing,
        },
        Verb { name: "-deletedp", options: &[], run: nothing },
    ];
    const NAMED: &[Verb] = &[
        Verb { name: "-add", options: &[operand("NAME", true), optional("-uf", "N")], run: nothing },
        Verb { name: "-group", options: &[needed("-group", "NAME"), flag("-x")], run: nothing },
    ];
    const ONE: &[Verb] = &[Verb { name: "", options: &[optional("-label", "LABEL")], run: nothing }];

    fn given(verbs: &'static [Verb], args: &[&str]) -> Result<Given, String> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(verbs, &args).map(|(_, given)| given).map_err(|error| error.text)
    }

    #[test]
    fn values_are_taken_as_the_table_says() {
        let args = ["-createdp", "-dp", "dp1", "-max_io_streams", "-1", "-hosts", "a", "b", "-M"];
        let all = given(VERBS, &args).unwrap();
        assert_eq!(all.need("-dp").unwrap(), "dp1");
        assert_eq!(all.number::<i32>("-max_io_streams").unwrap(), Some(-1));
        assert_eq!(all.values("-hosts"), ["a", "b"]);
        assert!(all.has("-M"));
        assert!(all.number::<u8>("-max_io_streams").is_err(), "-1 is no number of that kind");
        assert_eq!(given(ONE, &["-label", "x"]).unwrap().value("-label"), Some("x"));
    }

    #[test]
    fn an_operand_may_stand_anywhere_and_a_verb_may_be_an_option() {
        for args in [["slp1", "-add", "-uf", "0"], ["-add", "slp1", "-uf", "0"], ["-add", "-uf", "0", "slp1"]]
        {
            let given = given(NAMED, &args).unwrap();
            assert_eq!((given.operand(), given.value("-uf")), (Some("slp1"), Some("0")), "{args:?}");
        }
        assert_eq!(given(NAMED, &["-group", "g1", "-x"]).unwrap().value("-group"), Some("g1"));
        for (args, complaint) in [
            (&["-add"][..], "NAME is missing"),
            (&["a", "-add", "b"], "b is given twice"),
            (&["-group", "g1", "stray"], "there is no option stray"),
            (&["slp1"], "there is no verb slp1. There are -add, -group"),
        ] {
            let error = given(NAMED, args).unwrap_err();
            assert!(error.contains(complaint), "{args:?}: {error}");
        }
        assert_eq!(usage(&NAMED[0]), "usage: -add NAME [-uf N]");
        assert_eq!(usage(&NAMED[1]), "usage: -group NAME [-x]");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (verbs, args, complaint) in [
            (VERBS, &["-createpd"][..], "there is no verb -createpd, did you mean -createdp? There are"),
            (VERBS, &["-createdp", "-dpp", "x"], "there is no option -dpp, did you mean -dp?"),
            (VERBS, &["-createdp", "-dp"], "-dp needs a value"),
            (VERBS, &["-createdp", "-dp", "x", "-hosts"], "-hosts needs a value"),
            (VERBS, &["-createdp", "-M", "-M"], "-M is given twice"),
            (VERBS, &["-createdp", "-M"], "-dp is missing"),
            (VERBS, &[], "it needs one of -createdp, -deletedp"),
            (ONE, &["-lable", "x"], "did you mean -label?"),
            (ONE, &["stray"], "there is no option stray"),
        ] {
            let error = given(verbs, args).unwrap_err();
            assert!(error.contains(complaint), "{args:?}: {error}");
        }
        let usage = "usage: -createdp -dp POOL [-max_io_streams N] [-hosts HOST...] [-M]";
        assert_eq!(super::usage(&VERBS[0]), usage);
    }
}
