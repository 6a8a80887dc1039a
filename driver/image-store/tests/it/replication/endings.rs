//! How operations end: stopped, cancelled, their source gone, or nobody going on with them.

use image_store::CopyOptions;

use super::*;

async fn begun(world: &World) -> u64 {
    write_image(&world.near(), &identity("a"), &bytes(1, 0, 900)).await;
    world.near().operations().begin(&request("a")).await.unwrap()
}

#[test]
fn one_that_was_stopped_goes_on_at_once_where_it_was() {
    block_on(async {
        let world = World::new();
        let number = begun(&world).await;
        let operations = world.near().operations();
        let (mut runs, mut puts) = (0, 0);
        loop {
            let process = Process { segments: AtomicI64::new(2), ..world.process() };
            let before = world.far[0].counters().puts;
            let outcome = operations.run(number, &process).await.unwrap();
            puts += world.far[0].counters().puts - before;
            runs += 1;
            if outcome == Outcome::Done {
                break;
            }
            assert_eq!(outcome, Outcome::Stopped);
            assert_eq!(operations.outcome(number).await.unwrap(), None);
        }
        assert!(runs > 3, "{runs}");
        assert_eq!(read_image(&world.far(), &identity("a")).await, bytes(1, 0, 900));
        let segments = world.far[0].keys().iter().filter(|key| key.starts_with("segment/")).count() as u64;
        // Every segment once; in each run a marker, two states, and what shows whether the server keeps conditions.
        assert!(puts <= segments + 5 * runs, "{puts} {segments} {runs}");
    });
}

#[test]
fn cancelled_after_a_kill_anywhere_nothing_is_left_of_the_target() {
    let mut kills = 0;
    loop {
        let world = World::new();
        let number = block_on(begun(&world));
        let operations = world.near().operations();
        let ended = killed_after(kills, operations.run(number, &world.process())).is_some();
        // The cancelling process is killed as well, and another one does it again.
        killed_after(kills % 7, operations.cancel(number, &world.process()));
        block_on(async {
            operations.cancel(number, &world.process()).await.unwrap();
            let there = world.far().properties(&identity("a")).await;
            match operations.outcome(number).await.unwrap() {
                Some(Outcome::Done) => assert_eq!(there.unwrap().state, ImageState::Created, "{kills}"),
                Some(Outcome::Cancelled) => {
                    // What is left of finding out what the server can do goes with the sweep.
                    let left = world.far[0].keys().into_iter().filter(|key| !key.starts_with("probe/"));
                    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new(), "{kills}");
                }
                other => panic!("{kills}: {other:?}"),
            }
            let again = operations.run(number, &world.process()).await.unwrap();
            assert_eq!(Some(again), operations.outcome(number).await.unwrap(), "{kills}");
            assert_eq!(read_image(&world.near(), &identity("a")).await, bytes(1, 0, 900));
            world.swept(DAY + 1).await;
            world.assert_no_orphans();
        });
        if ended {
            break;
        }
        kills += 1;
    }
    assert!(kills > 30, "{kills}");
}

/// Whatever the order of their requests: the target is complete and the operation done, or both are not.
#[test]
fn cancelling_and_running_at_once_agree_on_how_it_ended() {
    let (mut done, mut cancelled) = (0, 0);
    for seed in 0..2000 {
        block_on(async {
            let mut world = World { environment: environment().0, ..World::new() };
            let number = begun(&world).await;
            world.near = world.near.map(|memory| Arc::new(memory.paced(seed, 6)));
            world.far = world.far.map(|memory| Arc::new(memory.paced(seed + 1, 6)));
            let operations = world.near().operations();
            let (running, canceller) = (world.process(), world.process());
            let late = async {
                for _ in 0..seed % 241 {
                    tokio::task::yield_now().await;
                }
                operations.cancel(number, &canceller).await.unwrap();
                operations.outcome(number).await.unwrap()
            };
            let (ran, told) = tokio::join!(operations.run(number, &running), late);
            let outcome = operations.outcome(number).await.unwrap();
            // What was told after cancelling stays true.
            assert_eq!(told, outcome, "{seed}: {ran:?}");
            match outcome {
                Some(Outcome::Done) => {
                    done += 1;
                    assert_eq!(read_image(&world.far(), &identity("a")).await, bytes(1, 0, 900), "{seed}");
                }
                Some(Outcome::Cancelled) => {
                    cancelled += 1;
                    let there = world.far().properties(&identity("a")).await;
                    assert!(matches!(there, Err(ImageError::NotFound { .. })), "{seed}: {ran:?} {there:?}");
                }
                other => panic!("{seed}: {other:?}"),
            }
            world.swept(DAY + 1).await;
            world.assert_no_orphans();
        });
    }
    assert!(done > 100 && cancelled > 100, "{done} {cancelled}");
}

#[test]
fn a_member_that_was_cancelled_is_not_waited_for_and_not_told_of() {
    block_on(async {
        let world = World::new();
        write_set(&world).await;
        let numbers = ask(&world, &["c_C1_IM", "c_C1_F1"], "c_C1_IM").await;
        let (other, trigger) = (world.images(&world.near[1]).operations(), world.near().operations());
        other.cancel(numbers[1].1, &world.process()).await.unwrap();
        assert_eq!(trigger.run(numbers[4].1, &world.process()).await.unwrap(), Outcome::Done);
        let events = world.events(&world.far[0]).await;
        assert_eq!((events.len(), events[0].1.len()), (1, 1), "{events:?}");
        assert_eq!(events[0].1[0].identity, identity("c_C1_IM"));
        // Too late: it has ended.
        trigger.cancel(numbers[4].1, &world.process()).await.unwrap();
        assert_eq!(trigger.outcome(numbers[4].1).await.unwrap(), Some(Outcome::Done));
    });
}

#[test]
fn a_member_that_cannot_come_keeps_the_event_back() {
    block_on(async {
        let world = World::new();
        write_set(&world).await;
        let numbers = ask(&world, &["c_C1_IM", "c_C1_F1"], "c_C1_IM").await;
        let operations = world.near().operations();
        world.images(&world.near[1]).delete(&identity("c_C1_F1")).await.unwrap();
        let failed = operations.run(numbers[4].1, &world.process()).await;
        assert!(matches!(failed, Err(ImageError::NotFound { .. })), "{failed:?}");
        assert_eq!(operations.outcome(numbers[4].1).await.unwrap(), None);
        assert_eq!(world.events(&world.far[0]).await, []);
        operations.cancel(numbers[4].1, &world.process()).await.unwrap();
        assert_eq!(operations.outcome(numbers[4].1).await.unwrap(), Some(Outcome::Cancelled));
        let after = operations.run(numbers[4].1, &world.process()).await.unwrap();
        assert_eq!(after, Outcome::Cancelled);
        assert_eq!(world.events(&world.far[0]).await, []);
    });
}

#[test]
fn a_source_that_goes_after_it_was_copied_is_no_failure() {
    block_on(async {
        let world = World::new();
        let number = begun(&world).await;
        let operations = world.near().operations();
        // As a process leaves it that was killed before it wrote down what it had done.
        let options = CopyOptions { route: Route::OtherCluster, copier: None };
        let (source, target) = (world.near(), world.far());
        let mut copy = source.begin_copy(&identity("a"), &target, &identity("a"), options).await.unwrap();
        copy.run().await.unwrap();
        source.delete(&identity("a")).await.unwrap();
        assert_eq!(operations.run(number, &world.process()).await.unwrap(), Outcome::Done);
        // And one that goes before is.
        let number = begun(&world).await;
        target.delete(&identity("a")).await.unwrap();
        source.delete(&identity("a")).await.unwrap();
        let failed = operations.run(number, &world.process()).await;
        assert!(matches!(failed, Err(ImageError::NotFound { .. })), "{failed:?}");
    });
}

#[test]
fn somebody_elses_image_of_that_name_is_no_target() {
    block_on(async {
        let world = World::new();
        let number = begun(&world).await;
        let operations = world.near().operations();
        write_image(&world.far(), &identity("a"), &bytes(9, 0, 100)).await;
        let refused = operations.run(number, &world.process()).await;
        assert!(matches!(refused, Err(ImageError::Exists { .. })), "{refused:?}");
        operations.cancel(number, &world.process()).await.unwrap();
        assert_eq!(operations.outcome(number).await.unwrap(), Some(Outcome::Cancelled));
        assert_eq!(read_image(&world.far(), &identity("a")).await, bytes(9, 0, 100));
    });
}

#[test]
fn one_that_nobody_goes_on_with_is_kept_for_thirty_days() {
    block_on(async {
        let world = World::new();
        let number = begun(&world).await;
        let operations = world.near().operations();
        let process = Process { segments: AtomicI64::new(2), ..world.process() };
        assert_eq!(operations.run(number, &process).await.unwrap(), Outcome::Stopped);
        world.swept(30 * DAY).await;
        assert_eq!(operations.outcome(number).await.unwrap(), None);
        world.swept(DAY).await;
        let gone = operations.outcome(number).await;
        assert!(matches!(gone, Err(ImageError::NoOperation { .. })), "{gone:?}");
        assert_eq!(read_image(&world.near(), &identity("a")).await, bytes(1, 0, 900));
    });
}
