//! What a server has that keeps writers apart: it is found out by its behaviour, and everything works on each, but for
//! taking over where nothing keeps them apart.

use std::sync::Arc;

use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{Close, Exclusivity, ImageError, ImageStore, Notice, SweepOptions};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, image_store, read_image, small,
    write_image,
};

fn timeout() -> StoreError {
    StoreError::Timeout("scripted".to_owned())
}

#[test]
fn what_a_server_has_is_found_out_by_what_it_does() {
    type Lacks = fn(&MemoryStore);
    let servers: [(Lacks, Exclusivity, u64); 9] = [
        (|_| {}, Exclusivity::Conditions, 3),
        (|memory| memory.set_multipart(false), Exclusivity::Conditions, 3),
        (|memory| Has::Uploads.set(memory), Exclusivity::Uploads, 6),
        (|memory| Has::UploadsOnly.set(memory), Exclusivity::Uploads, 8),
        (|memory| Has::Nothing.set(memory), Exclusivity::Unguarded, 2),
        (
            |memory| {
                Has::UploadsOnly.set(memory);
                memory.set_upload_listing(false);
            },
            Exclusivity::Unguarded,
            7,
        ),
        (
            |memory| {
                Has::Uploads.set(memory);
                memory.set_aborts(false);
            },
            Exclusivity::Unguarded,
            8,
        ),
        (
            |memory| {
                Has::Uploads.set(memory);
                let refused = Effect::Refuse(StoreError::Unsupported("405".to_owned()));
                memory.script(Operation::ListUploads, "", 0, refused);
            },
            Exclusivity::Unguarded,
            5,
        ),
        (
            |memory| {
                Has::Uploads.set(memory);
                let refused = Effect::Refuse(StoreError::Protocol("400".to_owned()));
                memory.script(Operation::CompleteUpload, "", 0, refused);
            },
            Exclusivity::Unguarded,
            7,
        ),
    ];
    for (number, (lacks, found, requests)) in servers.into_iter().enumerate() {
        for versioned in [false, true] {
            block_on(async {
                let (images, memory, notices) = image_store(small());
                lacks(&memory);
                if versioned {
                    memory.set_versioned();
                }
                for _ in 0..2 {
                    assert_eq!(images.exclusivity().await.unwrap(), found, "{number}");
                }
                let said = notices.0.lock().unwrap();
                match found {
                    Exclusivity::Conditions => assert_eq!(said[..], []),
                    Exclusivity::Uploads => {
                        assert!(matches!(said[..], [Notice::ExclusiveByUploads { .. }]), "{said:?}");
                    }
                    Exclusivity::Unguarded => {
                        assert!(matches!(said[..], [Notice::NotExclusive { .. }]), "{said:?}");
                    }
                }
                if !versioned {
                    assert_eq!(memory.counters().requests(), requests, "{number}");
                }
                assert!(memory.raw().versions.is_empty(), "{number}: {:?}", memory.raw());
            });
        }
    }
}

#[test]
fn a_server_that_ignores_conditions_is_found_out() {
    block_on(async {
        for multipart in [true, false] {
            let (images, memory, notices) = image_store(small());
            memory.set_ignores_conditions(true);
            memory.set_multipart(multipart);
            write_image(&images, &identity("kept"), &bytes(2, 0, 100)).await;
            assert!(matches!(images.create(&identity("kept")).await, Err(ImageError::Exists { .. })));
            assert_eq!(read_image(&images, &identity("kept")).await, bytes(2, 0, 100));
            let found = if multipart { Exclusivity::Uploads } else { Exclusivity::Unguarded };
            assert_eq!(images.exclusivity().await.unwrap(), found);
            match &notices.0.lock().unwrap()[..] {
                [Notice::ExclusiveByUploads { .. }] if multipart => {}
                [Notice::NotExclusive { .. }] if !multipart => {}
                said => panic!("{said:?}"),
            }
            if multipart {
                assert_no_orphans(&memory);
            }
        }

        let (images, memory, notices) = image_store(small());
        for _ in 0..2 {
            assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Conditions);
        }
        assert!(notices.0.lock().unwrap().is_empty());
        assert!(memory.raw().is_empty(), "{:?}", memory.keys());
        assert_eq!(memory.counters().requests(), 3);
    });
}

#[test]
fn an_error_that_says_nothing_about_the_server_leaves_it_open() {
    block_on(async {
        let mut failed = 0;
        for operation in [
            Operation::Put,
            Operation::BeginUpload,
            Operation::UploadPart,
            Operation::ListUploads,
            Operation::AbortUpload,
            Operation::CompleteUpload,
        ] {
            let garbled = StoreError::Protocol("scripted".to_owned());
            let told = operation == Operation::CompleteUpload;
            for error in [timeout(), StoreError::Denied("scripted".to_owned()), garbled] {
                if told && matches!(error, StoreError::Protocol(_)) {
                    continue;
                }
                for effect in [Effect::Refuse as fn(StoreError) -> Effect, Effect::LoseAnswer] {
                    let refused = matches!(effect(timeout()), Effect::Refuse(_));
                    if operation == Operation::CompleteUpload && !refused {
                        // It is refused anyway.
                        continue;
                    }
                    let (images, memory, notices) = image_store(small());
                    Has::UploadsOnly.set(&memory);
                    memory.script(operation, "probe/", 0, effect(error.clone()));
                    let created = images.create(&identity("a")).await;
                    assert!(matches!(created, Err(ImageError::Store { .. })), "{operation:?}: {created:?}");
                    assert!(notices.0.lock().unwrap().is_empty() && memory.clear_scripts() == 0);
                    failed += 1;
                    write_image(&images, &identity("a"), &bytes(1, 0, 300)).await;
                    assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Uploads);
                    memory.advance(24 * 3600 + 1);
                    images.sweep(SweepOptions::default()).await.unwrap();
                    assert_no_orphans(&memory);
                }
            }
        }
        assert_eq!(failed, 32);
    });
}

#[test]
fn a_silent_writers_image_is_taken_over_only_where_it_would_be_told() {
    for has in Has::ALL {
        block_on(async {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            let other = ImageStore::new(Arc::clone(&memory), small(), environment().0).unwrap();
            let a = identity("a");
            let mut silent = images.create(&a).await.unwrap();
            silent.append(0, &bytes(1, 0, 300)).await.unwrap();
            silent.flush().await.unwrap();
            memory.advance(481);
            let opened = other.open_write(&a).await;
            if has == Has::Nothing {
                assert!(matches!(opened, Err(ImageError::Busy { .. })), "{opened:?}");
                // It may go on, be deleted, and a day later the sweep lets go of it.
                silent.append(300, &bytes(1, 300, 50)).await.unwrap();
                silent.flush().await.unwrap();
                memory.advance(24 * 3600 + 1);
                assert!(matches!(other.open_write(&a).await, Err(ImageError::Busy { .. })));
                other.sweep(SweepOptions::default()).await.unwrap();
                let mut writer = other.open_write(&a).await.unwrap();
                assert_eq!(writer.size(), 350);
                writer.close(Close::Complete).await.unwrap();
            } else {
                let mut writer = opened.unwrap();
                assert_eq!(writer.size(), 300);
                writer.close(Close::Complete).await.unwrap();
            }
            assert!(matches!(silent.append(silent.size(), b"x").await, Ok(())));
            assert!(matches!(silent.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
            assert_no_orphans(&memory);
        });
    }
}

#[test]
fn without_conditional_writes_everything_works_and_is_announced_once() {
    block_on(async {
        for has in [Has::Uploads, Has::UploadsOnly, Has::Nothing] {
            everything_works_and_is_announced_once(has).await;
        }
    });
}

async fn everything_works_and_is_announced_once(has: Has) {
    let (images, memory, notices) = image_store(small());
    has.set(&memory);
    for name in ["a", "b"] {
        let image = identity(name);
        let mut writer = images.create(&image).await.unwrap();
        assert!(matches!(images.create(&image).await, Err(ImageError::Busy { .. })));
        writer.append(0, &bytes(1, 0, 500)).await.unwrap();
        writer.close(Close::Incomplete).await.unwrap();
        let mut writer = images.open_write(&image).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&images, &image).await, bytes(1, 0, 500));
    }
    assert_eq!(images.exclusivity().await.unwrap(), has.found());
    match &notices.0.lock().unwrap()[..] {
        [Notice::ExclusiveByUploads { .. }] if has != Has::Nothing => {}
        [Notice::NotExclusive { .. }] if has == Has::Nothing => {}
        said => panic!("{said:?}"),
    }

    let mut fenced = images.create(&identity("c")).await.unwrap();
    images.delete(&identity("c")).await.unwrap();
    fenced.append(0, b"x").await.unwrap();
    assert!(matches!(fenced.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
    assert_no_orphans(&memory);
}

/// As a client reports it that tried again and met what its first try had written.
#[test]
fn a_probe_that_met_itself_is_an_answer_and_leaves_nothing() {
    for versioned in [false, true] {
        block_on(async {
            let (images, memory, _) = image_store(small());
            if versioned {
                memory.set_versioned();
            }
            let met = Effect::LoseAnswer(StoreError::Precondition("scripted".to_owned()));
            memory.script(Operation::Put, "probe/", 0, met);
            write_image(&images, &identity("a"), b"content").await;
            assert_eq!(memory.clear_scripts(), 0);
            assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Conditions);
            images.delete(&identity("a")).await.unwrap();
            assert!(memory.raw().is_empty(), "{:?}", memory.keys());
        });
    }
}
