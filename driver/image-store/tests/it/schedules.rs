//! Several processes at once, in thousands of schedules: each is as fast as its seed says. What was promised to one of
//! them stays true whatever the others do, and in the end nothing is left over.
//!
//! `IMAGE_STORE_SEED` runs one schedule alone.

use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::{Close, ImageError, ImageStore, StoreConfig, SweepOptions};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, read_image, small, write_image,
};

/// With conditional writes; fewer on every other kind of server.
const SCHEDULES: u64 = 3000;
pub(crate) const SCHEDULES_ELSEWHERE: u64 = 600;
const DAY: u64 = 24 * 3600;

/// Every kind of server that keeps writers apart, with the schedules on it.
pub(crate) fn schedules() -> impl Iterator<Item = (Has, u64)> {
    let alone = std::env::var("IMAGE_STORE_SEED").ok();
    let alone = alone.map(|seed| seed.parse().expect("IMAGE_STORE_SEED is a number"));
    Has::EXCLUSIVE.into_iter().flat_map(move |has| {
        let count = if has == Has::Conditions { SCHEDULES } else { SCHEDULES_ELSEWHERE };
        let seeds = alone.map_or(0..count, |seed| seed..seed + 1);
        seeds.map(move |seed| (has, seed))
    })
}

/// Shows the seed of a schedule that fails.
pub(crate) struct Shown(pub(crate) Has, pub(crate) u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("IMAGE_STORE_SEED={} on a server with {:?}", self.1, self.0);
        }
    }
}

/// Small segments, so that everything takes many requests.
fn tiny() -> StoreConfig {
    StoreConfig { segment_size_first: 32, segment_size_max: 32, ..small() }
}

pub(crate) struct Cluster {
    pub(crate) memory: MemoryStore,
    seed: u64,
    environment: image_store::Environment,
}

impl Cluster {
    pub(crate) fn new(has: Has, seed: u64) -> Self {
        let memory = MemoryStore::new();
        has.set(&memory);
        Self { memory, seed, environment: environment().0 }
    }

    pub(crate) fn process(&self, number: u64) -> ImageStore<MemoryStore> {
        let store = self.memory.paced(self.seed.wrapping_mul(31).wrapping_add(number), 3);
        ImageStore::new(Arc::new(store), tiny(), self.environment.clone()).unwrap()
    }

    /// After everything: only what images need is there.
    pub(crate) async fn settles(&self) {
        let images = self.process(99);
        self.memory.advance(2 * DAY);
        images.sweep(SweepOptions::default()).await.unwrap();
        assert_no_orphans(&self.memory);
    }
}

/// Losing to another process is no defect; anything else is.
pub(crate) fn lost(error: &ImageError) -> bool {
    matches!(
        error,
        ImageError::Busy { .. }
            | ImageError::Contended { .. }
            | ImageError::NotFound { .. }
            | ImageError::Moved { .. }
            | ImageError::Fenced { .. }
            | ImageError::WriterFailed { .. }
    )
}

#[test]
fn what_was_included_stays_whoever_deletes_and_sweeps_beside_it() {
    for (has, seed) in schedules() {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let first = cluster.process(0);
            write_image(&first, &identity("old"), &bytes(1, 0, 160)).await;
            let mut writer = first.create(&identity("part")).await.unwrap();
            writer.include(&identity("old"), 0, 40, 0).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            cluster.memory.advance(2 * DAY);
            let including = async {
                let images = cluster.process(1);
                let mut writer = images.create(&identity("new")).await.unwrap();
                match writer.include(&identity("old"), 50, 110, 0).await {
                    Ok(()) => writer.close(Close::Complete).await,
                    Err(error) => {
                        writer.abort().await.unwrap();
                        Err(error)
                    }
                }
            };
            let deleting = async { cluster.process(2).delete(&identity("old")).await.unwrap() };
            let sweeping = async {
                for number in 3..5 {
                    cluster.process(number).sweep(SweepOptions::default()).await.unwrap();
                }
            };
            let (included, (), ()) = tokio::join!(including, deleting, sweeping);
            let check = async || {
                assert_eq!(read_image(&first, &identity("part")).await, bytes(1, 0, 40));
                match &included {
                    Ok(()) => assert_eq!(read_image(&first, &identity("new")).await, bytes(1, 50, 110)),
                    Err(error) => assert!(lost(error), "{error}"),
                }
            };
            check().await;
            cluster.settles().await;
            check().await;
        });
    }
}

#[test]
fn what_is_compacted_stays_whoever_sweeps_includes_and_deletes_beside_it() {
    for (has, seed) in schedules() {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let first = cluster.process(0);
            write_image(&first, &identity("old"), &bytes(1, 0, 320)).await;
            let mut writer = first.create(&identity("poor")).await.unwrap();
            for at in 0..10u64 {
                writer.include(&identity("old"), at * 32 + 10, 10, at * 10).await.unwrap();
            }
            writer.close(Close::Complete).await.unwrap();
            first.delete(&identity("old")).await.unwrap();
            let content = read_image(&first, &identity("poor")).await;
            cluster.memory.advance(2 * DAY);
            let compacting = async { cluster.process(1).compact(&identity("poor"), 90, u64::MAX).await };
            let including = async {
                let images = cluster.process(2);
                let mut writer = images.create(&identity("new")).await.unwrap();
                match writer.include(&identity("poor"), 0, 100, 0).await {
                    Ok(()) => writer.close(Close::Complete).await,
                    Err(error) => {
                        writer.abort().await.unwrap();
                        Err(error)
                    }
                }
            };
            let others = async {
                if seed % 3 == 0 {
                    let again = cluster.process(3).compact(&identity("poor"), 90, u64::MAX).await;
                    assert!(again.as_ref().err().is_none_or(lost), "{again:?}");
                }
                cluster.process(4).sweep(SweepOptions::default()).await.unwrap();
                if seed % 4 == 0 {
                    cluster.process(5).delete(&identity("poor")).await.unwrap();
                }
                cluster.process(6).sweep(SweepOptions::default()).await.unwrap();
            };
            let (compacted, included, ()) = tokio::join!(compacting, including, others);
            assert!(compacted.as_ref().err().is_none_or(lost), "{compacted:?}");
            let check = async || {
                if seed % 4 != 0 {
                    assert_eq!(read_image(&first, &identity("poor")).await, content);
                }
                match &included {
                    Ok(()) => assert_eq!(read_image(&first, &identity("new")).await, content),
                    Err(error) => assert!(lost(error), "{error}"),
                }
            };
            check().await;
            cluster.settles().await;
            check().await;
        });
    }
}

#[test]
fn of_many_that_believe_they_own_an_image_at_most_one_commits() {
    for (has, seed) in schedules() {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let first = cluster.process(0);
            let mut old = first.create(&identity("a")).await.unwrap();
            old.append(0, &bytes(9, 0, 50)).await.unwrap();
            old.flush().await.unwrap();
            old.append(50, &bytes(9, 50, 100)).await.unwrap();
            cluster.memory.advance(481);
            let successor = async |number: u64| {
                let images = cluster.process(number);
                let mut writer = images.open_write(&identity("a")).await?;
                let rest = bytes(number, 0, 100);
                let written = async {
                    writer.append(50, &rest).await?;
                    writer.close(Close::Complete).await
                };
                match written.await {
                    Ok(()) => Ok(number),
                    Err(error) => {
                        writer.discard().await?;
                        Err(error)
                    }
                }
            };
            let original = async {
                let closed = old.close(Close::Complete).await;
                if closed.is_err() {
                    old.discard().await.unwrap();
                }
                closed.map(|()| 9)
            };
            let results = tokio::join!(original, successor(1), successor(2));
            let results = [results.0, results.1, results.2];
            let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                assert!(lost(error) || matches!(error, ImageError::NotWritable { .. }), "{error}");
            }
            assert!(winners.len() <= 1, "{results:?}");
            let content = read_image(&first, &identity("a")).await;
            let expected = match winners[..] {
                [9] => bytes(9, 0, 150),
                [number] => [bytes(9, 0, 50), bytes(*number, 0, 100)].concat(),
                _ => bytes(9, 0, 50),
            };
            assert_eq!(content, expected, "{results:?}");
            cluster.settles().await;
            assert_eq!(read_image(&first, &identity("a")).await, expected);
        });
    }
}
