//! LSUs: S3 views with a bucket, and how full they are.

use crate::error::{Detail, Error, Result, Thing};
use crate::s3::lock::RetentionMode;
use crate::vms::Vms;
use crate::vms::resources::{Cluster, Quota, View};

/// What the capacity of an LSU is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapacitySource {
    /// The hard limit of a quota on this path: the view's own, or the nearest parent's that has one.
    Quota(String),
    /// The cluster's capacity, for want of a quota.
    Cluster,
    /// VMS states no capacity.
    Unknown,
}

/// A logical storage unit: an S3 view with a bucket, named like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsu {
    /// The bucket's name.
    pub name: String,
    /// The view's path in the Element Store.
    pub path: String,
    /// The tenant it belongs to, as VMS names it; empty when VMS does not say.
    pub tenant: String,
    /// Bytes it can hold; 0 when unknown.
    pub capacity_bytes: u64,
    /// Bytes of that in use: by everything under the quota's path, or by the view when the cluster is the limit.
    pub used_bytes: u64,
    /// Bytes that can still be written, by the quota and by the cluster.
    pub free_bytes: u64,
    /// Bytes that the view takes after data reduction.
    pub physical_used_bytes: u64,
    /// Where the capacity comes from.
    pub capacity_source: CapacitySource,
    /// The bucket keeps versions.
    pub versioning: bool,
    /// The bucket can lock objects (WORM).
    pub locking: bool,
    /// For how long it locks them.
    pub retention: RetentionRules,
}

/// What a view says about how long object versions are locked. Periods are seconds.
///
/// VAST writes them as `30d`; its years have 365 days here. The unit `m` is documented as minutes in one place and as
/// months in others; it is taken for minutes, since the server has the last word on a period that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionRules {
    /// The mode that a version gets whose writer asks for none; `None` if it then gets no retention.
    pub default_mode: Option<RetentionMode>,
    /// For how long a version is locked whose writer does not say.
    pub default_seconds: Option<u64>,
    /// The shortest period that a version can be locked for.
    pub min_seconds: Option<u64>,
    /// The longest period that a version can be locked for.
    pub max_seconds: Option<u64>,
}

impl RetentionRules {
    fn of(view: &View) -> Self {
        let seconds = |field: &Option<String>| field.as_deref().and_then(period);
        Self {
            default_mode: view.s3_locks_retention_mode.as_deref().and_then(RetentionMode::from_name),
            default_seconds: seconds(&view.default_retention_period),
            min_seconds: seconds(&view.min_retention_period),
            max_seconds: seconds(&view.max_retention_period),
        }
    }
}

/// A period as views have it, a number and one of the units m, h, d and y, in seconds.
fn period(text: &str) -> Option<u64> {
    let text = text.trim();
    let (at, unit) = text.char_indices().last()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'y' => 365 * 24 * 60 * 60,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(seconds).filter(|&period| period > 0)
}

/// All LSUs, in the order of their names.
pub(crate) async fn lsus(vms: &Vms) -> Result<Vec<Lsu>> {
    let views = vms.views().await?;
    let (quotas, cluster) = limits(vms).await?;
    let mut lsus: Vec<Lsu> = views
        .iter()
        .filter(|view| is_ours(view, vms.tenant()))
        .filter_map(|view| lsu_of(view, &quotas, &cluster))
        .collect();
    lsus.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lsus)
}

/// The LSU of this name.
pub(crate) async fn lsu(vms: &Vms, name: &str) -> Result<Lsu> {
    let views = vms.views_of_bucket(name).await?;
    let ours = |view: &&View| view.bucket.as_deref() == Some(name) && is_ours(view, vms.tenant());
    if let Some(view) = views.iter().find(ours) {
        let (quotas, cluster) = limits(vms).await?;
        if let Some(lsu) = lsu_of(view, &quotas, &cluster) {
            return Ok(lsu);
        }
    }
    let detail = Detail::new(format!("LSU {name}"), "the cluster has no S3 view with a bucket of this name")
        .advice("check the name, or create the view with protocol S3 and this bucket in VMS");
    Err(Error::NotFound(Thing::Lsu, Box::new(detail)))
}

async fn limits(vms: &Vms) -> Result<(Vec<Quota>, Cluster)> {
    let quotas = vms.quotas().await?;
    let cluster = vms.clusters().await?.into_iter().next().unwrap_or_default();
    Ok((quotas, cluster))
}

fn is_ours(view: &View, tenant: Option<&str>) -> bool {
    match (tenant, view.tenant_name.as_deref()) {
        (Some(wanted), Some(name)) => wanted == name,
        _ => true,
    }
}

fn lsu_of(view: &View, quotas: &[Quota], cluster: &Cluster) -> Option<Lsu> {
    let name = view.bucket.clone().filter(|bucket| !bucket.is_empty())?;
    if !view.protocols.iter().flatten().any(|protocol| protocol == "S3") {
        return None;
    }
    let path = view.path.clone().unwrap_or_default();
    let (cluster_total, cluster_free) = cluster_space(cluster);
    let view_used = view.logical_capacity.unwrap_or(0);
    let quota = nearest_quota(&path, view.tenant_id, quotas);
    let (capacity_bytes, used_bytes, capacity_source) = match (quota, cluster_total) {
        (Some((quota, limit)), _) => (
            limit,
            quota.used_capacity.unwrap_or(view_used),
            CapacitySource::Quota(quota.path.clone().unwrap_or_default()),
        ),
        (None, Some(total)) => (total, view_used, CapacitySource::Cluster),
        (None, None) => (0, view_used, CapacitySource::Unknown),
    };
    let free = capacity_bytes.saturating_sub(used_bytes);
    Some(Lsu {
        name,
        path,
        tenant: view.tenant_name.clone().unwrap_or_default(),
        capacity_bytes,
        used_bytes,
        free_bytes: cluster_free.map_or(free, |cluster_free| free.min(cluster_free)),
        physical_used_bytes: view.physical_capacity.unwrap_or(0),
        capacity_source,
        versioning: view.s3_versioning.unwrap_or(false),
        locking: view.locking.unwrap_or(false),
        retention: RetentionRules::of(view),
    })
}

/// Total and free bytes of the cluster, as data is counted before reduction where VMS estimates that.
fn cluster_space(cluster: &Cluster) -> (Option<u64>, Option<u64>) {
    let logical = cluster.logical_space.filter(|&bytes| bytes > 0);
    if let Some(total) = logical {
        let free = cluster
            .free_logical_space
            .or_else(|| cluster.logical_space_in_use.map(|used| total.saturating_sub(used)));
        return (Some(total), free);
    }
    (cluster.usable_capacity_bytes.filter(|&bytes| bytes > 0), cluster.free_usable_capacity)
}

/// The quota with a hard limit on the longest path that is the view's own or a parent of it, in the same tenant.
fn nearest_quota<'a>(path: &str, tenant: Option<i64>, quotas: &'a [Quota]) -> Option<(&'a Quota, u64)> {
    quotas
        .iter()
        .filter_map(|quota| {
            Some((quota, quota.hard_limit.filter(|&limit| limit > 0)?, trim(quota.path.as_deref()?)))
        })
        .filter(|(quota, _, _)| tenant.is_none() || quota.tenant_id.is_none() || quota.tenant_id == tenant)
        .filter(|(_, _, quota_path)| covers(quota_path, trim(path)))
        .max_by_key(|(_, _, quota_path)| quota_path.len())
        .map(|(quota, limit, _)| (quota, limit))
}

fn trim(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn covers(parent: &str, path: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(path: &str) -> View {
        serde_json::from_value(json!({
            "path": path, "bucket": "b1", "protocols": ["NFS", "S3"], "tenant_id": 1, "tenant_name": "default",
            "logical_capacity": 10, "physical_capacity": 4, "s3_versioning": true, "locking": null,
        }))
        .unwrap()
    }

    fn quotas() -> Vec<Quota> {
        serde_json::from_value(json!([
            {"path": "/", "tenant_id": 1, "hard_limit": 5000, "used_capacity": 500},
            {"path": "/backups/", "tenant_id": 1, "hard_limit": 1000, "used_capacity": 100},
            {"path": "/backups/lsu1", "tenant_id": 1, "hard_limit": 200, "used_capacity": 20},
            {"path": "/backups/lsu2", "tenant_id": 1, "hard_limit": null, "used_capacity": 20},
            {"path": "/backups/lsu3", "tenant_id": 2, "hard_limit": 7},
        ]))
        .unwrap()
    }

    fn cluster() -> Cluster {
        serde_json::from_value(
            json!({"logical_space": 9000, "free_logical_space": 8000.5, "usable_capacity_bytes": 3000}),
        )
        .unwrap()
    }

    #[test]
    fn capacity_is_the_nearest_hard_limit() {
        let of = |path| {
            let lsu = lsu_of(&view(path), &quotas(), &cluster()).unwrap();
            (lsu.capacity_bytes, lsu.used_bytes, lsu.free_bytes, lsu.capacity_source)
        };
        assert_eq!(of("/backups/lsu1"), (200, 20, 180, CapacitySource::Quota("/backups/lsu1".into())));
        assert_eq!(
            of("/backups/lsu2"),
            (1000, 100, 900, CapacitySource::Quota("/backups/".into())),
            "no hard limit"
        );
        assert_eq!(of("/backups/lsu3").0, 1000, "the other tenant's quota does not count");
        assert_eq!(of("/backups/lsu11").0, 1000, "not a prefix in the middle of a name");
        assert_eq!(of("/backupsX").0, 5000);
    }

    #[test]
    fn without_a_quota_the_cluster_is_the_limit() {
        let of = |cluster: serde_json::Value| {
            let lsu = lsu_of(&view("/x"), &[], &serde_json::from_value(cluster).unwrap()).unwrap();
            (lsu.capacity_bytes, lsu.used_bytes, lsu.free_bytes, lsu.capacity_source)
        };
        let logical =
            json!({"logical_space": 9000, "logical_space_in_use": 8995, "usable_capacity_bytes": 3000});
        assert_eq!(of(logical), (9000, 10, 5, CapacitySource::Cluster));
        let usable = json!({"logical_space": 0, "usable_capacity_bytes": 3000, "free_usable_capacity": 100});
        assert_eq!(of(usable), (3000, 10, 100, CapacitySource::Cluster));
        assert_eq!(of(json!({})), (0, 10, 0, CapacitySource::Unknown));
    }

    #[test]
    fn a_quota_larger_than_the_cluster_does_not_promise_its_space() {
        let quotas: Vec<Quota> =
            serde_json::from_value(json!([{"path": "/x", "hard_limit": 1_000_000}])).unwrap();
        assert_eq!(lsu_of(&view("/x"), &quotas, &cluster()).unwrap().free_bytes, 8000);
    }

    #[test]
    fn only_s3_views_with_a_bucket_are_lsus() {
        let spoilt = |spoil: fn(&mut View)| {
            let mut view = view("/x");
            spoil(&mut view);
            lsu_of(&view, &[], &cluster())
        };
        assert!(spoilt(|v| v.protocols = Some(vec!["NFS".into()])).is_none());
        assert!(spoilt(|v| v.protocols = None).is_none());
        assert!(spoilt(|v| v.bucket = Some(String::new())).is_none());
        assert!(spoilt(|v| v.bucket = None).is_none());
        let lsu = spoilt(|_| ()).unwrap();
        assert!(lsu.versioning && !lsu.locking && lsu.physical_used_bytes == 4);
    }

    #[test]
    fn the_rules_of_locks_are_read_where_a_view_has_them() {
        let plain = lsu_of(&view("/x"), &[], &cluster()).unwrap();
        assert_eq!(plain.retention, RetentionRules::default());
        let locking: View = serde_json::from_value(json!({
            "path": "/x", "bucket": "b1", "protocols": ["S3"], "locking": true,
            "s3_locks_retention_mode": "Governance", "default_retention_period": "2d",
            "min_retention_period": "1h", "max_retention_period": "2y",
        }))
        .unwrap();
        let lsu = lsu_of(&locking, &[], &cluster()).unwrap();
        let expected = RetentionRules {
            default_mode: Some(RetentionMode::Governance),
            default_seconds: Some(172_800),
            min_seconds: Some(3600),
            max_seconds: Some(63_072_000),
        };
        assert!(lsu.locking);
        assert_eq!(lsu.retention, expected);
    }

    #[test]
    fn periods_have_one_of_four_units() {
        assert_eq!((period("5m"), period(" 1y ")), (Some(300), Some(31_536_000)));
        for other in ["", "d", "0d", "5", "5w", "-5d", "1.5d", "5 d", "99999999999999999999y", "5é"] {
            assert_eq!(period(other), None, "{other}");
        }
        assert_eq!(period("999999999999999999y"), None);
    }

    #[test]
    fn another_tenants_views_are_not_ours() {
        assert!(is_ours(&view("/x"), None) && is_ours(&view("/x"), Some("default")));
        assert!(!is_ours(&view("/x"), Some("other")));
    }
}
