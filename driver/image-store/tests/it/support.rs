//! What the tests share: a store with a seeded environment, and an independent reading of the bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_store::memory::{MemoryStore, Operation};
use image_store::{
    Clock, Entropy, Environment, Exclusivity, ImageIdentity, ImageStore, Notice, Notices, ObjectStore,
    StoreConfig,
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

/// What a server has that keeps two writers of one image apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    Conditions,
    /// Writes with conditions are refused.
    Uploads,
    /// Conditions are not looked at.
    UploadsOnly,
    Nothing,
}

impl Has {
    /// Something.
    pub(crate) const EXCLUSIVE: [Self; 3] = [Self::Conditions, Self::Uploads, Self::UploadsOnly];
    /// Anything, or nothing.
    pub(crate) const ALL: [Self; 4] = [Self::Conditions, Self::Uploads, Self::UploadsOnly, Self::Nothing];

    /// Makes a server like this.
    pub(crate) fn set(self, memory: &MemoryStore) {
        memory.set_conditional_writes(!matches!(self, Self::Uploads | Self::Nothing));
        memory.set_ignores_conditions(self == Self::UploadsOnly);
        memory.set_multipart(self != Self::Nothing);
    }

    /// What an image store has to find.
    pub(crate) fn found(self) -> Exclusivity {
        match self {
            Self::Conditions => Exclusivity::Conditions,
            Self::Uploads | Self::UploadsOnly => Exclusivity::Uploads,
            Self::Nothing => Exclusivity::Unguarded,
        }
    }

    /// Writes with or without conditions that finding out takes.
    pub(crate) fn puts_of_proof(self) -> u64 {
        if matches!(self, Self::Conditions | Self::UploadsOnly) { 2 } else { 1 }
    }

    /// The request that replaces a state object.
    pub(crate) fn writes_state_by(self) -> Operation {
        match self {
            Self::Conditions | Self::Nothing => Operation::Put,
            Self::Uploads | Self::UploadsOnly => Operation::CompleteUpload,
        }
    }
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

/// Runs a future, and everything it has started, for so many turns at most: one request needs one or two. `None` if that
/// was too short, and whatever was in progress is gone.
pub(crate) fn killed_after<T>(turns: usize, work: impl Future<Output = T>) -> Option<T> {
    block_on(async {
        let killer = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = killer => None,
        }
    })
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
    pub(crate) metadata: Vec<u8>,
    pub(crate) segments: BTreeSet<String>,
    /// Writers whose segments it has.
    pub(crate) sources: BTreeSet<String>,
    /// Writers that it has had.
    pub(crate) holders: BTreeSet<String>,
    pub(crate) busy: bool,
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
            let size = |name: &str| usize::try_from(line[name].as_u64().unwrap()).unwrap();
            let mut content = Vec::new();
            let (mut segments, mut sources) = (BTreeSet::new(), BTreeSet::new());
            for extent in line["extents"].as_array().unwrap() {
                let number = |at: usize| extent[at].as_u64().unwrap();
                let (first, count, segment_size, last_size) = (number(1), number(2), number(3), number(4));
                let (mut skip, mut left) = (number(5), number(6));
                let writer = line["writers"][usize::try_from(number(0)).unwrap()]["id"].as_str().unwrap();
                sources.insert(writer.to_owned());
                for index in first..first + count {
                    let key = format!("segment/{writer}/{index:08x}");
                    let data = if index + 1 == first + count { last_size } else { segment_size };
                    let take = left.min(data - skip);
                    // While an image is being deleted, some of its segments are gone.
                    if let Some(object) = memory.object(&key) {
                        let range = usize::try_from(skip).unwrap()..usize::try_from(skip + take).unwrap();
                        content.extend_from_slice(&object[range]);
                    }
                    segments.insert(key);
                    left -= take;
                    skip = 0;
                }
                assert_eq!(left, 0, "{line}");
            }
            let (tail, metadata) = object[newline + 1..].split_at(size("tail_length"));
            content.extend_from_slice(tail);
            assert_eq!(metadata.len(), size("meta_length"));
            let holders = line["holders"].as_array().unwrap().iter();
            let holders = holders.map(|holder| holder.as_str().unwrap().to_owned()).collect();
            let busy = line["busy"].as_bool().unwrap();
            (key.clone(), ByHand { content, metadata: metadata.to_vec(), segments, sources, holders, busy })
        })
        .collect()
}

/// What is left, apart from what a process leaves that is killed while it finds out what the server has: the sweep takes
/// that a day later.
pub(crate) fn left(memory: &MemoryStore) -> BTreeSet<String> {
    let raw = memory.raw();
    let keys = raw.versions.into_iter().map(|version| version.key);
    keys.chain(raw.uploads.into_iter().map(|upload| upload.key))
        .filter(|key| !key.starts_with("probe/"))
        .collect()
}

/// Fails unless the bucket holds exactly the state objects, the segments that they name, markers for these, and events with
/// their payloads: no copiers' markers, no old versions, no delete markers, no open uploads.
pub(crate) fn assert_no_orphans(memory: &MemoryStore) {
    assert_no_orphan_objects(memory);
    assert_eq!(memory.raw().uploads, []);
}

/// The same, apart from open uploads.
pub(crate) fn assert_no_orphan_objects(memory: &MemoryStore) {
    let images = by_hand(memory);
    let mut expected: BTreeSet<String> = images.keys().cloned().collect();
    expected.extend(images.values().flat_map(|image| image.segments.iter().cloned()));
    let mut marked = BTreeSet::new();
    for key in memory.keys().iter().filter(|key| key.starts_with("holder/")) {
        let (writer, holder) = key["holder/".len()..].split_once('/').unwrap();
        let marker = String::from_utf8(memory.object(key).unwrap().to_vec()).unwrap();
        let image = marker.split_once('\n').unwrap().0.to_owned();
        let known = images.get(&image).filter(|image| image.holders.contains(holder));
        let known = known.unwrap_or_else(|| panic!("{key} is of {image}, which does not know of it"));
        assert!(known.sources.contains(writer) || known.busy, "{key}: {image} needs nothing of it");
        marked.insert((image, writer.to_owned()));
        expected.insert(key.clone());
    }
    for (key, image) in &images {
        for writer in &image.sources {
            assert!(marked.contains(&(key.clone(), writer.clone())), "{key} does not hold {writer}");
        }
    }
    for key in memory.keys().into_iter().filter(|key| key.starts_with("event/")) {
        let object = memory.object(&key).unwrap();
        // Empty is what stays of a deleted one.
        if let Some(line) = object.split(|byte| *byte == b'\n').next().filter(|line| !line.is_empty()) {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            if line["payload_length"].as_u64().unwrap() > 0 {
                expected.insert(format!("event-payload/{}", line["id"].as_str().unwrap()));
            }
        }
        expected.insert(key);
    }
    assert_eq!(memory.keys(), expected, "{images:#?}");
    let raw = memory.raw();
    assert!(raw.hidden().next().is_none(), "{raw:#?}");
}
