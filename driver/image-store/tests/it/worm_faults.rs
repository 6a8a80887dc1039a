//! Locks that are interrupted, or race with deletes: the lock is complete, or it is not there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::{RetentionMode, StoreError};
use image_store::{Close, Exclusivity, ImageError, ImageStore, LockRules, ObjectStore as _, SweepOptions};

use crate::support::{Has, block_on, by_hand, bytes, identity, read_image, write_image};
use crate::worm::{
    DAY, NOW, RULES, assert_complete, assert_unlocked, locked_until, locking, locking_on, retentions,
    state_key,
};

const MODE: RetentionMode = RetentionMode::Governance;
const UNTIL: u64 = NOW + DAY;

fn timeout() -> StoreError {
    StoreError::Timeout("scripted".to_owned())
}

/// An image with segments of its own and of another one.
async fn shared_image(images: &ImageStore<MemoryStore>) {
    write_image(images, &identity("source"), &bytes(1, 0, 500)).await;
    let mut writer = images.create(&identity("a")).await.unwrap();
    writer.include(&identity("source"), 100, 200, 0).await.unwrap();
    writer.append(200, &bytes(2, 0, 300)).await.unwrap();
    writer.close(Close::Complete).await.unwrap();
}

/// What must hold however a lock ended, and that asking again completes it.
async fn complete_or_not_there(
    images: &ImageStore<MemoryStore>,
    memory: &MemoryStore,
    told: bool,
    how: &str,
) {
    if let Some(until) = locked_until(memory, "a") {
        assert_complete(memory, "a", until, MODE);
    } else {
        assert!(!told, "{how}: success was told");
        assert_unlocked(memory, "a");
    }
    images.lock(&identity("a"), UNTIL, RULES).await.unwrap();
    assert_complete(memory, "a", UNTIL, MODE);
    assert!(matches!(images.delete(&identity("a")).await, Err(ImageError::Locked { .. })), "{how}");
    memory.set_time(UNTIL + 1);
    images.delete(&identity("source")).await.unwrap();
    images.delete(&identity("a")).await.unwrap();
    images.sweep(SweepOptions::default()).await.unwrap();
    assert!(memory.raw().is_empty(), "{how}: {:#?}", memory.raw());
}

#[test]
fn a_lock_interrupted_at_any_request_is_complete_or_not_there_and_asking_again_completes_it() {
    use Operation::{
        AbortUpload, BeginUpload, CompleteUpload, DeleteVersions, Get, Head, Kind, ListUploads, ListVersions,
        Put, Retain, UploadPart,
    };
    let always = [Kind, Get, ListVersions, Retain, Put, DeleteVersions];
    let by_uploads = [BeginUpload, ListUploads, Head, UploadPart, CompleteUpload, AbortUpload];
    let steps = Has::EXCLUSIVE.into_iter().flat_map(|has| {
        let more = by_uploads.into_iter().filter(move |_| has != Has::Conditions);
        always.into_iter().chain(more).map(move |operation| (has, operation))
    });
    block_on(async {
        let mut failed = 0;
        for (has, operation) in steps {
            for effect in [Effect::Refuse as fn(StoreError) -> Effect, Effect::LoseAnswer] {
                for skip in 0.. {
                    let (images, memory) = locking_on(has);
                    shared_image(&images).await;
                    let how = format!("{has:?} {operation:?} {skip}");
                    // Another store, which has to ask everything anew.
                    let fresh = image_store_on(&memory);
                    memory.script(operation, "", skip, effect(timeout()));
                    let locked = fresh.lock(&identity("a"), UNTIL, RULES).await;
                    if memory.clear_scripts() > 0 {
                        assert!(skip > 0, "{has:?}: {operation:?} is no part of a lock");
                        locked.unwrap();
                        break;
                    }
                    failed += usize::from(locked.is_err());
                    complete_or_not_there(&images, &memory, locked.is_ok(), &how).await;
                }
            }
        }
        assert!(failed > 20, "{failed}");
    });
}

fn image_store_on(memory: &MemoryStore) -> ImageStore<MemoryStore> {
    let (environment, _) = crate::support::environment();
    ImageStore::new(std::sync::Arc::new(memory.clone()), crate::support::small(), environment).unwrap()
}

#[test]
fn a_lock_that_is_given_up_after_any_step_is_complete_or_not_there() {
    block_on(async {
        for steps in 0.. {
            let (images, memory) = locking();
            shared_image(&images).await;
            let (a, mut ended) = (identity("a"), false);
            {
                let mut lock = pin!(images.lock(&a, UNTIL, RULES));
                for _ in 0..steps {
                    if let Poll::Ready(locked) = lock.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        locked.unwrap();
                        ended = true;
                        break;
                    }
                    // Lets the tasks of the lock go on.
                    tokio::task::yield_now().await;
                }
            }
            complete_or_not_there(&images, &memory, ended, &format!("{steps} steps")).await;
            if ended {
                assert!(steps > 8, "{steps}");
                break;
            }
        }
    });
}

async fn after<T>(steps: usize, then: impl Future<Output = T>) -> T {
    for _ in 0..steps {
        tokio::task::yield_now().await;
    }
    then.await
}

#[test]
fn of_a_lock_and_a_delete_at_once_exactly_one_succeeds() {
    block_on(async {
        let (mut locks, mut deletes) = (0, 0);
        // Without segments, with its own; in a bucket with room and in a full one, where even a delete cannot write.
        let cases = [(20, false), (500, false), (20, true), (500, true)];
        for (has, (size, full)) in Has::EXCLUSIVE.into_iter().flat_map(|has| cases.map(|case| (has, case))) {
            for offset in -40..40_isize {
                let (images, memory) = locking_on(has);
                let a = identity("a");
                write_image(&images, &a, &bytes(1, 0, size)).await;
                if full {
                    let refused = Effect::Refuse(StoreError::NoSpace("scripted".to_owned()));
                    let operation = match has {
                        Has::Uploads | Has::UploadsOnly => Operation::UploadPart,
                        Has::Conditions | Has::Nothing => Operation::Put,
                    };
                    memory.script(operation, "image/", 0, refused);
                }
                let (first, second) = (offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs());
                let other = image_store_on(&memory);
                let (locked, deleted) = tokio::join!(
                    after(first, images.lock(&a, UNTIL, RULES)),
                    after(second, other.delete(&a))
                );
                memory.clear_scripts();
                let how = format!("{has:?} {size} {full} {offset}: {locked:?} {deleted:?}");
                if locked.is_ok() {
                    assert!(matches!(deleted, Err(ImageError::Locked { .. })), "{how}");
                    assert_complete(&memory, "a", UNTIL, MODE);
                    assert_eq!(read_image(&images, &a).await, bytes(1, 0, size), "{how}");
                    assert_eq!(by_hand(&memory)[&state_key("a")].holders.len(), 1);
                    images.sweep(SweepOptions::default()).await.unwrap();
                    locks += 1;
                    memory.set_time(UNTIL);
                    images.sweep(SweepOptions::default()).await.unwrap();
                    assert_eq!(read_image(&images, &a).await, bytes(1, 0, size), "{how}");
                    images.delete(&a).await.unwrap();
                } else {
                    assert!(deleted.is_ok(), "{how}");
                    assert!(matches!(images.properties(&a).await, Err(ImageError::NotFound { .. })), "{how}");
                    deletes += 1;
                    memory.set_time(UNTIL);
                    images.sweep(SweepOptions::default()).await.unwrap();
                }
                assert!(memory.raw().is_empty(), "{how}: {:#?}", memory.raw());
            }
        }
        assert!(locks > 60 && deletes > 60, "{locks} {deletes}");
    });
}

#[test]
fn of_two_locks_at_once_the_longer_one_holds() {
    block_on(async {
        for (has, offset) in Has::EXCLUSIVE.into_iter().flat_map(|has| (0..40).map(move |n| (has, n))) {
            let (images, memory) = locking_on(has);
            shared_image(&images).await;
            let (a, other) = (identity("a"), image_store_on(&memory));
            let (short, long) = tokio::join!(
                images.lock(&a, UNTIL, RULES),
                after(offset, other.lock(&a, UNTIL + DAY, RULES))
            );
            long.unwrap();
            assert!(matches!(short, Ok(()) | Err(ImageError::LockShortened { .. })), "{offset}: {short:?}");
            assert_complete(&memory, "a", UNTIL + DAY, MODE);
        }
    });
}

#[test]
fn a_segment_that_is_missing_or_goes_meanwhile_means_no_lock() {
    block_on(async {
        let count = {
            let (images, memory) = locking();
            shared_image(&images).await;
            by_hand(&memory)[&state_key("a")].segments.len()
        };
        for number in 0..count {
            for hidden in [true, false] {
                let (images, memory) = locking();
                shared_image(&images).await;
                let segment = by_hand(&memory)[&state_key("a")].segments.iter().nth(number).unwrap().clone();
                if hidden {
                    memory.delete(&segment).await.unwrap();
                } else {
                    let version = memory.head(&segment).await.unwrap().version.unwrap();
                    memory.delete_versions(&[(segment.clone(), version)]).await.unwrap();
                }
                let refused = images.lock(&identity("a"), UNTIL, RULES).await;
                let told = matches!(&refused, Err(ImageError::Corrupt { key, .. }) if *key == segment);
                assert!(told, "{segment}: {refused:?}");
                assert_unlocked(&memory, "a");
            }
        }
        // Between the listing and the lock of the segment.
        let (images, memory) = locking();
        shared_image(&images).await;
        memory.script(Operation::Retain, "", 1, Effect::Refuse(StoreError::NotFound("gone".to_owned())));
        let refused = images.lock(&identity("a"), UNTIL, RULES).await;
        assert!(matches!(refused, Err(ImageError::Corrupt { .. })), "{refused:?}");
        assert_unlocked(&memory, "a");
    });
}

#[test]
fn what_an_interrupted_lock_keeps_does_not_hinder_the_delete_and_goes_when_it_is_over() {
    block_on(async {
        let (images, memory) = locking();
        let a = identity("a");
        write_image(&images, &a, &bytes(1, 0, 500)).await;
        memory.script(Operation::Put, "image/", 0, Effect::Refuse(timeout()));
        images.lock(&a, UNTIL, RULES).await.unwrap_err();
        assert_unlocked(&memory, "a");
        let kept = by_hand(&memory)[&state_key("a")].segments.clone();
        images.delete(&a).await.unwrap();
        assert!(matches!(images.properties(&a).await, Err(ImageError::NotFound { .. })));
        assert_eq!(memory.keys(), kept, "object lock keeps the segments and nothing else");
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!((report.kept_by_lock, report.freed_segments), (kept.len() as u64, 0));
        // The name is free meanwhile.
        write_image(&images, &a, &bytes(2, 0, 500)).await;
        memory.set_time(UNTIL);
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!((report.kept_by_lock, report.freed_segments), (0, kept.len() as u64));
        assert_eq!(read_image(&images, &a).await, bytes(2, 0, 500));
        images.delete(&a).await.unwrap();
        assert!(memory.raw().is_empty(), "{:#?}", memory.raw());
    });
}

#[test]
fn a_server_that_only_claims_to_lock_is_found_out_and_stays_exclusive() {
    block_on(async {
        for (operation, size) in [(Operation::Retain, 500), (Operation::Put, 20)] {
            let (images, memory) = locking();
            let a = identity("a");
            write_image(&images, &a, &bytes(1, 0, size)).await;
            for _ in 0..2 {
                memory.script(operation, "", 0, Effect::Refuse(StoreError::Unsupported("lock".to_owned())));
            }
            let refused = images.lock(&a, UNTIL, RULES).await;
            assert!(matches!(refused, Err(ImageError::NoObjectLock { .. })), "{refused:?}");
            assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Conditions);
            memory.clear_scripts();
            assert_unlocked(&memory, "a");
        }
    });
}

#[test]
fn a_bucket_that_locks_what_nobody_asked_to_lock_is_swept_when_that_is_over() {
    block_on(async {
        let (images, memory) = locking();
        memory.set_default_retention(Some(10 * DAY));
        images.exclusivity().await.unwrap();
        write_image(&images, &identity("a"), &bytes(1, 0, 500)).await;
        images.lock(&identity("a"), UNTIL, LockRules { maximum: None, ..RULES }).await.unwrap();
        memory.set_time(UNTIL);
        let deleted = images.delete(&identity("a")).await;
        assert!(
            matches!(deleted, Err(ImageError::Store { source: StoreError::Locked(_), .. })),
            "{deleted:?}"
        );
        images.sweep(SweepOptions::default()).await.unwrap();
        memory.advance(20 * DAY);
        images.sweep(SweepOptions::default()).await.unwrap();
        memory.advance(20 * DAY);
        images.sweep(SweepOptions::default()).await.unwrap();
        let left: Vec<_> = memory.keys().into_iter().filter(|key| !key.starts_with("probe/")).collect();
        assert_eq!(left, Vec::<String>::new());
        assert!(retentions(&memory, &state_key("a")).is_empty());
    });
}
