//! Removing objects for good. On a bucket that keeps versions a plain delete only hides, so there every version goes.

use crate::object_store::{ListedVersion, ObjectStore, StoreError};

/// Objects in one bulk delete.
const PER_CALL: usize = 1000;

/// Removes one object and all its versions, whatever kind of bucket it is. A missing one is success.
pub(crate) async fn remove_key<S: ObjectStore>(
    store: &S,
    key: &str,
    versioned: bool,
) -> Result<(), StoreError> {
    if versioned { remove_versions_of(store, key).await } else { store.delete(key).await }
}

/// Removes every version of one object, the latest last: an earlier one must not come to light again.
pub(crate) async fn remove_versions_of<S: ObjectStore>(store: &S, key: &str) -> Result<(), StoreError> {
    let versions = versions(store, key, |version| version.key == key).await?;
    let (latest, earlier): (Vec<_>, Vec<_>) = versions.into_iter().partition(|version| version.latest);
    remove_versions(store, &earlier).await?;
    remove_versions(store, &latest).await
}

/// Removes one version of an object and the earlier ones, unless there is a later one; false if there is. Nothing that
/// is written meanwhile goes.
pub(crate) async fn remove_up_to<S: ObjectStore>(
    store: &S,
    key: &str,
    version: &str,
) -> Result<bool, StoreError> {
    let there = versions(store, key, |listed| listed.key == key).await?;
    let (latest, earlier): (Vec<_>, Vec<_>) = there.into_iter().partition(|listed| listed.latest);
    if !latest.iter().any(|listed| listed.version == version) {
        return Ok(false);
    }
    remove_versions(store, &earlier).await?;
    remove_versions(store, &latest).await?;
    Ok(versions(store, key, |listed| listed.key == key).await?.is_empty())
}

/// Removes all objects under a prefix that `doomed` names; nobody may be writing them.
pub(crate) async fn remove_where<S: ObjectStore>(
    store: &S,
    prefix: &str,
    versioned: bool,
    doomed: impl Fn(&str) -> bool,
) -> Result<u64, StoreError> {
    if versioned {
        let versions = versions(store, prefix, |version| doomed(&version.key)).await?;
        remove_versions(store, &versions).await?;
        return Ok(versions.iter().filter(|version| version.latest).count() as u64);
    }
    let mut removed = 0;
    let mut next = None;
    loop {
        let page = store.list(prefix, next.as_deref()).await?;
        let keys: Vec<String> =
            page.objects.into_iter().map(|object| object.key).filter(|key| doomed(key)).collect();
        removed += keys.len() as u64;
        for keys in keys.chunks(PER_CALL) {
            store.delete_many(keys).await?;
        }
        next = page.next;
        if next.is_none() {
            return Ok(removed);
        }
    }
}

/// The versions and delete markers under a prefix that `wanted` names.
pub(crate) async fn versions<S: ObjectStore>(
    store: &S,
    prefix: &str,
    wanted: impl Fn(&ListedVersion) -> bool,
) -> Result<Vec<ListedVersion>, StoreError> {
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let page = store.list_versions(prefix, next).await?;
        found.extend(page.versions.into_iter().filter(|version| wanted(version)));
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// Whether a removal was carried out, and not refused by object lock: then what is locked is left for a later sweep.
pub(crate) fn unless_locked(removed: Result<(), StoreError>) -> Result<bool, StoreError> {
    match removed {
        Ok(()) => Ok(true),
        Err(StoreError::Locked(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes exactly these versions. [`StoreError::Locked`] if object lock keeps some of them; the others are gone then.
pub(crate) async fn remove_versions<S: ObjectStore>(
    store: &S,
    versions: &[ListedVersion],
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for versions in versions.chunks(PER_CALL) {
        let named: Vec<(String, String)> =
            versions.iter().map(|version| (version.key.clone(), version.version.clone())).collect();
        match store.delete_versions(&named).await {
            Err(locked @ StoreError::Locked(_)) => outcome = Err(locked),
            deleted => deleted?,
        }
    }
    outcome
}
