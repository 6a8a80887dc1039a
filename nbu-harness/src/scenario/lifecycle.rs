//! Storage lifecycle policies: as they are written, resolved and told.

use super::diagnostic::nearest;
use super::domain::GroupSpec;
use super::flows::Domain;
use super::resolve::Problem;
use super::spec::Scenario;
use super::storage::StorageUnitSpec;
use super::values::{ByteSize, Milliseconds};
use crate::emm::{LifecyclePolicy, Operation, UseFor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

/// A storage lifecycle policy of one of the domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlpSpec {
    /// The domain that has it.
    pub domain: Domain,
    /// The policy.
    #[serde(flatten)]
    pub policy: LifecyclePolicy,
}

/// A storage lifecycle policy: the first copy of a backup, and what is made of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SlpFile {
    /// Its name, which a policy has for `storage`.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// The domain that has it; default: the one that backs up.
    #[serde(default)]
    domain: Domain,
    /// What it does, in order; the first operation makes the first copy.
    #[schemars(with = "Vec<OperationFile>")]
    operations: Vec<Spanned<OperationFile>>,
}

/// One operation: exactly one of `backup`, `import`, `duplicate` and `replicate`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OperationFile {
    /// Storage unit or group that the backup goes to.
    backup: Option<String>,
    /// Storage unit whose LSU another domain replicates to.
    import: Option<String>,
    /// Storage unit or group that a copy goes to.
    duplicate: Option<String>,
    /// A copy goes to the replication targets of the LSU.
    replicate: Option<bool>,
    /// How long after the backup image cleanup deletes its copy; default: never.
    retention: Option<Milliseconds>,
    /// Number of the operation whose copy it works from, from 1; default: the first.
    source: Option<u32>,
}

/// Parameters of storage lifecycle policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlpParameters {
    /// Time between two looks at what is to be copied.
    pub image_processing_interval: Milliseconds,
    /// Tries of a copy that follow each other at that interval.
    pub fast_tries: u32,
    /// Time between the later ones.
    pub extended_retry: Milliseconds,
    /// Bytes of images that one job copies at most.
    pub max_batch: ByteSize,
    /// How often a target domain asks for events.
    pub event_polling: Milliseconds,
}

impl Default for SlpParameters {
    fn default() -> Self {
        Self {
            image_processing_interval: Milliseconds(300_000),
            fast_tries: 3,
            extended_retry: Milliseconds(2 * 3_600_000),
            max_batch: ByteSize(100 << 30),
            event_polling: Milliseconds(300_000),
        }
    }
}

/// Whether parameters can be used.
pub(super) fn parameters(given: Option<&Spanned<SlpParameters>>) -> Result<(), Problem> {
    let Some(given) = given else { return Ok(()) };
    let SlpParameters { image_processing_interval, fast_tries, extended_retry, event_polling, .. } =
        given.value;
    if [image_processing_interval, extended_retry, event_polling].iter().any(|time| time.0 < 1000) {
        let help = "expected at least 1s, such as {image_processing_interval: 5m}";
        return Err(Problem::new(given.referenced, "not an interval of storage lifecycle policies", help));
    }
    if fast_tries == 0 {
        return Err(Problem::new(given.referenced, "not a number of tries", "expected at least 1"));
    }
    Ok(())
}

/// What policies may send backups to.
struct Storage<'a> {
    units: &'a [StorageUnitSpec],
    groups: &'a [GroupSpec],
}

pub(super) fn resolve(
    slps: Vec<SlpFile>,
    units: &[StorageUnitSpec],
    groups: &[GroupSpec],
) -> Result<Vec<SlpSpec>, Problem> {
    let storage = Storage { units, groups };
    let mut resolved: Vec<SlpSpec> = Vec::new();
    for SlpFile { name, domain, operations } in slps {
        let place = name.referenced;
        let name = checked_name(&name)?;
        if storage.labels().contains(&name.as_str())
            || resolved.iter().any(|other| other.domain == domain && other.policy.name == name)
        {
            let message =
                format!("there is another storage unit, group or storage lifecycle policy `{name}`");
            return Err(Problem::new(
                place,
                message,
                "a policy names its storage by it: give each its own name",
            ));
        }
        let mut policy = LifecyclePolicy { name, version: 0, operations: Vec::new() };
        for operation in operations {
            let operation = storage.operation(&policy, operation)?;
            policy.operations.push(operation);
        }
        let first = policy.operations.first().map(|operation| operation.use_for);
        if !matches!((domain, first), (_, Some(UseFor::Backup)) | (Domain::Target, Some(UseFor::Import))) {
            let message = format!("storage lifecycle policy `{}` does not begin with a backup", policy.name);
            let help = match domain {
                Domain::Source => "add `{backup: UNIT}` in front of its operations",
                Domain::Target => "add `{import: UNIT}` or `{backup: UNIT}` in front of its operations",
            };
            return Err(Problem::new(place, message, help));
        }
        resolved.push(SlpSpec { domain, policy });
    }
    Ok(resolved)
}

/// The name becomes part of those of jobs, and of a field of the plug-in's interface.
fn checked_name(name: &Spanned<String>) -> Result<String, Problem> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(good) {
        let message = format!("`{}` cannot be the name of a storage lifecycle policy", name.value);
        return Err(Problem::new(name.referenced, message, "expected 1 to 64 letters, digits, -, _ and ."));
    }
    Ok(name.value.clone())
}

impl Storage<'_> {
    fn labels(&self) -> Vec<&str> {
        let units = self.units.iter().map(|unit| unit.label.as_str());
        units.chain(self.groups.iter().map(|group| group.label.as_str())).collect()
    }

    /// Disk pools of a unit, or of a group's units.
    fn pools(&self, label: &str) -> Vec<&str> {
        let group = self.groups.iter().find(|group| group.label == label);
        let of = |unit: &&StorageUnitSpec| match group {
            Some(group) => group.units.contains(&unit.label),
            None => unit.label == label,
        };
        self.units.iter().filter(of).map(|unit| unit.pool.as_str()).collect()
    }

    fn known(&self, place: Location, label: String) -> Result<String, Problem> {
        let labels = self.labels();
        if labels.contains(&label.as_str()) {
            return Ok(label);
        }
        let message = format!("there is no storage unit `{label}`");
        Err(Problem::new(place, message, nearest("label", &label, &labels)))
    }

    /// An operation behind those that its policy has already.
    fn operation(
        &self,
        policy: &LifecyclePolicy,
        file: Spanned<OperationFile>,
    ) -> Result<Operation, Problem> {
        let (place, file) = (file.referenced, file.value);
        let wrong = |message: String, help: &str| Err(Problem::new(place, message, help));
        let (use_for, storage) = match (file.backup, file.import, file.duplicate, file.replicate) {
            (Some(storage), None, None, None) => (UseFor::Backup, self.known(place, storage)?),
            (None, Some(storage), None, None) => (UseFor::Import, self.known(place, storage)?),
            (None, None, Some(storage), None) => (UseFor::Duplication, self.known(place, storage)?),
            (None, None, None, Some(true)) => (UseFor::Replication, String::new()),
            _ => {
                let help =
                    "give one of `backup: UNIT`, `import: UNIT`, `duplicate: UNIT` and `replicate: true`";
                return wrong("an operation does one thing".into(), help);
            }
        };
        let retention_seconds = file.retention.map(|time| time.0 / 1000);
        if matches!(use_for, UseFor::Backup | UseFor::Import) {
            if file.source.is_some() || !policy.operations.is_empty() {
                let help = "there is one backup or import, it comes first and has no source";
                return wrong(format!("{} has no source", use_for.words()), help);
            }
            return Ok(Operation { use_for, storage, source: None, retention_seconds });
        }
        let source = file.source.unwrap_or(1);
        let at = usize::try_from(source).ok().and_then(|source| source.checked_sub(1));
        let Some((at, from)) = at.and_then(|at| Some((at, policy.operations.get(at)?))) else {
            let message = format!("operation {source} does not come before this one");
            return wrong(message, "its source is an operation above it, counted from 1");
        };
        if from.use_for == UseFor::Replication {
            return wrong(
                format!("the copy of operation {source} is in another domain"),
                "name another source",
            );
        }
        let read = self.pools(&from.storage);
        if use_for == UseFor::Duplication && self.pools(&storage).iter().any(|pool| read.contains(pool)) {
            let message = format!("a duplicate of what is on `{}` cannot go to `{storage}`", from.storage);
            return wrong(message, "name a storage unit on another disk pool");
        }
        Ok(Operation { use_for, storage, source: Some(at), retention_seconds })
    }
}

/// The storage that a policy of the domain that backs up sends its backups to by this name; the name itself, if it is no
/// storage lifecycle policy's.
pub(super) fn backs_up_to<'a>(slps: &'a [SlpSpec], name: &'a str) -> &'a str {
    let slp = slps.iter().find(|slp| slp.domain == Domain::Source && slp.policy.name == name);
    let first = slp.and_then(|slp| slp.policy.operations.first());
    first.map_or(name, |operation| &operation.storage)
}

/// Each policy as a line.
pub(super) fn tell(scenario: &Scenario) -> impl Iterator<Item = String> {
    scenario.slps.iter().map(|slp| {
        let operations = (1..).zip(&slp.policy.operations).map(|(number, operation)| {
            let what = match operation.use_for {
                UseFor::Replication => "replication".to_owned(),
                UseFor::Import => format!("import from {}", operation.storage),
                use_for => format!("{} to {}", use_for.words().to_lowercase(), operation.storage),
            };
            let of = operation.source.map(|at| format!(" of {}", at + 1)).unwrap_or_default();
            let kept = operation.retention_seconds;
            let kept = kept.map(|seconds| format!(" for {} days", seconds / 86_400)).unwrap_or_default();
            format!("{number} {what}{of}{kept}")
        });
        let operations = operations.collect::<Vec<_>>().join(", ");
        format!("Storage lifecycle policy {}{}: {operations}.", slp.policy.name, slp.domain.words())
    })
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    fn scenario(slps: &str, storage: &str) -> Result<crate::scenario::Scenario, String> {
        let text = format!(
            "scenario: NBU-SLP-900\ntitle: t\nstorage:\n  lsus: [{{name: lsu0}}, {{name: lsu1}}]\n  units: [{{label: \
             stu1, lsu: lsu0}}, {{label: stu2, lsu: lsu1}}, {{label: same, lsu: lsu0}}]\n  slps: {slps}\npolicy: {{name: p, \
             storage: {storage}}}\nselections: [GEN_DATA]\nrun: [{{backup: {{}}}}]\n"
        );
        parse("t.yaml", &text).map_err(|error| error.render(false))
    }

    #[test]
    fn a_policy_backs_up_to_the_unit_of_its_storage_lifecycle_policy() {
        let slps = "[{name: gold, operations: [{backup: stu2, retention: 14d}, {duplicate: stu1}, {replicate: true}, \
                    {replicate: true, source: 2}]}]";
        let scenario = scenario(slps, "gold").unwrap();
        let told: Vec<String> = super::tell(&scenario).collect();
        assert_eq!(
            told,
            [
                "Storage lifecycle policy gold: 1 backup to stu2 for 14 days, 2 duplication to stu1 of 1, 3 replication of 1, 4 \
              replication of 2."
            ]
        );
        assert_eq!((scenario.unit().label.as_str(), scenario.policy_storage.as_str()), ("stu2", "gold"));
        let operations = &scenario.slps[0].policy.operations;
        let sources: Vec<_> = operations.iter().map(|operation| operation.source).collect();
        assert_eq!(sources, [None, Some(0), Some(0), Some(1)]);
        assert_eq!(operations[0].retention_seconds, Some(14 * 86_400));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_is_wrong() {
        let one = |operations: &str| format!("[{{name: gold, operations: [{operations}]}}]");
        for (slps, says) in [
            (one(""), "does not begin with a backup"),
            (one("{duplicate: stu2}"), "operation 1 does not come before this one"),
            (one("{import: stu1}"), "does not begin with a backup"),
            (one("{backup: stu1}, {backup: stu2}"), "Backup has no source"),
            (one("{backup: stu9}"), "there is no storage unit `stu9`"),
            (one("{backup: stu1}, {duplicate: stu1}"), "cannot go to `stu1`"),
            (one("{backup: stu1}, {duplicate: same}"), "cannot go to `same`"),
            (one("{backup: stu1}, {duplicate: stu2, source: 2}"), "operation 2 does not come before"),
            (one("{backup: stu1}, {replicate: true}, {duplicate: stu2, source: 2}"), "is in another domain"),
            (one("{backup: stu1}, {replicate: false}"), "an operation does one thing"),
            (one("{backup: stu1, duplicate: stu2}"), "an operation does one thing"),
            ("[{name: stu1, operations: [{backup: stu1}]}]".into(), "there is another storage unit"),
            ("[{name: 'a b', operations: [{backup: stu1}]}]".into(), "cannot be the name"),
        ] {
            let error = scenario(&slps, "stu1").unwrap_err();
            assert!(error.contains(says), "{slps}: {error}");
        }
        let twice = "[{name: a, operations: [{backup: stu1}]}, {name: a, operations: [{backup: stu1}]}]";
        assert!(scenario(twice, "a").unwrap_err().contains("there is another"));
        let both = "[{name: a, operations: [{backup: stu1}]}, {name: a, domain: target, operations: [{import: stu2}]}]";
        assert_eq!(scenario(both, "a").unwrap().slps.len(), 2);
        let kept =
            scenario("[{name: a, operations: [{backup: stu1}]}]", "a, schedules: [{name: s, retention: 1d}]")
                .unwrap_err();
        assert!(kept.contains("`a` says how long its copies are kept"), "{kept}");
        let misspelt = scenario("[{name: gold, operations: [{backup: stu1}]}]", "gald").unwrap_err();
        assert!(misspelt.contains("gold"), "{misspelt}");
    }
}
