//! Processes that are killed before or after any of their requests: whatever they were doing, a sweep on a driven clock
//! leaves exactly what images need, and nothing that was promised is lost.

use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::{Close, Environment, ImageStore, StoreConfig, SweepOptions};

use crate::support::{
    Has, assert_no_orphans, block_on, bytes, environment, identity, read_image, small, write_image,
};

/// What a process does until it dies. Says so as soon as something is promised.
type Work = for<'a> fn(
    &'a ImageStore<MemoryStore>,
    &'a std::cell::Cell<u32>,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn store(memory: MemoryStore, environment: &Environment) -> ImageStore<MemoryStore> {
    ImageStore::new(Arc::new(memory), small(), environment.clone()).unwrap()
}

/// Kills the work at each of its requests, before and after it; `survives` judges what is left when it was promised so
/// much.
fn kill_everywhere(work: Work, survives: &impl AsyncFn(&ImageStore<MemoryStore>, u32)) {
    for has in Has::EXCLUSIVE {
        for versioned in [false, true] {
            kill_everywhere_on(has, versioned, work, survives);
        }
    }
}

fn kill_everywhere_on(
    has: Has,
    versioned: bool,
    work: Work,
    survives: &impl AsyncFn(&ImageStore<MemoryStore>, u32),
) {
    for carried_out in [false, true] {
        for requests in 0.. {
            let finished = block_on(async {
                let memory = MemoryStore::new();
                has.set(&memory);
                if versioned {
                    memory.set_versioned();
                }
                let environment = environment().0;
                let healthy = store(memory.clone(), &environment);
                write_image(&healthy, &identity("source"), &bytes(1, 0, 700)).await;
                let promised = std::cell::Cell::new(0);
                let mortal = memory.mortal(requests, carried_out);
                let other = store(mortal.clone(), &environment);
                let finished = tokio::select! {
                    biased;
                    () = mortal.died() => false,
                    () = work(&other, &promised) => true,
                };
                memory.advance(25 * 3600);
                let what = format!(
                    "{has:?}, {requests} requests, carried out: {carried_out}, versioned: {versioned}"
                );
                let report = healthy.sweep(SweepOptions::default()).await.unwrap();
                assert_eq!(report.spared, 0, "{what}");
                assert_no_orphans(&memory);
                survives(&healthy, promised.get()).await;
                // What the first sweep did needs no second one.
                let again = healthy.sweep(SweepOptions::default()).await.unwrap();
                assert_eq!(
                    (again.freed_segments, again.markers, again.images),
                    (0, 0, 0),
                    "{what}: {again:?}"
                );
                for image in ["source", "new", "other"] {
                    let _ = healthy.delete(&identity(image)).await;
                }
                assert!(memory.raw().is_empty(), "{what}: {:?}", memory.keys());
                finished
            });
            if finished {
                assert!(requests > 3, "the work was too little to be killed in");
                break;
            }
        }
    }
}

async fn holds(images: &ImageStore<MemoryStore>, name: &str, content: &[u8]) {
    assert_eq!(read_image(images, &identity(name)).await, content, "{name}");
}

#[test]
fn writing_with_a_checkpoint_and_includes_can_be_killed_anywhere() {
    let work: Work = |images, promised| {
        Box::pin(async move {
            let mut writer = images.create(&identity("new")).await.unwrap();
            writer.append(0, &bytes(2, 0, 150)).await.unwrap();
            writer.include(&identity("source"), 33, 300, 150).await.unwrap();
            writer.flush().await.unwrap();
            promised.set(1);
            writer.append(450, &bytes(2, 450, 150)).await.unwrap();
            writer.close(Close::Incomplete).await.unwrap();
            promised.set(2);
            let mut writer = images.open_write(&identity("new")).await.unwrap();
            writer.include(&identity("source"), 0, 100, 600).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            promised.set(3);
        })
    };
    let whole = [bytes(2, 0, 150), bytes(1, 33, 300), bytes(2, 450, 150), bytes(1, 0, 100)].concat();
    kill_everywhere(work, &async |images, promised| {
        holds(images, "source", &bytes(1, 0, 700)).await;
        let least = [0, 450, 600, 700][promised as usize];
        if promised > 0 {
            let content = read_image(images, &identity("new")).await;
            assert!(content.len() >= least && whole.starts_with(&content), "{} bytes", content.len());
        }
    });
}

#[test]
fn deleting_a_source_and_what_was_made_of_it_can_be_killed_anywhere() {
    let work: Work = |images, promised| {
        Box::pin(async move {
            let mut writer = images.create(&identity("new")).await.unwrap();
            writer.include(&identity("source"), 10, 600, 0).await.unwrap();
            writer.append(600, &bytes(3, 0, 90)).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            promised.set(1);
            images.delete(&identity("source")).await.unwrap();
            promised.set(2);
            let mut writer = images.create(&identity("other")).await.unwrap();
            writer.include(&identity("new"), 500, 150, 0).await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            promised.set(3);
            images.delete(&identity("new")).await.unwrap();
            promised.set(4);
        })
    };
    let new = [bytes(1, 10, 600), bytes(3, 0, 90)].concat();
    kill_everywhere(work, &async |images, promised| {
        match promised {
            0 => holds(images, "source", &bytes(1, 0, 700)).await,
            1 | 2 => holds(images, "new", &new).await,
            _ => holds(images, "other", &new[500..650]).await,
        }
        let gone = images.properties(&identity("source")).await.is_err();
        assert!(gone || promised < 2, "a delete that was confirmed did not happen");
    });
}

#[test]
fn aborting_and_the_sweep_itself_can_be_killed_anywhere() {
    let work: Work = |images, _| {
        Box::pin(async move {
            let mut writer = images.create(&identity("new")).await.unwrap();
            writer.append(0, &bytes(2, 0, 150)).await.unwrap();
            writer.include(&identity("source"), 33, 300, 150).await.unwrap();
            writer.append(450, &bytes(2, 0, 150)).await.unwrap();
            writer.abort().await.unwrap();
            let mut writer = images.create(&identity("other")).await.unwrap();
            writer.append(0, &bytes(4, 0, 300)).await.unwrap();
            drop(writer);
            images.sweep(SweepOptions::default()).await.unwrap();
        })
    };
    kill_everywhere(work, &async |images, _| {
        holds(images, "source", &bytes(1, 0, 700)).await;
    });
}

#[test]
fn a_sweep_spares_what_a_living_writer_may_include() {
    block_on(async {
        let memory = MemoryStore::new();
        let images = store(memory.clone(), &environment().0);
        write_image(&images, &identity("source"), &bytes(1, 0, 700)).await;
        let mut writer = images.create(&identity("new")).await.unwrap();
        writer.include(&identity("source"), 0, 10, 0).await.unwrap();
        images.delete(&identity("source")).await.unwrap();
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!((report.spared, report.freed_segments), (1, 0), "{report:?}");
        // Still a source for this writer: it had it before it went.
        writer.include(&identity("source"), 640, 60, 10).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        let expected = [bytes(1, 0, 10), bytes(1, 640, 60)].concat();
        assert_eq!(read_image(&images, &identity("new")).await, expected);
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!((report.spared, report.segments), (0, 2), "{report:?}");
        assert_no_orphans(&memory);
    });
}

#[test]
fn a_sweep_spares_a_writer_that_has_been_writing_for_days() {
    block_on(async {
        let memory = MemoryStore::new();
        let images = store(memory.clone(), &environment().0);
        write_image(&images, &identity("source"), &bytes(1, 0, 700)).await;
        let mut writer = images.create(&identity("new")).await.unwrap();
        writer.include(&identity("source"), 0, 10, 0).await.unwrap();
        for day in 1..4 {
            memory.advance(24 * 3600);
            // A sign of life, which renews the lease.
            writer.set_metadata(&[day]).unwrap();
            writer.flush().await.unwrap();
            images.sweep(SweepOptions::default()).await.unwrap();
        }
        images.delete(&identity("source")).await.unwrap();
        images.sweep(SweepOptions::default()).await.unwrap();
        writer.include(&identity("source"), 600, 100, 10).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        let expected = [bytes(1, 0, 10), bytes(1, 600, 100)].concat();
        assert_eq!(read_image(&images, &identity("new")).await, expected);
    });
}

#[test]
fn a_damaged_marker_keeps_everything() {
    block_on(async {
        let memory = MemoryStore::new();
        let images = store(memory.clone(), &environment().0);
        write_image(&images, &identity("source"), &bytes(1, 0, 700)).await;
        let marker = memory.keys().into_iter().find(|key| key.starts_with("holder/")).unwrap();
        memory.tamper(&marker, "image/other/1588173008/Daily\n00000000\n");
        let report = images.sweep(SweepOptions::default()).await.unwrap();
        assert_eq!((report.spared, report.freed_segments), (1, 0), "{report:?}");
        assert_eq!(read_image(&images, &identity("source")).await, bytes(1, 0, 700));
    });
}

#[test]
fn a_sweep_that_knows_when_the_last_one_began_reads_only_what_changed() {
    block_on(async {
        let memory = MemoryStore::new();
        let images =
            ImageStore::new(Arc::new(memory.clone()), StoreConfig::default(), environment().0).unwrap();
        memory.set_time(1_000_000);
        for number in 0..50 {
            write_image(&images, &identity(&format!("a-{number}")), b"small").await;
        }
        memory.advance(3 * 24 * 3600);
        let gets = async |options| {
            let before = memory.counters().gets;
            let report = images.sweep(options).await.unwrap();
            (memory.counters().gets - before, report.began)
        };
        let (first, began) = gets(SweepOptions::default()).await;
        memory.advance(3 * 24 * 3600);
        let (second, _) = gets(SweepOptions { last_began: Some(began) }).await;
        assert_eq!((first, second), (50, 0));
    });
}
