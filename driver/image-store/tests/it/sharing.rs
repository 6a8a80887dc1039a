//! Images that consist of ranges of others: the same bytes, none of them moved, none of them lost.

use image_store::memory::MemoryStore;
use image_store::{Close, ImageError, ImageStore, StoreConfig, SweepOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use crate::support::{
    assert_no_orphans, block_on, by_hand, bytes, identity, image_store, read_image, small, write_image,
};

fn segments(memory: &MemoryStore) -> usize {
    memory.keys().iter().filter(|key| key.starts_with("segment/")).count()
}

#[test]
fn any_ranges_of_any_images_mixed_with_writes_read_back_like_a_byte_copy() {
    let part = prop_oneof![
        (0usize..3, 0usize..2000, 0usize..700).prop_map(|(source, from, len)| (Some(source), from, len)),
        (0usize..200).prop_map(|len| (None, 0, len)),
    ];
    let config = Config { cases: 200, rng_seed: RngSeed::Fixed(7), ..Config::default() };
    proptest!(config, |(parts in prop::collection::vec(part, 1..40), flush_at in 0usize..40)| {
        block_on(async {
            let (images, memory, _) = image_store(small());
            let sources: Vec<_> = [1900, 333, 25].iter().map(|len| bytes(*len, 0, *len as usize)).collect();
            for (number, content) in sources.iter().enumerate() {
                write_image(&images, &identity(&format!("source-{number}")), content).await;
            }
            let mut expected = Vec::new();
            let mut writer = images.create(&identity("new")).await.unwrap();
            for (number, (source, from, len)) in parts.iter().enumerate() {
                let at = expected.len() as u64;
                match source {
                    None => {
                        let data = bytes(number as u64 + 100, 0, *len);
                        writer.append(at, &data).await.unwrap();
                        expected.extend_from_slice(&data);
                    }
                    Some(source) => {
                        let content = &sources[*source];
                        let (from, name) = (from % content.len(), identity(&format!("source-{source}")));
                        let len = (*len).min(content.len() - from);
                        writer.include(&name, from as u64, len as u64, at).await.unwrap();
                        expected.extend_from_slice(&content[from..from + len]);
                    }
                }
                if number == flush_at {
                    writer.flush().await.unwrap();
                    assert_eq!(read_image(&images, &identity("new")).await, expected);
                }
            }
            writer.close(Close::Complete).await.unwrap();
            assert_eq!(read_image(&images, &identity("new")).await, expected);
            assert_eq!(by_hand(&memory)["image/new/1588173008/Daily"].content, expected);
            assert_no_orphans(&memory);
            // Backwards, in odd steps.
            let mut reader = images.open_read(&identity("new")).await.unwrap();
            for start in (0..expected.len()).rev().step_by(37) {
                let mut buffer = [0; 50];
                let count = reader.read_into(start as u64, &mut buffer).await.unwrap();
                assert_eq!(buffer[..count], expected[start..(start + 50).min(expected.len())]);
            }
            // The sources can go at any time.
            for number in 0..sources.len() {
                images.delete(&identity(&format!("source-{number}"))).await.unwrap();
            }
            assert_eq!(read_image(&images, &identity("new")).await, expected);
            images.sweep(SweepOptions::default()).await.unwrap();
            assert_no_orphans(&memory);
            assert_eq!(read_image(&images, &identity("new")).await, expected);
            images.delete(&identity("new")).await.unwrap();
            assert!(memory.raw().is_empty(), "{:?}", memory.keys());
        });
    });
}

#[test]
fn an_include_moves_no_data() {
    block_on(async {
        let (images, memory, _) = image_store(StoreConfig::default());
        let content = bytes(1, 0, 20 << 20);
        write_image(&images, &identity("old"), &content).await;
        let before = memory.counters();
        let mut writer = images.create(&identity("new")).await.unwrap();
        for number in 0..2000u64 {
            // Every second range out of order: nothing can be joined.
            let from = (number * 7919) % 20_000 * 1000;
            writer.include(&identity("old"), from, 777, number * 777).await.unwrap();
        }
        writer.close(Close::Complete).await.unwrap();
        let after = memory.counters();
        // Two looks at the source, one marker, two state objects: the new one names 2,000 ranges.
        assert_eq!(after.requests() - before.requests(), 5);
        assert!(after.bytes_in - before.bytes_in < 100_000, "{} bytes in", after.bytes_in - before.bytes_in);
        assert!(after.bytes_out - before.bytes_out < 10_000, "{} out", after.bytes_out - before.bytes_out);
    });
}

#[test]
fn what_cannot_be_included_is_refused_and_changes_nothing() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        write_image(&images, &identity("old"), &bytes(1, 0, 500)).await;
        let mut pending = images.create(&identity("pending")).await.unwrap();
        pending.append(0, &[1; 100]).await.unwrap();
        pending.close(Close::Incomplete).await.unwrap();
        let mut writer = images.create(&identity("new")).await.unwrap();
        writer.append(0, &[7; 10]).await.unwrap();
        let results = [
            writer.include(&identity("none"), 0, 1, 10).await,
            writer.include(&identity("pending"), 0, 1, 10).await,
            writer.include(&identity("new"), 0, 1, 10).await,
            writer.include(&identity("old"), 400, 101, 10).await,
            writer.include(&identity("old"), u64::MAX, 2, 10).await,
            writer.include(&identity("old"), 0, 1, 9).await,
        ];
        let kinds = results.map(|result| match result.unwrap_err() {
            ImageError::NotFound { .. } => "not found",
            ImageError::NotComplete { .. } => "not complete",
            ImageError::InvalidRange { .. } => "range",
            ImageError::InvalidOffset { .. } => "offset",
            other => panic!("{other}"),
        });
        assert_eq!(kinds, ["not found", "not complete", "not complete", "range", "range", "offset"]);
        writer.include(&identity("old"), 499, 1, 10).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        let expected = [&[7; 10][..], &bytes(1, 499, 1)].concat();
        assert_eq!(read_image(&images, &identity("new")).await, expected);
        images.delete(&identity("pending")).await.unwrap();
        assert_no_orphans(&memory);
    });
}

#[test]
fn a_segment_is_freed_exactly_when_its_last_reference_goes() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        // Ten segments of 64 bytes.
        write_image(&images, &identity("old"), &bytes(1, 0, 640)).await;
        assert_eq!(segments(&memory), 10);
        for (name, from, len) in [("left", 0, 130), ("middle", 120, 200)] {
            let mut writer = images.create(&identity(name)).await.unwrap();
            writer.include(&identity("old"), from, len, 0).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
        }
        images.delete(&identity("old")).await.unwrap();
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        // Bytes 0 to 320 are needed: five segments, without a dead byte.
        assert_eq!((segments(&memory), report.freed_segments, report.dead_bytes), (5, 5, 0));
        images.delete(&identity("left")).await.unwrap();
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        // Bytes 120 to 320: of segment 1 only eight bytes.
        assert_eq!((segments(&memory), report.freed_segments, report.dead_bytes), (4, 1, 56));
        assert_eq!((report.live_bytes, report.segments), (200, 4));
        assert_eq!(read_image(&images, &identity("middle")).await, bytes(1, 120, 200));
        images.delete(&identity("middle")).await.unwrap();
        assert!(memory.raw().is_empty());
    });
}

/// One night's synthetic full: everything of the last one but `changes` ranges that were written anew.
async fn night(
    images: &ImageStore<MemoryStore>,
    number: u64,
    content: &mut [u8],
    unit: usize,
    changes: &[usize],
) {
    let (old, new) = (identity(&format!("full-{}", number - 1)), identity(&format!("full-{number}")));
    let mut writer = images.create(&new).await.unwrap();
    for at in (0..content.len()).step_by(unit) {
        let (end, offset) = ((at + unit).min(content.len()), at as u64);
        if changes.contains(&(at / unit)) {
            content[at..end].copy_from_slice(&bytes(number, offset, end - at));
            writer.append(offset, &content[at..end]).await.unwrap();
        } else {
            writer.include(&old, offset, (end - at) as u64, offset).await.unwrap();
        }
    }
    writer.close(Close::Complete).await.unwrap();
}

#[test]
fn thirty_nightly_synthetic_fulls_stay_flat() {
    block_on(async {
        const UNIT: usize = 32;
        let (images, memory, _) = image_store(small());
        let mut content = bytes(0, 0, 100 * UNIT);
        write_image(&images, &identity("full-0"), &content).await;
        let mut total = 0;
        for number in 1..=30u64 {
            let changes: Vec<usize> = (0..5u64).map(|n| ((number * 37 + n * 23) % 100) as usize).collect();
            total += changes.len();
            night(&images, number, &mut content, UNIT, &changes).await;
            images.delete(&identity(&format!("full-{}", number - 1))).await.unwrap();
            assert_eq!(read_image(&images, &identity(&format!("full-{number}"))).await, content);
            let state = memory.object(&format!("image/full-{number}/1588173008/Daily")).unwrap();
            let end = state.iter().position(|byte| *byte == b'\n').unwrap();
            let line: serde_json::Value = serde_json::from_slice(&state[..end]).unwrap();
            let extents = line["extents"].as_array().unwrap().len();
            // Each change is one extent and splits another; and there are no more extents than units. The first image has
            // segments of two sizes.
            let bound = (2 * total + 2).min(content.len() / UNIT);
            assert!(extents <= bound, "night {number}: {extents} extents, {bound} expected at most");
        }
        images.sweep(SweepOptions::default()).await.unwrap();
        assert_no_orphans(&memory);
        images.delete(&identity("full-30")).await.unwrap();
        assert!(memory.raw().is_empty());
    });
}

#[test]
fn deletes_and_sweeps_may_run_beside_an_include() {
    for (delay, act) in (0..40).flat_map(|delay| (0..3).map(move |act| (delay, act))) {
        block_on(async {
            let (images, memory, _) = image_store(small());
            let (old, copy, new) = (identity("old"), identity("copy"), identity("new"));
            write_image(&images, &old, &bytes(1, 0, 640)).await;
            // A second one that holds what is to be included.
            let mut writer = images.create(&copy).await.unwrap();
            writer.include(&old, 0, 640, 0).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            memory.advance(25 * 3600);
            let source = if act == 2 { &copy } else { &old };
            let including = async {
                let mut writer = images.create(&new).await.unwrap();
                let included = writer.include(source, 100, 300, 0).await;
                match &included {
                    Ok(()) => writer.close(Close::Complete).await.unwrap(),
                    Err(_) => writer.abort().await.unwrap(),
                }
                included
            };
            let beside = async {
                for _ in 0..delay {
                    tokio::task::yield_now().await;
                }
                images.delete(&old).await.unwrap();
                if act > 0 {
                    images.delete(&copy).await.unwrap();
                }
                images.sweep(SweepOptions::default()).await.unwrap();
            };
            let (included, ()) = tokio::join!(including, beside);
            match included {
                Ok(()) => {
                    assert_eq!(read_image(&images, &new).await, bytes(1, 100, 300), "{delay} {act}");
                    images.sweep(SweepOptions::default()).await.unwrap();
                    assert_eq!(read_image(&images, &new).await, bytes(1, 100, 300), "{delay} {act}");
                    images.delete(&new).await.unwrap();
                }
                Err(ImageError::NotFound { .. }) => {}
                Err(error) => panic!("{delay} {act}: {error}"),
            }
            let _ = images.delete(&copy).await;
            memory.advance(25 * 3600);
            images.sweep(SweepOptions::default()).await.unwrap();
            assert!(memory.raw().is_empty(), "{delay} {act}: {:?}", memory.keys());
        });
    }
}
