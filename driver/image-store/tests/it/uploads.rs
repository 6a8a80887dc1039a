//! Multipart uploads in the place of conditional writes: how a server is found out, and what an exchange does when it
//! meets others or its requests fail.

use std::sync::Arc;

use image_store::memory::{Counters, Effect, MemoryStore, Operation};
use image_store::object_store::{ObjectStore as _, Payload, StoreError};
use image_store::{Close, ImageError, ImageStore, SweepOptions};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, identity, image_store, read_image, small, write_image,
};

const KEY: &str = "image/a/1588173008/Daily";

fn timeout() -> StoreError {
    StoreError::Timeout("scripted".to_owned())
}

fn by_uploads() -> (ImageStore<MemoryStore>, Arc<MemoryStore>) {
    let (images, memory, _) = image_store(small());
    Has::Uploads.set(&memory);
    (images, memory)
}

/// An upload that could be completed at once.
async fn begin(memory: &MemoryStore, key: &str) -> (String, String) {
    let upload = memory.begin_upload(key, None).await.unwrap();
    let part = memory.upload_part(key, &upload, 1, Payload::default()).await.unwrap();
    (upload, part)
}

fn since(before: Counters, after: Counters) -> [u64; 6] {
    [
        after.begun_uploads - before.begun_uploads,
        after.upload_lists - before.upload_lists,
        after.aborted_uploads - before.aborted_uploads,
        after.heads - before.heads,
        after.parts - before.parts,
        after.completed_uploads - before.completed_uploads,
    ]
}

#[test]
fn uploads_of_the_same_key_are_ended_and_no_others() {
    for page_size in [1, 2, 1000] {
        block_on(async {
            let (images, memory) = by_uploads();
            memory.set_page_size(page_size);
            images.exclusivity().await.unwrap();
            let longer = format!("{KEY}%20");
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                ours.push(begin(&memory, KEY).await);
                theirs.push(begin(&memory, &longer).await);
            }
            let before = memory.counters();
            let mut writer = images.create(&identity("a")).await.unwrap();
            let pages = if page_size == 1000 { 1 } else { 7_u64.div_ceil(page_size as u64) };
            assert_eq!(since(before, memory.counters()), [1, pages, 3, 1, 1, 1]);
            for (upload, part) in ours {
                let completed = memory.complete_upload(KEY, &upload, &[part]).await;
                assert!(matches!(completed, Err(StoreError::NoUpload(_))), "{completed:?}");
            }
            for (upload, part) in theirs {
                memory.complete_upload(&longer, &upload, &[part]).await.unwrap();
            }
            writer.close(Close::Complete).await.unwrap();
        });
    }
}

/// The answer may be lost although the abort was carried out, or the abort may still come: nobody knows.
#[test]
fn an_abort_without_an_answer_is_not_taken_for_done() {
    for effect in [Effect::Refuse(timeout()), Effect::LoseAnswer(timeout())] {
        for others in 1..4 {
            block_on(async {
                let (images, memory) = by_uploads();
                write_image(&images, &identity("b"), b"b").await;
                for _ in 0..others {
                    begin(&memory, KEY).await;
                }
                let before = memory.counters();
                memory.script(Operation::AbortUpload, KEY, others - 1, effect.clone());
                let created = images.create(&identity("a")).await;
                assert!(matches!(created, Err(ImageError::Store { .. })), "{created:?}");
                let [begun, listed, aborted, heads, parts, completed] = since(before, memory.counters());
                // Its own is taken back.
                assert_eq!((begun, listed, aborted), (1, 1, others + 1));
                assert_eq!((heads, parts, completed), (0, 0, 0), "it went on");
                write_image(&images, &identity("a"), &bytes(1, 0, 300)).await;
                assert_no_orphans(&memory);
            });
        }
    }
}

#[test]
fn every_request_of_an_exchange_may_fail_or_lose_its_answer() {
    let steps = [
        Operation::BeginUpload,
        Operation::ListUploads,
        Operation::Head,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ];
    for (operation, exchange) in steps.into_iter().flat_map(|step| (0..3).map(move |number| (step, number))) {
        for effect in [Effect::Refuse(timeout()), Effect::LoseAnswer(timeout())] {
            block_on(async {
                let (images, memory) = by_uploads();
                images.exclusivity().await.unwrap();
                let lost = matches!(effect, Effect::LoseAnswer(_));
                // A completion that happened is found, and what is absent cannot be told by an answer that is lost.
                let happens = lost
                    && (operation == Operation::CompleteUpload
                        || operation == Operation::Head && exchange == 0);
                let stays = lost && operation == Operation::BeginUpload;
                memory.script(operation, KEY, exchange, effect.clone());
                let content = bytes(1, 0, 300);
                let written = async {
                    let mut writer = images.create(&identity("a")).await?;
                    let ended = async {
                        writer.append(0, &content[..200]).await?;
                        writer.flush().await?;
                        writer.append(200, &content[200..]).await?;
                        writer.close(Close::Complete).await
                    };
                    let ended = ended.await;
                    if ended.is_err() {
                        // What could not be told is decided: there is no later surprise.
                        assert_eq!(memory.raw().uploads.len(), usize::from(stays));
                        writer.abort().await.unwrap();
                        assert!(memory.raw().is_empty(), "{operation:?} {:?}", memory.raw());
                    }
                    ended
                };
                let written = written.await;
                let what = format!("{operation:?} {exchange} {effect:?}: {written:?}");
                assert_eq!(memory.clear_scripts(), 0, "{what}");
                assert_eq!(written.is_ok(), happens, "{what}");
                if happens {
                    assert_eq!(read_image(&images, &identity("a")).await, content);
                    assert_no_orphans(&memory);
                }
            });
        }
    }
}

/// Ends every upload of keys that begin like this, whenever it gets a turn.
pub(crate) async fn ends_every_upload(memory: &MemoryStore, prefix: &str) {
    loop {
        for upload in memory.raw().uploads.into_iter().filter(|upload| upload.key.starts_with(prefix)) {
            memory.abort_upload(&upload.key, &upload.upload).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn whose_upload_is_ended_every_time_says_so_and_has_written_nothing() {
    block_on(async {
        let (images, memory) = by_uploads();
        images.exclusivity().await.unwrap();
        let mut writer = images.create(&identity("b")).await.unwrap();
        writer.append(0, b"content").await.unwrap();
        let before = (memory.counters(), memory.keys());
        let a = identity("a");
        let created = tokio::select! {
            created = images.create(&a) => created,
            () = ends_every_upload(&memory, "image/") => unreachable!(),
        };
        assert!(matches!(created, Err(ImageError::Contended { .. })), "{created:?}");
        let [begun, _, _, heads, ..] = since(before.0, memory.counters());
        assert_eq!(begun, 8);
        // One for each, and what it waited for in between.
        assert!((8..=8 + 8 + 1 + 2 + 4 + 8 + 16 + 32 + 32).contains(&heads), "{heads}");
        let closed = tokio::select! {
            closed = writer.close(Close::Complete) => closed,
            () = ends_every_upload(&memory, "image/") => unreachable!(),
        };
        assert!(matches!(closed, Err(ImageError::Contended { .. })), "{closed:?}");
        assert_eq!(memory.keys(), before.1);
        writer.abort().await.unwrap();
        write_image(&images, &identity("a"), b"content").await;
        assert_no_orphans(&memory);
    });
}

#[test]
fn an_image_that_others_are_changing_does_not_keep_the_rest_from_being_swept() {
    for flushed in [false, true] {
        block_on(async {
            let (images, memory) = by_uploads();
            let (a, b) = (identity("a"), identity("b"));
            for image in [&a, &b] {
                let mut dead = images.create(image).await.unwrap();
                dead.append(0, &bytes(1, 0, 300)).await.unwrap();
                if flushed {
                    dead.flush().await.unwrap();
                }
            }
            memory.advance(24 * 3600 + 1);
            let sweep = images.sweep(SweepOptions::default());
            let report = tokio::select! {
                report = sweep => report.unwrap(),
                () = ends_every_upload(&memory, KEY) => unreachable!(),
            };
            assert_eq!(report.images + report.released, 1, "{report:?}");
            let report = images.sweep(SweepOptions::default()).await.unwrap();
            assert_eq!(report.images + report.released, 1, "{report:?}");
            assert_no_orphans(&memory);
        });
    }
}

#[test]
fn an_upload_left_open_goes_with_the_next_exchange_or_a_day_later() {
    block_on(async {
        let (images, memory) = by_uploads();
        write_image(&images, &identity("b"), b"b").await;
        begin(&memory, KEY).await;
        begin(&memory, "image/b/1588173008/Daily").await;
        memory.advance(24 * 3600);
        images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!(memory.raw().uploads.len(), 2);
        write_image(&images, &identity("a"), b"a").await;
        assert_eq!(memory.raw().uploads.len(), 1);
        memory.advance(1);
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!(report.uploads, 1);
        assert_no_orphans(&memory);
        // Where there are none, there are none to be swept.
        memory.set_multipart(false);
        images.sweep(SweepOptions::default()).await.unwrap();
    });
}
