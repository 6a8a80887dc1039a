//! Many processes that want the same image at once, in many schedules and on every kind of server: at most one gets what
//! only one can have.
//!
//! `IMAGE_STORE_SEED` runs one schedule alone.

use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{Close, ImageError, ImageStore};

use crate::schedules::{Cluster, SCHEDULES_ELSEWHERE, Shown, lost, schedules};
use crate::support::{Has, block_on, bytes, identity, read_image};

/// The clock runs away with everybody: each believes all the time that whoever has the image is dead.
#[test]
fn of_many_that_take_an_image_from_each_other_at_most_one_commits() {
    const WRITERS: u64 = 6;
    let (mut committed, mut tried) = ([0_u64; 3], [0_u64; 3]);
    for (has, seed) in schedules().filter(|(_, seed)| *seed < SCHEDULES_ELSEWHERE) {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let first = cluster.process(0);
            write_image_in_part(&first, &bytes(0, 0, 50)).await;
            let process = async |number: u64| {
                let images = cluster.process(number);
                let mut writer = images.open_write(&identity("a")).await?;
                let (base, own) = (writer.size(), bytes(number, 0, 70));
                let written = async {
                    writer.append(base, &own[..30]).await?;
                    if seed.is_multiple_of(2) {
                        writer.flush().await?;
                    }
                    writer.append(base + 30, &own[30..]).await?;
                    writer.close(Close::Complete).await
                };
                match written.await {
                    Ok(()) => Ok((base, own)),
                    Err(error) => {
                        writer.discard().await?;
                        Err(error)
                    }
                }
            };
            let all = async {
                tokio::join!(process(1), process(2), process(3), process(4), process(5), process(WRITERS))
            };
            let results = tokio::select! {
                results = all => results,
                () = runs_away(&cluster.memory, seed) => unreachable!(),
            };
            let results = [results.0, results.1, results.2, results.3, results.4, results.5];
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                assert!(lost(error) || matches!(error, ImageError::NotWritable { .. }), "{error}");
            }
            let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
            assert!(winners.len() <= 1, "{results:?}");
            let check = async || {
                if let [(base, own)] = winners[..] {
                    let content = read_image(&first, &identity("a")).await;
                    assert_eq!(content[..50], bytes(0, 0, 50));
                    assert_eq!(content[usize::try_from(*base).unwrap()..], own[..]);
                }
            };
            check().await;
            cluster.settles().await;
            check().await;
            tried[has as usize] += 1;
            committed[has as usize] += winners.len() as u64;
        });
    }
    println!("a commit in {committed:?} of {tried:?} schedules");
    for has in Has::EXCLUSIVE.map(|has| has as usize) {
        assert!(tried[has] < 100 || committed[has] * 2 > tried[has], "{committed:?} of {tried:?}");
    }
}

/// An image that was closed as incomplete.
async fn write_image_in_part(images: &ImageStore<MemoryStore>, content: &[u8]) {
    let mut writer = images.create(&identity("a")).await.unwrap();
    writer.append(0, content).await.unwrap();
    writer.close(Close::Incomplete).await.unwrap();
}

/// Moves the clock by more than a lease, again and again.
async fn runs_away(memory: &MemoryStore, seed: u64) {
    loop {
        for _ in 0..10 + seed % 50 {
            tokio::task::yield_now().await;
        }
        memory.advance(500);
    }
}

#[test]
fn of_many_that_create_an_image_at_most_one_has_it() {
    let (mut created, mut tried) = ([0_u64; 3], [0_u64; 3]);
    for (has, seed) in schedules().filter(|(_, seed)| *seed < SCHEDULES_ELSEWHERE) {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let process = async |number: u64| {
                let mut writer = cluster.process(number).create(&identity("a")).await?;
                writer.append(0, &bytes(number, 0, 100)).await?;
                writer.close(Close::Complete).await?;
                Ok::<u64, ImageError>(number)
            };
            let results =
                tokio::join!(process(1), process(2), process(3), process(4), process(5), process(6));
            let results = [results.0, results.1, results.2, results.3, results.4, results.5];
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                assert!(lost(error) || matches!(error, ImageError::Exists { .. }), "{error}");
            }
            let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
            match winners[..] {
                [] => assert!(cluster.memory.raw().versions.is_empty()),
                [number] => {
                    let content = read_image(&cluster.process(0), &identity("a")).await;
                    assert_eq!(content, bytes(*number, 0, 100));
                }
                _ => panic!("{results:?}"),
            }
            cluster.settles().await;
            tried[has as usize] += 1;
            created[has as usize] += winners.len() as u64;
        });
    }
    println!("created in {created:?} of {tried:?} schedules");
    for has in Has::EXCLUSIVE.map(|has| has as usize) {
        assert!(tried[has] < 100 || created[has] * 10 > tried[has] * 9, "{created:?} of {tried:?}");
    }
}

/// Where a delete cannot even write that it deletes, it removes the state object at once: a commit that has looked before
/// must not bring it back without its segments.
#[test]
fn a_delete_in_a_full_bucket_and_a_commit_beside_it_leave_a_whole_image_or_none() {
    let (mut deleted, mut closed) = (0, 0);
    for (has, seed) in schedules() {
        let _shown = Shown(has, seed);
        block_on(async {
            let cluster = Cluster::new(has, seed);
            let (first, content) = (cluster.process(0), bytes(1, 0, 100));
            let mut writer = first.create(&identity("a")).await.unwrap();
            writer.append(0, &content[..70]).await.unwrap();
            writer.flush().await.unwrap();
            writer.append(70, &content[70..]).await.unwrap();
            let other = cluster.process(1);
            other.exclusivity().await.unwrap();
            let operation = match has {
                Has::Conditions | Has::Nothing => Operation::Put,
                Has::Uploads | Has::UploadsOnly => Operation::UploadPart,
            };
            let full = Effect::Refuse(StoreError::NoSpace("scripted".to_owned()));
            cluster.memory.script(operation, "image/", 0, full);
            let close = async {
                let ended = writer.close(Close::Complete).await;
                if ended.is_err() {
                    writer.discard().await.unwrap();
                }
                ended
            };
            let a = identity("a");
            let (ended, gone) = tokio::join!(close, other.delete(&a));
            for error in ended.as_ref().err().into_iter().chain(gone.as_ref().err()) {
                assert!(lost(error) || matches!(error, ImageError::NoSpace { .. }), "{error}");
            }
            closed += u64::from(ended.is_ok());
            deleted += u64::from(gone.is_ok());
            let check = async || match first.open_read(&identity("a")).await {
                Ok(_) if ended.is_ok() => assert_eq!(read_image(&first, &identity("a")).await, content),
                Ok(_) => assert!(gone.is_err(), "{gone:?}"),
                Err(error) => assert!(gone.is_ok() || ended.is_err(), "{error}"),
            };
            check().await;
            cluster.settles().await;
            check().await;
        });
    }
    println!("{deleted} deletes and {closed} commits succeeded");
}
