//! What the client has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// The operations that are counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// S3 PutObject.
    PutObject,
    /// S3 GetObject.
    GetObject,
    /// S3 HeadObject.
    HeadObject,
    /// S3 DeleteObject.
    DeleteObject,
    /// S3 DeleteObjects.
    DeleteObjects,
    /// S3 ListObjectsV2.
    ListObjectsV2,
    /// S3 HeadBucket.
    HeadBucket,
    /// S3 CopyObject.
    CopyObject,
    /// S3 CreateMultipartUpload.
    CreateMultipartUpload,
    /// S3 UploadPart.
    UploadPart,
    /// S3 CompleteMultipartUpload.
    CompleteMultipartUpload,
    /// S3 AbortMultipartUpload.
    AbortMultipartUpload,
    /// S3 ListMultipartUploads.
    ListMultipartUploads,
    /// S3 ListObjectVersions.
    ListObjectVersions,
    /// S3 GetBucketVersioning.
    GetBucketVersioning,
    /// S3 GetObjectLockConfiguration.
    GetObjectLockConfiguration,
    /// S3 PutObjectRetention.
    PutObjectRetention,
    /// S3 GetObjectRetention.
    GetObjectRetention,
    /// Any request to VMS, token calls included.
    Vms,
}

impl Operation {
    /// All of them, in the order of [`CountersSnapshot::requests`].
    pub const ALL: [Self; 19] = [
        Self::PutObject,
        Self::GetObject,
        Self::HeadObject,
        Self::DeleteObject,
        Self::DeleteObjects,
        Self::ListObjectsV2,
        Self::HeadBucket,
        Self::CopyObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
        Self::ListMultipartUploads,
        Self::ListObjectVersions,
        Self::GetBucketVersioning,
        Self::GetObjectLockConfiguration,
        Self::PutObjectRetention,
        Self::GetObjectRetention,
        Self::Vms,
    ];
}

/// Running totals of one client. Every attempt counts as a request.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; Operation::ALL.len()],
    pub(crate) retries: Tally,
    pub(crate) bytes_up: Tally,
    pub(crate) bytes_down: Tally,
    pub(crate) connections: Tally,
    pub(crate) logins: Tally,
    pub(crate) refreshes: Tally,
}

/// One running total.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CountersSnapshot {
    /// Requests by operation, in the order of [`Operation::ALL`].
    pub requests: [u64; Operation::ALL.len()],
    /// Attempts after the first one of a call.
    pub retries: u64,
    /// Bytes of request bodies.
    pub bytes_up: u64,
    /// Bytes of response bodies.
    pub bytes_down: u64,
    /// Connections opened, to VMS and to VIPs.
    pub connections: u64,
    /// Logins with user and password.
    pub logins: u64,
    /// Tokens refreshed.
    pub refreshes: u64,
}

impl CountersSnapshot {
    /// Requests of one operation.
    #[must_use]
    pub fn requests_of(&self, operation: Operation) -> u64 {
        self.requests[operation as usize]
    }
}

impl Counters {
    pub(crate) fn request(&self, operation: Operation) {
        self.requests[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            requests: std::array::from_fn(|i| self.requests[i].load(Ordering::Relaxed)),
            retries: self.retries.get(),
            bytes_up: self.bytes_up.get(),
            bytes_down: self.bytes_down.get(),
            connections: self.connections.get(),
            logins: self.logins.get(),
            refreshes: self.refreshes.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_own_place() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index);
        }
        let counters = Counters::default();
        counters.request(Operation::Vms);
        counters.request(Operation::Vms);
        counters.request(Operation::PutObject);
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.requests_of(Operation::Vms), 2);
        assert_eq!(snapshot.requests_of(Operation::PutObject), 1);
        assert_eq!(snapshot.requests_of(Operation::GetObject), 0);
    }
}
