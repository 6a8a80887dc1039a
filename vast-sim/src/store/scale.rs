//! Starting with a million objects: how long it takes and how much memory it needs, after a clean end and after a kill.
//!
//! What bounds the time is what reading the same records into a plain map takes in the same run, so that the bound means
//! the same on every machine and under every load. `VAST_SIM_OBJECTS` changes the number of objects.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Store;
use super::blob::{Blob, Extent};
use super::files::FileStore;
use super::journal;
use super::object::{Attributes, Object};

const OBJECTS: u64 = 1_000_000;
/// Objects that are journalled together.
const BATCH: u64 = 10_000;
/// Longest start, in times of what reading the same records into a plain map takes.
const START: u32 = 12;
/// Most resident memory per object, in bytes.
const MEMORY: u64 = 1_500;

/// A tenth has data in a file of its own: an empty file each would say the same of the metadata and more of the disk.
const WITH_DATA: u64 = 10;

fn object(n: u64, files: &Arc<FileStore>, blobs: &Path) -> Object {
    let size = u64::from(n.is_multiple_of(WITH_DATA));
    let mut extents = Vec::new();
    if size > 0 {
        let id = n + 1;
        fs::write(blobs.join(format!("{id:016x}")), b"x").unwrap();
        let blob = Arc::new(Blob::in_file(id, size, Arc::clone(files)));
        extents.push(Extent { blob, offset: 0, len: size });
    }
    Object {
        size,
        etag: format!("{n:032x}"),
        modified: 1_700_000_000_000 + n,
        attributes: Attributes { owner: "backup".to_owned(), ..Attributes::default() },
        checksum: None,
        parts: Vec::new(),
        upload: None,
        extents,
    }
}

/// Fills a new data directory and leaves it as a kill would: `crash` becomes a copy of it while it is open.
fn fill(dir: &Path, crash: &Path, objects: u64) {
    let store = Store::open(dir).unwrap();
    let blobs = dir.join("blobs");
    let files = Arc::new(FileStore::at(&blobs, u64::MAX / 2).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for first in (0..objects).step_by(usize::try_from(BATCH).unwrap()) {
        let made: Vec<Object> =
            (first..objects.min(first + BATCH)).map(|n| object(n, &files, &blobs)).collect();
        store.write(|state| {
            for (n, object) in (first..).zip(made) {
                state.put_object(1, &format!("/images/{:03}/object-{n:09}", n % 1000), object, false);
            }
        });
        runtime.block_on(store.settled()).unwrap();
    }
    fs::create_dir(crash).unwrap();
    fs::copy(dir.join("metadata.redb"), crash.join("metadata.redb")).unwrap();
    std::os::unix::fs::symlink(&blobs, crash.join("blobs")).unwrap();
    store.close();
}

/// How long it takes to open the database and to put its records into a map as they are.
fn plain(dir: &Path) -> Duration {
    let begun = Instant::now();
    let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let read = journal::open(&dir.join("metadata.redb"), &mut |_, key, value| {
        map.insert(key.to_vec(), value.to_vec());
        Ok(())
    });
    drop((read.unwrap(), map));
    begun.elapsed()
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_million_objects_start_in_bounded_time_and_memory() {
    let objects = std::env::var("VAST_SIM_OBJECTS").map_or(OBJECTS, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let (clean, crash) = (temporary.path().join("clean"), temporary.path().join("crash"));
    let at_first = resident();
    let begun = Instant::now();
    fill(&clean, &crash, objects);
    println!("{objects} objects written in {:.1?}", begun.elapsed());
    for (what, dir) in [("a clean end", &clean), ("a kill", &crash)] {
        // Of a copy where there was a kill: opening repairs.
        let copy = temporary.path().join("copy");
        fs::create_dir_all(&copy).unwrap();
        fs::copy(dir.join("metadata.redb"), copy.join("metadata.redb")).unwrap();
        let before = plain(&copy);
        let begun = Instant::now();
        let store = Store::open(dir).unwrap();
        // What filling left behind in the allocator counts as well: this is the most that it can be.
        let (took, grown) = (begun.elapsed(), resident().saturating_sub(at_first));
        // The machine may be busier at one moment than at another.
        let bound = before.max(plain(&copy)) * START;
        let on_disk = fs::metadata(dir.join("metadata.redb")).unwrap().len();
        println!(
            "after {what}: {took:.2?} to start (at most {bound:.2?}), {} MiB resident at most, metadata of {} MiB",
            grown >> 20,
            on_disk >> 20
        );
        assert_eq!(store.read(|state| state.usage(1, "/images").objects), objects);
        assert!(took < bound, "{took:?} to start after {what}: more than {START} times a plain map");
        assert!(grown < (64 << 20) + MEMORY * objects, "{grown} bytes of memory for {objects} objects");
        store.close();
    }
}
