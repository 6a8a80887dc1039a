//! `nbstl`: storage lifecycle policies.
//!
//! The options are those of the documentation: lists with a value for each operation, `-uf` what it is used for (0
//! backup, 1 duplication, 2 snapshot, 3 replication, 4 import, 5 backup from snapshot), `-residence` its storage,
//! `-rl` its retention level, `-as` the number of the operation that it copies from (0: none). They and the labels of
//! `-L` are from memory and not verified.

use super::options::{Given, Opt, Verb, needed, operand, optional};
use super::{CommandError, Context};
use crate::emm::{LifecyclePolicy, Operation, Settings, UseFor};
use std::fmt::Write;

/// What `-residence` has for an operation without storage of this domain.
const NOWHERE: &str = "__NA__";

const OPERATIONS: &[Opt] = &[
    operand("NAME", true),
    needed("-uf", "N,..."),
    needed("-residence", "STORAGE,..."),
    needed("-rl", "LEVEL,..."),
    optional("-as", "N,..."),
];
const MAYBE_NAME: &[Opt] = &[operand("NAME", false)];

pub(super) const VERBS: &[Verb] = &[
    Verb { name: "-add", options: OPERATIONS, run: add },
    Verb { name: "-modify_version", options: OPERATIONS, run: modify },
    Verb { name: "-delete", options: &[operand("NAME", true)], run: delete },
    Verb { name: "-L", options: MAYBE_NAME, run: list },
    Verb { name: "-b", options: MAYBE_NAME, run: names },
];

fn name(given: &Given) -> Result<&str, CommandError> {
    given.operand().ok_or_else(|| CommandError::usage("NAME is missing".into()))
}

/// The numbers of a list.
fn numbers(given: &Given, option: &str) -> Result<Vec<usize>, CommandError> {
    let Some(text) = given.value(option) else { return Ok(Vec::new()) };
    text.split(',')
        .map(|word| word.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| CommandError::usage(format!("{option} {text}: it is numbers with commas between them")))
}

fn operations(given: &Given, settings: &Settings) -> Result<Vec<Operation>, CommandError> {
    let (uses, levels, mut sources) =
        (numbers(given, "-uf")?, numbers(given, "-rl")?, numbers(given, "-as")?);
    let residences: Vec<_> = given.need("-residence")?.split(',').map(str::trim).collect();
    if sources.is_empty() {
        // Everything but what makes the first copy is made from that.
        sources = (0..uses.len()).map(|at| usize::from(at > 0)).collect();
    }
    let count = uses.len();
    for (option, length) in [("-residence", residences.len()), ("-rl", levels.len()), ("-as", sources.len())]
    {
        if length != count {
            let text =
                format!("{option} has {length} values, and -uf {count}: each operation needs one of each");
            return Err(CommandError::usage(text));
        }
    }
    let each = uses.iter().zip(residences).zip(levels.iter().zip(&sources));
    each.map(|((number, residence), (level, source))| {
        let use_for = UseFor::ALL.get(*number).copied();
        let use_for = use_for.ok_or_else(|| CommandError::usage(format!("-uf {number}: it is 0 to 5")))?;
        let retention = settings.retention_levels.get(*level).copied().ok_or_else(|| {
            let last = settings.retention_levels.len().saturating_sub(1);
            CommandError::usage(format!("-rl {level}: there are the levels 0 to {last}"))
        })?;
        Ok(Operation {
            use_for,
            storage: if residence == NOWHERE { String::new() } else { residence.to_owned() },
            source: source.checked_sub(1),
            retention_seconds: retention,
        })
    })
    .collect()
}

fn add(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (name, operations) = (name(given)?, operations(given, &emm.settings()?)?);
    emm.change(|database, _| database.add_lifecycle_policy(name, operations))?;
    Ok(String::new())
}

fn modify(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (name, operations) = (name(given)?, operations(given, &emm.settings()?)?);
    emm.change(|database, _| {
        database.lifecycle_policy(name)?;
        database.put_lifecycle_policy(name, operations)
    })?;
    Ok(String::new())
}

fn delete(context: &Context, given: &Given) -> Result<String, CommandError> {
    let name = name(given)?;
    context.emm()?.change(|database, _| database.remove_lifecycle_policy(name))?;
    Ok(String::new())
}

/// The policies that are asked for, each as `print` has it.
fn each(
    context: &Context,
    given: &Given,
    print: impl Fn(&LifecyclePolicy, &Settings) -> String,
) -> Result<String, CommandError> {
    context.existing()?;
    let emm = context.emm()?;
    let (database, settings) = (emm.read()?, emm.settings()?);
    match given.operand() {
        Some(name) => Ok(print(database.lifecycle_policy(name)?, &settings)),
        None => Ok(database.lifecycle_policies().iter().map(|policy| print(policy, &settings)).collect()),
    }
}

fn names(context: &Context, given: &Given) -> Result<String, CommandError> {
    each(context, given, |policy, _| format!("{}\n", policy.name))
}

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    each(context, given, long)
}

/// The level with a retention, and how long that is.
fn retention(seconds: Option<u64>, settings: &Settings) -> String {
    let level = settings.level_of(seconds);
    let level = level.map_or("*".to_owned(), |level| level.to_string());
    let span = seconds.map_or("infinity".to_owned(), |seconds| format!("{} days", seconds / 86_400));
    format!("{level} ({span})")
}

fn long(policy: &LifecyclePolicy, settings: &Settings) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{label:>36}: {value}");
    };
    line("Name", &policy.name);
    line("Data Classification", "(none specified)");
    line("Duplication job priority", "0");
    line("State", "active");
    line("Version", &policy.version.to_string());
    for (number, operation) in (1..).zip(&policy.operations) {
        let use_for = UseFor::ALL.iter().position(|known| *known == operation.use_for).unwrap_or_default();
        line(
            &format!("Operation {number:>2}  Use for"),
            &format!("{use_for} ({})", operation.use_for.words()),
        );
        let storage = if operation.storage.is_empty() { NOWHERE } else { &operation.storage };
        line("Storage", storage);
        line("Retention Type", "0 (Fixed)");
        line("Retention Level", &retention(operation.retention_seconds, settings));
        line("State", "active");
        let source = operation.source.map_or("0 (client)".to_owned(), |at| format!("Operation {}", at + 1));
        line("Source", &source);
    }
    text + "\n"
}
