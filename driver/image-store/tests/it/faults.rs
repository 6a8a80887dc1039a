//! What happens when requests fail, or succeed without saying so.

use std::sync::Arc;

use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{Close, Discarded, ImageError, ImageState, ImageStore};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, image_store, read_image, small,
    write_image,
};

fn timeout() -> StoreError {
    StoreError::Timeout("scripted".to_owned())
}

fn lost(error: StoreError) -> Effect {
    Effect::LoseAnswer(error)
}

#[test]
fn a_failed_upload_is_reported_once_and_refuses_the_commit() {
    block_on(async {
        for segment in [0, 3, 15] {
            let (images, memory, _) = image_store(small());
            memory.script(Operation::Put, "segment/", segment, Effect::Refuse(timeout()));
            let mut writer = images.create(&identity("a")).await.unwrap();
            let mut errors = Vec::new();
            for at in 0..100 {
                let piece = bytes(1, at * 20, 20);
                let from = writer.size();
                if let Err(error) = writer.append(from, &piece).await {
                    errors.push(error);
                }
            }
            errors.push(writer.close(Close::Complete).await.unwrap_err());
            let source = |error: &ImageError| {
                matches!(error, ImageError::Store { source: StoreError::Timeout(_), .. })
            };
            assert!(source(&errors[0]), "{:?}", errors[0]);
            for later in &errors[1..] {
                assert!(
                    matches!(later, ImageError::WriterFailed { first, .. } if source(first)),
                    "{later:?}"
                );
            }
            writer.abort().await.unwrap();
            assert!(memory.keys().is_empty());
        }
    });
}

#[test]
fn an_upload_that_fails_after_the_last_write_fails_flush_or_close() {
    block_on(async {
        for how in [None, Some(Close::Complete), Some(Close::Incomplete)] {
            let (images, memory, _) = image_store(small());
            memory.script(Operation::Put, "segment/", 0, Effect::Refuse(timeout()));
            let mut writer = images.create(&identity("a")).await.unwrap();
            writer.append(0, &bytes(1, 0, 64)).await.unwrap();
            let result = match how {
                None => writer.flush().await,
                Some(how) => writer.close(how).await,
            };
            assert!(matches!(result, Err(ImageError::Store { .. })), "{result:?}");
            writer.abort().await.unwrap();
            assert!(memory.keys().is_empty());
        }
    });
}

#[test]
fn a_lost_answer_to_a_state_write_is_resolved_by_reading_back() {
    block_on(async {
        for has in Has::ALL {
            for error in [
                timeout(),
                StoreError::Unreachable("scripted".to_owned()),
                match has {
                    Has::Conditions => StoreError::Precondition("own".to_owned()),
                    Has::Uploads | Has::UploadsOnly => StoreError::NoUpload("own".to_owned()),
                    Has::Nothing => StoreError::Protocol("scripted".to_owned()),
                },
            ] {
                // The first state write is the create, the second the commit.
                for write in 0..2 {
                    let (images, memory, _) = image_store(small());
                    has.set(&memory);
                    memory.script(has.writes_state_by(), "image/", write, lost(error.clone()));
                    write_image(&images, &identity("a"), &bytes(1, 0, 500)).await;
                    assert_eq!(memory.clear_scripts(), 0);
                    assert_eq!(read_image(&images, &identity("a")).await, bytes(1, 0, 500));
                    assert_no_orphans(&memory);
                }
            }
        }
    });
}

#[test]
fn a_state_write_that_did_not_happen_fails_the_close() {
    block_on(async {
        for has in Has::ALL {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            memory.script(has.writes_state_by(), "image/", 1, Effect::Refuse(timeout()));
            let mut writer = images.create(&identity("a")).await.unwrap();
            writer.append(0, &bytes(1, 0, 500)).await.unwrap();
            assert!(matches!(writer.close(Close::Complete).await, Err(ImageError::Store { .. })));
            assert_eq!(images.properties(&identity("a")).await.unwrap().state, ImageState::Pending);
            writer.abort().await.unwrap();
            assert!(memory.raw().is_empty());
        }
    });
}

#[test]
fn discard_keeps_the_last_checkpoint_and_nothing_after_it() {
    block_on(async {
        for fails_at in 0..6 {
            let (images, memory, _) = image_store(small());
            let mut writer = images.create(&identity("a")).await.unwrap();
            writer.append(0, &bytes(1, 0, 500)).await.unwrap();
            writer.close(Close::Incomplete).await.unwrap();
            let before = memory.keys();

            let mut writer = images.open_write(&identity("a")).await.unwrap();
            memory.script(Operation::Put, "segment/", fails_at, Effect::Refuse(timeout()));
            let written = writer.append(500, &bytes(1, 500, 700)).await;
            let closed = writer.close(Close::Complete).await;
            assert!(written.is_err() || closed.is_err(), "the failure of segment {fails_at} was not told");
            assert_eq!(writer.discard().await.unwrap(), Discarded::Removed);
            assert_eq!(memory.keys(), before, "segment {fails_at}");
            let info = images.properties(&identity("a")).await.unwrap();
            assert_eq!((info.state, info.busy, info.size), (ImageState::Pending, false, 500));

            let mut writer = images.open_write(&identity("a")).await.unwrap();
            writer.append(500, &bytes(1, 500, 700)).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            assert_eq!(read_image(&images, &identity("a")).await, bytes(1, 0, 1200));
        }
    });
}

#[test]
fn discard_removes_an_image_that_was_never_durable() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        memory.script(Operation::Put, "segment/", 1, Effect::Refuse(timeout()));
        let mut writer = images.create(&identity("a")).await.unwrap();
        let written = writer.append(0, &bytes(1, 0, 500)).await;
        assert!(written.is_err() || writer.close(Close::Complete).await.is_err());
        assert_eq!(writer.discard().await.unwrap(), Discarded::Removed);
        assert!(memory.keys().is_empty(), "{:?}", memory.keys());
    });
}

#[test]
fn discard_finds_a_commit_whose_answer_was_lost() {
    block_on(async {
        for has in Has::ALL {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            let mut writer = images.create(&identity("a")).await.unwrap();
            writer.append(0, &bytes(1, 0, 500)).await.unwrap();
            writer.close(Close::Incomplete).await.unwrap();
            let mut writer = images.open_write(&identity("a")).await.unwrap();
            memory.script(has.writes_state_by(), "image/", 0, lost(timeout()));
            memory.script(Operation::Get, "image/", 0, Effect::Refuse(timeout()));
            writer.append(500, &bytes(1, 500, 700)).await.unwrap();
            assert!(writer.close(Close::Complete).await.is_err());
            assert_eq!(writer.discard().await.unwrap(), Discarded::Committed);
            assert_eq!(read_image(&images, &identity("a")).await, bytes(1, 0, 1200));
        }
    });
}

#[test]
fn a_writer_that_was_interrupted_commits_nothing() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let mut writer = images.create(&identity("a")).await.unwrap();
        writer.append(0, &bytes(1, 0, 500)).await.unwrap();
        writer.interrupt();
        assert!(matches!(writer.close(Close::Complete).await, Err(ImageError::WriterFailed { .. })));
        assert_eq!(writer.discard().await.unwrap(), Discarded::Removed);
        assert!(memory.keys().is_empty(), "{:?}", memory.keys());
    });
}

#[test]
fn abort_removes_a_commit_whose_answer_was_lost_for_good() {
    block_on(async {
        for has in Has::ALL {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            let mut writer = images.create(&identity("a")).await.unwrap();
            memory.script(has.writes_state_by(), "image/", 0, lost(timeout()));
            memory.script(Operation::Get, "image/", 0, Effect::Refuse(timeout()));
            writer.append(0, &bytes(1, 0, 500)).await.unwrap();
            assert!(writer.close(Close::Complete).await.is_err());
            assert_eq!(images.properties(&identity("a")).await.unwrap().state, ImageState::Created);
            writer.abort().await.unwrap();
            assert!(memory.raw().is_empty(), "the host was told that the close failed, so the image must go");
        }
    });
}

#[test]
fn no_space_is_told_and_cleaned_up_in_a_full_bucket() {
    block_on(async {
        for (has, capacity) in Has::ALL.into_iter().flat_map(|has| [1500, 2000, 3000].map(|most| (has, most)))
        {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            write_image(&images, &identity("kept"), &bytes(2, 0, 100)).await;
            let before = memory.keys();
            memory.set_capacity(Some(capacity));
            let mut writer = images.create(&identity("a")).await.unwrap();
            let mut first = None;
            while first.is_none() {
                let from = writer.size();
                first = writer.append(from, &bytes(1, 0, 50)).await.err();
            }
            assert!(matches!(first, Some(ImageError::NoSpace { .. })), "{first:?}");
            // Not even a tombstone fits any more.
            memory.set_capacity(Some(0));
            writer.abort().await.unwrap();
            assert_eq!(memory.keys(), before);
            images.delete(&identity("kept")).await.unwrap();
            assert!(memory.raw().is_empty());
        }
    });
}

#[test]
fn an_interrupted_abort_or_delete_is_finished_by_doing_it_again() {
    block_on(async {
        let steps = [
            (Operation::Put, "image/"),
            (Operation::BeginUpload, "image/"),
            (Operation::ListUploads, "image/"),
            (Operation::Head, "image/"),
            (Operation::UploadPart, "image/"),
            (Operation::CompleteUpload, "image/"),
            (Operation::Get, "image/"),
            (Operation::DeleteMany, "segment/"),
            (Operation::List, "segment/"),
            (Operation::Delete, "image/"),
        ];
        for (has, (operation, prefix)) in Has::ALL.into_iter().flat_map(|has| steps.map(|step| (has, step))) {
            for effect in [Effect::Refuse(timeout()), lost(timeout())] {
                let (images, memory, _) = image_store(small());
                has.set(&memory);
                let image = identity("a");
                let mut writer = images.create(&image).await.unwrap();
                writer.append(0, &bytes(1, 0, 500)).await.unwrap();
                memory.script(operation, prefix, 0, effect.clone());
                let first = writer.abort().await;
                if memory.clear_scripts() == 0 && first.is_err() {
                    writer.abort().await.unwrap();
                }
                memory.clear_scripts();
                assert!(memory.raw().is_empty(), "abort, {has:?} {operation:?}: {:?}", memory.raw());

                write_image(&images, &image, &bytes(1, 0, 500)).await;
                memory.script(operation, prefix, 0, effect);
                if images.delete(&image).await.is_err() {
                    let again = images.delete(&image).await;
                    assert!(matches!(again, Ok(()) | Err(ImageError::NotFound { .. })), "{again:?}");
                }
                memory.clear_scripts();
                assert!(memory.raw().is_empty(), "delete, {has:?} {operation:?}: {:?}", memory.raw());
            }
        }
    });
}

#[test]
fn an_image_half_deleted_is_gone_and_can_be_created_again_when_it_is_deleted_wholly() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let image = identity("a");
        write_image(&images, &image, &bytes(1, 0, 500)).await;
        memory.script(Operation::DeleteMany, "segment/", 0, Effect::Refuse(timeout()));
        assert!(images.delete(&image).await.is_err());
        assert!(matches!(images.properties(&image).await, Err(ImageError::NotFound { .. })));
        assert!(matches!(images.open_read(&image).await, Err(ImageError::NotFound { .. })));
        assert!(matches!(images.create(&image).await, Err(ImageError::Busy { .. })));
        images.delete(&image).await.unwrap();
        write_image(&images, &image, &bytes(7, 0, 300)).await;
        assert_eq!(read_image(&images, &image).await, bytes(7, 0, 300));
        assert_no_orphans(&memory);
    });
}

#[test]
fn a_writer_that_vanished_leaves_a_busy_image_that_delete_removes_entirely() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        memory.set_page_size(2);
        let image = identity("a");
        let mut writer = images.create(&image).await.unwrap();
        writer.append(0, &bytes(1, 0, 1000)).await.unwrap();
        writer.flush().await.unwrap();
        writer.append(1000, &bytes(1, 1000, 2000)).await.unwrap();
        drop(writer);
        assert!(matches!(images.open_write(&image).await, Err(ImageError::Busy { .. })));
        images.delete(&image).await.unwrap();
        assert!(memory.keys().is_empty(), "{:?}", memory.keys());
        assert_eq!(images.write_memory().in_use, 0);
    });
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let (environment, _) = environment();
    let config = image_store::StoreConfig { chunk_size: 1, ..small() };
    let refused = ImageStore::new(Arc::new(MemoryStore::new()), config, environment);
    assert!(matches!(refused, Err(ImageError::Config { .. })));
}

#[test]
fn a_close_that_is_given_up_leaves_only_abort() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let mut writer = images.create(&identity("a")).await.unwrap();
        writer.append(0, b"content").await.unwrap();
        {
            let mut close = std::pin::pin!(writer.close(Close::Complete));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(close.as_mut().poll(&mut context).is_pending());
        }
        let again = writer.close(Close::Incomplete).await;
        assert!(
            matches!(&again, Err(ImageError::WriterFailed { first, .. }) if matches!(**first, ImageError::Interrupted { .. })),
            "{again:?}"
        );
        writer.abort().await.unwrap();
        assert!(memory.keys().is_empty());
    });
}

#[test]
fn an_image_deleted_while_it_is_read_is_not_found() {
    block_on(async {
        let (images, _, _) = image_store(small());
        let image = identity("a");
        write_image(&images, &image, &bytes(1, 0, 500)).await;
        let mut reader = images.open_read(&image).await.unwrap();
        images.delete(&image).await.unwrap();
        let result = reader.read_into(0, &mut [0; 10]).await;
        assert!(matches!(result, Err(ImageError::NotFound { .. })), "{result:?}");
    });
}
