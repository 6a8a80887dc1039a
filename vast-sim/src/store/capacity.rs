//! How much is used, and whether a write still fits: quotas by path, and the cluster as a whole.

use super::object::Bucket;
use super::registry::{Row, number, text};
use super::state::State;

/// A write that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Full {
    /// The hard limit of this quota would be exceeded.
    Quota(String),
    /// The cluster itself is full.
    Cluster,
}

/// Bytes and objects under a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of objects and of the parts of open uploads.
    pub(crate) bytes: u64,
    /// Objects.
    pub(crate) objects: u64,
}

/// What a write adds and what it replaces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta {
    pub(crate) added: u64,
    pub(crate) replaced: u64,
    pub(crate) new_objects: u64,
}

/// Whether `path` is `dir` or below it.
pub(crate) fn is_under(path: &str, dir: &str) -> bool {
    let dir = dir.trim_end_matches('/');
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn object_path(bucket: &Bucket, key: &str) -> String {
    format!("{}/{key}", bucket.path.trim_end_matches('/'))
}

impl State {
    /// What the whole cluster holds.
    pub(crate) fn cluster_usage(&self) -> Usage {
        let add = |u: Usage, b: &Bucket| Usage {
            bytes: u.bytes + b.bytes,
            objects: u.objects + b.objects.len() as u64,
        };
        self.buckets().values().fold(Usage::default(), add)
    }

    /// What lies under a path of a tenant. A path inside a view costs a scan of that view.
    pub(crate) fn usage_under(&self, tenant_id: u64, dir: &str) -> Usage {
        let mut total = Usage::default();
        for bucket in self.buckets().values().filter(|b| b.tenant_id == tenant_id) {
            if is_under(&bucket.path, dir) {
                total.bytes += bucket.bytes;
                total.objects += bucket.objects.len() as u64;
            } else if is_under(dir, &bucket.path) {
                let inside = |key: &str| is_under(&object_path(bucket, key), dir);
                for (_, object) in bucket.objects.iter().filter(|(key, _)| inside(key)) {
                    total.bytes += object.size;
                    total.objects += 1;
                }
                for (_, upload) in bucket.uploads.iter().filter(|((key, _), _)| inside(key)) {
                    total.bytes += upload.parts.values().map(|p| p.size).sum::<u64>();
                }
            }
        }
        total
    }

    /// The quotas that count an object of this bucket.
    fn quotas_over(&self, bucket: &Bucket, key: &str) -> Vec<(u64, &Row)> {
        let path = object_path(bucket, key);
        let counts = |row: &Row| {
            number(row, "tenant_id").unwrap_or(1) == bucket.tenant_id && is_under(&path, text(row, "path"))
        };
        self.vms.rows("quotas").filter(|(_, row)| counts(row)).collect()
    }

    /// Whether a write to `key` of `bucket` fits into every quota over it and into a cluster of `capacity` bytes.
    pub(crate) fn check_fit(
        &self,
        bucket: &Bucket,
        key: &str,
        delta: Delta,
        capacity: u64,
    ) -> Result<(), Full> {
        let exceeds = |used: u64, limit: u64| {
            delta.added > delta.replaced
                && used.saturating_sub(delta.replaced).saturating_add(delta.added) > limit
        };
        for (_, row) in self.quotas_over(bucket, key) {
            let limit = number(row, "hard_limit").filter(|l| *l > 0);
            let inodes = number(row, "hard_limit_inodes").filter(|l| *l > 0);
            if limit.is_none() && inodes.is_none() {
                continue;
            }
            let used = self.usage_under(bucket.tenant_id, text(row, "path"));
            let too_many = |l| delta.new_objects > 0 && used.objects + delta.new_objects > l;
            if limit.is_some_and(|l| exceeds(used.bytes, l)) || inodes.is_some_and(too_many) {
                return Err(Full::Quota(text(row, "path").to_owned()));
            }
        }
        if exceeds(self.cluster_usage().bytes, capacity) { Err(Full::Cluster) } else { Ok(()) }
    }
}
