//! Jobs that make several copies at once: what each copy gets, and when none gets anything.

use super::*;
use crate::primary::job::Try;

fn copies(further: &[&str]) -> Policy {
    let further_copies = further.iter().map(|label| (*label).to_owned()).collect();
    Policy { further_copies, schedules: policy("a", "stu1", 1).schedules, ..policy("a", "stu1", 1) }
}

fn last_try(world: &World, id: u64) -> Try {
    world.core.job(id).unwrap().tries.last().unwrap().clone()
}

#[test]
fn every_copy_gets_a_volume_on_one_media_server_and_counts_as_a_job_of_its_unit() {
    let mut world = World::new(config());
    let ids: Vec<u64> = (0..3).map(|_| world.submit(&copies(&["stu2"]), 1)[0]).collect();
    let first = last_try(&world, ids[0]);
    assert_eq!(first.places().collect::<Vec<_>>(), [("stu1", "v1"), ("stu2", "v2")]);
    assert_eq!(first.media_server, "ms2", "the only one that has both");
    assert_eq!(world.running.len(), 2);
    assert!(
        world.reason(ids[2]).contains("limit of 2 jobs of storage unit stu1"),
        "{}",
        world.reason(ids[2])
    );
    world.end(ids[0], 1);
    assert_eq!(world.state(ids[2]), JobState::Active);
    // A job that makes one copy shares the units with them.
    let alone = world.submit(&policy("b", "stu2", 1), 1)[0];
    assert!(world.reason(alone).contains("limit of 2 jobs of storage unit stu2"), "{}", world.reason(alone));
}

#[test]
fn two_copies_on_one_volume_are_refused_and_so_is_a_copy_that_no_common_media_server_writes() {
    let mut world = World::new(config());
    let id = world.submit(&copies(&["stu1"]), 1)[0];
    assert_eq!((world.state(id), world.status(id)), (JobState::Done, Some(2086)));
    assert_eq!(world.reason(id), "copy 2: disk volume v1 has another copy of this job already");
    assert!(world.running.is_empty());

    let mut apart = config();
    apart.units[0].media_servers = vec!["ms1".into()];
    let mut world = World::new(apart);
    let id = world.submit(&copies(&["stu2"]), 1)[0];
    assert_eq!((world.state(id), world.status(id)), (JobState::Done, Some(213)));

    let mut shared = config();
    shared.pools.get_mut("p1").unwrap().volumes.push("v2".into());
    let mut world = World::new(shared);
    let id = world.submit(&copies(&["stu1"]), 1)[0];
    let places = last_try(&world, id);
    assert_eq!(places.places().collect::<Vec<_>>(), [("stu1", "v1"), ("stu1", "v2")]);
}

#[test]
fn what_a_lost_try_may_have_left_is_deleted_for_every_copy() {
    let mut world = World::new(config());
    let id = world.submit(&copies(&["stu2"]), 1)[0];
    let lost =
        Ended { status: 40, kbytes: 0, files: 0, checkpoint: false, reported: false, processed: Vec::new() };
    world.apply(Input::Ended(id, lost));
    let asked = world.core.jobs().filter(|job| job.id != id).filter_map(|job| job.submission.as_ref());
    let cleaned: Vec<&str> = asked.map(|asked| asked.storage.as_str()).collect();
    assert_eq!(cleaned, ["stu1", "stu2"]);
}
