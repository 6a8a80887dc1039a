//! Event definitions: every event that the cluster can record, how bad it is, and whether it is recorded at all. They are
//! the rows of `/eventdefinitions/`, which administrators change; `/eventdefinitionconfigs/` maps severities to others.

use std::sync::Arc;

use serde_json::{Value, json};

use super::engine;
use super::events::{Severity, type_name};
use super::tables;
use crate::core::Core;
use crate::store::registry::{Row, as_row, flag, text};
use crate::store::state::State;

const KIND: &str = "eventdefinitions";
const CONFIG: &str = "eventdefinitionconfigs";

/// Name, collection of the objects, type, severity and what has happened.
type Definition = (&'static str, &'static str, &'static str, Severity, &'static str);

const DEFINITIONS: &[Definition] = &[
    ("CNODE_ACTIVE", "cnodes", "OBJECT_MODIFIED", Severity::Info, "A CNode is active again"),
    ("CNODE_FAILED", "cnodes", "OBJECT_MODIFIED", Severity::Critical, "A CNode has failed"),
    ("CNODE_INACTIVE", "cnodes", "OBJECT_MODIFIED", Severity::Minor, "A CNode is inactive"),
    ("LOGIN_FAILED", "clusters", "AUDIT", Severity::Info, "Somebody failed to log in to VMS"),
    ("NOTIFIER_EVENT", "clusters", "NOTIFIER_EVENT", Severity::Info, "A client recorded an event"),
    ("QUOTA_GRACE_EXPIRED", "quotas", "THRESHOLD", Severity::Critical, "The grace period of a quota is over"),
    ("QUOTA_HARD_EXCEEDED", "quotas", "THRESHOLD", Severity::Major, "The hard limit of a quota is reached"),
    ("QUOTA_OK", "quotas", "THRESHOLD", Severity::Info, "A quota is within its limits again"),
    ("QUOTA_SOFT_EXCEEDED", "quotas", "THRESHOLD", Severity::Minor, "The soft limit of a quota is exceeded"),
    ("SNAPSHOT_CREATED", "protectedpaths", "TASK", Severity::Info, "A snapshot was taken by its schedule"),
    ("SNAPSHOT_FAILED", "protectedpaths", "TASK", Severity::Major, "A scheduled snapshot could not be taken"),
    ("TASK_FAILED", "vtasks", "TASK", Severity::Minor, "A task has failed"),
    ("VIP_MOVED", "vips", "OBJECT_MODIFIED", Severity::Info, "A VIP has moved to another CNode"),
];

/// What clients do to objects of a collection, for the collections whose objects clients make.
fn of_changes(kind: &'static str) -> [Definition; 3] {
    [
        ("OBJECT_CREATED", kind, "OBJECT_CREATED", Severity::Info, "An object was created"),
        ("OBJECT_MODIFIED", kind, "OBJECT_MODIFIED", Severity::Info, "An object was changed"),
        ("OBJECT_DELETED", kind, "OBJECT_DELETED", Severity::Info, "An object was deleted"),
    ]
}

fn find(state: &State, name: &str, object_type: &str) -> Option<u64> {
    let same = |row: &Row| text(row, "name") == name && text(row, "object_type") == object_type;
    state.vms.rows(KIND).find(|(_, row)| same(row)).map(|(id, _)| id)
}

/// Makes the definitions that a cluster lacks, and the row of settings.
pub(crate) fn seed(core: &Arc<Core>, state: &mut State) {
    let changing = |(kind, table): (&'static str, &tables::Table)| {
        let noted =
            !super::events::SILENT.contains(&kind) && (table.create.is_some() || table.patch.is_some());
        noted.then(|| of_changes(kind))
    };
    let all = tables::all().filter_map(changing).flatten().chain(DEFINITIONS.iter().copied());
    let known: std::collections::HashSet<(String, String)> = state
        .vms
        .rows(KIND)
        .map(|(_, row)| (text(row, "name").to_owned(), text(row, "object_type").to_owned()))
        .collect();
    for (name, kind, event_type, severity, message) in all {
        let object_type = type_name(kind);
        if known.contains(&(name.to_owned(), object_type.clone())) {
            continue;
        }
        let metadata = if event_type == "THRESHOLD" { json!({ "property": "state" }) } else { json!({}) };
        let row = json!({
            "name": name, "object_type": object_type, "event_type": event_type, "severity": severity.name(),
            "event_message": message, "enabled": true, "property": metadata.get("property"), "metadata": metadata,
        });
        engine::insert(core, state, KIND, as_row(row));
    }
    if state.vms.len(CONFIG) == 0 {
        let row = json!({
            "info_value": "INFO", "minor_value": "MINOR", "major_value": "MAJOR", "critical_value": "CRITICAL",
        });
        engine::insert(core, state, CONFIG, as_row(row));
    }
}

/// What administrators have made of an event: none when it is not to be recorded, else its severity.
pub(crate) fn judged(state: &State, name: &str, object_type: &str, severity: Severity) -> Option<Severity> {
    let row = find(state, name, object_type).and_then(|id| state.vms.row(KIND, id));
    if row.is_some_and(|row| row.get("enabled") == Some(&Value::Bool(false))) {
        return None;
    }
    let changed = row.filter(|row| flag(row, "user_modified"));
    let severity = changed.and_then(|row| Severity::named(text(row, "severity"))).unwrap_or(severity);
    let field = format!("{}_value", severity.name().to_ascii_lowercase());
    let mapped = state.vms.rows(CONFIG).next().map(|(_, row)| text(row, &field));
    Some(mapped.and_then(Severity::named).unwrap_or(severity))
}
