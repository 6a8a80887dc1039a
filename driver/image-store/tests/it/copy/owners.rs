//! Copies whose source or target somebody else deletes, replaces or takes over meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_store::{Clock, Close, CopyOptions, CopyStatus, ImageError, Route, SweepOptions};

use super::{COPIER, ROUTES, World, everywhere, segments};
use crate::support::{Has, assert_no_orphans, block_on, bytes, identity, read_image, write_image};

#[test]
fn a_source_deleted_during_the_copy_stays_until_the_copy_has_it() {
    for route in ROUTES {
        for steps in 0..12 {
            block_on(async {
                let world = World::new(route).await;
                let mut copy = world.begin(COPIER).await.unwrap();
                for _ in 0..steps {
                    let _ = copy.step().await.unwrap();
                }
                let source = world.images(&world.source);
                source.delete(&identity("a")).await.unwrap();
                source.delete(&identity("base")).await.unwrap();
                source.sweep(SweepOptions::default()).await.unwrap();
                copy.run().await.unwrap();
                world.assert_copied().await;
                assert_no_orphans(&world.target);
                source.sweep(SweepOptions::default()).await.unwrap();
                assert!(world.source.raw().is_empty(), "{:?}", world.source.keys());
            });
        }
    }
}

#[test]
fn a_source_deleted_while_a_copy_begins_is_copied_or_reported_and_leaves_nothing() {
    for route in ROUTES {
        for rounds in 0..60 {
            block_on(async {
                let world = World::new(route).await;
                let source = world.images(&world.source);
                let delete = async {
                    for _ in 0..rounds {
                        tokio::task::yield_now().await;
                    }
                    source.delete(&identity("a")).await.unwrap();
                    source.delete(&identity("base")).await.unwrap();
                };
                let (copied, ()) = tokio::join!(world.copy(), delete);
                match copied {
                    Ok(_) => world.assert_copied().await,
                    Err(error) => {
                        assert!(matches!(error, ImageError::NotFound { .. }), "{rounds}: {error:?}");
                        assert!(world.target.raw().is_empty(), "{rounds}: {:?}", world.target.keys());
                    }
                }
                assert_no_orphans(&world.target);
                source.sweep(SweepOptions::default()).await.unwrap();
                assert!(world.source.raw().is_empty(), "{rounds}: {:?}", world.source.keys());
            });
        }
    }
}

#[test]
fn a_copy_whose_source_is_gone_or_another_one_begins_anew_or_says_so() {
    for route in ROUTES {
        block_on(async {
            let mut world = World::new(route).await;
            let mut copy = world.begin(COPIER).await.unwrap();
            for _ in 0..3 {
                let _ = copy.step().await.unwrap();
            }
            drop(copy);
            let source = world.images(&world.source);
            source.delete(&identity("a")).await.unwrap();
            assert!(matches!(world.copy().await, Err(ImageError::NotFound { .. })));
            world.content = bytes(9, 0, 700);
            let mut writer = source.create(&identity("a")).await.unwrap();
            writer.set_metadata(b"what the host keeps").unwrap();
            writer.append(0, &world.content).await.unwrap();
            assert!(matches!(world.copy().await, Err(ImageError::NotComplete { .. })));
            writer.close(Close::Complete).await.unwrap();
            world.copy().await.unwrap();
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            source.sweep(SweepOptions::default()).await.unwrap();
            world.assert_source_untouched().await;
        });
    }
}

#[test]
fn a_copy_belongs_to_one_copier_as_long_as_it_lives() {
    for (has, route) in everywhere() {
        block_on(async {
            let world = World::on(has, route).await;
            let mut first = world.begin(COPIER).await.unwrap();
            let _ = first.step().await.unwrap();
            assert!(matches!(world.begin([8; 16]).await, Err(ImageError::Busy { .. })));
            let target = world.images(&world.target);
            assert!(matches!(target.open_write(&identity("a")).await, Err(ImageError::Busy { .. })));
            assert!(matches!(target.create(&identity("a")).await, Err(ImageError::Busy { .. })));
            world.target.advance(481);
            let mut second = world.begin([8; 16]).await.unwrap();
            let _ = second.step().await.unwrap();
            // The first one finds out at the end, and takes nothing from the second.
            assert!(matches!(first.run().await, Err(ImageError::Fenced { .. })));
            first.abort().await.unwrap();
            second.run().await.unwrap();
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
            // Done is done.
            assert!(world.begin([9; 16]).await.unwrap().is_done());
        });
    }
}

#[test]
fn a_copy_is_taken_over_by_nobody_where_the_copier_would_not_be_told() {
    for route in ROUTES {
        block_on(async {
            let world = World::on(Has::Nothing, route).await;
            let mut first = world.begin(COPIER).await.unwrap();
            let _ = first.step().await.unwrap();
            world.target.advance(481);
            assert!(matches!(world.begin([8; 16]).await, Err(ImageError::Busy { .. })));
            drop(first);
            // The same copier goes on.
            world.copy().await.unwrap();
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
        });
    }
}

#[test]
fn a_suspended_copy_is_continued_by_anybody() {
    for route in ROUTES {
        block_on(async {
            let world = World::new(route).await;
            let mut first = world.begin(COPIER).await.unwrap();
            let _ = first.step().await.unwrap();
            first.suspend().await.unwrap();
            let there = segments(&world.target).len() as u64;
            assert!(there > 0);
            // However long it waits, nothing of it is swept.
            world.swept().await;
            assert_eq!(segments(&world.target).len() as u64, there);
            let before = world.target.counters();
            let mut second = world.begin([8; 16]).await.unwrap();
            second.run().await.unwrap();
            let after = world.target.counters();
            let written = after.copies + after.puts - before.copies - before.puts;
            // Besides the segments: markers of three writers, the state object twice, and the probe twice.
            assert!(written <= second.progress().segments - there + 7, "{written}");
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
        });
    }
}

#[test]
fn a_target_deleted_during_the_copy_ends_it_and_nothing_is_left() {
    for route in ROUTES {
        for steps in 0..12 {
            block_on(async {
                let world = World::new(route).await;
                let mut copy = world.begin(COPIER).await.unwrap();
                for _ in 0..steps {
                    let _ = copy.step().await.unwrap();
                }
                world.images(&world.target).delete(&identity("a")).await.unwrap();
                assert!(matches!(copy.run().await, Err(ImageError::Fenced { .. })));
                copy.abort().await.unwrap();
                assert!(world.target.raw().is_empty(), "{:?}", world.target.keys());
                world.assert_source_untouched().await;
            });
        }
    }
}

#[test]
fn a_target_that_is_something_else_stays() {
    block_on(async {
        let world = World::new(Route::OtherCluster).await;
        let target = world.images(&world.target);
        write_image(&target, &identity("a"), &bytes(4, 0, 500)).await;
        assert!(matches!(world.begin(COPIER).await, Err(ImageError::Exists { .. })));
        assert_eq!(read_image(&target, &identity("a")).await, bytes(4, 0, 500));
        target.delete(&identity("a")).await.unwrap();
        let mut writer = target.create(&identity("a")).await.unwrap();
        assert!(matches!(world.begin(COPIER).await, Err(ImageError::Busy { .. })));
        writer.close(Close::Incomplete).await.unwrap();
        assert!(matches!(world.begin(COPIER).await, Err(ImageError::Exists { .. })));
        world.assert_source_untouched().await;
    });
}

#[test]
fn an_unfinished_copy_that_is_opened_for_writing_is_given_up() {
    for route in ROUTES {
        block_on(async {
            let world = World::new(route).await;
            let mut copy = world.begin(COPIER).await.unwrap();
            let _ = copy.step().await.unwrap();
            world.target.advance(481);
            let target = world.images(&world.target);
            let mut writer = target.open_write(&identity("a")).await.unwrap();
            assert_eq!((writer.size(), segments(&world.target).len()), (0, 0));
            writer.append(0, b"something else").await.unwrap();
            writer.close(Close::Complete).await.unwrap();
            assert!(matches!(copy.run().await, Err(ImageError::Fenced { .. })));
            assert_eq!(read_image(&target, &identity("a")).await, b"something else");
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
        });
    }
}

/// Some of the segments are gone before they are marked: the copy has to look again after its markers.
#[test]
fn a_source_of_many_writers_deleted_while_a_copy_begins_is_copied_or_reported_and_leaves_nothing() {
    let (mut copied, mut reported) = (0, 0);
    for route in ROUTES {
        for rounds in 0..60 {
            block_on(async {
                let world = World::new(route).await;
                let (source, target) = (world.images(&world.source), world.images(&world.target));
                let mut writer = source.create(&identity("many")).await.unwrap();
                for number in 0..8 {
                    let base = identity(&format!("base-{number}"));
                    write_image(&source, &base, &bytes(number, 0, 300)).await;
                    writer.include(&base, 0, 200, number * 200).await.unwrap();
                }
                writer.close(Close::Complete).await.unwrap();
                for number in 0..8 {
                    source.delete(&identity(&format!("base-{number}"))).await.unwrap();
                }
                let expected = read_image(&source, &identity("many")).await;
                let delete = async {
                    for _ in 0..rounds {
                        tokio::task::yield_now().await;
                    }
                    source.delete(&identity("many")).await.unwrap();
                };
                let options = CopyOptions { route, copier: None };
                let copy = async {
                    let mut copy =
                        source.begin_copy(&identity("many"), &target, &identity("copy"), options).await?;
                    // From here on, nothing that is done to the source can stop it.
                    copy.run().await.unwrap();
                    Ok::<(), ImageError>(())
                };
                let (outcome, ()) = tokio::join!(copy, delete);
                match outcome {
                    Ok(()) => {
                        copied += 1;
                        assert_eq!(read_image(&target, &identity("copy")).await, expected);
                    }
                    Err(error) => {
                        reported += 1;
                        assert!(matches!(error, ImageError::NotFound { .. }), "{rounds}: {error:?}");
                        assert!(world.target.raw().is_empty(), "{rounds}: {:?}", world.target.keys());
                    }
                }
                assert_no_orphans(&world.target);
                source.sweep(SweepOptions::default()).await.unwrap();
                world.assert_source_untouched().await;
            });
        }
    }
    assert!(copied > 10 && reported > 10, "{copied} {reported}");
}

/// A clock that the test moves.
#[derive(Default)]
struct Moved(AtomicU64);

impl Clock for Moved {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn a_slow_copy_keeps_its_target_and_its_source() {
    for route in ROUTES {
        for seconds in [170, 40_000] {
            block_on(async {
                let mut world = World::new(route).await;
                let clock = Arc::new(Moved::default());
                world.environment.clock = Arc::clone(&clock) as Arc<dyn Clock>;
                let mut copy = world.begin(COPIER).await.unwrap();
                let source = world.images(&world.source);
                source.delete(&identity("a")).await.unwrap();
                source.delete(&identity("base")).await.unwrap();
                let mut passed = 0;
                while copy.step().await.unwrap() == CopyStatus::More {
                    let target = world.images(&world.target);
                    if seconds < 480 && !copy.is_done() {
                        assert!(target.properties(&identity("a")).await.unwrap().busy, "{passed}");
                    }
                    clock.0.fetch_add(seconds, Ordering::Relaxed);
                    world.source.advance(seconds);
                    if route == Route::OtherCluster {
                        world.target.advance(seconds);
                    }
                    passed += seconds;
                    for images in [&source, &target] {
                        images.sweep(SweepOptions::default()).await.unwrap();
                    }
                }
                assert!(passed > 4 * 480 && (seconds < 480 || passed > 24 * 60 * 60), "{passed}");
                world.assert_copied().await;
                assert_no_orphans(&world.target);
                source.sweep(SweepOptions::default()).await.unwrap();
                assert!(world.source.raw().is_empty(), "{:?}", world.source.keys());
            });
        }
    }
}
