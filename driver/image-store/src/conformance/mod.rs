//! What every object store must do, as checks that can be run on any of them.

use bytes::Bytes;

use crate::checksum::Running;
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};

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
/// Works under the prefix `conformance/` only, which should be empty, and removes what it wrote. Stores without
/// conditional writes are expected to say [`StoreError::Unsupported`] consistently.
pub async fn check<S: ObjectStore>(store: &S) -> Vec<Violation> {
    let mut seen = Checks::default();
    write_and_read(store, &mut seen).await;
    conditions(store, &mut seen).await;
    damaged_bodies(store, &mut seen).await;
    odd_keys(store, &mut seen).await;
    listing_and_deleting(store, &mut seen).await;
    seen.violations
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

async fn write_and_read<S: ObjectStore>(store: &S, seen: &mut Checks) {
    const KEY: &str = "conformance/object";
    let got = store.get(KEY, None).await;
    seen.expect("a missing object is not found", matches!(got, Err(StoreError::NotFound(_))), &got);
    let put = store.put(KEY, body(&[b"0123", b"", b"456789"]), Precondition::None, None).await;
    seen.expect("a put of several parts succeeds", put.is_ok(), &put);
    let got = store.get(KEY, None).await;
    let same = |got: &Result<_, _>, expected: &[u8]| {
        let got: &Result<crate::object_store::Got, StoreError> = got;
        got.as_ref().is_ok_and(|got| got.data == expected && got.head.size == 10)
    };
    seen.expect("the parts are one object", same(&got, b"0123456789"), &got);
    let etags = put.as_ref().ok().map(|put| &put.etag) == got.as_ref().ok().map(|got| &got.head.etag);
    seen.expect("put and get give the same entity tag", etags, &(&put, &got));
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
