//! The object stores, against the common checks.

use image_store::ObjectStore as _;
use image_store::conformance::{LOCKED_FOR, check, check_copy, clear};
use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::{Payload, Precondition, StoreError, VersionPage};

use crate::cluster::{block_on as block_on_network, cluster_with, further_bucket};
use crate::support::block_on;

/// Some time in 2023: a retention must not end before 1970.
const NOW: u64 = 1_700_000_000;

fn memory() -> MemoryStore {
    let store = MemoryStore::new();
    store.set_time(NOW);
    store
}

#[test]
fn the_store_in_memory_conforms() {
    let store = memory();
    assert_eq!(block_on(check(&store)), []);
    assert!(store.raw().is_empty() && store.used() == 0, "{:?}", store.raw());
}

#[test]
fn the_store_in_memory_conforms_without_its_features_and_with_short_pages() {
    let store = memory();
    store.set_conditional_writes(false);
    store.set_multipart(false);
    store.set_version_listing(false);
    store.set_page_size(7);
    assert_eq!(block_on(check(&store)), []);
    assert!(store.raw().is_empty());
}

#[test]
fn the_store_in_memory_conforms_with_versions_and_short_pages() {
    let store = memory();
    store.set_versioned();
    store.set_page_size(7);
    assert_eq!(block_on(check(&store)), []);
    assert!(store.raw().is_empty(), "{:?}", store.raw());
}

#[test]
fn the_store_in_memory_conforms_with_object_lock() {
    let store = memory();
    store.set_object_lock();
    block_on(async {
        assert_eq!(check(&store).await, []);
        assert!(matches!(clear(&store).await, Err(StoreError::Locked(_))), "something is locked");
        store.advance(LOCKED_FOR);
        clear(&store).await.unwrap();
    });
    assert!(store.raw().is_empty(), "{:?}", store.raw());
}

#[test]
fn copies_between_buckets_in_memory_conform_and_move_no_bytes() {
    let source = memory();
    let target = source.sibling("target");
    target.set_versioned();
    assert_eq!(block_on(check_copy(&source, &target)), []);
    let counters = target.counters();
    assert_eq!((counters.copies, counters.puts, counters.bytes_in), (4, 0, 0));
}

#[test]
fn a_store_that_loses_an_object_does_not_conform() {
    let store = memory();
    let lost = Effect::LoseAnswer(StoreError::Timeout("scripted".to_owned()));
    store.script(Operation::Put, "conformance/object", 0, lost);
    assert_ne!(block_on(check(&store)), []);
}

/// One that breaks its word in each of the operations does not pass.
#[test]
fn a_store_that_fails_at_anything_does_not_conform() {
    use Operation::{
        AbortUpload, BeginUpload, CompleteUpload, Copy, Delete, DeleteMany, DeleteVersions, Get, Head, Kind,
        List, ListGroups, ListUploads, ListVersions, Put, Retain, UploadPart,
    };
    for operation in [
        AbortUpload,
        BeginUpload,
        CompleteUpload,
        Copy,
        Delete,
        DeleteMany,
        DeleteVersions,
        Get,
        Head,
        Kind,
        List,
        ListGroups,
        ListUploads,
        ListVersions,
        Put,
        Retain,
        UploadPart,
    ] {
        let store = memory();
        store.set_object_lock();
        let refused = Effect::Refuse(StoreError::Protocol("scripted".to_owned()));
        // The first part and the first two attempts to end an upload have to fail anyway.
        let skip = match operation {
            UploadPart => 1,
            CompleteUpload => 2,
            _ => 0,
        };
        store.script(operation, "", skip, refused);
        assert_ne!(block_on(check(&store)), [], "{operation:?}");
        assert_eq!(store.clear_scripts(), 0, "{operation:?}");
    }
}

#[test]
fn a_bucket_may_lock_what_nobody_asked_to_lock() {
    let store = memory();
    store.set_object_lock();
    store.set_default_retention(Some(60));
    block_on(async {
        let put = store.put("a", Payload::default(), Precondition::None, None).await.unwrap();
        let doomed = [("a".to_owned(), put.version.unwrap())];
        assert!(matches!(store.delete_versions(&doomed).await, Err(StoreError::Locked(_))));
        assert_eq!(store.head("a").await.unwrap().retention.unwrap().until, NOW + 60);
        store.advance(60);
        store.delete_versions(&doomed).await.unwrap();
        assert_eq!(store.list_versions("", None).await.unwrap(), VersionPage::default());
    });
}

#[test]
fn the_store_on_a_cluster_conforms() {
    let (cluster, store) = cluster_with(&serde_json::json!({}));
    assert_eq!(block_on_network(check(&store)), []);
    let state = cluster.raw_state();
    let bucket = state.bucket(store.bucket()).unwrap();
    assert!(bucket.objects.is_empty() && bucket.uploads.is_empty() && bucket.versions.is_empty());
}

#[test]
fn the_store_on_a_cluster_conforms_with_versions() {
    let (cluster, store) = cluster_with(&serde_json::json!({ "s3_versioning": true }));
    assert_eq!(block_on_network(check(&store)), []);
    let state = cluster.raw_state();
    let bucket = state.bucket(store.bucket()).unwrap();
    assert!(bucket.versions.is_empty() && bucket.uploads.is_empty(), "{bucket:?}");
}

#[test]
fn the_store_on_a_cluster_conforms_with_object_lock() {
    let (cluster, store) = cluster_with(&serde_json::json!({ "s3_versioning": true, "locking": true }));
    assert_eq!(block_on_network(check(&store)), []);
    assert!(matches!(block_on_network(clear(&store)), Err(StoreError::Locked(_))), "something is locked");
    cluster.advance(std::time::Duration::from_secs(LOCKED_FOR)).unwrap();
    block_on_network(clear(&store)).unwrap();
    let state = cluster.raw_state();
    assert!(state.bucket(store.bucket()).unwrap().versions.is_empty());
}

#[test]
fn copies_between_buckets_of_a_cluster_conform() {
    let (cluster, source) = cluster_with(&serde_json::json!({}));
    let target = further_bucket(&cluster, "second");
    assert_eq!(block_on_network(check_copy(&source, &target)), []);
}
