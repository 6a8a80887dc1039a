//! Object lock: what is locked stays, whatever is asked for.

use super::{Checks, LOCKED_FOR, body};
use crate::object_store::{BucketKind, ObjectStore, Precondition, Put, Retention, RetentionMode, StoreError};

pub(super) async fn check<S: ObjectStore>(store: &S, kind: BucketKind, seen: &mut Checks) {
    const KEY: &str = "conformance/lock/plain";
    let put = store.put(KEY, body(&[b"plain"]), Precondition::None, None).await;
    let (Ok(put), Ok(head)) = (&put, store.head(KEY).await) else {
        seen.expect("an object can be written", false, &put);
        return;
    };
    let until = head.answered + LOCKED_FOR / 2;
    if kind.object_lock {
        for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
            locked_by_write(store, Retention { until, mode }, seen).await;
        }
        locked_later(store, KEY, put, Retention { until, mode: RetentionMode::Governance }, seen).await;
        locked_by_upload(store, Retention { until, mode: RetentionMode::Governance }, seen).await;
        over_already(store, head.answered, seen).await;
    } else {
        let retention = Retention { until, mode: RetentionMode::Governance };
        let locked = store.put(KEY, body(&[b"locked"]), Precondition::None, Some(retention)).await;
        let refused = matches!(locked, Err(StoreError::Unsupported(_)));
        seen.expect("without object lock, no write asks for it", refused, &locked);
        let locked = store.retain(KEY, None, retention).await;
        let refused = matches!(locked, Err(StoreError::Unsupported(_)));
        seen.expect("without object lock, nothing can be locked", refused, &locked);
        let got = store.get(KEY, None).await;
        let same = got.as_ref().is_ok_and(|got| got.data == b"plain"[..]);
        seen.expect("a write that is refused changes nothing", same, &got);
        let cleared = super::clear(store).await;
        seen.expect("what is not locked can be removed", cleared.is_ok(), &cleared);
    }
}

fn name(key: &str, put: &Put) -> (String, String) {
    (key.to_owned(), put.version.clone().unwrap_or_default())
}

/// What must hold of a locked version, with another one of the same key that is not.
async fn stays<S: ObjectStore>(store: &S, key: &str, locked: &Put, retention: Retention, seen: &mut Checks) {
    let head = store.head(key).await;
    let told = head.as_ref().is_ok_and(|head| head.retention == Some(retention));
    seen.expect("a locked version says until when, and how strictly", told, &(retention, &head));
    let free = store.put(key, body(&[b"free"]), Precondition::None, None).await;
    seen.expect("a locked version can be covered by another", free.is_ok(), &free);
    let Ok(free) = free else { return };
    let deleted = store.delete_versions(&[name(key, locked), name(key, &free)]).await;
    let refused = matches!(deleted, Err(StoreError::Locked(_)));
    seen.expect("a locked version cannot be deleted", refused, &deleted);
    let head = store.head(key).await;
    let alone = head.as_ref().is_ok_and(|head| head.version == locked.version);
    seen.expect("what is not locked goes, what is locked stays", alone, &(locked, &head));
    let hidden = store.delete(key).await;
    seen.expect("a locked version can be hidden", hidden.is_ok(), &hidden);
    let page = store.list_versions(key, None).await.map(|page| page.versions);
    let markers = page.iter().flatten().filter(|one| one.delete_marker);
    let markers: Vec<_> = markers.map(|one| (one.key.clone(), one.version.clone())).collect();
    let deleted = store.delete_versions(&markers).await;
    seen.expect("a delete marker is never locked", deleted.is_ok() && markers.len() == 1, &(page, deleted));
}

async fn locked_by_write<S: ObjectStore>(store: &S, retention: Retention, seen: &mut Checks) {
    let key = format!("conformance/lock/{:?}", retention.mode);
    let put = store.put(&key, body(&[b"locked"]), Precondition::None, Some(retention)).await;
    match put {
        Ok(put) => stays(store, &key, &put, retention, seen).await,
        Err(error) => seen.expect("a write can lock what it writes", false, &error),
    }
}

async fn locked_later<S: ObjectStore>(
    store: &S,
    key: &str,
    put: &Put,
    retention: Retention,
    seen: &mut Checks,
) {
    let version = put.version.as_deref();
    let locked = store.retain(key, version, retention).await;
    seen.expect("a version can be locked later", locked.is_ok(), &locked);
    let longer = Retention { until: retention.until + 60, ..retention };
    for repeated in [longer, longer] {
        let locked = store.retain(key, None, repeated).await;
        seen.expect("a lock can be extended, and asked for again", locked.is_ok(), &locked);
    }
    let shorter = store.retain(key, version, retention).await;
    let refused = matches!(shorter, Err(StoreError::Locked(_)));
    seen.expect("a lock cannot be shortened", refused, &shorter);
    stays(store, key, put, longer, seen).await;
    let missing = store.retain("conformance/lock/missing", None, retention).await;
    let refused = matches!(missing, Err(StoreError::NotFound(_)));
    seen.expect("what is missing cannot be locked", refused, &missing);
}

async fn locked_by_upload<S: ObjectStore>(store: &S, retention: Retention, seen: &mut Checks) {
    const KEY: &str = "conformance/lock/upload";
    let upload = match store.begin_upload(KEY, Some(retention)).await {
        Ok(upload) => upload,
        Err(StoreError::Unsupported(_)) => return,
        Err(error) => return seen.expect("an upload can ask for a lock", false, &error),
    };
    let part = store.upload_part(KEY, &upload, 1, body(&[b"locked"])).await;
    let parts: Vec<String> = part.into_iter().collect();
    match store.complete_upload(KEY, &upload, &parts).await {
        Ok(put) => stays(store, KEY, &put, retention, seen).await,
        Err(error) => seen.expect("an upload can lock its object", false, &error),
    }
}

async fn over_already<S: ObjectStore>(store: &S, now: u64, seen: &mut Checks) {
    const KEY: &str = "conformance/lock/past";
    let past = Retention { until: now, mode: RetentionMode::Governance };
    let put = store.put(KEY, body(&[b"past"]), Precondition::None, Some(past)).await;
    seen.expect("nothing can be locked until the past", put.is_err(), &put);
    let got = store.get(KEY, None).await;
    let gone = matches!(got, Err(StoreError::NotFound(_)));
    seen.expect("what cannot be locked is not written", gone, &got);
}
