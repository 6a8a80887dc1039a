//! Lists through snapshots: of `.snapshot/` itself, of keys below `.snapshot/<name>/`, and of buckets whose path is in one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::list::{Ask, Page, page};
use crate::store::frozen::{SNAPSHOT_DIR, SnapshotDir, SnapshotKey};
use crate::store::namespace::normal;
use crate::store::object::{Bucket, Object};
use crate::store::state::State;

/// The page of a list that goes through a snapshot; none for any other list.
pub(crate) fn object_page(state: &State, bucket: &Bucket, ask: &Ask<'_>) -> Option<Page<Arc<Object>>> {
    let full = format!("{}{}", bucket.base(), ask.prefix);
    let Some(through) = SnapshotKey::parse(&full) else {
        return Some(names_page(state, bucket, &SnapshotDir::parse(&full)?, ask));
    };
    let nothing = || Page { items: Vec::new(), prefixes: Vec::new(), next: None };
    let Some(frozen) = state.snapshot_of(bucket.tenant_id, through.before, through.snapshot) else {
        return Some(nothing());
    };
    let dir = normal(through.before);
    // Where the directory lies in what the snapshot keeps, and what clients call it.
    let below = format!("{}/", &dir[frozen.path.len()..]);
    let called = format!("{dir}/{SNAPSHOT_DIR}/{}/", through.snapshot);
    let base = bucket.base();
    let object = |o: &Arc<Object>, _: Option<&str>| vec![(String::new(), Arc::clone(o))];
    if let Some(inner) = base.strip_prefix(&called) {
        let ask = Ask { base: &format!("{below}{inner}"), ..*ask };
        return Some(page(&frozen.objects, &ask, object));
    }
    let head = &called[base.len()..];
    let after = match ask.after.strip_prefix(head) {
        Some(rest) => rest,
        None if ask.after < head => "",
        None => return Some(nothing()),
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
    Some(found)
}

/// The page of a list of `.snapshot/`: the snapshots of a directory, or everything in them.
fn names_page(state: &State, bucket: &Bucket, dir: &SnapshotDir<'_>, ask: &Ask<'_>) -> Page<Arc<Object>> {
    let base = bucket.base();
    let head = format!("{}{SNAPSHOT_DIR}/", dir.before);
    let names: BTreeSet<&str> = state
        .snapshots_over(bucket.tenant_id, dir.before)
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(dir.begins))
        .collect();
    // By their paths, as they are kept; one that keeps nothing is a directory all the same.
    let mut found: BTreeMap<String, Option<Arc<Object>>> = BTreeMap::new();
    for name in names {
        let Some(frozen) = state.snapshot_of(bucket.tenant_id, dir.before, name) else { continue };
        let called = format!("{head}{name}");
        if ask.delimiter == "/" {
            found.insert(format!("{called}/"), None);
            continue;
        }
        let below = &normal(dir.before)[frozen.path.len()..];
        let inside = frozen.objects.range(format!("{below}/")..);
        for (path, object) in inside.map_while(|(p, o)| Some((p.strip_prefix(below)?, o))) {
            if path.starts_with('/') {
                found.insert(format!("{called}{path}"), Some(Arc::clone(object)));
            }
        }
    }
    let item = |o: &Option<Arc<Object>>, _: Option<&str>| match o {
        Some(object) => vec![(String::new(), Some(Arc::clone(object)))],
        None => vec![(String::new(), None)],
    };
    let page = page(&found, &Ask { base: &base, ..*ask }, item);
    let items = page.items.into_iter().filter_map(|(key, object)| Some((key, object?))).collect();
    Page { items, prefixes: page.prefixes, next: page.next }
}
