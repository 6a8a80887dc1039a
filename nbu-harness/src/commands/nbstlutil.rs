//! `nbstlutil`: how far storage lifecycle policies are with their images, as the primary of the home left it.
//!
//! The verbs, the options, and the states with their numbers are public. The words around them and the labels of `-U` are
//! from memory and not verified.

use super::options::{Given, Opt, Verb, flag, optional};
use super::{CommandError, Context};
use crate::emm::UseFor;
use crate::primary::{
    LifecycleImage, LifecycleImages, LifecycleState, PendingImport, Work, lifecycle_images,
};
use std::fmt::Write;

const IMAGES: &[Opt] =
    &[flag("-U"), optional("-backupid", "ID"), optional("-lifecycle", "NAME"), flag("-image_incomplete")];

pub(super) const VERBS: &[Verb] = &[
    Verb { name: "list", options: IMAGES, run: list },
    Verb { name: "stlilist", options: IMAGES, run: list },
    Verb { name: "repllist", options: IMAGES, run: replications },
    Verb { name: "pendimplist", options: &[flag("-U"), optional("-lifecycle", "NAME")], run: pending },
];

fn kept(context: &Context) -> Result<LifecycleImages, CommandError> {
    let home = context.existing()?;
    lifecycle_images(home).map_err(|error| {
        let status = if error.kind() == std::io::ErrorKind::InvalidData { 130 } else { 11 };
        CommandError {
            status,
            text: format!("the images of lifecycle policies in {}: {error}", home.display()),
        }
    })
}

fn none(what: &str) -> CommandError {
    CommandError { status: 227, text: format!("there is no such {what}") }
}

/// The images that are asked for, those that came first in front.
fn asked(context: &Context, given: &Given) -> Result<Vec<LifecycleImage>, CommandError> {
    let mut images = kept(context)?.images;
    let is = |option: &str, value: &str| given.value(option).is_none_or(|wanted| wanted == value);
    images.retain(|image| {
        is("-backupid", &image.backup_id)
            && is("-lifecycle", &image.policy.name)
            && !(given.has("-image_incomplete") && image.state() == LifecycleState::Complete)
    });
    images.sort_by(|a, b| (a.entered, &a.backup_id).cmp(&(b.entered, &b.backup_id)));
    Ok(images)
}

/// A state with its number.
fn state(of: LifecycleState) -> String {
    format!("{} ({})", of as u8, of.words())
}

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    let images = asked(context, given)?;
    if images.is_empty() {
        return Err(none("image of a storage lifecycle policy"));
    }
    Ok(if given.has("-U") { images.iter().map(labels).collect() } else { images.iter().map(lines).collect() })
}

fn lines(image: &LifecycleImage) -> String {
    let mut text = format!(
        "Image {} for Lifecycle {} is {}\n",
        image.backup_id,
        image.policy.name,
        image.state().words()
    );
    for (operation, work) in image.policy.operations.iter().zip(&image.operations) {
        let what = match operation.use_for {
            UseFor::Replication => "Replication".to_owned(),
            UseFor::Duplication => format!("Copy to {}", operation.storage),
            _ => continue,
        };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  {what} is {}", work.state().words());
    }
    text
}

fn labels(image: &LifecycleImage) -> String {
    let mut text = String::from("Image:\n");
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, " {label:<26}: {value}");
    };
    line("Backup ID", &image.backup_id);
    line("Storage Lifecycle Policy", &image.policy.name);
    line("Storage Lifecycle State", &state(image.state()));
    line("Version Number", &image.policy.version.to_string());
    line("Time In Process", &image.entered.to_string());
    line("Kilobytes", &image.kbytes.to_string());
    for (number, (operation, work)) in (1..).zip(image.policy.operations.iter().zip(&image.operations)) {
        let storage = if operation.storage.is_empty() { "*NULL*" } else { &operation.storage };
        line("  Operation", &format!("{number} ({})", operation.use_for.words()));
        line("  Residence", storage);
        let kept = operation.retention_seconds;
        line(
            "  Retention",
            &kept.map_or("infinity".to_owned(), |seconds| format!("{} days", seconds / 86_400)),
        );
        line("  State", &state(work.state()));
        attempts(&mut line, work);
    }
    text + "\n"
}

fn attempts(line: &mut impl FnMut(&str, &str), work: &Work) {
    if let Some(job) = work.job {
        line("  Job ID", &job.to_string());
    }
    if work.failures > 0 {
        line("  Failed Jobs", &work.failures.to_string());
        line("  Next Attempt", &work.not_before.to_string());
    }
}

fn replications(context: &Context, given: &Given) -> Result<String, CommandError> {
    let mut text = String::new();
    for image in asked(context, given)? {
        for (operation, work) in image.policy.operations.iter().zip(&image.operations) {
            if operation.use_for != UseFor::Replication {
                continue;
            }
            let mut line = |label: &str, value: &str| {
                // Writing into a string cannot fail.
                let _ = writeln!(text, " {label:<26}: {value}");
            };
            line("Backup ID", &image.backup_id);
            line("Storage Lifecycle Policy", &image.policy.name);
            line("Replication State", &state(work.state()));
            attempts(&mut line, work);
            text.push('\n');
        }
    }
    if text.is_empty() { Err(none("replication")) } else { Ok(text) }
}

fn pending(context: &Context, given: &Given) -> Result<String, CommandError> {
    let mut imports = kept(context)?.imports;
    let wanted = given.value("-lifecycle");
    imports.retain(|one| one.work.state() != LifecycleState::Complete);
    imports.retain(|one| wanted.is_none_or(|name| name == one.slp));
    if imports.is_empty() {
        return Err(none("import that is still to come"));
    }
    let each = if given.has("-U") { pending_labels } else { pending_line };
    Ok(imports.iter().map(each).collect())
}

fn pending_line(one: &PendingImport) -> String {
    format!(
        "Event {} of {} for Lifecycle {} is {}\n",
        one.number,
        one.volume,
        one.slp,
        one.work.state().words()
    )
}

fn pending_labels(one: &PendingImport) -> String {
    let mut text = String::from("Pending Import:\n");
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, " {label:<26}: {value}");
    };
    line("Disk Volume", &one.volume);
    line("Event", &one.number.to_string());
    line("Storage Lifecycle Policy", &one.slp);
    line("Insertion Time", &one.heard.to_string());
    line("State", &state(one.work.state()));
    attempts(&mut line, &one.work);
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_was_tried_says_when_it_is_tried_again() {
        let work = Work { done: false, job: None, failures: 3, not_before: 7200 };
        let one = PendingImport { volume: "lsu1".into(), number: 7, slp: "gold".into(), heard: 300, work };
        assert_eq!(pending_line(&one), "Event 7 of lsu1 for Lifecycle gold is IN_PROCESS\n");
        let labels = pending_labels(&one);
        for line in [
            " Insertion Time            : 300",
            "   Failed Jobs             : 3",
            "   Next Attempt            : 7200",
        ] {
            assert!(labels.lines().any(|printed| printed == line), "{line:?} in {labels}");
        }
        let running = Work { job: Some(12), failures: 0, ..one.work.clone() };
        let labels = pending_labels(&PendingImport { work: running, ..one });
        assert!(labels.contains("Job ID") && !labels.contains("Next Attempt"), "{labels}");
    }
}
