//! Lists through snapshots: keys below `.snapshot/<name>/`, and buckets whose path is in one.

use std::sync::Arc;

use s3s::S3Result;

use super::list::{Ask, Page, page};
use super::versions::no_such_key;
use crate::store::frozen::{SNAPSHOT_DIR, SnapshotKey};
use crate::store::namespace::normal;
use crate::store::object::{Bucket, Object};
use crate::store::state::State;

/// The page of a list that goes through a snapshot; none for any other list.
pub(crate) fn object_page(
    state: &State,
    bucket: &Bucket,
    ask: &Ask<'_>,
) -> Option<S3Result<Page<Arc<Object>>>> {
    let full = format!("{}{}", bucket.base(), ask.prefix);
    let through = SnapshotKey::parse(&full)?;
    let Some(frozen) = state.snapshot_of(bucket.tenant_id, through.before, through.snapshot) else {
        return Some(Err(no_such_key()));
    };
    let dir = normal(through.before);
    // Where the directory lies in what the snapshot keeps, and what clients call it.
    let below = format!("{}/", &dir[frozen.path.len()..]);
    let called = format!("{dir}/{SNAPSHOT_DIR}/{}/", through.snapshot);
    let base = bucket.base();
    let object = |o: &Arc<Object>, _: Option<&str>| vec![(String::new(), Arc::clone(o))];
    if let Some(inner) = base.strip_prefix(&called) {
        let ask = Ask { base: &format!("{below}{inner}"), ..*ask };
        return Some(Ok(page(&frozen.objects, &ask, object)));
    }
    let head = &called[base.len()..];
    let after = match ask.after.strip_prefix(head) {
        Some(rest) => rest,
        None if ask.after < head => "",
        None => return Some(Ok(Page { items: Vec::new(), prefixes: Vec::new(), next: None })),
    };
    let inner = Ask { base: &below, prefix: &ask.prefix[head.len()..], after, ..*ask };
    let mut found = page(&frozen.objects, &inner, object);
    for (key, _) in &mut found.items {
        key.insert_str(0, head);
    }
    for prefix in &mut found.prefixes {
        prefix.insert_str(0, head);
    }
    if let Some((next, _)) = &mut found.next {
        next.insert_str(0, head);
    }
    Some(Ok(found))
}
