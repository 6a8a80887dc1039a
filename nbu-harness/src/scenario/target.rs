//! A second cluster that backups are replicated to: as it is written, resolved, and in words.

use super::Step;
use super::file::LsuFile;
use super::lifecycle::backs_up_to;
use super::resolve::{self, Problem};
use super::storage::{Cluster, EmbeddedCluster, Lsu, StorageServer, StorageUnitSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

/// A cluster in this process with a storage server of its own. Its LSUs are named with that: `vast2:lsu0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetCluster {
    /// Its storage server, without the type.
    pub server: String,
    /// Its settings.
    pub cluster: EmbeddedCluster,
    /// LSUs to provide, each an S3 view.
    pub lsus: Vec<Lsu>,
}

impl TargetCluster {
    /// What stands before the name of each of its LSUs.
    pub fn prefix(&self) -> String {
        format!("{}:", self.server)
    }

    /// Names of its LSUs as replication and storage units have them.
    pub(super) fn lsu_names(&self) -> impl Iterator<Item = String> {
        self.lsus.iter().map(|lsu| format!("{}{}", self.prefix(), lsu.name))
    }
}

/// A cluster that backups are replicated to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetFile {
    /// Its storage server, without the type: letters, digits, `-` and `_`.
    #[schemars(with = "String")]
    server: Spanned<String>,
    /// Its settings.
    #[serde(default)]
    cluster: EmbeddedCluster,
    /// LSUs to provide. Replication and storage units name them with the server: `vast2:lsu0`.
    lsus: Vec<LsuFile>,
}

pub(super) fn resolve(
    file: Option<TargetFile>,
    first: &Cluster,
    server: &StorageServer,
) -> Result<Option<TargetCluster>, Problem> {
    let Some(TargetFile { server: name, cluster, lsus }) = file else { return Ok(None) };
    let (place, name) = (name.referenced, name.value);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(good) {
        let message = format!("`{name}` cannot be the name of a storage server here");
        return Err(Problem::new(place, message, "expected 1 to 63 letters, digits, - and _"));
    }
    if name == server.name {
        return Err(resolve::twice(place, &name, "storage server"));
    }
    if matches!(first, Cluster::External(_)) {
        let message = "a target needs an embedded cluster to replicate from";
        return Err(Problem::new(place, message, "use `cluster: {embedded: {}}`"));
    }
    resolve::vips(place, &cluster)?;
    Ok(Some(TargetCluster { server: name, cluster, lsus: resolve::lsus(lsus)? }))
}

/// Storage units on the target are the target domain's: nothing else can be asked of them. `written` is what the policy
/// writes to: of each copy, and of each group, every unit counts.
pub(super) fn used_rightly(
    target: Option<&TargetCluster>,
    domain: &super::topology::Domain,
    written: &[Spanned<String>],
    run: (Location, &[Step]),
) -> Result<(), Problem> {
    let Some(prefix) = target.map(TargetCluster::prefix) else { return Ok(()) };
    let at_target = |unit: &&StorageUnitSpec| unit.lsu.starts_with(&prefix);
    for named in written {
        let label = backs_up_to(&domain.slps, &named.value);
        let group = domain.groups.iter().find(|group| group.label == label);
        let in_it = |unit: &&StorageUnitSpec| {
            group.map_or(unit.label == label, |group| group.units.contains(&unit.label))
        };
        if let Some(unit) = domain.units.iter().filter(in_it).find(at_target) {
            return Err(refused(named.referenced, unit));
        }
    }
    let copies = run.1.iter().filter_map(|step| match step {
        Step::Duplicate(step) => domain.units.get(step.to).filter(at_target),
        _ => None,
    });
    copies.map(|unit| refused(run.0, unit)).next().map_or(Ok(()), Err)
}

fn refused(place: Location, unit: &StorageUnitSpec) -> Problem {
    let message = format!("{} is on the target cluster: only `import_replicas` can use it", unit.label);
    Problem::new(place, message, "name a storage unit of the first cluster")
}

pub(super) fn tell(target: &TargetCluster, server_type: &str) -> String {
    format!(
        "Storage server {server_type}:{}, behind it another simulated cluster with {} VIPs over {}, is the target \
         domain's: LSUs {}.",
        target.server,
        target.cluster.vips,
        target.cluster.s3.name().to_uppercase(),
        target.lsu_names().collect::<Vec<_>>().join(", ")
    )
}
