//! Copies that are killed, fail, or lose answers at any request.

use image_store::memory::{Effect, Operation};
use image_store::object_store::StoreError;
use image_store::{ImageError, Route};

use super::{COPIER, ROUTES, World, everywhere, refused, segments};
use crate::support::{Has, assert_no_orphans, block_on, identity, killed_after, left, read_image};

#[test]
fn a_copy_killed_anywhere_is_never_visible_early_and_goes_on_where_it_was() {
    for (has, route) in everywhere() {
        let mut kills = 0;
        loop {
            let world = block_on(World::on(has, route));
            let ended = killed_after(kills, world.copy());
            let there = segments(&world.target);
            assert!(
                ended.is_some() || world.state_in_target() != Some("CREATED".to_owned()) || there.len() > 8
            );
            block_on(async {
                if world.state_in_target() == Some("CREATED".to_owned()) {
                    world.assert_copied().await;
                }
                let before = (world.target.counters().copies, world.target.counters().puts);
                let progress = world.copy().await.unwrap();
                world.assert_copied().await;
                let after = world.target.counters();
                let copied = match route {
                    Route::SameCluster => after.copies - before.0,
                    // Besides the segments: the probe, markers of three writers, and the state object twice.
                    Route::OtherCluster => {
                        let states = if has == Has::Conditions { 2 } else { 0 };
                        (after.puts - before.1).saturating_sub(has.puts_of_proof() + 3 + states)
                    }
                };
                assert!(copied <= progress.segments - (there.len() as u64).min(progress.segments), "{kills}");
                world.swept().await;
                world.assert_copied().await;
                world.assert_source_untouched().await;
                assert_no_orphans(&world.target);
            });
            if ended.is_some() {
                break;
            }
            kills += 1;
        }
        assert!(kills > 30, "{kills}");
    }
}

#[test]
fn a_copy_killed_anywhere_and_not_begun_again_is_swept() {
    for (has, route) in everywhere() {
        for kills in 0.. {
            let world = block_on(World::on(has, route));
            if killed_after(kills, world.copy()).is_some() {
                break;
            }
            block_on(async {
                world.swept().await;
                world.assert_source_untouched().await;
                if world.state_in_target().is_none() {
                    assert!(world.target.raw().is_empty(), "{kills}: {:?}", world.target.keys());
                } else {
                    world.assert_copied().await;
                    assert_no_orphans(&world.target);
                }
            });
        }
    }
}

#[test]
fn deleting_the_target_of_an_aborted_copy_never_touches_the_source() {
    for (has, route) in everywhere() {
        for kills in 0.. {
            let world = block_on(World::on(has, route));
            let ended = killed_after(kills, world.copy());
            block_on(async {
                let target = world.images(&world.target);
                let there = world.state_in_target().is_some();
                let deleted = target.delete(&identity("a")).await;
                assert_eq!(deleted.is_ok(), there, "{kills}: {deleted:?}");
                // An upload that never became a state object is nobody's until it is swept.
                assert!(!there || left(&world.target).is_empty(), "{kills}: {:?}", world.target.raw());
                let again = target.delete(&identity("a")).await;
                assert!(matches!(again, Err(ImageError::NotFound { .. })), "{again:?}");
                assert_eq!(read_image(&world.images(&world.source), &identity("a")).await, world.content);
                world.swept().await;
                world.assert_source_untouched().await;
                assert!(world.target.raw().is_empty(), "{kills}: {:?}", world.target.raw());
            });
            if ended.is_some() {
                break;
            }
        }
    }
}

#[test]
fn every_request_may_fail_or_lose_its_answer() {
    for (has, route) in everywhere() {
        for (operation, prefix) in [
            (Operation::Put, "image/"),
            (Operation::BeginUpload, ""),
            (Operation::ListUploads, ""),
            (Operation::AbortUpload, ""),
            (Operation::Head, ""),
            (Operation::UploadPart, ""),
            (Operation::CompleteUpload, ""),
            (Operation::Put, "holder/"),
            (Operation::Put, "segment/"),
            (Operation::Copy, "segment/"),
            (Operation::List, "segment/"),
            (Operation::Get, ""),
        ] {
            for skip in 0..8 {
                for lost in [false, true] {
                    block_on(async {
                        let world = World::on(has, route).await;
                        for memory in [&world.source, &world.target] {
                            let error = StoreError::Timeout("scripted".to_owned());
                            let effect = if lost { Effect::LoseAnswer(error) } else { Effect::Refuse(error) };
                            memory.script(operation, prefix, skip, effect);
                        }
                        let mut failures = 0;
                        while let Err(error) = world.copy().await {
                            assert!(matches!(error, ImageError::Store { .. }), "{error:?}");
                            failures += 1;
                            assert!(failures < 4, "{operation:?} {prefix} {skip}");
                        }
                        for memory in [&world.source, &world.target] {
                            memory.clear_scripts();
                        }
                        world.assert_copied().await;
                        world.swept().await;
                        world.assert_source_untouched().await;
                        assert_no_orphans(&world.target);
                    });
                }
            }
        }
    }
}

#[test]
fn a_step_that_failed_is_tried_again() {
    for route in ROUTES {
        block_on(async {
            let world = World::new(route).await;
            let operation = if route == Route::SameCluster { Operation::Copy } else { Operation::Put };
            world.target.script(operation, "segment/", 2, refused());
            world.target.script(Operation::Put, "image/", 1, refused());
            let mut copy = world.begin(COPIER).await.unwrap();
            let mut failures = 0;
            while copy.run().await.is_err() {
                failures += 1;
                assert!(failures < 5);
            }
            assert_eq!(failures, 2);
            world.assert_copied().await;
            assert_no_orphans(&world.target);
            world.assert_source_untouched().await;
        });
    }
}

#[test]
fn buckets_that_keep_versions_keep_none_of_a_copy() {
    for route in ROUTES {
        for kills in [0, 5, 10, 15, 20, 25, 30, 40, 50, 60] {
            let world = block_on(World::new(route));
            world.source.set_versioned();
            world.target.set_versioned();
            killed_after(kills, world.copy());
            block_on(async {
                if kills % 10 == 5 {
                    let mut copy = world.begin(COPIER).await.unwrap();
                    copy.abort().await.unwrap();
                    if !copy.is_done() {
                        assert!(left(&world.target).is_empty(), "{kills}: {:?}", world.target.raw());
                    }
                }
                world.copy().await.unwrap();
                world.assert_copied().await;
                world.swept().await;
                world.assert_source_untouched().await;
                assert_no_orphans(&world.target);
                world.images(&world.target).delete(&identity("a")).await.unwrap();
                assert!(world.target.raw().is_empty());
            });
        }
    }
}
