//! What the tests share: a store with a seeded environment, and an independent reading of the bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_store::memory::MemoryStore;
use image_store::{
    Clock, Entropy, Environment, ImageIdentity, ImageStore, Notice, Notices, ObjectStore, StoreConfig,
};

/// Unpredictable enough for writer ids, and the same in every run.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(8) {
            let mut mixed =
                self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ 0x1234_5678_9abc_def0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^= mixed >> 27;
            part.copy_from_slice(&mixed.to_le_bytes()[..part.len()]);
        }
    }
}

pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }
}

#[derive(Default)]
pub(crate) struct Collected(pub(crate) Mutex<Vec<Notice>>);

impl Notices for Collected {
    fn notice(&self, notice: Notice) {
        self.0.lock().unwrap().push(notice);
    }
}

pub(crate) fn environment() -> (Environment, Arc<Collected>) {
    let notices = Arc::new(Collected::default());
    let environment = Environment {
        clock: Arc::new(Fixed),
        entropy: Arc::new(Counting::default()),
        notices: Arc::clone(&notices) as Arc<dyn Notices>,
    };
    (environment, notices)
}

/// Everything small, so that a few hundred bytes exercise every boundary.
pub(crate) fn small() -> StoreConfig {
    StoreConfig {
        inline_limit: 40,
        block_size: 16,
        chunk_size: 32,
        segment_size_first: 64,
        segment_size_max: 128,
        uploads_per_writer: 2,
        memory_budget: 32 * 16,
        read_budget: 32 * 16,
        read_ahead: 2,
        ..StoreConfig::default()
    }
}

pub(crate) fn image_store(
    config: StoreConfig,
) -> (ImageStore<MemoryStore>, Arc<MemoryStore>, Arc<Collected>) {
    let memory = Arc::new(MemoryStore::new());
    let (environment, notices) = environment();
    (ImageStore::new(Arc::clone(&memory), config, environment).unwrap(), memory, notices)
}

pub(crate) fn identity(name: &str) -> ImageIdentity {
    ImageIdentity::new(name, 1_588_173_008, "Daily").unwrap()
}

/// Content that tells every offset from its neighbours, and one image from another.
pub(crate) fn bytes(seed: u64, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64)
        .map(|at| {
            let mixed = (at ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed >> 29) as u8
        })
        .collect()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Creates a complete image of this content in one go.
pub(crate) async fn write_image<S: ObjectStore>(
    images: &ImageStore<S>,
    identity: &ImageIdentity,
    content: &[u8],
) {
    let mut writer = images.create(identity).await.unwrap();
    writer.append(0, content).await.unwrap();
    writer.close(image_store::Close::Complete).await.unwrap();
}

/// Reads a whole image through the library.
pub(crate) async fn read_image<S: ObjectStore>(images: &ImageStore<S>, identity: &ImageIdentity) -> Vec<u8> {
    let mut reader = images.open_read(identity).await.unwrap();
    let mut content = vec![0; usize::try_from(reader.size()).unwrap() + 1];
    let len = reader.read_into(0, &mut content).await.unwrap();
    content.truncate(len);
    content
}

/// One image as somebody reads it who has the layout page, a JSON parser and the objects.
#[derive(Debug)]
pub(crate) struct ByHand {
    pub(crate) content: Vec<u8>,
    pub(crate) segments: BTreeSet<String>,
}

/// Reads every image of the bucket from the raw objects, sharing no code with the library.
pub(crate) fn by_hand(memory: &MemoryStore) -> BTreeMap<String, ByHand> {
    let keys = memory.keys();
    let states = keys.iter().filter(|key| key.starts_with("image/"));
    states
        .map(|key| {
            let object = memory.object(key).unwrap();
            let newline = object.iter().position(|byte| *byte == b'\n').unwrap();
            let line: serde_json::Value = serde_json::from_slice(&object[..newline]).unwrap();
            let mut content = Vec::new();
            let mut segments = BTreeSet::new();
            for extent in line["extents"].as_array().unwrap() {
                let number = |at: usize| extent[at].as_u64().unwrap();
                let writer = line["writers"][usize::try_from(number(0)).unwrap()].as_str().unwrap();
                let mut left = number(4);
                for index in number(1)..number(1) + number(2) {
                    let key = format!("segment/{writer}/{index:08x}");
                    let take = left.min(number(3));
                    // While an image is being deleted, some of its segments are gone.
                    if let Some(object) = memory.object(&key) {
                        content.extend_from_slice(&object[..usize::try_from(take).unwrap()]);
                    }
                    segments.insert(key);
                    left -= take;
                }
                assert_eq!(left, 0, "{line}");
            }
            content.extend_from_slice(&object[newline + 1..]);
            (key.clone(), ByHand { content, segments })
        })
        .collect()
}

/// Fails unless the bucket holds exactly the state objects and the segments they name.
pub(crate) fn assert_no_orphans(memory: &MemoryStore) {
    let images = by_hand(memory);
    let mut expected: BTreeSet<String> = images.keys().cloned().collect();
    expected.extend(images.values().flat_map(|image| image.segments.iter().cloned()));
    assert_eq!(memory.keys(), expected, "{images:#?}");
}
