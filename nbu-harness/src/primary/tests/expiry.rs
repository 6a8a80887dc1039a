//! Image cleanup by the clock.

use super::lifecycle::gold;
use super::*;
use crate::emm::LifecyclePolicy;
use crate::nbu::order::JobRequest;
use crate::nbu::sample;
use crate::nbu::{ImageRecord, JobKind};
use crate::primary::event::{ExpiredCopy, Pressure};
use crate::primary::expiry::over;

/// A copy of a backup on an LSU whose retention is over.
pub(super) fn copy(backup_id: &str, copy: u32, lsu: &str) -> ExpiredCopy {
    ExpiredCopy {
        backup_id: backup_id.into(),
        copy,
        policy: "a".into(),
        client: "client-of-a".into(),
        storage_server: "VastData:vast1".into(),
        lsu: lsu.into(),
        backup_time: START,
        bytes: 1000,
    }
}

/// The catalogue has these.
fn expired(world: &mut World, copies: Vec<ExpiredCopy>) {
    world.apply(Input::Expired { copies, pressure: None });
}

/// What image cleanup has jobs for: backup, copy and storage unit of each.
fn cleanups(world: &World) -> Vec<(String, Option<u32>, String)> {
    let of = |job: &Job| {
        let asked = job.submission.as_ref()?;
        let JobRequest::Expire(request) = &asked.request else { return None };
        Some((request.backup_id.clone(), request.copy, asked.storage.clone()))
    };
    world.core.jobs().filter_map(of).collect()
}

#[test]
fn the_catalogue_is_looked_through_at_each_interval_and_once_after_a_long_leap() {
    let mut config = config();
    config.globals.image_cleanup_interval = 6 * HOUR;
    let mut world = World::new(config);
    for hours in [5, 6, 7, 11, 12, 40, 41, 42] {
        world.apply(Input::Clock(START + hours * HOUR));
    }
    let hours: Vec<u64> = world.looks.iter().map(|at| (at - START) / HOUR).collect();
    assert_eq!(hours, [6, 12, 40, 42]);
    assert_eq!(world.core.next_cleanup(), START + 48 * HOUR);
}

#[test]
fn each_copy_has_one_job_on_its_storage_and_another_when_that_failed() {
    let mut world = World::new(config());
    let found = || vec![copy("c_1", 1, "v1"), copy("c_1", 2, "v2"), copy("c_2", 1, "gone")];
    expired(&mut world, found());
    let both =
        [("c_1", 1, "stu1"), ("c_1", 2, "stu2")].map(|(id, copy, unit)| (id.into(), Some(copy), unit.into()));
    assert_eq!(cleanups(&world), both, "what is on no storage of the domain stays");
    let ids: Vec<u64> = world.running.keys().copied().collect();
    assert!(ids.iter().all(|id| world.core.job(*id).unwrap().kind == JobKind::ImageCleanup));
    expired(&mut world, found());
    assert_eq!(cleanups(&world), both, "they are at it");
    world.end(ids[0], 1);
    expired(&mut world, found());
    assert_eq!(cleanups(&world), [both.as_slice(), &both[..1]].concat());
}

#[test]
fn what_a_storage_lifecycle_policy_still_needs_stays_and_its_retention_is_the_policys() {
    let mut config = config();
    let mut policy_of_two = LifecyclePolicy { operations: gold().operations[..2].to_vec(), ..gold() };
    policy_of_two.operations[0].retention_seconds = Some(DAY);
    policy_of_two.operations[1].retention_seconds = Some(9 * DAY);
    config.lifecycle_policies = vec![policy_of_two];
    let mut world = World::new(config);
    let mut nightly = policy("a", "gold", 1);
    nightly.schedules[0].retention = Some(HOUR);
    let id = world.submit(&nightly, 1)[0];
    let asked = |world: &World, id: u64| world.core.job(id).unwrap().submission.clone().unwrap().request;
    assert_eq!(asked(&world, id).retention(), Some(DAY));
    let backup_id = world.core.job(id).unwrap().backup_id.clone();
    world.end(id, 0);
    expired(&mut world, vec![copy(&backup_id, 1, "v2")]);
    assert!(cleanups(&world).is_empty());
    // What stays relieves nothing: the next one has to.
    let copies =
        vec![copy(&backup_id, 1, "v2"), ExpiredCopy { backup_time: START + 1, ..copy("c_9", 1, "v2") }];
    world.apply(Input::Expired { copies, pressure: Some(Pressure { volume: "v2".into(), bytes: 1 }) });
    assert_eq!(cleanups(&world), [("c_9".to_owned(), Some(1), "stu2".to_owned())]);
    let relieved = *world.running.keys().next().unwrap();
    world.end(relieved, 0);
    assert!(world.step());
    let copying = *world.running.keys().next().unwrap();
    let JobRequest::Lifecycle(request) = asked(&world, copying) else { panic!("no copy is made") };
    assert_eq!(request.retention_seconds, Some(9 * DAY));
    world.end(copying, 0);
    expired(&mut world, vec![copy(&backup_id, 1, "v2")]);
    assert_eq!(cleanups(&world).len(), 2);
}

#[test]
fn a_volume_at_its_high_water_mark_is_relieved_of_the_oldest_that_has_expired() {
    let mut config = config();
    config.globals.poll_interval = Some(300);
    let mut world = World::new(config);
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    world.polls.remove("v1");
    world.apply(polled("v1", 9_799));
    assert!(world.pressures.is_empty() && world.running.contains_key(&id), "98 % is the mark");
    world.apply(polled("v1", 9_800));
    let pressure = Pressure { volume: "v1".into(), bytes: 1_800 };
    assert_eq!(world.pressures, std::slice::from_ref(&pressure), "80 % is the low one");
    let aged = |id: &str, lsu, age| ExpiredCopy { backup_time: START - age, ..copy(id, 1, lsu) };
    let copies =
        vec![aged("c_1", "v1", 1), aged("c_2", "v1", 9), aged("c_3", "v2", 20), aged("c_4", "v1", 5)];
    let input = Input::Expired { copies, pressure: Some(pressure) };
    world.apply(input.clone());
    let oldest = ["c_2", "c_4"].map(|id| (id.to_owned(), Some(1), "stu1".to_owned()));
    assert_eq!(cleanups(&world), oldest, "two of 1000 bytes are enough");
    world.apply(input);
    assert_eq!(cleanups(&world), oldest, "they are at it");
}

/// What a look at a volume of 10 000 bytes says.
fn polled(volume: &str, used: u64) -> Input {
    let space = Some((10_000, used));
    Input::Polled(Polled { volume: volume.into(), server_up: true, lsu_up: true, space })
}

/// An image of one copy that expires a day after it was made.
fn image(day: u64, schedule_type: ScheduleType, stream: u32) -> ImageRecord {
    let (backup_id, backup_time) = (format!("{stream}_day{day}"), START + day * DAY);
    let copies = vec![sample::copy(&backup_id).kept_for(backup_time, Some(DAY))];
    ImageRecord { schedule_type, stream, backup_time, copies, ..sample::image(&backup_id, 0) }
}

fn over_on(day: u64, images: &[ImageRecord], check: bool) -> Vec<String> {
    over(images, START + day * DAY, check).into_iter().map(|copy| copy.backup_id).collect()
}

#[test]
fn a_backup_expires_when_its_retention_is_over_and_nothing_builds_on_it() {
    use ScheduleType::{Cumulative, Differential, Full};
    let full = [image(0, Full, 1), image(2, Full, 1)];
    assert!(over(&full, START + DAY - 1, true).is_empty());
    assert_eq!(over_on(1, &full, true), ["1_day0"]);
    assert_eq!(over_on(3, &full, true), ["1_day0", "1_day2"]);

    // Of a chain the last one goes first; nobody looks at the chain when that is off.
    let mut chain =
        vec![image(0, Full, 1), image(1, Differential, 1), image(2, Differential, 1), image(0, Full, 2)];
    assert_eq!(over_on(9, &chain, false).len(), 4);
    for left in ["1_day2", "1_day1", "1_day0"] {
        assert_eq!(over_on(9, &chain, true), [left, "2_day0"]);
        chain.retain(|image| image.backup_id != left);
    }

    // A cumulative one needs the full one, and not the differential one in between.
    let images = [image(0, Full, 1), image(1, Differential, 1), image(2, Cumulative, 1)];
    assert_eq!(over_on(9, &images, true), ["1_day1", "1_day2"]);

    let forever = image(0, Full, 1);
    let copies = vec![forever.copies[0].clone().kept_for(START, None)];
    assert!(over_on(1 << 20, &[ImageRecord { copies, ..forever }], true).is_empty());
}
