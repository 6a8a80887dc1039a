//! Locks: how long they may be, what they keep, and that nothing is left once they are over.

use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::object_store::{Payload, Precondition, Retention, RetentionMode};
use image_store::{Close, ImageError, ImageStore, LockRules, ObjectStore as _, SweepOptions};

use crate::cluster::{self, cluster_with};
use crate::support::{
    Has, assert_no_orphans, block_on, by_hand, bytes, environment, identity, image_store, read_image, small,
    write_image,
};

/// By the server's clock; that of the media server stands in 2023 and means nothing.
pub(crate) const NOW: u64 = 1_900_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60;

pub(crate) const RULES: LockRules =
    LockRules { minimum: 60, maximum: Some(100 * DAY), mode: RetentionMode::Governance };

pub(crate) fn locking() -> (ImageStore<MemoryStore>, Arc<MemoryStore>) {
    locking_on(Has::Conditions)
}

/// The same on a server that has this.
pub(crate) fn locking_on(has: Has) -> (ImageStore<MemoryStore>, Arc<MemoryStore>) {
    let (images, memory, _) = image_store(small());
    has.set(&memory);
    memory.set_object_lock();
    memory.set_time(NOW);
    memory.set_page_size(3);
    (images, memory)
}

pub(crate) fn state_key(name: &str) -> String {
    format!("image/{name}/1588173008/Daily")
}

/// Until when an image says that it is locked, read by hand.
pub(crate) fn locked_until(memory: &MemoryStore, name: &str) -> Option<u64> {
    let object = memory.object(&state_key(name)).unwrap();
    let line = object.split(|byte| *byte == b'\n').next().unwrap();
    serde_json::from_slice::<serde_json::Value>(line).unwrap()["locked_until"].as_u64()
}

/// What object lock says of every version of a key.
pub(crate) fn retentions(memory: &MemoryStore, key: &str) -> Vec<Option<Retention>> {
    let versions = memory.raw().versions.into_iter().filter(|version| version.key == key);
    versions.map(|version| version.retention).collect()
}

/// Fails unless everything that an image consists of is kept until then, at least this strictly.
pub(crate) fn assert_complete(memory: &MemoryStore, name: &str, until: u64, mode: RetentionMode) {
    assert_eq!(locked_until(memory, name), Some(until));
    assert_eq!(retentions(memory, &state_key(name))[0], Some(Retention { until, mode }));
    for segment in &by_hand(memory)[&state_key(name)].segments {
        let kept = retentions(memory, segment);
        let long =
            |kept: &Option<Retention>| kept.is_some_and(|kept| kept.until >= until && kept.mode >= mode);
        assert!(!kept.is_empty() && kept.iter().all(long), "{segment}: {kept:?}");
    }
}

/// Fails unless an image says nothing of a lock, nor is its state object kept.
pub(crate) fn assert_unlocked(memory: &MemoryStore, name: &str) {
    assert_eq!(locked_until(memory, name), None);
    assert!(retentions(memory, &state_key(name)).iter().all(Option::is_none));
}

#[test]
fn a_lock_ends_within_minimum_and_maximum_by_the_servers_clock() {
    block_on(async {
        let (images, memory) = locking();
        let a = identity("a");
        write_image(&images, &a, &bytes(1, 0, 500)).await;
        for until in [0, NOW - 1, NOW, NOW + 59] {
            let refused = images.lock(&a, until, RULES).await;
            assert!(
                matches!(refused, Err(ImageError::LockTooShort { earliest, .. }) if earliest == NOW + 60),
                "{until}: {refused:?}"
            );
        }
        let latest = NOW + 100 * DAY;
        for until in [latest + 1, u64::MAX] {
            let refused = images.lock(&a, until, RULES).await;
            assert!(
                matches!(refused, Err(ImageError::LockTooLong { latest: told, .. }) if told == latest),
                "{until}: {refused:?}"
            );
        }
        assert_unlocked(&memory, "a");
        assert!(
            memory.raw().versions.iter().all(|version| version.retention.is_none()),
            "nothing was touched"
        );

        images.lock(&a, NOW + 60, RULES).await.unwrap();
        assert_complete(&memory, "a", NOW + 60, RetentionMode::Governance);
        images.lock(&a, latest, RULES).await.unwrap();
        assert_complete(&memory, "a", latest, RetentionMode::Governance);

        write_image(&images, &identity("b"), b"b").await;
        let without = LockRules { minimum: 0, maximum: None, ..RULES };
        let refused = images.lock(&identity("b"), NOW, without).await;
        assert!(matches!(refused, Err(ImageError::LockTooShort { .. })), "{refused:?}");
        images.lock(&identity("b"), NOW + 1, without).await.unwrap();
        images.lock(&identity("b"), NOW + 10_000 * DAY, without).await.unwrap();
    });
}

#[test]
fn a_lock_is_extended_and_never_shortened() {
    block_on(async {
        let (images, memory) = locking();
        let a = identity("a");
        write_image(&images, &a, &bytes(1, 0, 500)).await;
        let refused = images.extend_lock(&a, NOW + DAY, RULES).await;
        assert!(matches!(refused, Err(ImageError::NotLocked { .. })), "{refused:?}");
        images.lock(&a, NOW + DAY, RULES).await.unwrap();
        for until in [0, NOW + 60, NOW + DAY - 1] {
            for refused in [images.lock(&a, until, RULES).await, images.extend_lock(&a, until, RULES).await] {
                let shortened = matches!(&refused, Err(ImageError::LockShortened { locked_until, .. })
                    if *locked_until == NOW + DAY);
                assert!(shortened, "{until}: {refused:?}");
            }
        }
        assert_complete(&memory, "a", NOW + DAY, RetentionMode::Governance);
        // What holds already may be asked for again, however short the rest of it is.
        memory.set_time(NOW + DAY - 1);
        images.lock(&a, NOW + DAY, RULES).await.unwrap();
        images.extend_lock(&a, NOW + 2 * DAY, RULES).await.unwrap();
        assert_complete(&memory, "a", NOW + 2 * DAY, RetentionMode::Governance);
        memory.set_time(NOW + 2 * DAY);
        let info = images.properties(&a).await.unwrap();
        assert_eq!((info.locked_until, info.locked), (Some(NOW + 2 * DAY), None), "it is over");
        let refused = images.extend_lock(&a, NOW + 3 * DAY, RULES).await;
        assert!(matches!(refused, Err(ImageError::NotLocked { .. })), "{refused:?}");
        images.lock(&a, NOW + 3 * DAY, RULES).await.unwrap();
        assert_complete(&memory, "a", NOW + 3 * DAY, RetentionMode::Governance);
    });
}

#[test]
fn a_locked_image_cannot_be_deleted_until_its_lock_ends_and_then_nothing_is_left() {
    block_on(async {
        for size in [0, 30, 500, 3000] {
            let (images, memory) = locking();
            let a = identity("a");
            write_image(&images, &a, &bytes(1, 0, size)).await;
            images.lock(&a, NOW + DAY, RULES).await.unwrap();
            assert!(memory.raw().hidden().next().is_none(), "the replaced version is gone");
            images.lock(&a, NOW + 2 * DAY, RULES).await.unwrap();
            for now in [NOW, NOW + DAY, NOW + 2 * DAY - 1] {
                memory.set_time(now);
                let refused = images.delete(&a).await;
                let told = matches!(refused, Err(ImageError::Locked { until, .. }) if until == NOW + 2 * DAY);
                assert!(told, "{refused:?}");
                images.sweep(SweepOptions::default()).await.unwrap();
                assert_eq!(read_image(&images, &a).await, bytes(1, 0, size));
                assert_complete(&memory, "a", NOW + 2 * DAY, RetentionMode::Governance);
            }
            memory.set_time(NOW + 2 * DAY);
            images.delete(&a).await.unwrap();
            assert!(memory.raw().is_empty(), "{:#?}", memory.raw());
        }
    });
}

#[test]
fn a_lock_changes_nothing_else_of_an_image() {
    block_on(async {
        let (images, memory) = locking();
        let mut writer = images.create(&identity("a")).await.unwrap();
        writer.append(0, &bytes(1, 0, 530)).await.unwrap();
        writer.set_metadata(b"beside").unwrap();
        writer.close(Close::Complete).await.unwrap();
        let before = images.properties(&identity("a")).await.unwrap();
        images.lock(&identity("a"), NOW + DAY, RULES).await.unwrap();
        let image = &by_hand(&memory)[&state_key("a")];
        assert_eq!((&image.content, &image.metadata[..]), (&bytes(1, 0, 530), &b"beside"[..]));
        let after = images.properties(&identity("a")).await.unwrap();
        let (locked_until, locked) = (Some(NOW + DAY), Some(RetentionMode::Governance));
        assert_eq!(after, image_store::ImageInfo { locked_until, locked, ..before });
        assert_no_orphans(&memory);
    });
}

#[test]
fn every_version_of_a_segment_is_kept() {
    block_on(async {
        let (images, memory) = locking();
        write_image(&images, &identity("a"), &bytes(1, 0, 1000)).await;
        // As a repeated upload leaves them, whose first answer was lost.
        for segment in by_hand(&memory)[&state_key("a")].segments.clone() {
            let data = memory.object(&segment).unwrap();
            let crc32c = crc_fast::crc32_iscsi(&data);
            let payload = Payload { parts: vec![data], crc32c };
            memory.put(&segment, payload, Precondition::None, None).await.unwrap();
            assert_eq!(retentions(&memory, &segment), [None, None]);
        }
        images.lock(&identity("a"), NOW + DAY, RULES).await.unwrap();
        assert_complete(&memory, "a", NOW + DAY, RetentionMode::Governance);
    });
}

#[test]
fn shared_segments_are_kept_as_long_as_the_longest_lock() {
    block_on(async {
        for source_first in [true, false] {
            let (images, memory) = locking();
            let (source, full) = (identity("source"), identity("full"));
            write_image(&images, &source, &bytes(1, 0, 3000)).await;
            let mut writer = images.create(&full).await.unwrap();
            writer.include(&source, 100, 900, 0).await.unwrap();
            writer.append(900, &bytes(2, 0, 300)).await.unwrap();
            writer.include(&source, 2000, 1, 1200).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            let content = read_image(&images, &full).await;
            let mut locks = [(&source, NOW + DAY), (&full, NOW + 9 * DAY)];
            if !source_first {
                locks.reverse();
            }
            for (image, until) in locks {
                images.lock(image, until, RULES).await.unwrap();
            }
            assert_complete(&memory, "source", NOW + DAY, RetentionMode::Governance);
            assert_complete(&memory, "full", NOW + 9 * DAY, RetentionMode::Governance);

            memory.set_time(NOW + DAY);
            images.delete(&source).await.unwrap();
            let report = images.sweep(SweepOptions::default()).await.unwrap();
            assert!(report.freed_segments > 0 && report.kept_by_lock == 0, "{report:?}");
            assert_no_orphans(&memory);
            assert_complete(&memory, "full", NOW + 9 * DAY, RetentionMode::Governance);
            assert_eq!(read_image(&images, &full).await, content);
            assert!(matches!(images.delete(&full).await, Err(ImageError::Locked { .. })));

            memory.set_time(NOW + 9 * DAY);
            images.delete(&full).await.unwrap();
            assert!(memory.raw().is_empty(), "{:#?}", memory.raw());
        }
    });
}

#[test]
fn a_lock_has_the_mode_asked_for_and_never_a_laxer_one() {
    use RetentionMode::{Compliance, Governance};
    block_on(async {
        let (images, memory) = locking();
        let (a, b) = (identity("a"), identity("b"));
        let rules = |mode| LockRules { mode, ..RULES };
        write_image(&images, &a, &bytes(1, 0, 500)).await;
        let mut writer = images.create(&b).await.unwrap();
        writer.include(&a, 0, 400, 0).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        images.lock(&a, NOW + DAY, rules(Compliance)).await.unwrap();
        assert_eq!(images.properties(&a).await.unwrap().locked, Some(Compliance));
        assert_complete(&memory, "a", NOW + DAY, Compliance);
        // A lock in force stays as strict as it is, and so do shared segments.
        images.lock(&b, NOW + 2 * DAY, rules(Governance)).await.unwrap();
        assert_complete(&memory, "b", NOW + 2 * DAY, Governance);
        assert_eq!(images.properties(&b).await.unwrap().locked, Some(Governance));
        images.lock(&a, NOW + 3 * DAY, rules(Governance)).await.unwrap();
        assert_complete(&memory, "a", NOW + 3 * DAY, Compliance);

        // What a privileged user could lift is no part of a lock that nobody can.
        let (c, d) = (identity("c"), identity("d"));
        write_image(&images, &c, &bytes(2, 0, 500)).await;
        let mut writer = images.create(&d).await.unwrap();
        writer.include(&c, 0, 400, 0).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        images.lock(&c, NOW + 9 * DAY, rules(Governance)).await.unwrap();
        for until in [NOW + DAY, NOW + 10 * DAY] {
            let refused = images.lock(&d, until, rules(Compliance)).await;
            assert!(matches!(refused, Err(ImageError::LockMode { .. })), "{refused:?}");
            assert_unlocked(&memory, "d");
        }
    });
}

#[test]
fn only_complete_images_of_a_bucket_with_object_lock_are_locked() {
    block_on(async {
        let (images, memory) = locking();
        let a = identity("a");
        let until = NOW + DAY;
        assert!(matches!(images.lock(&a, until, RULES).await, Err(ImageError::NotFound { .. })));
        let mut writer = images.create(&a).await.unwrap();
        writer.append(0, &bytes(1, 0, 500)).await.unwrap();
        assert!(matches!(images.lock(&a, until, RULES).await, Err(ImageError::NotComplete { .. })));
        writer.close(Close::Incomplete).await.unwrap();
        assert!(matches!(images.lock(&a, until, RULES).await, Err(ImageError::NotComplete { .. })));
        assert!(memory.raw().versions.iter().all(|version| version.retention.is_none()));
        images.delete(&a).await.unwrap();
        assert!(memory.raw().is_empty());

        let (images, memory, _) = image_store(small());
        memory.set_versioned();
        write_image(&images, &a, &bytes(1, 0, 500)).await;
        let before = memory.raw();
        assert!(matches!(images.lock(&a, until, RULES).await, Err(ImageError::NoObjectLock { .. })));
        assert_eq!(memory.raw(), before);
    });
}

#[test]
fn a_writer_that_uses_a_locked_image_can_still_be_aborted() {
    block_on(async {
        let (images, memory) = locking();
        let (a, b) = (identity("a"), identity("b"));
        write_image(&images, &a, &bytes(1, 0, 1000)).await;
        images.lock(&a, NOW + DAY, RULES).await.unwrap();
        let before = memory.keys();
        let mut writer = images.create(&b).await.unwrap();
        writer.append(0, &bytes(2, 0, 300)).await.unwrap();
        writer.include(&a, 100, 500, 300).await.unwrap();
        writer.flush().await.unwrap();
        writer.abort().await.unwrap();
        assert_eq!(memory.keys(), before);
        assert_complete(&memory, "a", NOW + DAY, RetentionMode::Governance);
        assert_no_orphans(&memory);
    });
}

#[test]
fn locks_hold_on_a_cluster() {
    let (server, store) = cluster_with(&serde_json::json!({ "s3_versioning": true, "locking": true }));
    let bucket = || server.raw_state().bucket(store.bucket()).unwrap().clone();
    cluster::block_on(async {
        let images = ImageStore::new(Arc::new(store.clone()), small(), environment().0).unwrap();
        let (source, full) = (identity("source"), identity("full"));
        write_image(&images, &source, &bytes(1, 0, 1000)).await;
        let mut writer = images.create(&full).await.unwrap();
        writer.include(&source, 100, 500, 0).await.unwrap();
        writer.append(500, &bytes(2, 0, 300)).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        let content = read_image(&images, &full).await;
        let now = store.head(&state_key("full")).await.unwrap().answered;
        for (image, hours) in [(&source, 1), (&full, 3)] {
            images.lock(image, now + hours * 3600, RULES).await.unwrap();
        }
        let refused = images.lock(&full, now + 3600, RULES).await;
        assert!(matches!(refused, Err(ImageError::LockShortened { .. })), "{refused:?}");
        assert!(matches!(images.delete(&source).await, Err(ImageError::Locked { .. })));
        server.advance(std::time::Duration::from_hours(1)).unwrap();
        images.delete(&source).await.unwrap();
        images.sweep(SweepOptions::default()).await.unwrap();
        assert!(matches!(images.delete(&full).await, Err(ImageError::Locked { .. })));
        assert_eq!(read_image(&images, &full).await, content);
        assert_eq!(images.properties(&full).await.unwrap().locked, Some(RetentionMode::Governance));
        server.advance(std::time::Duration::from_hours(2)).unwrap();
        images.delete(&full).await.unwrap();
    });
    let left = bucket();
    assert!(left.objects.is_empty() && left.versions.is_empty() && left.uploads.is_empty(), "{left:?}");
}
