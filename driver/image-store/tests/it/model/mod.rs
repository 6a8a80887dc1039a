//! Any sequence of calls, with failures thrown in, against a map of byte vectors.
//!
//! Deterministic: the seed is fixed, and `PROPTEST_RNG_SEED` and `PROPTEST_CASES` change it and the number of cases.

mod step;

use std::collections::BTreeSet;
use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::{Close, ImageError, ImageIdentity, ImageState, ImageStore, SweepOptions, Writer};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use step::{Step, steps};

use crate::support::{
    Has, assert_no_orphan_objects, assert_no_orphans, block_on, by_hand, bytes, identity, image_store, small,
};

const IMAGES: usize = 3;
const WRITERS_MAX: usize = 6;

/// What an image should be.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    saved: Vec<u8>,
    created: bool,
    busy: bool,
}

/// An open writer and what it has been given.
struct Open {
    image: usize,
    writer: Writer<MemoryStore>,
    given: Vec<u8>,
    saved: usize,
    /// The image was deleted under it.
    fenced: bool,
}

struct World {
    images: ImageStore<MemoryStore>,
    memory: Arc<MemoryStore>,
    expected: [Option<Expected>; IMAGES],
    writers: Vec<Open>,
    /// Makes the content of every append another one.
    appends: u64,
}

fn name(image: usize) -> ImageIdentity {
    identity(["plain", "with/slash", "third"][image])
}

/// A failure that was scripted.
fn scripted(error: &ImageError) -> bool {
    match error {
        ImageError::NoSpace { .. } | ImageError::Store { .. } => true,
        ImageError::WriterFailed { first, .. } => scripted(first),
        _ => false,
    }
}

impl World {
    fn new(has: Has) -> Self {
        let (images, memory, _) = image_store(small());
        has.set(&memory);
        memory.set_page_size(2);
        Self { images, memory, expected: [const { None }; IMAGES], writers: Vec::new(), appends: 0 }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Create(image) => self.create(image).await,
            Step::OpenWrite(image) => self.open_write(image).await,
            Step::Append(writer, len) => self.append(writer, len).await,
            Step::Flush(writer) => self.flush(writer).await,
            Step::Close(writer, complete) => self.close(writer, complete).await,
            Step::Abort(writer) => {
                if let Some(at) = self.pick(writer) {
                    self.abort(at).await;
                }
            }
            Step::Vanish(writer) => self.vanish(writer).await,
            Step::Delete(image) => self.delete(image).await,
            Step::Read(image, ranges) => self.read(image, &ranges).await,
            Step::Properties(image) => self.properties(image).await,
            Step::List => self.list().await,
            Step::Fail(operation, prefix, skip, failure) => {
                self.memory.clear_scripts();
                self.memory.script(operation, prefix, skip, failure.effect());
            }
        }
        let memory = self.images.write_memory();
        assert!(memory.peak <= memory.budget, "{memory:?}");
        if self.writers.is_empty() && self.expected.iter().flatten().all(|image| !image.busy) {
            // A request whose answer was lost may have left an upload: the next change of that image ends it, or a sweep.
            assert_no_orphan_objects(&self.memory);
        }
    }

    fn pick(&self, writer: usize) -> Option<usize> {
        writer.checked_rem(self.writers.len())
    }

    async fn create(&mut self, image: usize) {
        if self.writers.len() >= WRITERS_MAX {
            return;
        }
        match (self.images.create(&name(image)).await, &self.expected[image]) {
            (Ok(writer), None) => {
                self.expected[image] = Some(Expected { saved: Vec::new(), created: false, busy: true });
                self.writers.push(Open { image, writer, given: Vec::new(), saved: 0, fenced: false });
            }
            (Err(ImageError::Busy { .. }), Some(Expected { busy: true, .. }))
            | (Err(ImageError::Exists { .. }), Some(Expected { busy: false, .. })) => {}
            (Err(error), None) if scripted(&error) => self.settle(image).await,
            (Err(error), Some(_)) if scripted(&error) => self.recover(),
            (result, expected) => panic!("create: {result:?}, expected {expected:?}"),
        }
    }

    async fn open_write(&mut self, image: usize) {
        if self.writers.len() >= WRITERS_MAX {
            return;
        }
        match (self.images.open_write(&name(image)).await, &mut self.expected[image]) {
            (Ok(writer), Some(expected @ Expected { created: false, busy: false, .. })) => {
                assert_eq!(writer.size(), expected.saved.len() as u64);
                expected.busy = true;
                let given = expected.saved.clone();
                self.writers.push(Open { image, writer, saved: given.len(), given, fenced: false });
            }
            (Err(ImageError::NotFound { .. }), None)
            | (Err(ImageError::NotWritable { .. }), Some(Expected { created: true, .. }))
            | (Err(ImageError::Busy { .. }), Some(Expected { busy: true, .. })) => {}
            (Err(error), Some(Expected { created: false, busy: false, .. })) if scripted(&error) => {
                self.settle(image).await;
            }
            (Err(error), _) if scripted(&error) => self.recover(),
            (result, expected) => panic!("open_write: {result:?}, expected {expected:?}"),
        }
    }

    async fn append(&mut self, writer: usize, len: usize) {
        let Some(at) = self.pick(writer) else { return };
        self.appends += 1;
        let data = bytes(self.appends, 0, len);
        let open = &mut self.writers[at];
        let wrong = open.writer.append(open.writer.size() + 1, &data).await;
        match wrong {
            Err(ImageError::InvalidOffset { .. }) => {}
            Err(error) if scripted(&error) => return self.abort(at).await,
            other => panic!("{other:?}"),
        }
        match open.writer.append(open.given.len() as u64, &data).await {
            Ok(()) => open.given.extend_from_slice(&data),
            Err(error) if scripted(&error) => self.abort(at).await,
            Err(error) => panic!("append: {error:?}"),
        }
    }

    async fn flush(&mut self, writer: usize) {
        let Some(at) = self.pick(writer) else { return };
        let open = &mut self.writers[at];
        match open.writer.flush().await {
            Ok(()) if open.fenced => {
                assert_eq!(open.saved, open.given.len(), "only if there was nothing to do");
            }
            Ok(()) => {
                open.saved = open.given.len();
                self.expected[open.image].as_mut().unwrap().saved.clone_from(&open.given);
            }
            Err(ImageError::Fenced { .. }) if open.fenced => self.abort(at).await,
            Err(error) if scripted(&error) => self.abort(at).await,
            Err(error) => panic!("flush: {error:?}"),
        }
    }

    async fn close(&mut self, writer: usize, complete: bool) {
        let Some(at) = self.pick(writer) else { return };
        let open = &mut self.writers[at];
        let how = if complete { Close::Complete } else { Close::Incomplete };
        match open.writer.close(how).await {
            Ok(()) => {
                assert!(!open.fenced, "a fenced writer committed");
                let open = self.writers.remove(at);
                self.expected[open.image] =
                    Some(Expected { saved: open.given, created: complete, busy: false });
            }
            Err(ImageError::Fenced { .. }) if open.fenced => self.abort(at).await,
            Err(error) if scripted(&error) => self.abort(at).await,
            Err(error) => panic!("close: {error:?}"),
        }
    }

    async fn abort(&mut self, at: usize) {
        let mut open = self.writers.remove(at);
        if open.writer.abort().await.is_err() {
            self.recover();
            open.writer.abort().await.unwrap();
        }
        if !open.fenced {
            self.expected[open.image] = None;
        }
    }

    async fn vanish(&mut self, writer: usize) {
        let Some(at) = self.pick(writer) else { return };
        if self.writers[at].fenced {
            // What a dead fenced writer leaves is for the sweep.
            return self.abort(at).await;
        }
        drop(self.writers.remove(at));
        tokio::task::yield_now().await;
    }

    async fn delete(&mut self, image: usize) {
        match (self.images.delete(&name(image)).await, &self.expected[image]) {
            (Ok(()), Some(_)) => self.gone(image),
            (Err(ImageError::NotFound { .. }), None) => {}
            (Err(error), _) if scripted(&error) => self.settle(image).await,
            (result, expected) => panic!("delete: {result:?}, expected {expected:?}"),
        }
    }

    async fn read(&mut self, image: usize, ranges: &[(u64, usize)]) {
        let mut reader = match (self.images.open_read(&name(image)).await, &self.expected[image]) {
            (Ok(reader), Some(_)) => reader,
            (Err(ImageError::NotFound { .. }), None) => return,
            (Err(error), _) if scripted(&error) => return self.recover(),
            (result, expected) => panic!("open_read: {result:?}, expected {expected:?}"),
        };
        let content = self.expected[image].as_ref().unwrap().saved.clone();
        assert_eq!(reader.size(), content.len() as u64);
        for &(from, len) in ranges {
            let mut buffer = vec![0; len];
            let count = match reader.read_into(from, &mut buffer).await {
                Ok(count) => count,
                Err(error) if scripted(&error) => {
                    self.recover();
                    reader.read_into(from, &mut buffer).await.unwrap()
                }
                Err(error) => panic!("read: {error:?}"),
            };
            let from = usize::try_from(from).unwrap().min(content.len());
            assert_eq!(buffer[..count], content[from..content.len().min(from + len)]);
        }
    }

    async fn properties(&mut self, image: usize) {
        match (self.images.properties(&name(image)).await, &self.expected[image]) {
            (Ok(info), Some(expected)) => {
                assert_eq!(info.size, expected.saved.len() as u64);
                assert_eq!(info.busy, expected.busy);
                assert_eq!(info.state == ImageState::Created, expected.created);
            }
            (Err(ImageError::NotFound { .. }), None) => {}
            (Err(error), _) if scripted(&error) => self.recover(),
            (result, expected) => panic!("properties: {result:?}, expected {expected:?}"),
        }
    }

    async fn list(&mut self) {
        let (mut pager, mut listed) = (self.images.list(), BTreeSet::new());
        loop {
            match pager.next_page().await {
                Ok(Some(page)) => listed.extend(page.into_iter().map(|entry| entry.identity)),
                Ok(None) => break,
                Err(error) => {
                    assert!(scripted(&error), "{error:?}");
                    self.recover();
                }
            }
        }
        let there = (0..IMAGES).filter(|image| self.expected[*image].is_some());
        assert_eq!(listed, there.map(name).collect());
    }

    /// The scripted failure happened; from here on the store works.
    fn recover(&self) {
        self.memory.clear_scripts();
    }

    /// After a failure that leaves open what happened, the host deletes the image.
    async fn settle(&mut self, image: usize) {
        self.recover();
        let deleted = self.images.delete(&name(image)).await;
        assert!(matches!(deleted, Ok(()) | Err(ImageError::NotFound { .. })), "{deleted:?}");
        self.gone(image);
    }

    fn gone(&mut self, image: usize) {
        self.expected[image] = None;
        for open in self.writers.iter_mut().filter(|open| open.image == image) {
            open.fenced = true;
        }
    }

    /// Ends everything and compares the raw bucket.
    async fn finish(mut self) {
        self.recover();
        while !self.writers.is_empty() {
            self.abort(0).await;
        }
        for image in 0..IMAGES {
            // Left busy by a writer that vanished.
            if self.expected[image].as_ref().is_some_and(|image| image.busy) {
                self.delete(image).await;
            }
        }
        self.memory.advance(25 * 3600);
        self.images.sweep(SweepOptions::default()).await.unwrap();
        assert_no_orphans(&self.memory);
        let raw: Vec<Vec<u8>> = by_hand(&self.memory).into_values().map(|image| image.content).collect();
        // In key order: "plain", "third", "with%2Fslash".
        let expected: Vec<Vec<u8>> = [0, 2, 1]
            .into_iter()
            .filter_map(|image| self.expected[image].clone())
            .map(|image| image.saved)
            .collect();
        assert_eq!(raw, expected);
        assert_eq!(self.images.write_memory().in_use, 0);
    }
}

proptest! {
    #![proptest_config(Config {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400),
        rng_seed: std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok())
            .unwrap_or(RngSeed::Fixed(20_261_120)),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_sequence_of_calls_matches_a_map_of_byte_vectors(steps in steps(Has::Conditions)) {
        run(Has::Conditions, steps);
    }

    #[test]
    fn any_sequence_of_calls_does_so_without_conditional_writes(steps in steps(Has::Uploads)) {
        run(Has::Uploads, steps);
    }

    #[test]
    fn any_sequence_of_calls_does_so_where_nothing_keeps_writers_apart(steps in steps(Has::Nothing)) {
        run(Has::Nothing, steps);
    }
}

fn run(has: Has, steps: Vec<Step>) {
    block_on(async {
        let mut world = World::new(has);
        assert_eq!(world.images.exclusivity().await.unwrap(), has.found());
        for step in steps {
            world.step(step).await;
        }
        world.finish().await;
    });
}
