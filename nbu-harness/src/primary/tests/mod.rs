//! The core in a world without processes: what an effect starts ends as the test wants, and time passes by itself.

mod any_order;
mod bpjobd;
mod bprd;
mod copies;
mod expiry;
mod lifecycle;
mod multiplex;

use std::collections::{BTreeMap, BTreeSet};

use crate::data::GenData;
use crate::nbu::{HeaderOrder, Installation, JobState, OnCopyFailure, ScheduleType, Source};
use crate::primary::config::{
    Config, Globals, Group, Policy, PolicyStream, Pool, Schedule, Unit, UnitSelection, Volume, Window,
};
use crate::primary::core::Core;
use crate::primary::due::submissions;
use crate::primary::event::{Effect, Ended, Input, JobOrder, Polled, Pressure};
use crate::primary::job::Job;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Monday, 2026-01-05, 18:00.
const START: u64 = 1_767_571_200 + 18 * HOUR;

fn policy(name: &str, storage: &str, streams: usize) -> Policy {
    let every_night = Window { days: (0..7).collect(), opens: 22 * HOUR, duration: 6 * HOUR };
    let schedule = |name: &str, kind, frequency| Schedule {
        name: name.into(),
        kind,
        frequency,
        windows: vec![every_night.clone()],
        media_multiplexing: 1,
        retention: None,
    };
    let stream = |number: u32| PolicyStream {
        client: format!("client-of-{name}"),
        number,
        source: Source::Synthetic(GenData::with_seed(number.into())),
    };
    Policy {
        name: name.into(),
        storage: storage.into(),
        further_copies: Vec::new(),
        on_copy_failure: OnCopyFailure::Continue,
        streams: (1..).take(streams).map(stream).collect(),
        header: HeaderOrder::Last,
        collect_tir: false,
        schedules: vec![
            schedule("full", ScheduleType::Full, 7 * DAY),
            schedule("diff", ScheduleType::Differential, DAY),
        ],
        limit_jobs: 0,
        priority: 0,
    }
}

fn unit(label: &str, pool: &str, media_servers: &[&str], jobs: u32) -> Unit {
    Unit {
        label: label.into(),
        pool: pool.into(),
        media_servers: media_servers.iter().map(|name| (*name).into()).collect(),
        max_concurrent_jobs: jobs,
        max_fragment: 1 << 30,
    }
}

/// Two pools with a volume each, a unit on each, two media servers.
fn config() -> Config {
    let volume = |lsu: &str| Volume {
        server: "VastData:vast1".into(),
        user: "u".into(),
        password: "p".into(),
        lsu: lsu.into(),
        capabilities: None,
    };
    let pool = |volume: &str| Pool {
        volumes: vec![volume.into()],
        high_water: 98,
        low_water: 80,
        max_io_streams: None,
    };
    let installation = || Installation::new("/exe".into(), "/p.so".into(), "/c".into(), "/w".into());
    Config {
        first_job_id: 1,
        clock_start: START,
        globals: Globals::default(),
        media_servers: ["ms1", "ms2"].map(|name| (name.to_owned(), installation())).into(),
        volumes: ["v1", "v2"].map(|name| (name.to_owned(), volume(name))).into(),
        pools: [("p1".to_owned(), pool("v1")), ("p2".to_owned(), pool("v2"))].into(),
        units: vec![unit("stu1", "p1", &["ms1", "ms2"], 2), unit("stu2", "p2", &["ms2"], 2)],
        groups: Vec::new(),
        policies: Vec::new(),
        allocation: super::config::AllocationStatuses::default(),
        lifecycle_policies: Vec::new(),
        lifecycle: super::config::LifecycleParameters::default(),
        import_units: Vec::new(),
    }
}

/// A core, its inputs so far, and what is running.
struct World {
    core: Core,
    inputs: Vec<Input>,
    running: BTreeMap<u64, String>,
    stopping: BTreeSet<u64>,
    polls: BTreeSet<String>,
    event_polls: BTreeSet<String>,
    /// When the catalogue was looked through for what has expired.
    looks: Vec<u64>,
    /// Disk volumes that were looked through for it, since they were at their high water mark.
    pressures: Vec<Pressure>,
    starts: Vec<(u64, u64, String)>,
    changed: BTreeSet<u64>,
    lifecycle: lifecycle::Copies,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            core: Core::new(config),
            inputs: Vec::new(),
            running: BTreeMap::new(),
            stopping: BTreeSet::new(),
            polls: BTreeSet::new(),
            event_polls: BTreeSet::new(),
            looks: Vec::new(),
            pressures: Vec::new(),
            starts: Vec::new(),
            changed: BTreeSet::new(),
            lifecycle: lifecycle::Copies::default(),
        }
    }

    fn apply(&mut self, input: Input) {
        self.inputs.push(input.clone());
        if let Input::Ended(id, ended) = &input {
            self.running.remove(id);
            self.lifecycle.ended(&self.core, self.core.job(*id).unwrap(), ended);
        }
        let effects = self.core.apply(input);
        multiplex::check(&self.core, &effects);
        for effect in effects {
            match effect {
                Effect::Start { job, media_server, request } => {
                    assert_eq!(request.kind(), self.core.job(job).unwrap().kind);
                    self.lifecycle.started(&self.core, &request);
                    self.starts.push((self.core.now(), job, media_server.clone()));
                    assert!(self.running.insert(job, media_server).is_none(), "job {job} was started twice");
                }
                Effect::Stop { job, .. } => {
                    assert!(self.running.contains_key(&job));
                    self.stopping.insert(job);
                }
                Effect::Poll { volume, .. } => assert!(self.polls.insert(volume)),
                Effect::AskEvents { volume, .. } => assert!(self.event_polls.insert(volume)),
                Effect::ImagesChanged => {}
                Effect::LookForExpired(None) => self.looks.push(self.core.now()),
                Effect::LookForExpired(Some(pressure)) => self.pressures.push(pressure),
                Effect::Changed(id) => {
                    assert!(self.core.job(id).is_some());
                    self.changed.insert(id);
                }
            }
        }
    }

    fn end(&mut self, job: u64, status: i32) {
        self.end_at(job, status, false);
    }

    /// Ends a try, at a checkpoint or not. A job about several images did what its status says.
    fn end_at(&mut self, job: u64, status: i32, checkpoint: bool) {
        let processed = lifecycle::processed(self.core.job(job).unwrap(), status);
        let ended = Ended { status, kbytes: 1024, files: 1, checkpoint, reported: true, processed };
        self.apply(Input::Ended(job, ended));
    }

    /// Lets time go to its next event.
    fn step(&mut self) -> bool {
        match self.core.next_timer().filter(|_| !self.core.is_active()) {
            Some(at) => {
                self.apply(Input::Clock(at));
                true
            }
            None => false,
        }
    }

    fn submit(&mut self, policy: &Policy, tries: u32) -> Vec<u64> {
        let before: BTreeSet<u64> = self.core.jobs().map(|job| job.id).collect();
        self.apply(Input::Submit(submissions(policy, None, &policy.schedules[0], tries, None)));
        let with_data = |job: &&Job| !before.contains(&job.id) && job.submission.is_some();
        self.core.jobs().filter(with_data).map(|job| job.id).collect()
    }

    fn state(&self, id: u64) -> JobState {
        self.core.job(id).unwrap().state
    }

    fn status(&self, id: u64) -> Option<i32> {
        self.core.job(id).unwrap().status
    }

    fn reason(&self, id: u64) -> String {
        self.core.job(id).unwrap().reason.clone().unwrap_or_default()
    }
}

#[test]
fn a_week_of_schedules_is_a_full_backup_and_an_incremental_one_every_other_night() {
    let mut config = config();
    config.policies = vec![policy("a", "stu1", 1)];
    let mut world = World::new(config);
    while world.core.next_timer().is_some_and(|at| at < START + 7 * DAY) {
        world.step();
        for job in world.running.keys().copied().collect::<Vec<_>>() {
            world.end(job, 0);
        }
    }
    let jobs: Vec<(u64, &str)> = world
        .core
        .jobs()
        .map(|job| ((job.submitted - START) / HOUR, job.submission.as_ref().unwrap().schedule.as_str()))
        .collect();
    let nights: Vec<(u64, &str)> =
        (0..7).map(|day| (4 + 24 * day, if day == 0 { "full" } else { "diff" })).collect();
    assert_eq!(jobs, nights);
    assert!(world.core.jobs().all(|job| job.is_done() && job.status == Some(0)));
}

#[test]
fn a_failed_try_is_repeated_after_the_retry_delay_on_another_media_server_under_the_same_id() {
    let mut world = World::new(config());
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    let backup_id = world.core.job(id).unwrap().backup_id.clone();
    assert_eq!(world.running[&id], "ms1");
    world.end(id, 84);
    assert_eq!((world.state(id), world.status(id)), (JobState::Requeued, Some(84)));
    assert!(world.step());
    assert_eq!(world.core.now(), START + 600);
    assert_eq!((world.state(id), world.running[&id].as_str()), (JobState::Active, "ms2"));
    assert_eq!(world.core.job(id).unwrap().backup_id, backup_id);
    world.end(id, 84);
    assert_eq!((world.state(id), world.status(id)), (JobState::Done, Some(84)), "two tries are all");
    assert_eq!(world.core.job(id).unwrap().tries.len(), 2);
    assert!(!world.step());
}

#[test]
fn what_an_administrator_ended_is_not_tried_again() {
    for status in [1, 20, 150, 1535] {
        let mut world = World::new(config());
        let id = world.submit(&policy("a", "stu1", 1), 5)[0];
        world.end(id, status);
        assert_eq!((world.state(id), world.status(id)), (JobState::Done, Some(status)));
    }
}

#[test]
fn a_schedule_whose_tries_are_used_up_is_due_again_after_their_period() {
    let mut config = config();
    config.globals.tries_period = 2 * HOUR;
    config.policies = vec![policy("a", "stu1", 1)];
    let mut world = World::new(config);
    while world.core.now() < START + 10 * HOUR && world.step() {
        for job in world.running.keys().copied().collect::<Vec<_>>() {
            world.end(job, 84);
        }
    }
    let mut minutes: Vec<u64> = world.starts.iter().map(|(at, ..)| (at - START) / 60 - 240).collect();
    assert_eq!(minutes.pop(), Some(24 * 60), "and the next night");
    assert_eq!(minutes, [0, 10, 120, 130, 240, 250], "in a window of six hours from 22:00");
}

#[test]
fn streams_share_a_parent_that_ends_with_the_worst_of_them() {
    let mut world = World::new(config());
    let ids = world.submit(&policy("a", "stu1", 3), 1);
    let parent = world.core.job(ids[0]).unwrap().parent.unwrap();
    let times: BTreeSet<&str> =
        ids.iter().map(|id| world.core.job(*id).unwrap().backup_id.as_str()).collect();
    assert_eq!(times.len(), 3, "one backup id each");
    assert_eq!(world.running.len(), 2, "the unit takes two jobs");
    assert!(world.reason(ids[2]).contains("limit of 2 jobs of storage unit stu1"));
    world.end(ids[0], 0);
    world.end(ids[1], 1);
    assert_eq!(world.state(parent), JobState::Active);
    world.end(ids[2], 84);
    assert_eq!((world.state(parent), world.status(parent)), (JobState::Done, Some(84)));
}

#[test]
fn limits_of_policy_client_and_io_streams_hold_jobs_back() {
    let mut limited = config();
    limited.policies = vec![Policy { limit_jobs: 1, schedules: Vec::new(), ..policy("a", "stu1", 2) }];
    let of_policy = Policy { limit_jobs: 1, ..policy("a", "stu1", 2) };
    let mut world = World::new(limited);
    let ids = world.submit(&of_policy, 1);
    assert!(world.reason(ids[1]).contains("limit of 1 jobs of policy a"), "{}", world.reason(ids[1]));

    let mut limited = config();
    limited.globals.max_jobs_per_client = 1;
    let mut world = World::new(limited);
    let ids = world.submit(&policy("a", "stu1", 2), 1);
    assert!(world.reason(ids[1]).contains("client client-of-a"), "{}", world.reason(ids[1]));

    let mut limited = config();
    limited.pools.get_mut("p1").unwrap().max_io_streams = Some(1);
    let mut world = World::new(limited);
    let ids = world.submit(&policy("a", "stu1", 2), 1);
    assert!(world.reason(ids[1]).contains("limit of 1 I/O streams"), "{}", world.reason(ids[1]));
    world.end(ids[0], 0);
    assert!(world.running.contains_key(&ids[1]));
}

#[test]
fn a_group_chooses_as_it_is_told() {
    let starts = |selection, jobs_per_unit| {
        let mut config = config();
        let units = vec!["stu1".to_owned(), "stu2".to_owned()];
        config.groups = vec![Group { label: "group".into(), units, selection }];
        config.units =
            vec![unit("stu1", "p1", &["ms1"], jobs_per_unit), unit("stu2", "p2", &["ms2"], jobs_per_unit)];
        let mut world = World::new(config);
        world.submit(&policy("a", "group", 4), 1);
        world.starts.iter().map(|(.., server)| server.clone()).collect::<Vec<_>>()
    };
    assert_eq!(starts(UnitSelection::Prioritized, 2), ["ms1", "ms1", "ms2", "ms2"]);
    assert_eq!(starts(UnitSelection::Failover, 2), ["ms1", "ms1"], "a busy unit is waited for");
    assert_eq!(starts(UnitSelection::RoundRobin, 4), ["ms1", "ms2", "ms1", "ms2"]);
    assert_eq!(starts(UnitSelection::MediaServerLoadBalancing, 4), ["ms1", "ms2", "ms1", "ms2"]);
}

#[test]
fn a_failover_group_takes_its_first_unit_that_is_up_and_does_not_wait_for_another() {
    let mut config = config();
    let units = vec!["stu1".to_owned(), "stu2".to_owned()];
    config.groups = vec![Group { label: "group".into(), units, selection: UnitSelection::Failover }];
    config.units = vec![unit("stu1", "p1", &["ms1"], 1), unit("stu2", "p2", &["ms2"], 1)];
    let mut world = World::new(config);
    let busy = world.submit(&policy("b", "stu2", 1), 1)[0];
    assert_eq!(world.running[&busy], "ms2");
    let id = world.submit(&policy("a", "group", 1), 1)[0];
    assert_eq!(world.running[&id], "ms1", "the second unit's load is nothing to a free first one");
    world.end(id, 0);
    world.apply(Input::Volume { name: "v1".into(), up: false });
    let id = world.submit(&policy("a", "group", 1), 1)[0];
    assert_eq!(world.state(id), JobState::Queued, "the second unit is the one to be waited for now");
    world.end(busy, 0);
    assert_eq!(world.running[&id], "ms2");
    // Without any storage the status is the first unit's, and of each it is said why.
    world.end(id, 0);
    world.apply(Input::MediaServer { name: "ms2".into(), up: false });
    let none = world.submit(&policy("a", "group", 1), 1)[0];
    assert_eq!(world.status(none), Some(2074));
    let reason = world.reason(none);
    assert!(reason.contains("stu1: ") && reason.contains("; stu2: "), "{reason}");
}

#[test]
fn a_look_at_a_volume_that_never_came_is_taken_elsewhere() {
    let mut config = config();
    config.globals.poll_interval = Some(300);
    let mut world = World::new(config);
    let id = world.submit(&policy("a", "stu1", 1), 1)[0];
    assert!(world.polls.remove("v1") && world.core.is_active());
    world.apply(Input::MediaServer { name: "ms1".into(), up: false });
    assert!(world.polls.is_empty(), "one look at a time");
    world.apply(Input::NotPolled("v1".into()));
    assert!(world.polls.contains("v1"), "the other media server looks");
    let space = Some((1 << 40, 0));
    world.apply(Input::Polled(Polled { volume: "v1".into(), server_up: true, lsu_up: true, space }));
    assert_eq!(world.running[&id], "ms2");
}

#[test]
fn every_stream_is_expected_to_be_as_large_as_it_was_itself() {
    let mut config = config();
    config.globals.poll_interval = Some(DAY);
    let mut world = World::new(config);
    let two = policy("a", "stu1", 2);
    let ids = world.submit(&two, 1);
    let space = Some((10 << 20, 0));
    world.apply(Input::Polled(Polled { volume: "v1".into(), server_up: true, lsu_up: true, space }));
    for (id, kbytes) in ids.iter().zip([8 << 10, 1]) {
        world.apply(Input::Ended(
            *id,
            Ended { status: 0, kbytes, files: 1, checkpoint: false, reported: true, processed: Vec::new() },
        ));
    }
    assert_eq!(
        ids.iter().map(|id| world.core.kbytes_last(world.core.job(*id).unwrap())).collect::<Vec<_>>(),
        [8 << 10, 1]
    );
    let ids = world.submit(&two, 1);
    assert!(ids.iter().all(|id| world.running.contains_key(id)), "8 MiB and 1 KiB fit into 10 MiB");
}

#[test]
fn a_backup_by_hand_has_its_tries_once_however_long_they_take() {
    let mut config = config();
    config.globals.retry_delay = 20 * HOUR;
    let mut world = World::new(config);
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    world.end(id, 84);
    assert!(world.step());
    world.end(id, 84);
    assert_eq!((world.state(id), world.core.job(id).unwrap().tries.len()), (JobState::Done, 2));
}

#[test]
fn a_job_that_was_suspended_when_its_cancel_came_is_cancelled() {
    let mut world = World::new(config());
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    world.apply(Input::Order(id, JobOrder::Suspend));
    world.apply(Input::Order(id, JobOrder::Cancel));
    world.apply(Input::Ended(
        id,
        Ended { status: 157, kbytes: 1, files: 0, checkpoint: true, reported: true, processed: Vec::new() },
    ));
    assert_eq!((world.state(id), world.status(id)), (JobState::Done, Some(150)));
}

#[test]
fn what_is_down_is_passed_over_and_a_job_without_storage_says_why() {
    let mut config = config();
    let units = vec!["stu1".to_owned(), "stu2".to_owned()];
    config.groups = vec![Group { label: "group".into(), units, selection: UnitSelection::Failover }];
    let mut world = World::new(config);
    world.apply(Input::Volume { name: "v1".into(), up: false });
    let id = world.submit(&policy("a", "group", 1), 1)[0];
    assert_eq!(world.running[&id], "ms2");
    let down = world.submit(&policy("b", "stu1", 1), 1)[0];
    assert_eq!(world.status(down), Some(2074));
    assert!(world.reason(down).contains("v1 is down"));
    world.apply(Input::MediaServer { name: "ms2".into(), up: false });
    let gone = world.submit(&policy("c", "stu2", 1), 1)[0];
    assert_eq!(world.status(gone), Some(2027));
    let none = world.submit(&policy("d", "nowhere", 1), 1)[0];
    assert_eq!(world.status(none), Some(213));
}

#[test]
fn a_polled_volume_above_its_high_water_mark_gets_no_job() {
    let mut config = config();
    config.globals.poll_interval = Some(300);
    let mut world = World::new(config);
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    assert!(world.running.is_empty() && world.polls.contains("v1"));
    assert!(world.core.is_active(), "the clock waits for the answer");
    let polled = |space, server_up| Polled { volume: "v1".into(), server_up, lsu_up: server_up, space };
    world.apply(Input::Polled(polled(Some((1000, 980)), true)));
    assert_eq!((world.state(id), world.status(id)), (JobState::Requeued, Some(129)));
    // Ten minutes later the answer is too old, and now there is space.
    world.polls.clear();
    assert!(world.step());
    world.apply(Input::Polled(polled(Some((1000, 100)), true)));
    assert!(world.running.contains_key(&id));
    world.end(id, 0);
    // What the last backup of its kind took and a fifth more has to fit: 1 MiB does not.
    let again = world.submit(&policy("a", "stu1", 1), 1)[0];
    assert_eq!(world.status(again), Some(129));
    world.polls.clear();
    world.apply(Input::Clock(START + DAY));
    let unreachable = world.submit(&policy("b", "stu1", 1), 1)[0];
    world.apply(Input::Polled(polled(None, false)));
    assert_eq!(world.status(unreachable), Some(2106));
}

#[test]
fn a_job_that_gets_no_storage_before_its_window_closes_ends_with_196() {
    let mut config = config();
    config.units[0].max_concurrent_jobs = 1;
    config.policies = vec![policy("a", "stu1", 1)];
    let mut world = World::new(config);
    assert!(world.step());
    let first = *world.running.keys().next().unwrap();
    let late = {
        let one = policy("b", "stu1", 1);
        let mut asked = submissions(&one, None, &one.schedules[0], 2, Some(START + 5 * HOUR));
        let id = world.core.jobs().count() as u64 + 1;
        world.apply(Input::Submit(std::mem::take(&mut asked)));
        id
    };
    world.apply(Input::Clock(START + 5 * HOUR));
    assert_eq!((world.state(late), world.status(late)), (JobState::Done, Some(196)));
    world.end(first, 0);
    assert!(world.running.is_empty());
}

#[test]
fn orders_mean_what_the_activity_monitor_says() {
    let mut world = World::new(config());
    let ids = world.submit(&policy("a", "stu2", 3), 1);
    // A queued job is suspended at once and cancelled at once.
    world.apply(Input::Order(ids[2], JobOrder::Suspend));
    assert_eq!(world.state(ids[2]), JobState::Suspended);
    world.apply(Input::Order(ids[2], JobOrder::Resume));
    assert_eq!(world.state(ids[2]), JobState::Queued);
    world.apply(Input::Order(ids[2], JobOrder::Cancel));
    assert_eq!((world.state(ids[2]), world.status(ids[2])), (JobState::Done, Some(150)));
    // An active one when its owner has stopped.
    world.apply(Input::Order(ids[0], JobOrder::Cancel));
    assert_eq!(world.state(ids[0]), JobState::Active);
    assert!(world.stopping.contains(&ids[0]));
    world.end(ids[0], 150);
    assert_eq!((world.state(ids[0]), world.status(ids[0])), (JobState::Done, Some(150)));
    // Suspended with a checkpoint, resumed under its id.
    world.apply(Input::Order(ids[1], JobOrder::Suspend));
    let stopped =
        Ended { status: 157, kbytes: 1, files: 0, checkpoint: true, reported: true, processed: Vec::new() };
    world.apply(Input::Ended(ids[1], stopped));
    assert_eq!(world.state(ids[1]), JobState::Suspended);
    world.apply(Input::Order(ids[1], JobOrder::Resume));
    assert_eq!(world.state(ids[1]), JobState::Active);
    // Failed behind its checkpoint: incomplete, and done with its status after three hours.
    world.apply(Input::Ended(
        ids[1],
        Ended { status: 40, kbytes: 1, files: 0, checkpoint: true, reported: true, processed: Vec::new() },
    ));
    assert_eq!(world.state(ids[1]), JobState::Incomplete);
    let now = world.core.now();
    assert!(world.step());
    assert_eq!((world.core.now() - now, world.status(ids[1])), (3 * HOUR, Some(40)));
    // Restarted: another job.
    world.apply(Input::Order(ids[1], JobOrder::Restart));
    let new = world.core.jobs().last().unwrap();
    assert!(new.id > ids[2] && new.state == JobState::Active && new.tries.len() == 1);
}

#[test]
fn a_restarted_primary_tries_again_what_was_active() {
    let mut world = World::new(config());
    let id = world.submit(&policy("a", "stu1", 1), 2)[0];
    world.running.clear();
    world.apply(Input::Restarted);
    assert_eq!((world.state(id), world.status(id)), (JobState::Requeued, Some(40)));
    assert!(world.step());
    assert!(world.running.contains_key(&id));
}
