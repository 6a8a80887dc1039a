//! Objects: writing, reading, conditions, odd keys, listings, copies.

use super::{Checks, body};
use crate::object_store::{BucketKind, Got, ObjectStore, Precondition, Put, StoreError};

pub(super) async fn check<S: ObjectStore>(store: &S, kind: BucketKind, seen: &mut Checks) {
    write_and_read(store, kind, seen).await;
    conditions(store, seen).await;
    damaged_bodies(store, seen).await;
    odd_keys(store, seen).await;
    copies(store, store, seen).await;
    groups(store, seen).await;
    listing_and_deleting(store, seen).await;
}

async fn write_and_read<S: ObjectStore>(store: &S, kind: BucketKind, seen: &mut Checks) {
    const KEY: &str = "conformance/object";
    let got = store.get(KEY, None).await;
    seen.expect("a missing object is not found", matches!(got, Err(StoreError::NotFound(_))), &got);
    let head = store.head(KEY).await;
    seen.expect("a missing object has no head", matches!(head, Err(StoreError::NotFound(_))), &head);
    let put = store.put(KEY, body(&[b"0123", b"", b"456789"]), Precondition::None, None).await;
    seen.expect("a put of several parts succeeds", put.is_ok(), &put);
    let got = store.get(KEY, None).await;
    let same = |got: &Result<_, _>, expected: &[u8]| {
        let got: &Result<Got, StoreError> = got;
        got.as_ref().is_ok_and(|got| got.data == expected && got.head.size == 10)
    };
    seen.expect("the parts are one object", same(&got, b"0123456789"), &got);
    let etags = put.as_ref().ok().map(|put| &put.etag) == got.as_ref().ok().map(|got| &got.head.etag);
    seen.expect("put and get give the same entity tag", etags, &(&put, &got));
    let versions =
        put.as_ref().ok().map(|put| &put.version) == got.as_ref().ok().map(|got| &got.head.version);
    seen.expect("put and get give the same version", versions, &(&put, &got));
    let named = put.as_ref().is_ok_and(|put| put.version.is_some() == kind.versioned);
    seen.expect("objects of buckets with versions have one", named, &(kind, &put));
    let head = store.head(KEY).await;
    let told = match (&head, &got) {
        (Ok(head), Ok(got)) => {
            (&head.etag, &head.version, head.size, head.modified)
                == (&got.head.etag, &got.head.version, got.head.size, got.head.modified)
        }
        _ => false,
    };
    seen.expect("head and get tell the same", told, &(&head, &got));
    let sane = head.as_ref().is_ok_and(|head| head.modified <= head.answered);
    seen.expect("an object was modified before the server answers", sane, &head);
    let free = head.as_ref().is_ok_and(|head| head.retention.is_none());
    seen.expect("an object is not locked unless that is asked for", free, &head);
    let got = store.get(KEY, Some(2..5)).await;
    seen.expect("a range is end exclusive, the size is the object's", same(&got, b"234"), &got);
    let got = store.get(KEY, Some(8..20)).await;
    seen.expect("a range is cut at the end of the object", same(&got, b"89"), &got);
    for range in [10..12, 5..5] {
        let got = store.get(KEY, Some(range)).await;
        seen.expect("a range outside is an error", matches!(got, Err(StoreError::Range(_))), &got);
    }
    let put = store.put(KEY, body(&[]), Precondition::None, None).await;
    seen.expect("an empty object can be written over another", put.is_ok(), &put);
    let got = store.get(KEY, None).await;
    seen.expect("an empty object is empty", got.as_ref().is_ok_and(|got| got.data.is_empty()), &got);
    for _ in 0..2 {
        let deleted = store.delete(KEY).await;
        seen.expect("deleting succeeds, also when there is nothing", deleted.is_ok(), &deleted);
    }
    let got = store.get(KEY, None).await;
    seen.expect("a deleted object is not found", matches!(got, Err(StoreError::NotFound(_))), &got);
}

async fn conditions<S: ObjectStore>(store: &S, seen: &mut Checks) {
    const KEY: &str = "conformance/condition";
    let first = store.put(KEY, body(&[b"one"]), Precondition::Absent, None).await;
    if matches!(first, Err(StoreError::Unsupported(_))) {
        let matches = store.put(KEY, body(&[b"one"]), Precondition::Matches("\"x\"".to_owned()), None).await;
        let consistent = matches!(matches, Err(StoreError::Unsupported(_)));
        seen.expect("conditional writes are offered wholly or not at all", consistent, &matches);
        return;
    }
    let Ok(first) = first else {
        seen.expect("a put of an absent object succeeds", false, &first);
        return;
    };
    let refused = |put: &Result<_, StoreError>| matches!(put, Err(StoreError::Precondition(_)));
    let second = store.put(KEY, body(&[b"two"]), Precondition::Absent, None).await;
    seen.expect("a put on the condition of absence fails on a present object", refused(&second), &second);
    let wrong = store.put(KEY, body(&[b"two"]), Precondition::Matches("\"0123\"".to_owned()), None).await;
    seen.expect("a put with another entity tag fails", refused(&wrong), &wrong);
    let got = store.get(KEY, None).await;
    let kept = got.as_ref().is_ok_and(|got| got.data == b"one"[..]);
    seen.expect("a refused put changes nothing", kept, &got);
    let right = store.put(KEY, body(&[b"two"]), Precondition::Matches(first.etag.clone()), None).await;
    seen.expect("a put with the entity tag of the object succeeds", right.is_ok(), &right);
    let stale = store.put(KEY, body(&[b"three"]), Precondition::Matches(first.etag), None).await;
    seen.expect("a stale entity tag fails", refused(&stale), &stale);
    let _ = store.delete(KEY).await;
    let gone = store.put(KEY, body(&[b"two"]), Precondition::Matches("\"0123\"".to_owned()), None).await;
    let failed = matches!(gone, Err(StoreError::Precondition(_) | StoreError::NotFound(_)));
    seen.expect("an entity tag on a missing object fails", failed, &gone);
    let again = store.put(KEY, body(&[b"one"]), Precondition::Absent, None).await;
    seen.expect("a deleted object is absent", again.is_ok(), &again);
    let _ = store.delete(KEY).await;
}

async fn damaged_bodies<S: ObjectStore>(store: &S, seen: &mut Checks) {
    const KEY: &str = "conformance/damaged";
    let mut damaged = body(&[b"content"]);
    damaged.crc32c ^= 1;
    let put = store.put(KEY, damaged, Precondition::None, None).await;
    seen.expect("a body that does not match its checksum is refused", put.is_err(), &put);
    let got = store.get(KEY, None).await;
    seen.expect("a refused body is not stored", matches!(got, Err(StoreError::NotFound(_))), &got);
}

async fn odd_keys<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let long = format!("conformance/{}", "k".repeat(1024 - 12));
    let keys = ["conformance/a%2Fb", "conformance/%", "conformance/%2E./1/%2E", "conformance/#12", &long];
    for key in keys {
        let put = store.put(key, body(&[b"x"]), Precondition::None, None).await;
        let got = store.get(key, None).await;
        let list = store.list(key, None).await;
        let listed = list.as_ref().is_ok_and(|page| page.objects.len() == 1 && page.objects[0].key == key);
        seen.expect("keys are taken literally", put.is_ok() && got.is_ok() && listed, &(put, got, list));
        let deleted = store.delete_many(&[key.to_owned()]).await;
        let got = store.get(key, None).await;
        let gone = matches!(got, Err(StoreError::NotFound(_)));
        seen.expect("any key can be deleted in bulk", deleted.is_ok() && gone, &(deleted, got));
    }
}

pub(super) async fn copies<S: ObjectStore>(source: &S, target: &S, seen: &mut Checks) {
    const FROM: &str = "conformance/copy/from %2F+&=?";
    const TO: &str = "conformance/copy/to";
    let missing = target.copy_from(source.bucket(), FROM, TO).await;
    let failed = matches!(missing, Err(StoreError::NotFound(_)));
    seen.expect("a missing object cannot be copied", failed, &missing);
    let nowhere = target.copy_from("conformance-has-no-such-bucket", FROM, TO).await;
    let failed = matches!(nowhere, Err(StoreError::NoBucket(_) | StoreError::NotFound(_)));
    seen.expect("nothing can be copied from a missing bucket", failed, &nowhere);
    for content in [&b"first"[..], b"second"] {
        let put = source.put(FROM, body(&[content]), Precondition::None, None).await;
        let copied: Result<Put, _> = target.copy_from(source.bucket(), FROM, TO).await;
        let got = target.get(TO, None).await;
        let same = got.as_ref().is_ok_and(|got| got.data == content);
        seen.expect("a copy has the content of its source", same, &(&put, &copied, &got));
        let etags = copied.as_ref().ok().map(|put| &put.etag) == got.as_ref().ok().map(|got| &got.head.etag);
        seen.expect("a copy tells its entity tag", etags, &(&copied, &got));
        let versions =
            copied.as_ref().ok().map(|put| &put.version) == got.as_ref().ok().map(|got| &got.head.version);
        seen.expect("a copy tells its version", versions, &(&copied, &got));
    }
    let deleted = (source.delete(FROM).await, target.delete(TO).await);
    seen.expect("copies can be deleted", deleted.0.is_ok() && deleted.1.is_ok(), &deleted);
}

async fn groups<S: ObjectStore>(store: &S, seen: &mut Checks) {
    const UNDER: &str = "conformance/group/";
    let expected: Vec<String> = (0..9).map(|number| format!("{UNDER}{number}/")).collect();
    let mut keys: Vec<String> = expected.iter().map(|group| format!("{group}a/b")).collect();
    keys.extend(expected.iter().map(|group| format!("{group}c")));
    keys.push(format!("{UNDER}alone"));
    keys.push("conformance/groupie/0/1".to_owned());
    for key in &keys {
        let put = store.put(key, body(&[b"x"]), Precondition::None, None).await;
        seen.expect("keys with slashes can be written", put.is_ok(), &put);
    }
    let (mut groups, mut next) = (Vec::new(), None);
    loop {
        match store.list_groups(UNDER, next.as_deref()).await {
            Ok(page) => {
                groups.extend(page.groups);
                next = page.next;
            }
            Err(error) => {
                seen.expect("listing beginnings of keys succeeds", false, &error);
                break;
            }
        }
        if next.is_none() || groups.len() > keys.len() {
            break;
        }
    }
    seen.expect("pages give every beginning once, in order", groups == expected, &groups);
    let deleted = store.delete_many(&keys).await;
    seen.expect("keys with slashes can be deleted", deleted.is_ok(), &deleted);
    let page = store.list_groups(UNDER, None).await;
    let empty = page.as_ref().is_ok_and(|page| page.groups.is_empty());
    seen.expect("deleted objects give no beginnings", empty, &page);
}

async fn listing_and_deleting<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let keys: Vec<String> = (0..1005).map(|number| format!("conformance/list/{number:04}")).collect();
    for key in &keys {
        if let Err(error) = store.put(key, body(&[b"data"]), Precondition::None, None).await {
            seen.expect("many objects can be written", false, &error);
            return;
        }
    }
    let (mut listed, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        match store.list("conformance/list/", next.as_deref()).await {
            Ok(page) => {
                seen.expect(
                    "a page has at most 1,000 objects",
                    page.objects.len() <= 1000,
                    &page.objects.len(),
                );
                let sizes = page.objects.iter().all(|object| object.size == 4);
                seen.expect("a listing gives sizes", sizes, &page.objects.first());
                listed.extend(page.objects.into_iter().map(|object| object.key));
                next = page.next;
            }
            Err(error) => {
                seen.expect("listing succeeds", false, &error);
                break;
            }
        }
        pages += 1;
        if next.is_none() || pages > keys.len() {
            break;
        }
    }
    seen.expect("pages give every object once, in key order", listed == keys, &listed.len());
    let mut doomed = keys.clone();
    doomed.push("conformance/list/missing".to_owned());
    let deleted = store.delete_many(&doomed).await;
    seen.expect("more than 1,000 objects can be deleted at once", deleted.is_ok(), &deleted);
    let page = store.list("conformance/", None).await;
    let empty = page.as_ref().is_ok_and(|page| page.objects.is_empty() && page.next.is_none());
    seen.expect("nothing is left", empty, &page);
    let deleted = store.delete_many(&[]).await;
    seen.expect("deleting nothing succeeds", deleted.is_ok(), &deleted);
}
