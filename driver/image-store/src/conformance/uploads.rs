//! Multipart uploads: an object in parts, and nothing of it before the end.

use super::{Checks, body};
use crate::object_store::{ListedUpload, ObjectStore, Precondition, StoreError};

const KEY: &str = "conformance/upload/object";

pub(super) async fn check<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let begun = store.begin_upload(KEY, None).await;
    if matches!(begun, Err(StoreError::Unsupported(_))) {
        let list = store.list_uploads(KEY, None).await;
        let consistent = matches!(list, Err(StoreError::Unsupported(_)));
        seen.expect("multipart uploads are offered wholly or not at all", consistent, &list);
        return;
    }
    let Ok(upload) = begun else {
        seen.expect("an upload can be begun", false, &begun);
        return;
    };
    complete(store, &upload, seen).await;
    abort(store, seen).await;
    listing(store, seen).await;
    let _ = store.delete(KEY).await;
}

/// All uploads of keys with a prefix.
async fn uploads<S: ObjectStore>(store: &S, prefix: &str, seen: &mut Checks) -> Vec<ListedUpload> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        match store.list_uploads(prefix, next).await {
            Ok(page) => {
                seen.expect("a page has at most 1,000 uploads", page.uploads.len() <= 1000, &page);
                all.extend(page.uploads);
                next = page.next;
            }
            Err(error) => {
                seen.expect("listing uploads succeeds", false, &error);
                break;
            }
        }
        if next.is_none() || all.len() > 1000 {
            break;
        }
    }
    all
}

async fn complete<S: ObjectStore>(store: &S, upload: &str, seen: &mut Checks) {
    let listed = uploads(store, KEY, seen).await;
    let there = matches!(listed.as_slice(), [one] if one.key == KEY && one.upload == upload);
    seen.expect("an upload that has begun is listed", there, &listed);
    let mut damaged = body(&[b"part"]);
    damaged.crc32c ^= 1;
    let refused = store.upload_part(KEY, upload, 1, damaged).await;
    seen.expect("a part that does not match its checksum is refused", refused.is_err(), &refused);
    let sent = store.upload_part(KEY, upload, 1, body(&[b"replaced"])).await;
    seen.expect("a part can be sent", sent.is_ok(), &sent);
    let sent = store.upload_part(KEY, upload, 1, body(&[b"whole ", b"", b"part"])).await;
    seen.expect("a part can be sent again", sent.is_ok(), &sent);
    let got = store.get(KEY, None).await;
    let hidden = matches!(got, Err(StoreError::NotFound(_)));
    seen.expect("an upload is no object before its end", hidden, &got);
    let before = store.put(KEY, body(&[b"before"]), Precondition::None, None).await;
    seen.expect("an object can be written beside an upload", before.is_ok(), &before);

    let parts: Vec<String> = sent.into_iter().collect();
    let other = store.complete_upload(KEY, upload, &["\"0123\"".to_owned()]).await;
    seen.expect("an upload cannot end with parts that it does not have", other.is_err(), &other);
    let none = store.complete_upload(KEY, upload, &[]).await;
    seen.expect("an upload cannot end without parts", none.is_err(), &none);
    let done = store.complete_upload(KEY, upload, &parts).await;
    let got = store.get(KEY, None).await;
    let same = got.as_ref().is_ok_and(|got| got.data == b"whole part"[..]);
    seen.expect("an upload that ends makes its object", same, &(&done, &got));
    let told = match (&done, &got) {
        (Ok(done), Ok(got)) => (&done.etag, &done.version) == (&got.head.etag, &got.head.version),
        _ => false,
    };
    seen.expect("the end of an upload tells entity tag and version", told, &(&done, &got));
    let matched = match &done {
        Ok(done) => {
            let condition = Precondition::Matches(done.etag.clone());
            store.put(KEY, body(&[b"after"]), condition, None).await
        }
        Err(error) => Err(error.clone()),
    };
    let fits = matches!(matched, Ok(_) | Err(StoreError::Unsupported(_)));
    seen.expect("the entity tag of an upload's object can be a condition", fits, &matched);

    let again = store.complete_upload(KEY, upload, &parts).await;
    // Some servers remember for a while, and give the same answer.
    let known = matches!(again, Ok(_) | Err(StoreError::NoUpload(_)));
    seen.expect("an upload that has ended cannot end again", known, &again);
    let got = store.get(KEY, None).await;
    let kept = matched.is_err() || got.as_ref().is_ok_and(|got| got.data == b"after"[..]);
    seen.expect("a repeated end changes nothing", kept, &got);
    gone(store, upload, &parts, seen).await;
}

/// What must hold of an upload that is over.
async fn gone<S: ObjectStore>(store: &S, upload: &str, parts: &[String], seen: &mut Checks) {
    let part = store.upload_part(KEY, upload, 1, body(&[b"late"])).await;
    let refused = matches!(part, Err(StoreError::NoUpload(_)));
    seen.expect("an upload that is over takes no part", refused, &(part, parts));
    let aborted = store.abort_upload(KEY, upload).await;
    seen.expect("aborting succeeds, also when there is nothing", aborted.is_ok(), &aborted);
    let listed = uploads(store, KEY, seen).await;
    seen.expect("an upload that is over is not listed", listed.is_empty(), &listed);
}

async fn abort<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let Ok(upload) = store.begin_upload(KEY, None).await else {
        seen.expect("a further upload can be begun", false, &());
        return;
    };
    let before = store.get(KEY, None).await.map(|got| got.data);
    let sent = store.upload_part(KEY, &upload, 1, body(&[b"in vain"])).await;
    let parts: Vec<String> = sent.into_iter().collect();
    let aborted = store.abort_upload(KEY, &upload).await;
    seen.expect("an upload can be aborted", aborted.is_ok(), &aborted);
    let done = store.complete_upload(KEY, &upload, &parts).await;
    let refused = matches!(done, Err(StoreError::NoUpload(_)));
    seen.expect("an upload that was aborted cannot end", refused, &done);
    let after = store.get(KEY, None).await.map(|got| got.data);
    let same = before.as_ref().ok() == after.as_ref().ok();
    seen.expect("an upload that was aborted changes nothing", same, &(&before, &after));
    gone(store, &upload, &parts, seen).await;
}

async fn listing<S: ObjectStore>(store: &S, seen: &mut Checks) {
    let keys = ["conformance/upload/a &<b", "conformance/upload/b"];
    let mut begun = Vec::new();
    // More than one of the same key, and enough for several short pages.
    for _ in 0..5 {
        for key in keys {
            match store.begin_upload(key, None).await {
                Ok(upload) => begun.push((key.to_owned(), upload)),
                Err(error) => seen.expect("several uploads of a key can be begun", false, &error),
            }
        }
    }
    let listed = uploads(store, "conformance/upload/", seen).await;
    let in_order = listed.windows(2).all(|pair| pair[0].key <= pair[1].key);
    seen.expect("uploads are listed in the order of their keys", in_order, &listed);
    let mut listed: Vec<_> = listed.into_iter().map(|listed| (listed.key, listed.upload)).collect();
    listed.sort();
    begun.sort();
    seen.expect("pages give every upload once", listed == begun, &(&listed, &begun));
    let listed = uploads(store, keys[1], seen).await;
    let only = listed.len() == 5 && listed.iter().all(|listed| listed.key == keys[1]);
    seen.expect("uploads are listed by the beginning of their key", only, &listed);
    for (key, upload) in &begun {
        let aborted = store.abort_upload(key, upload).await;
        seen.expect("every upload can be aborted", aborted.is_ok(), &aborted);
    }
    let listed = uploads(store, "conformance/upload/", seen).await;
    seen.expect("no upload is left", listed.is_empty(), &listed);
}
