//! Dead bytes are told, and given back in bounded steps while others read, sweep and delete.

use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::{Close, Compacted, Environment, ImageError, ImageStore, SweepOptions};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, read_image, small, write_image,
};

fn store(memory: &MemoryStore, environment: &Environment) -> ImageStore<MemoryStore> {
    ImageStore::new(Arc::new(memory.clone()), small(), environment.clone()).unwrap()
}

/// An image that needs ten bytes of each of twenty segments, whose own image is gone.
async fn poor(images: &ImageStore<MemoryStore>) -> Vec<u8> {
    write_image(images, &identity("old"), &bytes(1, 0, 1024)).await;
    let mut writer = images.create(&identity("new")).await.unwrap();
    let mut content = Vec::new();
    for segment in 0..16u64 {
        writer.include(&identity("old"), segment * 64 + 30, 10, content.len() as u64).await.unwrap();
        content.extend(bytes(1, segment * 64 + 30, 10));
    }
    writer.append(160, &bytes(2, 0, 100)).await.unwrap();
    content.extend(bytes(2, 0, 100));
    writer.set_metadata(b"kept").unwrap();
    writer.close(Close::Complete).await.unwrap();
    images.delete(&identity("old")).await.unwrap();
    content
}

async fn dead(images: &ImageStore<MemoryStore>) -> u64 {
    images.sweep(SweepOptions::default()).await.unwrap().dead_bytes
}

#[test]
fn dead_bytes_are_given_back_and_no_step_moves_more_than_it_may() {
    block_on(async {
        let (memory, environment) = (MemoryStore::new(), environment().0);
        let images = store(&memory, &environment);
        let content = poor(&images).await;
        assert_eq!(dead(&images).await, 16 * 54);
        let (mut left, mut steps) = (16 * 54, 0);
        while left > 0 {
            let done = images.compact(&identity("new"), 50, 35).await.unwrap();
            assert_eq!(done, Compacted { moved: 30.min(left / 54 * 10), let_go: 192.min(left / 54 * 64) });
            assert_eq!(read_image(&images, &identity("new")).await, content);
            left -= done.let_go - done.moved;
            assert_eq!(dead(&images).await, left);
            assert_no_orphans(&memory);
            steps += 1;
        }
        assert_eq!(steps, 6);
        assert_eq!(images.compact(&identity("new"), 50, u64::MAX).await.unwrap(), Compacted::default());
        let reader = images.open_read(&identity("new")).await.unwrap();
        assert_eq!(reader.metadata(), b"kept");
        images.delete(&identity("new")).await.unwrap();
        assert!(memory.raw().is_empty());
    });
}

#[test]
fn a_reader_goes_on_when_the_segments_move() {
    block_on(async {
        let (memory, environment) = (MemoryStore::new(), environment().0);
        let images = store(&memory, &environment);
        let content = poor(&images).await;
        let mut reader = images.open_read(&identity("new")).await.unwrap();
        let mut buffer = vec![0; content.len()];
        assert_eq!(reader.read_into(0, &mut buffer[..20]).await.unwrap(), 20);
        images.compact(&identity("new"), 50, u64::MAX).await.unwrap();
        images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!(reader.read_into(20, &mut buffer[20..]).await.unwrap(), content.len() - 20);
        assert_eq!(buffer, content);
    });
}

#[test]
fn a_compaction_can_be_killed_anywhere() {
    for has in Has::EXCLUSIVE {
        kill_a_compaction_anywhere(has);
    }
}

fn kill_a_compaction_anywhere(has: Has) {
    for (requests, carried_out) in (0..200).flat_map(|n| [(n, false), (n, true)]) {
        let finished = block_on(async {
            let (memory, environment) = (MemoryStore::new(), environment().0);
            has.set(&memory);
            let images = store(&memory, &environment);
            let content = poor(&images).await;
            let mortal = memory.mortal(requests, carried_out);
            let (other, new) = (store(&mortal, &environment), identity("new"));
            let finished = tokio::select! {
                biased;
                () = mortal.died() => false,
                done = other.compact(&new, 50, u64::MAX) => {
                    assert_eq!(done.unwrap().moved, 160);
                    true
                }
            };
            for hours in [0, 25] {
                memory.advance(hours * 3600);
                images.sweep(SweepOptions::default()).await.unwrap();
                assert_eq!(read_image(&images, &identity("new")).await, content, "{requests} {carried_out}");
            }
            assert_no_orphans(&memory);
            images.delete(&identity("new")).await.unwrap();
            assert!(memory.raw().is_empty(), "{:?}", memory.keys());
            finished
        });
        if finished {
            assert!(requests > 10);
            return;
        }
    }
    panic!("it never ended");
}

#[test]
fn sweeps_deletes_and_other_compactions_may_run_beside_it() {
    let cases = (0..80).flat_map(|delay| (0..3).map(move |act| (delay, act)));
    for (has, (delay, act)) in cases.flat_map(|case| Has::EXCLUSIVE.map(|has| (has, case))) {
        block_on(async {
            let (memory, environment) = (MemoryStore::new(), environment().0);
            has.set(&memory);
            let images = store(&memory, &environment);
            let content = poor(&images).await;
            memory.advance(25 * 3600);
            let beside = async {
                for _ in 0..delay {
                    tokio::task::yield_now().await;
                }
                match act {
                    0 => images.sweep(SweepOptions::default()).await.map(drop),
                    1 => images.delete(&identity("new")).await,
                    _ => images.compact(&identity("new"), 50, u64::MAX).await.map(drop),
                }
            };
            let new = identity("new");
            let (done, other) = tokio::join!(images.compact(&new, 50, u64::MAX), beside);
            let what = format!("{has:?} {delay} {act}: {done:?} {other:?}");
            let lost = |error: &ImageError| {
                matches!(
                    error,
                    ImageError::Busy { .. } | ImageError::NotFound { .. } | ImageError::Moved { .. }
                )
            };
            assert!(done.as_ref().err().is_none_or(lost) && other.as_ref().err().is_none_or(lost), "{what}");
            if act != 1 {
                assert_eq!(read_image(&images, &identity("new")).await, content, "{what}");
            }
            memory.advance(25 * 3600);
            images.sweep(SweepOptions::default()).await.unwrap();
            assert_no_orphans(&memory);
            let _ = images.delete(&identity("new")).await;
            assert!(memory.raw().is_empty(), "{what} {:?}", memory.keys());
        });
    }
}
