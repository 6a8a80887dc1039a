//! Whatever happens to stored bytes, a read gives the right ones or says that they are damaged.

use image_store::memory::{Effect, Operation};
use image_store::{ImageError, Notice};

use crate::support::{block_on, bytes, identity, image_store, read_image, small, write_image};

/// Reads an image front to back and in jumps. `None`: an error that says damaged.
async fn read_all_ways(
    images: &image_store::ImageStore<image_store::memory::MemoryStore>,
) -> [Result<Vec<u8>, ImageError>; 2] {
    let mut results = [Ok(Vec::new()), Ok(Vec::new())];
    let mut buffer = [0; 37];
    for (jumping, result) in results.iter_mut().enumerate() {
        *result = async {
            let mut reader = images.open_read(&identity("a")).await?;
            let size = usize::try_from(reader.size()).unwrap();
            let mut content = vec![0; size];
            let pieces: Vec<usize> = (0..size).step_by(buffer.len()).collect();
            let order: Vec<usize> = if jumping == 0 { pieces } else { pieces.into_iter().rev().collect() };
            for at in order {
                let count = reader.read_into(at as u64, &mut buffer).await?;
                assert_eq!(count, buffer.len().min(size - at));
                content[at..at + count].copy_from_slice(&buffer[..count]);
            }
            Ok(content)
        }
        .await;
    }
    results
}

fn assert_right_or_damaged(results: [Result<Vec<u8>, ImageError>; 2], content: &[u8], what: &str) -> usize {
    let mut damaged = 0;
    for result in results {
        match result {
            Ok(read) => assert!(read == content, "{what}: wrong bytes were returned"),
            Err(ImageError::Corrupt { .. }) => damaged += 1,
            Err(error) => panic!("{what}: {error:?}"),
        }
    }
    damaged
}

#[test]
fn every_byte_of_every_object_is_covered() {
    block_on(async {
        for size in [30, 333] {
            let (images, memory, _) = image_store(small());
            let content = bytes(4, 0, size);
            write_image(&images, &identity("a"), &content).await;
            // Markers are no part of what is read.
            for key in memory.keys().into_iter().filter(|key| !key.starts_with("holder/")) {
                let object = memory.object(&key).unwrap();
                for at in 0..object.len() {
                    let mut bad = object.to_vec();
                    bad[at] ^= 1 << (at % 8);
                    memory.tamper(&key, bad);
                    let what = format!("{key} byte {at}");
                    let damaged = assert_right_or_damaged(read_all_ways(&images).await, &content, &what);
                    assert_eq!(damaged, 2, "{what}: both reads cover every byte");
                    // Cut off here.
                    memory.tamper(&key, object.slice(..at));
                    let what = format!("{key} cut at {at}");
                    let damaged = assert_right_or_damaged(read_all_ways(&images).await, &content, &what);
                    assert_eq!(damaged, 2, "{what}");
                }
                memory.tamper(&key, object);
            }
            assert_eq!(read_image(&images, &identity("a")).await, content);
        }
    });
}

#[test]
fn a_segment_in_the_place_of_another_is_noticed() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        write_image(&images, &identity("a"), &bytes(4, 0, 333)).await;
        let segments: Vec<_> = memory.keys().into_iter().filter(|key| key.starts_with("segment/")).collect();
        let (first, second) = (memory.object(&segments[0]).unwrap(), memory.object(&segments[1]).unwrap());
        assert_eq!(first.len(), second.len());
        memory.tamper(&segments[0], second);
        memory.tamper(&segments[1], first);
        assert_eq!(assert_right_or_damaged(read_all_ways(&images).await, &bytes(4, 0, 333), "swapped"), 2);
    });
}

#[test]
fn a_missing_segment_is_damage() {
    block_on(async {
        use image_store::ObjectStore;

        let (images, memory, _) = image_store(small());
        write_image(&images, &identity("a"), &bytes(4, 0, 333)).await;
        let segment = memory.keys().into_iter().find(|key| key.starts_with("segment/")).unwrap();
        memory.delete(&segment).await.unwrap();
        assert_eq!(assert_right_or_damaged(read_all_ways(&images).await, &bytes(4, 0, 333), "missing"), 2);
    });
}

#[test]
fn bytes_that_are_wrong_on_the_way_only_are_read_again() {
    block_on(async {
        for at in (0..400).step_by(7) {
            let (images, memory, notices) = image_store(small());
            let content = bytes(4, 0, 333);
            write_image(&images, &identity("a"), &content).await;
            for prefix in ["image/", "segment/"] {
                memory.script(Operation::Get, prefix, 0, Effect::FlipByte(at));
            }
            assert_eq!(read_image(&images, &identity("a")).await, content);
            let notices = notices.0.lock().unwrap();
            assert!(
                matches!(notices[..], [Notice::ReadAgain { .. }, Notice::ReadAgain { .. }]),
                "{notices:?}"
            );
        }
    });
}

#[test]
fn a_damaged_block_does_not_hide_the_others() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let content = bytes(4, 0, 333);
        write_image(&images, &identity("a"), &content).await;
        let key = memory.keys().into_iter().find(|key| key.starts_with("segment/")).unwrap();
        let mut bad = memory.object(&key).unwrap().to_vec();
        bad[20] ^= 1;
        memory.tamper(&key, bad);
        let mut reader = images.open_read(&identity("a")).await.unwrap();
        let mut block = [0; 16];
        assert_eq!(reader.read_into(32, &mut block).await.unwrap(), 16);
        assert_eq!(block, content[32..48]);
        assert!(matches!(reader.read_into(16, &mut block).await, Err(ImageError::Corrupt { .. })));
        assert_eq!(reader.read_into(48, &mut block).await.unwrap(), 16);
        assert_eq!(block, content[48..64]);
    });
}

#[test]
fn a_state_object_under_another_image_s_key_is_refused() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        write_image(&images, &identity("a"), b"a").await;
        write_image(&images, &identity("b"), b"b").await;
        let keys: Vec<_> = memory.keys().into_iter().collect();
        memory.tamper(&keys[0], memory.object(&keys[1]).unwrap());
        assert!(matches!(images.open_read(&identity("a")).await, Err(ImageError::Corrupt { .. })));
        assert!(matches!(images.delete(&identity("a")).await, Err(ImageError::Corrupt { .. })));
    });
}
