//! The field tables: one file per resource under `tables/`, read once.
//!
//! The first line names what may be done: `methods: list create=201 read patch=200 delete=204`. `list=enveloped` is for
//! lists that come in an envelope also when no page is asked for, `delete=task` and `patch=task` for what takes time,
//! `newest-first` for lists in that order, `put=path` for the few that PUT changes as PATCH does, with the field that it must have. Every other line is a field: name, type (`text int float bool object any list list:text` ...), access (`r` shown, `c` taken
//! on creation, `p` taken by PATCH, `!` required on creation, `-` none of these), then what applies of: `{A|B}` the only
//! values, `->views` whose ids it holds (`~>views` where that does not keep them from being deleted), `=x` the value of
//! a field that nobody set. Without the last, lists are empty, switches off and everything else null.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::fields::{Field, Kind, Relation};

/// How a resource is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// At once, answered with this status.
    AtOnce(u16),
    /// By an asynchronous task.
    Task,
}

/// What VMS does with a resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) fields: Vec<Field>,
    pub(crate) list: bool,
    /// Whether the list is in an envelope whatever the client asks.
    pub(crate) enveloped: bool,
    /// Whether the list begins with the newest object.
    pub(crate) newest_first: bool,
    /// Status of a successful POST.
    pub(crate) create: Option<u16>,
    pub(crate) read: bool,
    /// Status of a successful PATCH.
    pub(crate) patch: Option<u16>,
    /// The field that PUT must have, where PUT is taken.
    pub(crate) put: Option<&'static str>,
    /// Whether PATCH is carried out by an asynchronous task.
    pub(crate) patch_by_task: bool,
    pub(crate) delete: Option<Removal>,
}

impl Table {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

macro_rules! sources {
    ($($kind:literal)*) => {
        &[$(($kind, include_str!(concat!("tables/", $kind, ".txt")))),*]
    };
}

#[rustfmt::skip]
static SOURCES: &[(&str, &str)] = sources!(
    "activedirectory" "alarms" "apitokens" "bgpconfigs" "blockhosts" "blockmappings" "callhomeconfigs" "carriers" "cboxes"
    "certificates" "clusters" "cnodegroups" "cnodes" "dboxes" "dnodes" "dns" "dtrays" "eboxes" "encryptedpaths"
    "encryptiongroups" "eventbrokers" "eventdefinitionconfigs" "eventdefinitions" "events" "fans"
    "globalsnapstreams" "groups" "hosts" "iamroles" "indestructibility" "kafkabrokers" "kerberos" "ldaps"
    "licenses" "localproviders" "locals3keys" "managers" "modules" "monitors" "nativereplicationremotetargets"
    "nicports" "nics" "nis" "nvrams" "oidcs" "permissions" "ports" "protectedpaths" "protectionpolicies" "psus"
    "qospolicies" "quotaentityinfos" "quotas" "racks" "realms" "replicationpolicies" "replicationrestorepoints"
    "replicationstreams" "replicationtargets" "roles" "s3keys" "s3lifecyclerules" "s3policies" "snapshotpolicies"
    "snapshots" "ssds" "supportbundles" "switches" "tenants" "tlscertificates" "userquotas" "users" "versions"
    "viewpolicies" "views" "vippools" "vips" "vms" "volumes" "vpntunnels" "vtasks" "webhooks"
);

static TABLES: LazyLock<BTreeMap<&str, Table>> = LazyLock::new(|| {
    let readable = |(kind, text): &(&'static str, &'static str)| match parse(text) {
        Ok(table) => Some((*kind, table)),
        Err(error) => {
            // Cannot happen: a test reads them all.
            tracing::error!(kind, error, "field table");
            None
        }
    };
    SOURCES.iter().filter_map(readable).collect()
});

static NOTHING: LazyLock<Table> = LazyLock::new(Table::default);

/// The table of a resource; an empty one when it has none (paths with actions only).
pub(crate) fn of(kind: &str) -> &'static Table {
    TABLES.get(kind).unwrap_or(&NOTHING)
}

/// All tables.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Table)> {
    TABLES.iter().map(|(kind, table)| (*kind, table))
}

fn parse(text: &'static str) -> Result<Table, String> {
    let mut lines = text.lines();
    let methods = lines.next().and_then(|l| l.strip_prefix("methods:")).ok_or("no methods line")?;
    let mut table = Table::default();
    for word in methods.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let status = || value.parse::<u16>().map_err(|e| format!("{word}: {e}"));
        match name {
            "list" => (table.list, table.enveloped) = (true, value == "enveloped"),
            "newest-first" => table.newest_first = true,
            "read" => table.read = true,
            "create" => table.create = Some(status()?),
            "put" => table.put = Some(value),
            "patch" if value == "task" => (table.patch, table.patch_by_task) = (Some(200), true),
            "patch" => table.patch = Some(status()?),
            "delete" if value == "task" => table.delete = Some(Removal::Task),
            "delete" => table.delete = Some(Removal::AtOnce(status()?)),
            _ => return Err(format!("unknown method {word}")),
        }
    }
    table.fields = lines.map(field).collect::<Result<_, _>>()?;
    Ok(table)
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "text" => Kind::Text,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "bool" => Kind::Bool,
        "object" => Kind::Object,
        "any" => Kind::Any,
        "list" | "list:any" => Kind::List(&Kind::Any),
        "list:text" => Kind::List(&Kind::Text),
        "list:int" => Kind::List(&Kind::Int),
        "list:float" => Kind::List(&Kind::Float),
        "list:bool" => Kind::List(&Kind::Bool),
        "list:object" => Kind::List(&Kind::Object),
        "list:list" => Kind::List(&Kind::List(&Kind::Any)),
        _ => return None,
    })
}

fn field(line: &'static str) -> Result<Field, String> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or_else(|| format!("{line:?} is too short"));
    let (name, type_name, access) = (word()?, word()?, word()?);
    let kind = kind(type_name).ok_or_else(|| format!("{line:?}: unknown type"))?;
    if access.chars().any(|c| !"rcp!-".contains(c)) {
        return Err(format!("{line:?}: unknown access"));
    }
    let has = |c: char| access.contains(c);
    let unset = match kind {
        Kind::Bool => false.into(),
        Kind::List(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    };
    let mut field = Field {
        name,
        kind,
        shown: has('r'),
        on_create: has('c'),
        on_patch: has('p'),
        required: has('!'),
        choices: Vec::new(),
        relation: None,
        unset,
    };
    for extra in words {
        if let Some(choices) = extra.strip_prefix('{').and_then(|e| e.strip_suffix('}')) {
            field.choices = choices.split('|').collect();
        } else if let Some(kind) = extra.strip_prefix("->") {
            field.relation = Some(Relation { kind, binding: true });
        } else if let Some(kind) = extra.strip_prefix("~>") {
            field.relation = Some(Relation { kind, binding: false });
        } else if let Some(unset) = extra.strip_prefix('=') {
            field.unset = resting(kind, unset).ok_or_else(|| format!("{line:?}: bad default"))?;
        } else {
            return Err(format!("{line:?}: what is {extra:?}?"));
        }
    }
    Ok(field)
}

fn resting(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Int => text.parse::<i64>().ok().map(Value::from),
        Kind::Float => text.parse::<f64>().ok().map(Value::from),
        Kind::Bool => text.parse::<bool>().ok().map(Value::from),
        Kind::Text => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_can_be_read() {
        for (kind, text) in SOURCES {
            let table = parse(text).unwrap_or_else(|e| panic!("{kind}: {e}"));
            assert!(!table.fields.is_empty() && (table.list || table.read), "{kind}");
            let names: std::collections::BTreeSet<_> = table.fields.iter().map(|f| f.name).collect();
            assert_eq!(names.len(), table.fields.len(), "{kind} has a field twice");
            for field in &table.fields {
                assert!(
                    field.relation.is_none_or(|r| !of(r.kind).fields.is_empty()),
                    "{kind}.{} leads nowhere",
                    field.name
                );
            }
        }
        assert_eq!(all().count(), SOURCES.len());
    }

    #[test]
    fn a_line_says_all_about_a_field() {
        let all = field("role text rcp! {A|B} =A").unwrap();
        assert!(all.shown && all.on_create && all.on_patch && all.required);
        assert_eq!((all.choices.as_slice(), &all.unset), (["A", "B"].as_slice(), &Value::from("A")));
        let policy = field("policy_id int c ->viewpolicies").unwrap();
        assert_eq!(policy.relation, Some(Relation { kind: "viewpolicies", binding: true }));
        for bad in ["x", "x text", "x what r", "x text q", "x int r =one", "x text r huh"] {
            assert!(field(bad).is_err(), "{bad}");
        }
        assert!(parse("id int r").is_err());
    }
}
