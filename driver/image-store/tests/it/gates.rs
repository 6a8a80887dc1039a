//! Limits that must not be crossed: requests per image, and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use image_store::object_store::{
    BucketKind, Got, GroupPage, Head, ObjectStore, Page, Payload, Precondition, Put, Retention, StoreError,
    UploadPage, UploadsNext, VersionPage, VersionsNext,
};
use image_store::{Close, Exclusivity, ImageError, ImageStore, StoreConfig};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, image_store, small, write_image,
};

const MIB: u64 = 1 << 20;

/// Holds whole segments as their length and regenerates them: a large image without its memory.
#[derive(Default)]
struct Thin {
    memory: image_store::memory::MemoryStore,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl ObjectStore for Thin {
    fn bucket(&self) -> &str {
        self.memory.bucket()
    }

    async fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
        retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        if !key.starts_with("segment/") {
            return self.memory.put(key, body, condition, retention).await;
        }
        // All data is zeros: only the footer is kept.
        let len: usize = body.parts.iter().map(Bytes::len).sum();
        let footer = body.parts.last().cloned().unwrap_or_default();
        let mut kept = (len as u64).to_le_bytes().to_vec();
        kept.extend_from_slice(&footer);
        let crc32c = crc_fast::crc32_iscsi(&kept);
        self.memory.put(key, Payload { parts: vec![kept.into()], crc32c }, condition, retention).await
    }

    async fn get(&self, key: &str, range: Option<std::ops::Range<u64>>) -> Result<Got, StoreError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        if !key.starts_with("segment/") {
            return self.memory.get(key, range).await;
        }
        let kept = self.memory.get(key, None).await?;
        let len = usize::try_from(u64::from_le_bytes(kept.data[..8].try_into().unwrap())).unwrap();
        let footer = kept.data.slice(8..);
        let range = range.unwrap();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap().min(len);
        let mut object = vec![0; len];
        object[len - footer.len()..].copy_from_slice(&footer);
        let head = Head { size: len as u64, ..kept.head };
        Ok(Got { data: Bytes::from(object).slice(range), head })
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.memory.head(key).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.memory.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.memory.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, StoreError> {
        self.memory.list(prefix, next).await
    }

    async fn list_groups(&self, prefix: &str, next: Option<&str>) -> Result<GroupPage, StoreError> {
        self.memory.list_groups(prefix, next).await
    }

    async fn copy_from(&self, source_bucket: &str, source_key: &str, key: &str) -> Result<Put, StoreError> {
        self.memory.copy_from(source_bucket, source_key, key).await
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        self.memory.kind().await
    }

    async fn list_versions(
        &self,
        prefix: &str,
        next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        self.memory.list_versions(prefix, next).await
    }

    async fn delete_versions(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        self.memory.delete_versions(versions).await
    }

    async fn retain(&self, key: &str, version: Option<&str>, retention: Retention) -> Result<(), StoreError> {
        self.memory.retain(key, version, retention).await
    }

    async fn begin_upload(&self, key: &str, retention: Option<Retention>) -> Result<String, StoreError> {
        self.memory.begin_upload(key, retention).await
    }

    async fn list_uploads(&self, prefix: &str, next: Option<UploadsNext>) -> Result<UploadPage, StoreError> {
        self.memory.list_uploads(prefix, next).await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        self.memory.abort_upload(key, upload).await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Payload,
    ) -> Result<String, StoreError> {
        self.memory.upload_part(key, upload, number, body).await
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: &[String]) -> Result<Put, StoreError> {
        self.memory.complete_upload(key, upload, parts).await
    }
}

#[test]
fn one_gibibyte_costs_its_segments_and_three_requests_to_write_and_one_to_read() {
    block_on(async {
        let thin = Arc::new(Thin::default());
        let images = ImageStore::new(Arc::clone(&thin), StoreConfig::default(), environment().0).unwrap();
        let zeros = vec![0; 256 << 10];
        images.exclusivity().await.unwrap();
        let puts = thin.puts.load(Ordering::Relaxed);
        let mut writer = images.create(&identity("a")).await.unwrap();
        while writer.size() < 1024 * MIB {
            writer.append(writer.size(), &zeros).await.unwrap();
        }
        writer.close(Close::Complete).await.unwrap();
        // 16 of 4 MiB, then 60 of 16 MiB; besides them the state object twice, and the marker.
        let segments = 76;
        assert_eq!(thin.puts.load(Ordering::Relaxed) - puts, segments + 3);
        assert_eq!(thin.gets.load(Ordering::Relaxed), 0);

        let mut reader = images.open_read(&identity("a")).await.unwrap();
        let (mut at, mut buffer) = (0, vec![0; 256 << 10]);
        while at < 1024 * MIB {
            at += reader.read_into(at, &mut buffer).await.unwrap() as u64;
        }
        assert_eq!(reader.read_into(at, &mut buffer).await.unwrap(), 0);
        assert_eq!(thin.gets.load(Ordering::Relaxed), segments + 1);
        assert!(images.write_memory().peak <= images.write_memory().budget, "{:?}", images.write_memory());
        assert!(images.read_memory().peak <= images.read_memory().budget, "{:?}", images.read_memory());
        // One writer uses what is configured per writer, however large its image.
        assert!(images.write_memory().peak <= 5 * 16 * MIB, "{:?}", images.write_memory());
    });
}

#[test]
fn random_reads_fetch_the_blocks_they_need() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let content = bytes(1, 0, 5000);
        write_image(&images, &identity("a"), &content).await;
        let mut reader = images.open_read(&identity("a")).await.unwrap();
        let before = memory.counters();
        let mut buffer = [0; 10];
        // Twice in one segment of 128 bytes: its table is fetched once.
        for (at, gets) in [(2310, 2), (2380, 1)] {
            let start = memory.counters();
            assert_eq!(reader.read_into(at, &mut buffer).await.unwrap(), 10);
            assert_eq!(buffer, content[usize::try_from(at).unwrap()..][..10]);
            assert_eq!(memory.counters().gets - start.gets, gets, "{at}");
        }
        let fetched = memory.counters().bytes_out - before.bytes_out;
        assert!(fetched <= 2 * 16 + 8 * 4 + 48 + 16, "{fetched}");
    });
}

#[test]
fn many_writers_and_readers_stay_within_the_budget_and_none_waits_for_another() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        let names: Vec<_> = (0..8).map(|number| identity(&format!("image-{number}"))).collect();
        let mut writers = Vec::new();
        for name in &names {
            writers.push(images.create(name).await.unwrap());
        }
        let refused = images.create(&identity("one more")).await;
        assert!(matches!(refused, Err(ImageError::TooManyOpen { open: 8 })), "{refused:?}");
        // One thread serves them in turn, and all of them hold unfinished segments all the time.
        for _ in 0..60 {
            for (seed, writer) in writers.iter_mut().enumerate() {
                let at = writer.size();
                writer.append(at, &bytes(seed as u64, at, 29)).await.unwrap();
            }
        }
        for writer in &mut writers {
            writer.close(Close::Complete).await.unwrap();
        }
        drop(writers);
        let memory_use = images.write_memory();
        assert!(
            memory_use.peak <= memory_use.budget && memory_use.peak > memory_use.budget / 2,
            "{memory_use:?}"
        );
        assert_eq!(memory_use.in_use, 0);

        let mut readers = Vec::new();
        for name in &names {
            readers.push(images.open_read(name).await.unwrap());
        }
        let mut buffer = [0; 29];
        for at in (0..60 * 29).step_by(29) {
            for (seed, reader) in readers.iter_mut().enumerate() {
                assert_eq!(reader.read_into(at, &mut buffer).await.unwrap(), 29);
                assert_eq!(buffer[..], bytes(seed as u64, at, 29));
            }
        }
        let memory_use = images.read_memory();
        assert!(memory_use.peak <= memory_use.budget, "{memory_use:?}");
        drop(readers);
        tokio::task::yield_now().await;
        assert_eq!(images.read_memory().in_use, 0);
        assert_no_orphans(&memory);
    });
}

#[test]
fn each_change_of_a_state_object_costs_one_request_or_five_by_uploads() {
    for has in Has::EXCLUSIVE {
        block_on(async {
            let (images, memory, _) = image_store(small());
            has.set(&memory);
            let each = match images.exclusivity().await.unwrap() {
                Exclusivity::Conditions => 1,
                Exclusivity::Uploads => Exclusivity::REQUESTS_BY_UPLOADS,
                Exclusivity::Unguarded => unreachable!(),
            };
            assert_eq!(each, if has == Has::Conditions { 1 } else { 5 });
            let start = std::cell::Cell::new(memory.counters().requests());
            let cost = || memory.counters().requests() - start.replace(memory.counters().requests());
            let mut writer = images.create(&identity("a")).await.unwrap();
            assert_eq!(cost(), each, "create");
            writer.append(0, b"content").await.unwrap();
            writer.flush().await.unwrap();
            assert_eq!(cost(), each, "flush");
            writer.close(Close::Incomplete).await.unwrap();
            assert_eq!(cost(), each, "close incomplete");
            let mut writer = images.open_write(&identity("a")).await.unwrap();
            assert_eq!(cost(), 1 + each, "open");
            let mut fenced = images.create(&identity("b")).await.unwrap();
            cost();
            writer.close(Close::Complete).await.unwrap();
            assert_eq!(cost(), each, "close complete");
            // Who has lost looks twice, and takes its upload back.
            assert!(matches!(images.create(&identity("a")).await, Err(ImageError::Exists { .. })));
            assert_eq!(cost(), if has == Has::Conditions { 3 } else { 6 }, "create of what is there");
            images.delete(&identity("b")).await.unwrap();
            assert_eq!(
                cost(),
                1 + each + 5,
                "delete: a look, DELETING, a marker, two listings, what bucket, the object"
            );
            fenced.append(0, b"x").await.unwrap();
            assert!(matches!(fenced.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
            assert_eq!(cost(), if has == Has::Conditions { 2 } else { 5 }, "commit of what is gone");
            images.delete(&identity("a")).await.unwrap();
            assert_no_orphans(&memory);
        });
    }
}

#[test]
fn properties_cost_one_request() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        write_image(&images, &identity("a"), &bytes(1, 0, 5000)).await;
        let before = memory.counters().requests();
        images.properties(&identity("a")).await.unwrap();
        assert_eq!(memory.counters().requests(), before + 1);
    });
}

#[test]
fn eight_streams_share_one_runtime_and_one_budget() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (images, memory, _) = image_store(small());
    runtime.block_on(async {
        let mut streams = tokio::task::JoinSet::new();
        for seed in 0..8 {
            let images = images.clone();
            streams.spawn(async move {
                let (image, content) = (identity(&format!("stream-{seed}")), bytes(seed, 0, 20_000));
                let mut writer = images.create(&image).await.unwrap();
                for piece in content.chunks(777) {
                    writer.append(writer.size(), piece).await.unwrap();
                }
                writer.close(Close::Complete).await.unwrap();
                drop(writer);
                assert!(crate::support::read_image(&images, &image).await == content, "stream {seed}");
            });
        }
        while let Some(ended) = streams.join_next().await {
            ended.unwrap();
        }
    });
    let (writing, reading) = (images.write_memory(), images.read_memory());
    assert!(writing.peak <= writing.budget && writing.in_use == 0, "{writing:?}");
    assert!(reading.peak <= reading.budget, "{reading:?}");
    assert_no_orphans(&memory);
}

#[test]
fn properties_of_an_image_cost_one_request() {
    block_on(async {
        let (images, memory, _) = image_store(small());
        for (name, size) in [("small", 10), ("large", 5000)] {
            write_image(&images, &identity(name), &bytes(1, 0, size)).await;
            let before = memory.counters().requests();
            assert_eq!(images.properties(&identity(name)).await.unwrap().size, size as u64);
            assert_eq!(memory.counters().requests() - before, 1);
        }
    });
}

/// Sixteen tebibytes, by including one gibibyte over and over on a store that keeps no data: every offset is found, no data
/// moves, and the manifest stays small.
#[test]
fn an_image_of_sixteen_tebibytes_is_written_and_read_anywhere() {
    const GIB: u64 = 1024 * MIB;
    const SIZE: u64 = 16 * 1024 * GIB;
    block_on(async {
        let thin = Arc::new(Thin::default());
        let images = ImageStore::new(Arc::clone(&thin), StoreConfig::default(), environment().0).unwrap();
        let mut writer = images.create(&identity("gibibyte")).await.unwrap();
        let zeros = vec![0; 1 << 20];
        while writer.size() < GIB {
            writer.append(writer.size(), &zeros).await.unwrap();
        }
        writer.close(Close::Complete).await.unwrap();
        let puts = thin.puts.load(Ordering::Relaxed);
        let mut writer = images.create(&identity("large")).await.unwrap();
        while writer.size() < SIZE {
            writer.include(&identity("gibibyte"), 0, GIB, writer.size()).await.unwrap();
        }
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(thin.puts.load(Ordering::Relaxed) - puts, 3, "two states and a marker");
        assert_eq!(images.properties(&identity("large")).await.unwrap().size, SIZE);
        let mut reader = images.open_read(&identity("large")).await.unwrap();
        for at in [0, GIB - 100, 5123 * GIB + 77_777, SIZE - 300] {
            let mut buffer = [1; 300];
            assert_eq!(reader.read_into(at, &mut buffer).await.unwrap(), 300, "{at}");
            assert_eq!(buffer, [0; 300], "{at}");
        }
        assert_eq!(reader.read_into(SIZE - 10, &mut [1; 300]).await.unwrap(), 10);
        assert_eq!(reader.read_into(SIZE, &mut [1; 10]).await.unwrap(), 0);
    });
}

#[test]
fn a_million_images_are_listed_page_by_page() {
    const COUNT: usize = 1_000_000;
    block_on(async {
        let (images, memory, _) = image_store(small());
        // What a listing needs of a state object is its key.
        for number in 0..COUNT {
            let payload = Payload { parts: Vec::new(), crc32c: 0 };
            let key = format!("image/client_{number:07}_C1_F1/1588173008/Daily");
            memory.put(&key, payload, Precondition::None, None).await.unwrap();
        }
        let before = memory.counters();
        let (mut pager, mut seen, mut last) = (images.list(), 0, None);
        while let Some(page) = pager.next_page().await.unwrap() {
            assert!(page.len() <= 1000);
            for entry in page {
                assert!(last.as_ref() < Some(&entry.identity), "in order, each once");
                last = Some(entry.identity);
                seen += 1;
            }
        }
        assert_eq!(seen, COUNT);
        let after = memory.counters();
        assert_eq!((after.lists - before.lists, after.gets - before.gets), (1000, 0));
    });
}
