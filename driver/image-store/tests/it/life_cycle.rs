//! The states of an image and the moves between them, on a store that works.

use crate::support::{
    assert_no_orphans, block_on, by_hand, bytes, identity, image_store, read_image, small, write_image,
};
use image_store::memory::MemoryStore;
use image_store::{AppendOutcome, Close, ImageError, ImageIdentity, ImageState, ReadOutcome, StoreConfig};

#[test]
fn an_image_of_any_size_reads_back_and_can_be_restored_by_hand() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        for size in [0, 1, 15, 16, 17, 40, 41, 63, 64, 65, 104, 105, 127, 128, 1000, 1024, 1025, 5000] {
            let (image, content) = (identity(&format!("size-{size}")), bytes(size, 0, size as usize));
            write_image(&images, &image, &content).await;
            assert_eq!(read_image(&images, &image).await, content, "{size}");
            let info = images.properties(&image).await.unwrap();
            assert_eq!((info.size, info.state, info.busy), (size, ImageState::Created, false));
            assert_eq!((info.created, info.committed), (1_700_000_000, Some(1_700_000_000)));
            let raw = by_hand(&memory);
            assert_eq!(raw[&format!("image/size-{size}/1588173008/Daily")].content, content, "{size}");
        }
        assert_no_orphans(&memory);
    });
}

#[test]
fn a_small_image_costs_two_requests_and_one_object() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        images.exclusivity().await.unwrap();
        let before = memory.counters().requests();
        write_image(&images, &identity("hdr"), &bytes(1, 0, 40)).await;
        assert_eq!(memory.counters().requests() - before, 2);
        assert_eq!(memory.keys().len(), 1);
    });
}

#[test]
fn a_new_image_is_pending_and_busy_until_it_is_closed() {
    block_on(async {
        let (images, _, _) = image_store(small());
        let image = identity("a");
        let mut writer = images.create(&image).await.unwrap();
        let info = images.properties(&image).await.unwrap();
        assert_eq!((info.state, info.busy, info.size), (ImageState::Pending, true, 0));
        assert!(matches!(images.create(&image).await, Err(ImageError::Busy { .. })));
        assert!(matches!(images.open_write(&image).await, Err(ImageError::Busy { .. })));
        writer.close(Close::Complete).await.unwrap();
        assert!(matches!(images.create(&image).await, Err(ImageError::Exists { .. })));
        assert!(matches!(images.open_write(&image).await, Err(ImageError::NotWritable { .. })));
        assert!(matches!(writer.append(0, b"x").await, Err(ImageError::Closed { .. })));
        assert!(matches!(writer.flush().await, Err(ImageError::Closed { .. })));
        assert!(matches!(writer.close(Close::Complete).await, Err(ImageError::Closed { .. })));
        writer.abort().await.unwrap();
        assert_eq!(read_image(&images, &image).await, b"", "abort after close removes nothing");
    });
}

#[test]
fn a_checkpoint_keeps_everything_and_is_continued() {
    block_on(async {
        for (first, second) in [(0, 10), (30, 0), (30, 20), (70, 300), (1000, 1), (129, 5000)] {
            let (images, memory, _) = image_store(small());
            let (image, content) = (identity("a"), bytes(3, 0, first + second));
            let mut writer = images.create(&image).await.unwrap();
            writer.append(0, &content[..first]).await.unwrap();
            writer.close(Close::Incomplete).await.unwrap();
            let info = images.properties(&image).await.unwrap();
            assert_eq!((info.state, info.busy, info.size), (ImageState::Pending, false, first as u64));
            assert_no_orphans(&memory);
            assert!(matches!(images.create(&image).await, Err(ImageError::Exists { .. })));
            assert_eq!(read_image(&images, &image).await, &content[..first]);

            let mut writer = images.open_write(&image).await.unwrap();
            assert_eq!(writer.size(), first as u64);
            assert!(matches!(images.open_write(&image).await, Err(ImageError::Busy { .. })));
            writer.append(first as u64, &content[first..]).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            assert_eq!(read_image(&images, &image).await, content);
            assert_no_orphans(&memory);
        }
    });
}

#[test]
fn flushed_bytes_are_in_the_bucket_while_the_image_stays_open() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let (image, content) = (identity("a"), bytes(3, 0, 700));
        let mut writer = images.create(&image).await.unwrap();
        for end in [10, 35, 90, 91, 400, 700] {
            let from = writer.size();
            writer.append(from, &content[usize::try_from(from).unwrap()..end]).await.unwrap();
            writer.flush().await.unwrap();
            assert_eq!(by_hand(&memory).values().next().unwrap().content, content[..end]);
            assert_eq!(images.properties(&image).await.unwrap().size, end as u64);
        }
        let before = memory.counters().requests();
        writer.flush().await.unwrap();
        assert_eq!(memory.counters().requests(), before, "nothing new, nothing sent");
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&images, &image).await, content);
        assert_no_orphans(&memory);
    });
}

#[test]
fn writes_must_be_in_order() {
    block_on(async {
        let (images, _, _) = image_store(small());
        let mut writer = images.create(&identity("a")).await.unwrap();
        writer.append(0, b"0123").await.unwrap();
        for offset in [0, 3, 5, u64::MAX] {
            let refused = writer.append(offset, b"x").await;
            assert!(
                matches!(refused, Err(ImageError::InvalidOffset { expected: 4, offset: at, .. }) if at == offset)
            );
        }
        writer.append(4, b"4567").await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&images, &identity("a")).await, b"01234567");
    });
}

#[test]
fn abort_leaves_nothing() {
    block_on(async {
        for (checkpoint, more) in [(None, 0), (None, 30), (None, 3000), (Some(30), 10), (Some(1000), 3000)] {
            let (images, memory, _) = image_store(small());
            let image = identity("a");
            let mut writer = images.create(&image).await.unwrap();
            if let Some(size) = checkpoint {
                writer.append(0, &bytes(1, 0, size)).await.unwrap();
                writer.close(Close::Incomplete).await.unwrap();
                writer = images.open_write(&image).await.unwrap();
            }
            writer.append(writer.size(), &bytes(1, writer.size(), more)).await.unwrap();
            writer.abort().await.unwrap();
            assert!(memory.keys().is_empty(), "{:?}", memory.keys());
            assert!(matches!(images.open_read(&image).await, Err(ImageError::NotFound { .. })));
            assert!(matches!(writer.append(0, b"x").await, Err(ImageError::Closed { .. })));
            writer.abort().await.unwrap();
            assert_eq!(images.write_memory().in_use, 0);
        }
    });
}

#[test]
fn deleted_images_leave_nothing() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let image = identity("a");
        assert!(matches!(images.delete(&image).await, Err(ImageError::NotFound { .. })));
        for size in [0, 10, 5000] {
            write_image(&images, &image, &bytes(1, 0, size)).await;
            images.delete(&image).await.unwrap();
            assert!(memory.keys().is_empty());
            assert!(matches!(images.properties(&image).await, Err(ImageError::NotFound { .. })));
            assert!(matches!(images.open_read(&image).await, Err(ImageError::NotFound { .. })));
            assert!(matches!(images.open_write(&image).await, Err(ImageError::NotFound { .. })));
        }
    });
}

#[test]
fn deleting_a_busy_image_fences_its_writer() {
    block_on(async {
        for size in [0, 10, 3000] {
            let (images, memory, _) = image_store(small());
            let image = identity("a");
            let mut writer = images.create(&image).await.unwrap();
            writer.append(0, &bytes(1, 0, size)).await.unwrap();
            images.delete(&image).await.unwrap();
            writer.append(writer.size(), &bytes(1, writer.size(), 500)).await.unwrap();
            assert!(matches!(writer.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
            assert!(memory.keys().is_empty(), "{:?}", memory.keys());
            assert!(matches!(writer.flush().await, Err(ImageError::WriterFailed { .. })));
            writer.abort().await.unwrap();
        }
    });
}

#[test]
fn a_fenced_writer_does_not_touch_the_image_that_took_its_place() {
    block_on(async {
        for commits in [true, false] {
            let (images, memory, _) = image_store(small());
            let (image, content) = (identity("a"), bytes(9, 0, 2000));
            let mut old = images.create(&image).await.unwrap();
            old.append(0, &bytes(1, 0, 2000)).await.unwrap();
            images.delete(&image).await.unwrap();
            write_image(&images, &image, &content).await;
            if commits {
                assert!(matches!(old.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
            }
            old.abort().await.unwrap();
            assert_eq!(read_image(&images, &image).await, content);
            assert_no_orphans(&memory);
        }
    });
}

#[test]
fn the_fast_path_needs_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (images, memory, _) = image_store(StoreConfig { memory_budget: 32 * 64, ..small() });
    let mut writer = runtime.block_on(images.create(&identity("a"))).unwrap();
    let puts = memory.counters().puts;
    let content = bytes(2, 0, 3000);
    let (mut crossings, mut done) = (0, 0);
    while done < content.len() {
        let piece = &content[done..content.len().min(done + 13)];
        match writer.try_append(done as u64, piece).unwrap() {
            AppendOutcome::Done => done += piece.len(),
            AppendOutcome::NeedsIo { consumed } => {
                done += consumed;
                crossings += 1;
                runtime.block_on(writer.make_room()).unwrap();
            }
        }
    }
    runtime.block_on(writer.close(Close::Complete)).unwrap();
    let segments = memory.counters().puts - puts - 1;
    assert!(crossings <= segments + 1, "{crossings} crossings for {segments} segments");

    let mut reader = runtime.block_on(images.open_read(&identity("a"))).unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 13]);
    while (read.len() as u64) < reader.size() {
        match reader.try_read(read.len() as u64, &mut buffer) {
            ReadOutcome::NeedsIo => runtime.block_on(reader.fetch(read.len() as u64, 13)).unwrap(),
            ReadOutcome::Read(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(read, content);
}

#[test]
fn listing_pages_through_all_names() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        memory.set_page_size(3);
        let odd: [&[u8]; 5] = [b"a/b", b"..", b"\xff\x00", &[b'%'; 400], &[b'x'; 2000]];
        let mut expected = Vec::new();
        for (number, name) in odd.iter().enumerate() {
            for policy in ["", "p"] {
                let image = ImageIdentity::new(*name, number as u64, policy).unwrap();
                write_image(&images, &image, b"x").await;
                expected.push(image);
            }
        }
        put_foreign(&memory).await;
        let (mut listed, mut pages) = (Vec::new(), images.list());
        while let Some(page) = pages.next_page().await.unwrap() {
            assert!(page.len() <= 3);
            listed.extend(page.into_iter().map(|entry| entry.identity));
        }
        assert_eq!(pages.next_page().await.unwrap(), None);
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
        for image in &expected {
            images.delete(image).await.unwrap();
        }
        assert_eq!(memory.keys().len(), 1, "only the foreign object is left");
    });
}

async fn put_foreign(memory: &MemoryStore) {
    use image_store::object_store::{ObjectStore, Payload, Precondition};
    memory.put("image/not one of ours", Payload::default(), Precondition::None, None).await.unwrap();
}

#[test]
fn identities_are_checked_wherever_they_come_in() {
    block_on(async {
        let (images, _, _) = image_store(small());
        let nameless = ImageIdentity { base_name: Vec::new(), date: 0, policy: Vec::new() };
        assert!(matches!(images.create(&nameless).await, Err(ImageError::InvalidIdentity { .. })));
        assert!(matches!(images.open_write(&nameless).await, Err(ImageError::InvalidIdentity { .. })));
        assert!(matches!(images.open_read(&nameless).await, Err(ImageError::InvalidIdentity { .. })));
        assert!(matches!(images.properties(&nameless).await, Err(ImageError::InvalidIdentity { .. })));
        assert!(matches!(images.delete(&nameless).await, Err(ImageError::InvalidIdentity { .. })));
    });
}
