//! The store against plain counting: whatever is done, usage is what a scan finds and blobs are held as long as needed.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::blob::{Blob, Extent};
use super::namespace::{DirectoryInfo, Usage, is_under};
use super::object::{Attributes, Object, Part, Upload};
use super::state::State;
use super::version::VersionId;

/// The snapshot by which copies are made.
const COPYING: u64 = u64::MAX;

fn extents(id: u64, size: usize) -> Vec<Extent> {
    let blob = Arc::new(Blob::in_memory(id, vec![Bytes::from(vec![0; size])]));
    vec![Extent { blob, offset: 0, len: size as u64 }]
}

fn object(id: u64, size: usize) -> Object {
    Object {
        size: size as u64,
        etag: String::new(),
        modified: 1,
        attributes: Attributes { owner: format!("user-{}", id % 2), ..Attributes::default() },
        checksum: None,
        parts: Vec::new(),
        upload: None,
        extents: extents(id, size),
    }
}

fn upload() -> Upload {
    Upload {
        initiated: 1,
        attributes: Attributes { owner: "user-0".to_owned(), ..Attributes::default() },
        algorithm: None,
        full_object_checksum: false,
        parts: std::collections::BTreeMap::new(),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, usize, bool),
    Mark(String, bool),
    RemoveNewest(String),
    Open(String),
    Part(String, u16, usize),
    Close(String),
    Directory(String),
    NoDirectory(String),
    Copy(String, String),
    Clear(String),
    Freeze(u64, String),
    Thaw(u64),
    Unfreeze(u64, String),
}

fn path() -> impl Strategy<Value = String> {
    "(/[ab]){1,3}(//a|/)?"
}

fn dir() -> impl Strategy<Value = String> {
    "(/[ab]){0,2}/?"
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (path(), 0usize..9, any::<bool>()).prop_map(|(p, n, v)| Step::Put(p, n, v)),
        1 => (path(), any::<bool>()).prop_map(|(p, v)| Step::Mark(p, v)),
        2 => path().prop_map(Step::RemoveNewest),
        1 => path().prop_map(Step::Open),
        2 => (path(), 1u16..3, 0usize..9).prop_map(|(p, n, s)| Step::Part(p, n, s)),
        1 => path().prop_map(Step::Close),
        1 => dir().prop_map(Step::Directory),
        1 => dir().prop_map(Step::NoDirectory),
        1 => (dir(), dir()).prop_map(|(a, b)| Step::Copy(a, b)),
        1 => dir().prop_map(Step::Clear),
        1 => (1u64..3, dir()).prop_map(|(n, d)| Step::Freeze(n, d)),
        1 => (1u64..3).prop_map(Step::Thaw),
        1 => (1u64..3, dir()).prop_map(|(n, d)| Step::Unfreeze(n, d)),
    ]
}

fn carry_out(state: &mut State, blob: u64, step: Step) {
    match step {
        Step::Put(path, size, versioned) => {
            state.put_object(1, &path, object(blob, size), versioned);
        }
        Step::Mark(path, versioned) => {
            state.put_marker(1, &path, 1, "u", versioned);
        }
        Step::RemoveNewest(path) => {
            let newest = state.entry(1, &path).and_then(|e| e.newest()).map(|v| v.id);
            state.remove_version(1, &path, newest.unwrap_or(VersionId::Null));
        }
        Step::Open(path) => {
            if state.files(1).upload(&path, "id").is_none() {
                state.create_upload(1, &path, "id", upload());
            }
        }
        Step::Part(path, number, size) => {
            let part = Part {
                size: size as u64,
                etag: String::new(),
                modified: 1,
                checksum: None,
                extents: extents(blob, size),
            };
            state.put_part(1, &path, "id", number, part);
        }
        Step::Close(path) => drop(state.remove_upload(1, &path, "id")),
        Step::Directory(path) => state.make_directory(1, &path, DirectoryInfo::default()),
        Step::NoDirectory(path) => {
            state.remove_directory(1, &path);
        }
        Step::Copy(from, to) => {
            state.freeze(COPYING, 1, &from);
            state.copy_frozen(COPYING, &from, 1, &to);
            state.thaw(COPYING);
        }
        Step::Clear(path) => state.remove_tree(1, &path),
        Step::Freeze(id, path) => {
            state.thaw(id);
            state.freeze(id, 1, &path);
        }
        Step::Thaw(id) => {
            state.thaw(id);
        }
        Step::Unfreeze(id, to) => {
            let below = state.frozen(id).map(|f| f.path.clone()).unwrap_or_default();
            state.copy_frozen(id, &below, 1, &to);
        }
    }
}

/// Usage of a path, found by looking at everything.
fn scanned(state: &State, dir: &str) -> Usage {
    let mut usage = Usage::default();
    let files = state.files(1);
    for (_, entry) in files.entries().iter().filter(|(p, _)| is_under(p, dir)) {
        for version in entry.versions() {
            usage.objects += u64::from(version.object().is_some());
            usage.markers += u64::from(version.object().is_none());
            usage.bytes += version.object().map_or(0, |o| o.size);
        }
    }
    for (_, uploads) in files.uploads().iter().filter(|(p, _)| p.len() > dir.len() && is_under(p, dir)) {
        usage.uploads += uploads.len() as u64;
        usage.bytes += uploads.values().flat_map(|u| u.parts.values()).map(|p| p.size).sum::<u64>();
    }
    usage.directories = files.walk_directories(dir).count() as u64;
    usage
}

/// Bytes of all blobs that something refers to, each once.
fn referenced(state: &State) -> u64 {
    let mut blobs = std::collections::BTreeMap::new();
    let mut see = |extents: &[Extent]| {
        for e in extents {
            blobs.insert(e.blob.id, e.blob.len);
        }
    };
    let files = state.files(1);
    for version in files.entries().values().flat_map(super::version::Entry::versions) {
        see(version.object().map_or(&[], |o| &o.extents[..]));
    }
    for part in files.uploads().values().flat_map(|u| u.values()).flat_map(|u| u.parts.values()) {
        see(&part.extents);
    }
    for object in [1, 2].into_iter().filter_map(|id| state.frozen(id)).flat_map(|f| f.objects.values()) {
        see(&object.extents);
    }
    blobs.values().sum()
}

proptest! {
    #![proptest_config(crate::random::cases(300))]
    #[test]
    fn usage_is_what_a_scan_finds(steps in proptest::collection::vec(step(), 1..40)) {
        let mut state = State::default();
        for (n, step) in steps.into_iter().enumerate() {
            carry_out(&mut state, n as u64, step);
            for dir in ["", "/a", "/b", "/a/a", "/a/b", "/b/a/b"] {
                prop_assert_eq!(state.usage(1, dir), scanned(&state, dir), "{}", dir);
                let files = state.files(1);
                prop_assert_eq!(files.owners(dir), super::owners::count(files, dir), "{}", dir);
            }
            prop_assert_eq!(state.physical_bytes(), referenced(&state));
        }
        state.thaw(1);
        state.thaw(2);
        state.remove_tree(1, "");
        prop_assert_eq!((state.usage(1, "/"), state.physical_bytes()), (Usage::default(), 0));
    }
}

#[test]
fn a_snapshot_keeps_what_was_there_and_copies_share_it() {
    let mut state = State::default();
    state.put_object(1, "/v/a", object(1, 10), false);
    state.put_object(1, "/v/d/b", object(2, 20), false);
    state.put_object(1, "/w/c", object(3, 40), false);
    state.make_directory(1, "/v/empty/", DirectoryInfo::default());
    state.freeze(7, 1, "/v/");
    state.put_object(1, "/v/a", object(4, 80), false);
    state.remove_version(1, "/v/d/b", VersionId::Null);
    assert_eq!((state.usage(1, "/v").bytes, state.physical_bytes()), (80, 150));
    let frozen = state.frozen(7).unwrap();
    assert_eq!((frozen.bytes, frozen.object("/v/a").unwrap().size, frozen.objects.len()), (30, 10, 2));
    assert_eq!(state.copy_frozen(7, "/v", 2, "/clone"), 2);
    assert_eq!((state.current(2, "/clone/d/b").unwrap().size, state.physical_bytes()), (20, 150));
    assert!(state.files(2).directory("/clone/empty").is_some());
    assert_eq!(state.copy_frozen(7, "/v/d", 1, "/part"), 1);
    assert_eq!(state.current(1, "/part/b").unwrap().size, 20);
    assert!(state.thaw(7) && !state.thaw(7));
    assert_eq!(state.physical_bytes(), 150, "the clone still has them");
    state.remove_tree(2, "/clone");
    assert_eq!(state.physical_bytes(), 140, "/part still has b");
}

#[test]
fn directories_and_children() {
    let mut state = State::default();
    state.make_directory(1, "/v", DirectoryInfo::default());
    state.put_object(1, "/v/a", object(1, 1), false);
    state.put_object(1, "/v/d/x/y", object(2, 1), false);
    state.put_object(1, "/v/d!", object(2, 1), false);
    state.put_marker(1, "/v/gone", 1, "u", true);
    state.make_directory(1, "/v/e/f", DirectoryInfo::default());
    let files = state.files(1);
    assert_eq!(files.children("/v/"), 4);
    assert_eq!(files.children("/v/d"), 1);
    for (path, is) in
        [("/", true), ("/v", true), ("/v/d", true), ("/v/e", true), ("/v/a", false), ("/x", false)]
    {
        assert_eq!(files.is_directory(path), is, "{path}");
    }
    assert!(state.remove_directory(1, "/v/e/f") && !state.remove_directory(1, "/v/e/f"));
    assert!(!state.files(1).is_directory("/v/e"));
}
