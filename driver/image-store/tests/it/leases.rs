//! Leases across processes: a writer that calls keeps its image, a silent one loses it and is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_store::memory::MemoryStore;
use image_store::{Clock, Close, ImageError, ImageState, ImageStore};

use crate::support::{Has, assert_no_orphans, block_on, bytes, environment, identity, read_image, small};
use crate::uploads::ends_every_upload;

/// A media server's clock, in seconds; the server's is the store's own.
#[derive(Default)]
struct Local(AtomicU64);

impl Clock for Local {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

struct Process {
    images: ImageStore<MemoryStore>,
    clock: Arc<Local>,
}

/// Two media servers, with clocks that are far apart.
fn two(memory: &MemoryStore) -> [Process; 2] {
    let entropy = environment().0;
    [0, 5_000_000].map(|begin| {
        let clock = Arc::new(Local(AtomicU64::new(1_700_000_000 - begin)));
        let environment = image_store::Environment { clock: Arc::clone(&clock) as _, ..entropy.clone() };
        let images = ImageStore::new(Arc::new(memory.clone()), small(), environment).unwrap();
        Process { images, clock }
    })
}

/// On a server of every kind that can keep writers apart.
fn on_every_server(test: impl AsyncFn(MemoryStore)) {
    for has in Has::EXCLUSIVE {
        let memory = MemoryStore::new();
        has.set(&memory);
        block_on(test(memory));
    }
}

fn pass(memory: &MemoryStore, processes: &[Process], seconds: u64) {
    memory.advance(seconds);
    for process in processes {
        process.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[test]
fn a_second_process_sees_pending_and_busy_until_the_lease_has_run_out() {
    on_every_server(async |memory| {
        let [first, second] = two(&memory);
        let image = identity("a");
        let _writer = first.images.create(&image).await.unwrap();
        let seen = async || {
            let info = second.images.properties(&image).await.unwrap();
            (info.state, info.busy)
        };
        assert_eq!(seen().await, (ImageState::Pending, true));
        memory.advance(480);
        assert_eq!(seen().await, (ImageState::Pending, true));
        assert!(matches!(second.images.open_write(&image).await, Err(ImageError::Busy { .. })));
        assert!(matches!(second.images.create(&image).await, Err(ImageError::Busy { .. })));
        memory.advance(1);
        assert_eq!(seen().await, (ImageState::Pending, false));
        assert!(matches!(second.images.create(&image).await, Err(ImageError::Exists { .. })));
    });
}

#[test]
fn a_writer_that_calls_keeps_its_image_however_slow_it_is() {
    on_every_server(async |memory| {
        let processes = two(&memory);
        let [first, second] = &processes;
        let (image, content) = (identity("a"), bytes(1, 0, 100));
        let mut writer = first.images.create(&image).await.unwrap();
        for (at, byte) in content.iter().enumerate() {
            writer.append(at as u64, &[*byte]).await.unwrap();
            pass(&memory, &processes, 300);
            assert!(matches!(second.images.open_write(&image).await, Err(ImageError::Busy { .. })));
        }
        writer.close(Close::Complete).await.unwrap();
        assert_eq!(read_image(&second.images, &image).await, content);
        assert_no_orphans(&memory);
    });
}

#[test]
fn renewing_costs_one_request_a_third_of_a_lease() {
    block_on(async {
        let memory = MemoryStore::new();
        let processes = two(&memory);
        let mut writer = processes[0].images.create(&identity("a")).await.unwrap();
        let before = memory.counters().requests();
        for at in 0..480 {
            writer.append(at, b"x").await.unwrap();
            pass(&memory, &processes, 1);
        }
        writer.flush().await.unwrap();
        // Seven segments of 64 bytes, their marker and the state object; besides them the renewals.
        assert_eq!(memory.counters().requests() - before, 9 + 2);
    });
}

#[test]
fn a_silent_writer_loses_its_image_and_is_told() {
    for takes_over in [true, false] {
        for first_act in 0..4 {
            on_every_server(async |memory| {
                let processes = two(&memory);
                let [first, second] = &processes;
                let (image, content) = (identity("a"), bytes(1, 0, 1000));
                let mut old = first.images.create(&image).await.unwrap();
                old.append(0, &content[..200]).await.unwrap();
                old.flush().await.unwrap();
                old.append(200, &content[200..600]).await.unwrap();
                pass(&memory, &processes, 481);
                if takes_over {
                    let mut new = second.images.open_write(&image).await.unwrap();
                    assert_eq!(new.size(), 200, "what was durable, and no more");
                    let told = match first_act {
                        0 => old.append(600, &[0]).await,
                        1 => old.flush().await,
                        2 => old.close(Close::Complete).await,
                        _ => old.close(Close::Incomplete).await,
                    };
                    assert!(matches!(told, Err(ImageError::Fenced { .. })), "{told:?}");
                    old.discard().await.unwrap();
                    old.abort().await.unwrap();
                    new.append(200, &content[200..]).await.unwrap();
                    new.close(Close::Complete).await.unwrap();
                    assert_eq!(read_image(&first.images, &image).await, content);
                } else {
                    second.images.delete(&image).await.unwrap();
                    let told = old.append(600, &[0]).await;
                    assert!(matches!(told, Err(ImageError::Fenced { .. })), "{told:?}");
                    old.abort().await.unwrap();
                    assert!(memory.raw().is_empty(), "{:?}", memory.keys());
                }
                assert_no_orphans(&memory);
            });
        }
    }
}

/// Not renewed is not lost: the next call tries again.
#[test]
fn a_renewal_that_others_hinder_is_tried_again() {
    block_on(async {
        let memory = MemoryStore::new();
        Has::Uploads.set(&memory);
        let processes = two(&memory);
        let mut writer = processes[0].images.create(&identity("a")).await.unwrap();
        pass(&memory, &processes, 200);
        tokio::select! {
            renewed = writer.renew_if_due() => renewed.unwrap(),
            () = ends_every_upload(&memory, "image/") => unreachable!(),
        }
        assert!(writer.lease_is_due());
        pass(&memory, &processes, 200);
        writer.append(0, &[1; 10]).await.unwrap();
        assert!(!writer.lease_is_due());
        pass(&memory, &processes, 200);
        assert!(processes[1].images.properties(&identity("a")).await.unwrap().busy);
        writer.close(Close::Complete).await.unwrap();
        assert_no_orphans(&memory);
    });
}

#[test]
fn of_two_that_take_over_one_gets_the_image() {
    on_every_server(async |memory| {
        let processes = two(&memory);
        let [first, second] = &processes;
        let image = identity("a");
        let mut dead = first.images.create(&image).await.unwrap();
        dead.append(0, &[1; 300]).await.unwrap();
        dead.flush().await.unwrap();
        drop(dead);
        pass(&memory, &processes, 481);
        let (one, other) = tokio::join!(first.images.open_write(&image), second.images.open_write(&image));
        let won: Vec<_> = [one, other].into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1);
        for mut writer in won {
            writer.append(300, &[2; 300]).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
        }
        assert_eq!(read_image(&first.images, &image).await, [[1; 300], [2; 300]].concat());
        assert_no_orphans(&memory);
    });
}

#[test]
fn a_dead_writers_leavings_go_a_day_later_and_its_checkpoint_stays() {
    on_every_server(async |memory| {
        let processes = two(&memory);
        let [first, second] = &processes;
        let sweep = async || second.images.sweep(image_store::SweepOptions::default()).await.unwrap();
        let mut bare = first.images.create(&identity("bare")).await.unwrap();
        bare.append(0, &[1; 300]).await.unwrap();
        let mut kept = first.images.create(&identity("kept")).await.unwrap();
        kept.append(0, &[2; 300]).await.unwrap();
        kept.flush().await.unwrap();
        kept.append(300, &[3; 300]).await.unwrap();
        pass(&memory, &processes, 24 * 3600);
        let report = sweep().await;
        assert_eq!((report.images, report.released, report.freed_segments), (0, 0, 0), "{report:?}");
        pass(&memory, &processes, 1);
        let report = sweep().await;
        assert_eq!((report.images, report.released), (1, 1), "{report:?}");
        assert!(matches!(
            second.images.properties(&identity("bare")).await,
            Err(ImageError::NotFound { .. })
        ));
        let info = second.images.properties(&identity("kept")).await.unwrap();
        assert_eq!((info.state, info.busy, info.size), (ImageState::Pending, false, 300));
        assert_no_orphans(&memory);
        // The dead come back.
        for (mut writer, at) in [(bare, 300), (kept, 600)] {
            assert!(matches!(writer.append(at, &[4]).await, Err(ImageError::Fenced { .. })));
        }
        assert_eq!(read_image(&second.images, &identity("kept")).await, [2; 300]);
        assert_no_orphans(&memory);
    });
}
