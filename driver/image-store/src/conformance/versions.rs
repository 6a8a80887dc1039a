//! Versions: what is kept when objects are replaced and deleted, and how it goes for good.

use super::{Checks, body};
use crate::object_store::{BucketKind, ListedVersion, ObjectStore, Precondition, StoreError};

const KEY: &str = "conformance/version/object";

pub(super) async fn check<S: ObjectStore>(store: &S, kind: BucketKind, seen: &mut Checks) {
    let first = store.list_versions(KEY, None).await;
    if matches!(first, Err(StoreError::Unsupported(_))) {
        seen.expect("a bucket with versions can list them", !kind.versioned, &first);
        return;
    }
    let empty = first.as_ref().is_ok_and(|page| page.versions.is_empty() && page.next.is_none());
    seen.expect("what was never written has no versions", empty, &first);
    if kind.versioned {
        kept(store, seen).await;
        hidden(store, seen).await;
    } else {
        only_one(store, seen).await;
    }
    paged(store, kind, seen).await;
}

/// All versions of keys with a prefix.
async fn versions<S: ObjectStore>(store: &S, prefix: &str, seen: &mut Checks) -> Vec<ListedVersion> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        match store.list_versions(prefix, next).await {
            Ok(page) => {
                seen.expect("a page has at most 1,000 versions", page.versions.len() <= 1000, &page.next);
                all.extend(page.versions);
                next = page.next;
            }
            Err(error) => {
                seen.expect("listing versions succeeds", false, &error);
                break;
            }
        }
        if next.is_none() || all.len() > 5000 {
            break;
        }
    }
    all
}

async fn delete<S: ObjectStore>(store: &S, doomed: &[(String, String)], seen: &mut Checks) {
    let deleted = store.delete_versions(doomed).await;
    seen.expect("versions can be deleted", deleted.is_ok(), &deleted);
}

fn named(listed: &[ListedVersion]) -> Vec<(String, String)> {
    listed.iter().map(|one| (one.key.clone(), one.version.clone())).collect()
}

/// A bucket without versions.
async fn only_one<S: ObjectStore>(store: &S, seen: &mut Checks) {
    for content in [&b"old"[..], b"newer"] {
        let put = store.put(KEY, body(&[content]), Precondition::None, None).await;
        seen.expect("an object can be replaced", put.is_ok(), &put);
    }
    let listed = versions(store, KEY, seen).await;
    let one = matches!(
        listed.as_slice(),
        [only] if only.version == "null" && only.latest && !only.delete_marker && only.size == 5
    );
    seen.expect("without versions, an object is one version named null", one, &listed);
    delete(store, &named(&listed), seen).await;
    let got = store.get(KEY, None).await;
    let gone = matches!(got, Err(StoreError::NotFound(_)));
    seen.expect("deleting the version named null deletes the object", gone, &got);
}

/// Replacing keeps what was there, until it is deleted for good.
async fn kept<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let mut ids = Vec::new();
    for content in [&b"1"[..], b"22", b"333"] {
        match store.put(KEY, body(&[content]), Precondition::None, None).await {
            Ok(put) => ids.extend(put.version),
            Err(error) => seen.expect("an object can be replaced", false, &error),
        }
    }
    let listed = versions(store, KEY, seen).await;
    let told: Vec<_> = listed.iter().map(|one| (one.version.clone(), one.latest, one.size)).collect();
    let sizes = ids.iter().zip(1..);
    let expected: Vec<_> = sizes.map(|(id, size)| (id.clone(), size == 3, size)).collect();
    let same = sorted(told.clone()) == sorted(expected.clone());
    seen.expect("replaced objects stay as versions", same && ids.len() == 3, &(told, expected));
    let [oldest, middle, newest] = ids.as_slice() else { return };
    let name = |id: &String| (KEY.to_owned(), id.clone());
    delete(store, &[name(middle), name(middle)], seen).await;
    let got = store.get(KEY, None).await;
    let untouched = got.as_ref().is_ok_and(|got| got.data == b"333"[..]);
    seen.expect("deleting an old version leaves the object", untouched, &got);
    delete(store, &[name(newest), name(middle)], seen).await;
    let got = store.get(KEY, None).await;
    let back = got.as_ref().is_ok_and(|got| got.data == b"1"[..]);
    seen.expect("deleting the newest version brings back the one before", back, &got);
    delete(store, &[name(oldest)], seen).await;
    let got = store.get(KEY, None).await;
    let gone = matches!(got, Err(StoreError::NotFound(_)));
    seen.expect("without versions there is no object", gone, &got);
    let listed = versions(store, KEY, seen).await;
    seen.expect("versions that are deleted are gone", listed.is_empty(), &listed);
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

/// Deleting only hides.
async fn hidden<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let put = store.put(KEY, body(&[b"hidden"]), Precondition::None, None).await;
    seen.expect("an object can be written", put.is_ok(), &put);
    for several in [false, true] {
        let deleted =
            if several { store.delete_many(&[KEY.to_owned()]).await } else { store.delete(KEY).await };
        seen.expect("deleting succeeds where versions are kept", deleted.is_ok(), &deleted);
        let got = store.get(KEY, None).await;
        let gone = matches!(got, Err(StoreError::NotFound(_)));
        seen.expect("a hidden object is not found", gone, &got);
        let head = store.head(KEY).await;
        let gone = matches!(head, Err(StoreError::NotFound(_)));
        seen.expect("a hidden object has no head", gone, &head);
        let page = store.list(KEY, None).await;
        let gone = page.as_ref().is_ok_and(|page| page.objects.is_empty());
        seen.expect("a hidden object is not listed", gone, &page);
        let listed = versions(store, KEY, seen).await;
        let (markers, objects): (Vec<_>, Vec<_>) = listed.into_iter().partition(|one| one.delete_marker);
        let marked = markers.len() == 1 && markers[0].latest && objects.len() == 1 && !objects[0].latest;
        seen.expect("a delete marker hides the version", marked, &(&markers, &objects));
        delete(store, &named(&markers), seen).await;
        let got = store.get(KEY, None).await;
        let back = got.as_ref().is_ok_and(|got| got.data == b"hidden"[..]);
        seen.expect("without its marker the object is back", back, &got);
    }
    let _ = store.delete(KEY).await;
    let absent = store.put(KEY, body(&[b"new"]), Precondition::Absent, None).await;
    let holds = matches!(absent, Ok(_) | Err(StoreError::Unsupported(_)));
    seen.expect("a hidden object is absent", holds, &absent);
    delete(store, &named(&versions(store, KEY, seen).await), seen).await;
}

/// Several keys and versions, over several pages where pages are short.
async fn paged<S: ObjectStore>(store: &S, kind: BucketKind, seen: &mut Checks) {
    let keys: Vec<String> = (0..4).map(|number| format!("conformance/version/p {number}&")).collect();
    for _ in 0..3 {
        for key in &keys {
            let put = store.put(key, body(&[b"x"]), Precondition::None, None).await;
            seen.expect("an object can be replaced", put.is_ok(), &put);
        }
    }
    if kind.versioned {
        let deleted = store.delete(&keys[1]).await;
        seen.expect("an object can be hidden", deleted.is_ok(), &deleted);
    }
    let listed = versions(store, "conformance/version/p", seen).await;
    let in_order = listed.windows(2).all(|pair| pair[0].key <= pair[1].key);
    seen.expect("versions are listed in the order of their keys", in_order, &listed);
    let names = sorted(named(&listed));
    let once = names.windows(2).all(|pair| pair[0] != pair[1]);
    let count = if kind.versioned { 13 } else { 4 };
    seen.expect("pages give every version once", once && names.len() == count, &names);
    let latest: Vec<_> = listed.iter().filter(|one| one.latest).map(|one| &one.key).collect();
    seen.expect("one version of every key is the latest", latest == keys.iter().collect::<Vec<_>>(), &latest);
    delete(store, &names, seen).await;
    let listed = versions(store, "conformance/version/", seen).await;
    seen.expect("versions that are deleted are gone", listed.is_empty(), &listed);
}
