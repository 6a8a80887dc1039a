//! What every object store must do, as checks that can be run on any of them.

mod locks;
mod objects;
mod uploads;
mod versions;

use bytes::Bytes;

use crate::checksum::Running;
use crate::object_store::{ObjectStore, Payload, StoreError};

/// Everything that the checks write is under this.
const PREFIX: &str = "conformance/";

/// Seconds that the checks lock versions for.
pub const LOCKED_FOR: u64 = 2 * 60 * 60;

/// One check that an object store fails: which, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {found}")]
pub struct Violation {
    /// What should hold.
    pub check: &'static str,
    /// What was seen instead.
    pub found: String,
}

/// Runs every check on a bucket and gives the violations; none means that the store conforms.
///
/// What is checked follows from [`ObjectStore::kind`]. Works under the prefix `conformance/` only, which should be
/// empty, and removes what it wrote; in a bucket with object lock, versions stay that are locked for [`LOCKED_FOR`]:
/// call [`clear`] when that has passed. Stores without conditional writes, multipart uploads or listings of versions
/// are expected to say [`StoreError::Unsupported`] consistently.
pub async fn check<S: ObjectStore>(store: &S) -> Vec<Violation> {
    let mut seen = Checks::default();
    let kind = match store.kind().await {
        Ok(kind) => kind,
        Err(error) => {
            seen.expect("the bucket says what it keeps", false, &error);
            return seen.violations;
        }
    };
    seen.expect("object lock needs versions", kind.versioned || !kind.object_lock, &kind);
    objects::check(store, kind, &mut seen).await;
    uploads::check(store, &mut seen).await;
    versions::check(store, kind, &mut seen).await;
    if kind.versioned {
        let cleared = clear(store).await;
        seen.expect("every version can be removed", cleared.is_ok(), &cleared);
        let page = store.list_versions(PREFIX, None).await;
        let empty = page.as_ref().is_ok_and(|page| page.versions.is_empty() && page.next.is_none());
        seen.expect("no version is left", empty, &page);
    }
    locks::check(store, kind, &mut seen).await;
    seen.violations
}

/// Checks copies from one bucket to another one of the same cluster. Works under the prefix `conformance/` of both.
pub async fn check_copy<S: ObjectStore>(source: &S, target: &S) -> Vec<Violation> {
    let mut seen = Checks::default();
    objects::copies(source, target, &mut seen).await;
    for store in [source, target] {
        let cleared = clear(store).await;
        seen.expect("what was copied can be removed", cleared.is_ok(), &cleared);
    }
    seen.violations
}

/// Removes everything that the checks may have left: uploads, and versions that are no longer locked.
pub async fn clear<S: ObjectStore>(store: &S) -> Result<(), StoreError> {
    let mut next = None;
    loop {
        let page = match store.list_uploads(PREFIX, next).await {
            Ok(page) => page,
            Err(StoreError::Unsupported(_)) => break,
            Err(error) => return Err(error),
        };
        for upload in &page.uploads {
            store.abort_upload(&upload.key, &upload.upload).await?;
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let (mut outcome, mut next) = (Ok(()), None);
    loop {
        let page = match store.list_versions(PREFIX, next).await {
            Ok(page) => page,
            Err(StoreError::Unsupported(_)) => return clear_objects(store).await,
            Err(error) => return Err(error),
        };
        let doomed: Vec<_> = page.versions.into_iter().map(|listed| (listed.key, listed.version)).collect();
        outcome = outcome.and(store.delete_versions(&doomed).await);
        next = page.next;
        if next.is_none() {
            return outcome;
        }
    }
}

async fn clear_objects<S: ObjectStore>(store: &S) -> Result<(), StoreError> {
    loop {
        let page = store.list(PREFIX, None).await?;
        if page.objects.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
        store.delete_many(&keys).await?;
    }
}

#[derive(Default)]
struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    fn expect(&mut self, check: &'static str, holds: bool, found: &dyn std::fmt::Debug) {
        if !holds {
            self.violations.push(Violation { check, found: format!("{found:?}") });
        }
    }
}

fn body(parts: &[&'static [u8]]) -> Payload {
    let mut crc = Running::new();
    for part in parts {
        crc.update(part);
    }
    Payload { parts: parts.iter().map(|part| Bytes::from_static(part)).collect(), crc32c: crc.value() }
}
