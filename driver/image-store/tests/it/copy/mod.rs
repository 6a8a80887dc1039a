//! Copies of images: identical, resumable after a kill anywhere, never visible early, and harmless to their source.

mod kills;
mod owners;

use std::collections::BTreeSet;
use std::sync::Arc;

use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{
    Close, CopyOptions, CopyProgress, CopyStatus, Environment, ImageCopy, ImageError, ImageState, ImageStore,
    Route, SweepOptions,
};

use crate::support::{
    Has, assert_no_orphans, block_on, by_hand, bytes, environment, identity, read_image, small, write_image,
};

const DAY: u64 = 24 * 60 * 60;
const COPIER: [u8; 16] = [7; 16];
const ROUTES: [Route; 2] = [Route::SameCluster, Route::OtherCluster];

/// On servers of every kind, on every route.
fn everywhere() -> impl Iterator<Item = (Has, Route)> {
    Has::EXCLUSIVE.into_iter().flat_map(|has| ROUTES.map(|route| (has, route)))
}

/// A bucket with images, and one to copy them to.
struct World {
    environment: Environment,
    source: Arc<MemoryStore>,
    target: Arc<MemoryStore>,
    route: Route,
    /// Of the image `a`.
    content: Vec<u8>,
}

impl World {
    /// Image `a` has segments of two writers, one of them of image `base`, some of these twice; and a tail.
    async fn new(route: Route) -> Self {
        Self::on(Has::Conditions, route).await
    }

    /// The same on servers that have this.
    async fn on(has: Has, route: Route) -> Self {
        let source = Arc::new(MemoryStore::new());
        let target = match route {
            Route::SameCluster => source.sibling("other"),
            Route::OtherCluster => MemoryStore::new(),
        };
        has.set(&source);
        has.set(&target);
        let (environment, target) = (environment().0, Arc::new(target));
        let mut world = Self { environment, source, target, route, content: Vec::new() };
        let images = world.images(&world.source);
        let (base, own) = (bytes(1, 0, 900), bytes(2, 0, 420));
        write_image(&images, &identity("base"), &base).await;
        let mut writer = images.create(&identity("a")).await.unwrap();
        writer.set_metadata(b"what the host keeps").unwrap();
        writer.append(0, &own[..300]).await.unwrap();
        writer.include(&identity("base"), 50, 600, 300).await.unwrap();
        writer.include(&identity("base"), 0, 200, 900).await.unwrap();
        writer.append(1100, &own[300..400]).await.unwrap();
        writer.close(Close::Incomplete).await.unwrap();
        let mut writer = images.open_write(&identity("a")).await.unwrap();
        writer.append(1200, &own[400..]).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        world.content = [&own[..300], &base[50..650], &base[..200], &own[300..]].concat();
        assert_eq!(read_image(&images, &identity("a")).await, world.content);
        world
    }

    /// As another process sees it.
    fn images(&self, bucket: &Arc<MemoryStore>) -> ImageStore<MemoryStore> {
        ImageStore::new(Arc::clone(bucket), small(), self.environment.clone()).unwrap()
    }

    async fn begin(&self, copier: [u8; 16]) -> Result<ImageCopy<MemoryStore>, ImageError> {
        let (source, target) = (self.images(&self.source), self.images(&self.target));
        let options = CopyOptions { route: self.route, copier: Some(copier) };
        source.begin_copy(&identity("a"), &target, &identity("a"), options).await
    }

    async fn copy(&self) -> Result<CopyProgress, ImageError> {
        let mut copy = self.begin(COPIER).await?;
        copy.run().await?;
        Ok(copy.progress())
    }

    async fn assert_copied(&self) {
        let images = self.images(&self.target);
        assert_eq!(images.properties(&identity("a")).await.unwrap().state, ImageState::Created);
        assert_eq!(read_image(&images, &identity("a")).await, self.content);
        let reader = images.open_read(&identity("a")).await.unwrap();
        assert_eq!(reader.metadata(), b"what the host keeps");
        let by_hand = &by_hand(&self.target)["image/a/1588173008/Daily"];
        assert_eq!((&by_hand.content, by_hand.metadata.len()), (&self.content, 19));
    }

    /// The source is as it was before, without a single marker of a copier.
    async fn assert_source_untouched(&self) {
        assert_eq!(read_image(&self.images(&self.source), &identity("a")).await, self.content);
        assert_no_orphans(&self.source);
    }

    /// A day later, after a sweep of both buckets.
    async fn swept(&self) {
        for memory in [&self.source, &self.target] {
            memory.advance(DAY + 1);
        }
        for memory in [&self.source, &self.target] {
            self.images(memory).sweep(SweepOptions::default()).await.unwrap();
        }
    }

    fn state_in_target(&self) -> Option<String> {
        let object = self.target.object("image/a/1588173008/Daily")?;
        let line = object.split(|byte| *byte == b'\n').next().unwrap();
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        Some(line["state"].as_str().unwrap().to_owned())
    }
}

fn segments(memory: &MemoryStore) -> BTreeSet<String> {
    memory.keys().into_iter().filter(|key| key.starts_with("segment/")).collect()
}

fn refused() -> Effect {
    Effect::Refuse(StoreError::Timeout("scripted".to_owned()))
}

#[test]
fn a_copy_is_identical_and_an_image_of_its_own() {
    for route in ROUTES {
        block_on(async {
            let world = World::new(route).await;
            let progress = world.copy().await.unwrap();
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
            assert_eq!(progress.segments, segments(&world.target).len() as u64);
            assert_eq!((progress.segments_done, progress.bytes_done), (progress.segments, progress.bytes));
            // It stays when its source goes, and can be the source of a copy and of an include.
            let (source, target) = (world.images(&world.source), world.images(&world.target));
            source.delete(&identity("a")).await.unwrap();
            source.delete(&identity("base")).await.unwrap();
            assert!(world.source.keys().is_empty());
            world.assert_copied().await;
            let options = CopyOptions { route, copier: None };
            let mut back =
                target.begin_copy(&identity("a"), &source, &identity("back"), options).await.unwrap();
            back.run().await.unwrap();
            assert_eq!(read_image(&source, &identity("back")).await, world.content);
            let mut writer = target.create(&identity("synthetic")).await.unwrap();
            writer.include(&identity("a"), 100, 1000, 0).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            target.delete(&identity("a")).await.unwrap();
            assert_eq!(read_image(&target, &identity("synthetic")).await, world.content[100..1100]);
            target.sweep(SweepOptions::default()).await.unwrap();
            assert_no_orphans(&world.target);
            assert_no_orphans(&world.source);
        });
    }
}

#[test]
fn a_small_image_is_copied_without_segments() {
    block_on(async {
        let world = World::new(Route::OtherCluster).await;
        let (source, target) = (world.images(&world.source), world.images(&world.target));
        for len in [0, 40] {
            let image = identity(&format!("small-{len}"));
            write_image(&source, &image, &bytes(5, 0, len)).await;
            let options = CopyOptions { route: world.route, copier: None };
            source.begin_copy(&image, &target, &image, options).await.unwrap().run().await.unwrap();
            assert_eq!(read_image(&target, &image).await, bytes(5, 0, len));
            assert_no_orphans(&world.target);
            target.delete(&image).await.unwrap();
        }
        assert!(world.target.keys().is_empty());
    });
}

#[test]
fn within_one_cluster_no_data_comes_through() {
    block_on(async {
        let world = World::new(Route::SameCluster).await;
        let before = (world.source.counters(), world.target.counters());
        world.copy().await.unwrap();
        let (source, target) = (world.source.counters(), world.target.counters());
        let probes = 2 * b"probe".len() as u64;
        let size = |memory: &MemoryStore| memory.object("image/a/1588173008/Daily").unwrap().len() as u64;
        // What comes is the state object of the source, twice.
        assert_eq!(source.bytes_out - before.0.bytes_out, 2 * size(&world.source));
        assert_eq!(target.bytes_out, before.1.bytes_out);
        // What goes are markers and state objects.
        assert!(source.bytes_in - before.0.bytes_in < 300);
        let goes = target.bytes_in - before.1.bytes_in - probes;
        assert!(goes < 2 * size(&world.target) + 300, "{goes}");
        assert_eq!(target.copies, segments(&world.target).len() as u64);
    });
}

#[test]
fn memory_stays_within_the_budget_and_segments_go_several_at_a_time() {
    block_on(async {
        let world = World::new(Route::OtherCluster).await;
        let (source, target) = (world.images(&world.source), world.images(&world.target));
        write_image(&source, &identity("large"), &bytes(3, 0, 10_000)).await;
        let options = CopyOptions { route: world.route, copier: None };
        let mut copy =
            source.begin_copy(&identity("large"), &target, &identity("large"), options).await.unwrap();
        copy.run().await.unwrap();
        let memory = source.read_memory();
        assert!(memory.peak <= memory.budget && memory.in_use == 0, "{memory:?}");
        assert!(memory.peak > 208, "more than one segment at a time: {memory:?}");
        assert_eq!(read_image(&target, &identity("large")).await, bytes(3, 0, 10_000));
    });
}

/// The mistake of 2008: what was left of an aborted copy was cleared away by its name, and that name led to the source.
#[test]
fn an_abort_leaves_nothing_on_either_side() {
    for route in ROUTES {
        for steps in 0..30 {
            block_on(async {
                let world = World::new(route).await;
                let mut copy = world.begin(COPIER).await.unwrap();
                for _ in 0..steps {
                    if copy.step().await.unwrap() == CopyStatus::Done {
                        break;
                    }
                }
                let done = copy.is_done();
                assert_eq!(done, world.state_in_target() == Some("CREATED".to_owned()), "{steps}");
                copy.abort().await.unwrap();
                world.assert_source_untouched().await;
                if done {
                    world.assert_copied().await;
                } else {
                    assert!(world.target.raw().is_empty(), "{steps}: {:?}", world.target.keys());
                    assert!(matches!(copy.step().await, Err(ImageError::Closed { .. })));
                    let deleted = world.images(&world.target).delete(&identity("a")).await;
                    assert!(matches!(deleted, Err(ImageError::NotFound { .. })));
                    world.assert_source_untouched().await;
                }
            });
        }
    }
}

#[test]
fn damage_at_the_source_is_found_and_never_committed() {
    for route in ROUTES {
        block_on(async {
            let world = World::new(route).await;
            let victim = segments(&world.source).into_iter().next().unwrap();
            let mut damaged = world.source.object(&victim).unwrap().to_vec();
            if route == Route::SameCluster {
                // Which byte is wrong, nobody sees who does not read.
                damaged.pop();
            } else {
                damaged[5] ^= 1;
            }
            world.source.tamper(&victim, damaged);
            let mut copy = world.begin(COPIER).await.unwrap();
            for _ in 0..2 {
                let error = copy.run().await.unwrap_err();
                assert!(matches!(&error, ImageError::Corrupt { key, .. } if *key == victim), "{error:?}");
            }
            assert_eq!(world.state_in_target(), Some("PENDING".to_owned()));
            copy.abort().await.unwrap();
            assert!(world.target.raw().is_empty());
        });
    }
}

#[test]
fn a_bit_changed_on_the_way_is_read_again() {
    block_on(async {
        let world = World::new(Route::OtherCluster).await;
        world.source.script(Operation::Get, "segment/", 1, Effect::FlipByte(10));
        world.copy().await.unwrap();
        assert_eq!(world.source.clear_scripts(), 0);
        world.assert_copied().await;
    });
}

#[test]
fn a_range_of_another_store_is_appended_and_one_of_the_same_store_included() {
    block_on(async {
        let world = World::new(Route::OtherCluster).await;
        let (source, target) = (world.images(&world.source), world.images(&world.target));
        let mut reader = source.open_read(&identity("a")).await.unwrap();
        let mut writer = target.create(&identity("b")).await.unwrap();
        for (from, length) in [(0, 100), (700, 520), (5, 0), (33, 1)] {
            writer.copy_range(&mut reader, from, length, writer.size()).await.unwrap();
        }
        let size = writer.size();
        let beyond = writer.copy_range(&mut reader, 1200, 21, size).await;
        assert!(matches!(beyond, Err(ImageError::InvalidRange { size: 1220, .. })), "{beyond:?}");
        let elsewhere = writer.copy_range(&mut reader, 0, 1, size + 1).await;
        assert!(matches!(elsewhere, Err(ImageError::InvalidOffset { .. })), "{elsewhere:?}");
        let mut pending = target.open_read(&identity("b")).await.unwrap();
        let refused = writer.copy_range(&mut pending, 0, 0, size).await;
        assert!(matches!(refused, Err(ImageError::NotComplete { .. })), "{refused:?}");
        writer.close(Close::Complete).await.unwrap();
        let expected = [&world.content[..100], &world.content[700..1220], &world.content[33..34]].concat();
        assert_eq!(read_image(&target, &identity("b")).await, expected);

        let mut writer = source.create(&identity("c")).await.unwrap();
        let before = world.source.counters();
        writer.copy_range(&mut reader, 0, 1000, 0).await.unwrap();
        let got = world.source.counters();
        assert!(got.bytes_out - before.bytes_out < 4000 && got.bytes_in - before.bytes_in < 400);
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&source, &identity("c")).await, world.content[..1000]);
        assert_no_orphans(&world.source);
        assert_no_orphans(&world.target);
    });
}

#[test]
fn a_range_is_one_of_the_image_that_is_open_and_never_of_its_successor() {
    block_on(async {
        let world = World::new(Route::SameCluster).await;
        let images = world.images(&world.source);
        let (old, new) = (bytes(5, 0, 200), bytes(6, 0, 200));
        write_image(&images, &identity("x"), &old).await;
        let mut earlier = images.open_read(&identity("x")).await.unwrap();
        let mut writer = images.create(&identity("y")).await.unwrap();
        // From here on this writer goes by the image as it is now.
        writer.include(&identity("x"), 0, 50, 0).await.unwrap();
        images.delete(&identity("x")).await.unwrap();
        write_image(&images, &identity("x"), &new).await;
        let mut later = images.open_read(&identity("x")).await.unwrap();
        writer.copy_range(&mut later, 10, 50, 50).await.unwrap();
        writer.copy_range(&mut earlier, 60, 40, 100).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        let expected = [&old[..50], &new[10..60], &old[60..100]].concat();
        assert_eq!(read_image(&images, &identity("y")).await, expected);
        // One that never included from the earlier one gets its bytes as long as somebody else needs them.
        let mut writer = images.create(&identity("z")).await.unwrap();
        writer.copy_range(&mut earlier, 0, 40, 0).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&images, &identity("z")).await, old[..40]);
        world.swept().await;
        world.assert_source_untouched().await;
    });
}
