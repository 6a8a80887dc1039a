//! Events and alarms: what happened to the cluster and its objects, recorded when it happens.
//!
//! Every happening becomes an event. One that needs somebody's attention also raises an alarm, which stays until the
//! condition is over ([`resolve`]) or an administrator deletes it; the same condition of the same object is one alarm.

use serde_json::{Value, json};

use super::{definitions, fields, tables};
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

/// How bad it is; anything above `Info` raises an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Info,
    Minor,
    Major,
    Critical,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Critical => "CRITICAL",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Info, Self::Minor, Self::Major, Self::Critical].into_iter().find(|s| s.name() == name)
    }
}

/// The hidden field with the tenant of an event or alarm.
pub(crate) const TENANT: &str = "_tenant_id";

fn tenant_of(collection: &str, row: &Row) -> Option<u64> {
    fields::tenant_of(&tables::of(collection).fields, row).or_else(|| number(row, "loanee_tenant_id"))
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    /// Name of the event's definition: `QUOTA_EXCEEDED`.
    pub(crate) name: &'static str,
    /// `OBJECT_CREATED`, `OBJECT_MODIFIED`, `OBJECT_DELETED`, `THRESHOLD`, `TASK`, `AUDIT`.
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    /// A sentence for people.
    pub(crate) message: String,
    object_type: String,
    object_id: u64,
    object_name: String,
    object_guid: String,
    /// The tenant whose business it is; none for the administrators of the cluster.
    tenant: Option<u64>,
    metadata: Value,
    /// Who did it; empty for the cluster itself.
    by: String,
}

/// What VMS calls the objects of a collection: `views` are `View`s.
pub(crate) fn type_name(collection: &str) -> String {
    let known = [
        ("cnodes", "CNode"),
        ("dnodes", "DNode"),
        ("vips", "VIP"),
        ("vippools", "VIPPool"),
        ("dns", "DNS"),
        ("viewpolicies", "ViewPolicy"),
        ("qospolicies", "QOSPolicy"),
        ("s3policies", "S3Policy"),
        ("protectionpolicies", "ProtectionPolicy"),
        ("protectedpaths", "ProtectedPath"),
        ("globalsnapstreams", "GlobalSnapStream"),
        ("s3lifecyclerules", "S3LifeCycleRule"),
        ("localproviders", "LocalProvider"),
        ("vtasks", "VTask"),
        ("activedirectory", "ActiveDirectory"),
        ("apitokens", "APIToken"),
        ("cboxes", "CBox"),
        ("dboxes", "DBox"),
        ("dtrays", "DTray"),
        ("eboxes", "EBox"),
        ("kerberos", "Kerberos"),
        ("ldaps", "LDAP"),
        ("nics", "NIC"),
        ("nis", "NIS"),
        ("nvrams", "NVRAM"),
        ("oidcs", "OIDC"),
        ("psus", "PSU"),
        ("s3keys", "S3Key"),
        ("ssds", "SSD"),
        ("vms", "VMS"),
    ];
    if let Some((_, name)) = known.iter().find(|(c, _)| *c == collection) {
        return (*name).to_owned();
    }
    let singular = collection.strip_suffix('s').unwrap_or(collection);
    let mut letters = singular.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl Happening {
    /// Something that happened to the cluster as a whole.
    pub(crate) fn to_cluster(name: &'static str, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            kind,
            severity: Severity::Info,
            message: message.into(),
            object_type: "Cluster".to_owned(),
            object_id: 1,
            object_name: super::engine::CLUSTER_NAME.to_owned(),
            object_guid: String::new(),
            tenant: None,
            metadata: Value::Null,
            by: String::new(),
        }
    }

    /// Something that happened to an object of a collection.
    pub(crate) fn to(
        collection: &str,
        id: u64,
        row: &Row,
        name: &'static str,
        kind: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let called = ["name", "path", "ip"].iter().map(|f| text(row, f)).find(|t| !t.is_empty());
        Self {
            object_type: type_name(collection),
            object_id: id,
            object_name: called.unwrap_or_default().to_owned(),
            object_guid: text(row, "guid").to_owned(),
            tenant: if collection == "tenants" { Some(id) } else { tenant_of(collection, row) },
            ..Self::to_cluster(name, kind, message)
        }
    }

    /// Says which object it is about, by what a client calls it.
    pub(crate) fn about(&mut self, object_type: &str, object_id: u64) {
        object_type.clone_into(&mut self.object_type);
        self.object_id = object_id;
        self.object_name.clear();
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = metadata;
        self
    }

    /// Says who did it: a manager, or a user of S3.
    pub(crate) fn by(mut self, name: &str) -> Self {
        name.clone_into(&mut self.by);
        self
    }

    fn row(&self, now: u64) -> Row {
        let origin = if self.by.is_empty() { "VMS" } else { &self.by };
        let row = json!({
            "timestamp": env::rfc3339(now), "event_type": self.kind, "event_name": self.name,
            "event_definition": self.name, "event_message": self.message, "event_origin": origin,
            "severity": self.severity.name(), "object_type": self.object_type, "object_id": self.object_id,
            "object_name": self.object_name, "object_guid": self.object_guid, "metadata": self.metadata,
            "cluster": super::engine::CLUSTER_NAME, TENANT: self.tenant,
        });
        as_row(row)
    }
}

/// Writes a happening down and raises its alarm, as far as its definition wants that. Gives the event's id.
pub(crate) fn record(core: &Core, state: &mut State, what: &Happening) -> Option<u64> {
    let severity = definitions::judged(state, what.name, &what.object_type, what.severity)?;
    let what = &what.clone().severity(severity);
    let now = core.now_ms();
    let mut event = what.row(now);
    event.insert("guid".to_owned(), env::random_guid(&*core.entropy).into());
    let id = state.vms.insert("events", event);
    trim(state, "events", core.config.monitoring.events_kept);
    if what.severity > Severity::Info {
        raise(state, what, id, now);
        trim(state, "alarms", core.config.monitoring.events_kept);
    }
    Some(id)
}

/// The oldest go first.
fn trim(state: &mut State, kind: &str, kept: usize) {
    while state.vms.len(kind) > kept.max(1) {
        let Some(oldest) = state.vms.rows(kind).next().map(|(id, _)| id) else { return };
        state.vms.remove(kind, oldest);
    }
}

fn open_alarm(state: &State, name: &str, object_type: &str, object_id: u64) -> Option<u64> {
    let same = |(_, row): &(u64, &Row)| {
        text(row, "event_name") == name
            && text(row, "object_type") == object_type
            && number(row, "object_id") == Some(object_id)
    };
    state.vms.rows("alarms").find(same).map(|(id, _)| id)
}

fn raise(state: &mut State, what: &Happening, event: u64, now: u64) {
    let mut alarm = what.row(now);
    let message = alarm.remove("event_message").unwrap_or_default();
    alarm.insert("alarm_message".to_owned(), message);
    alarm.insert("last_updated".to_owned(), env::rfc3339(now).into());
    alarm.insert("event".to_owned(), event.to_string().into());
    alarm.remove("event_origin");
    if let Some(id) = open_alarm(state, what.name, &what.object_type, what.object_id) {
        alarm.remove("timestamp");
        state.vms.update("alarms", id, alarm);
    } else {
        alarm.insert("acknowledged".to_owned(), false.into());
        state.vms.insert("alarms", alarm);
    }
}

/// A condition is over: takes its alarm back. False when there was none.
pub(crate) fn resolve(state: &mut State, name: &str, collection: &str, id: u64) -> bool {
    open_alarm(state, name, &type_name(collection), id).is_some_and(|alarm| state.vms.remove("alarms", alarm))
}

/// Collections whose changes are not news themselves.
pub(crate) const SILENT: &[&str] = &["events", "alarms", "vtasks", "monitors", "apitokens"];

/// Records what a client did to an object; without a name it was the cluster itself.
pub(crate) fn record_change(
    core: &Core,
    state: &mut State,
    by: &str,
    collection: &str,
    id: u64,
    row: &Row,
    kind: &'static str,
) {
    if SILENT.contains(&collection) {
        return;
    }
    let verb = match kind {
        "OBJECT_CREATED" => "was created",
        "OBJECT_DELETED" => "was deleted",
        _ => "was changed",
    };
    let what = Happening::to(collection, id, row, kind, kind, String::new()).by(by);
    let doer = if by.is_empty() { String::new() } else { format!(" by {by}") };
    let message = format!("{} {} {verb}{doer}", what.object_type, what.object_name);
    record(core, state, &Happening { message, ..what });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_have_the_names_that_vms_gives_their_objects() {
        let names = ["views", "quotas", "cnodes", "viewpolicies", "snapshots", "vippools"].map(type_name);
        assert_eq!(names, ["View", "Quota", "CNode", "ViewPolicy", "Snapshot", "VIPPool"]);
    }
}
