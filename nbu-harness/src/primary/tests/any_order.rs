//! The core under any sequence of what can happen: limits hold, states are sound, nothing is lost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::bpjobd::{says_the_same, tell_all, tell_changed};
use super::bprd::restore;
use super::*;
use crate::nbu::order::JobRequest;
use crate::nbu::{JobKind, StorageUnit, VerifyRequest};
use crate::primary::bpjobd::Bpjobd;
use crate::primary::event::Polled;
use crate::primary::job::Submission;
use crate::primary::nbstserv::ToldEvent;

fn verify(storage: &str) -> Submission {
    let request = JobRequest::Verify(VerifyRequest {
        job_id: 0,
        backup_id: "c_1".into(),
        copy: None,
        storage_unit: StorageUnit::new("", "", "", ""),
    });
    Submission {
        policy: "v".into(),
        client: "c".into(),
        priority: 7,
        ..Submission::new(request, storage.into(), "c_1".into())
    }
}

#[derive(Debug, Clone)]
enum Action {
    Backup(usize, usize, u32),
    Verify(usize),
    Expire(usize),
    Expired(usize),
    Restore(usize, bool),
    End(usize, i32, bool),
    Step,
    Order(usize, JobOrder),
    MediaServer(usize, bool),
    Volume(usize, bool),
    Polled(usize, bool, u64),
    NotPolled(usize),
    Told(Option<u64>),
    Restarted,
}

fn action() -> impl Strategy<Value = Action> {
    let order = prop_oneof![
        Just(JobOrder::Cancel),
        Just(JobOrder::Suspend),
        Just(JobOrder::Resume),
        Just(JobOrder::Restart)
    ];
    let status =
        prop_oneof![4 => Just(0), 1 => Just(1), 2 => Just(84), 1 => Just(40), 1 => Just(150), 1 => Just(157)];
    prop_oneof![
        3 => (0..3usize, 1..4usize, 1..4u32).prop_map(|(policy, streams, tries)| Action::Backup(policy, streams, tries)),
        1 => (0..3usize).prop_map(Action::Verify),
        1 => (0..4usize).prop_map(Action::Expire),
        1 => (0..4usize).prop_map(Action::Expired),
        2 => (0..2usize, proptest::bool::weighted(0.2)).prop_map(|(which, refused)| Action::Restore(which, refused)),
        6 => (0..8usize, status, any::<bool>()).prop_map(|(which, status, point)| Action::End(which, status, point)),
        4 => Just(Action::Step),
        2 => (0..12usize, order).prop_map(|(which, order)| Action::Order(which, order)),
        1 => (0..2usize, any::<bool>()).prop_map(|(which, up)| Action::MediaServer(which, up)),
        1 => (0..2usize, any::<bool>()).prop_map(|(which, up)| Action::Volume(which, up)),
        3 => (0..2usize, prop_oneof![4 => Just(true), 1 => Just(false)], 0..1100u64)
            .prop_map(|(which, up, used)| Action::Polled(which, up, used << 20)),
        1 => (0..2usize).prop_map(Action::NotPolled),
        3 => proptest::option::weighted(0.8, 1..6u64).prop_map(Action::Told),
        1 => Just(Action::Restarted),
    ]
}

/// What must hold at every moment.
fn check(world: &World) {
    let config = world.core.config();
    let active: Vec<&Job> = world.core.jobs().filter(|job| job.active_try().is_some()).collect();
    assert_eq!(
        active.iter().map(|job| job.id).collect::<Vec<_>>(),
        world.running.keys().copied().collect::<Vec<_>>()
    );
    let count = |what: &dyn Fn(&Job) -> bool| active.iter().filter(|job| what(job)).count();
    for unit in &config.units {
        let jobs = count(&|job| job.active_try().is_some_and(|one| one.unit == unit.label));
        assert!(jobs <= unit.max_concurrent_jobs as usize, "{} has {jobs} jobs", unit.label);
    }
    for pool in config.pools.values() {
        for volume in &pool.volumes {
            let streams = count(&|job| job.active_try().is_some_and(|one| one.volume == *volume));
            assert!(pool.max_io_streams.is_none_or(|limit| streams <= limit as usize));
        }
    }
    for policy in config.policies.iter().filter(|policy| policy.limit_jobs > 0) {
        assert!(count(&|job| job.policy() == policy.name) <= policy.limit_jobs as usize);
    }
    let mut backups = BTreeSet::new();
    for job in world.core.jobs() {
        assert_eq!(job.ended.is_some(), job.state == JobState::Done, "{job:?}");
        assert_eq!(
            job.timer.is_some(),
            matches!(job.state, JobState::Requeued | JobState::Incomplete),
            "{job:?}"
        );
        let waits = job.submission.is_some() && job.active_try().is_none();
        let early = waits && job.state == JobState::Active;
        assert!(!early || job.kind == JobKind::Restore, "active without resources: {job:?}");
        assert!(job.kind != JobKind::Restore || job.state != JobState::Queued, "{job:?}");
        let open = job.tries.iter().filter(|one| one.ended.is_none()).count();
        assert_eq!(open, usize::from(job.active_try().is_some()), "{job:?}");
        if job.submission.as_ref().is_some_and(|asked| asked.request.is_backup()) {
            assert!(backups.insert(job.backup_id.clone()), "two jobs make {}", job.backup_id);
        }
    }
}

fn table(core: &Core) -> String {
    format!("{:?}", core.jobs().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn limits_hold_states_are_sound_nothing_is_lost_and_the_inputs_tell_it_all(
        actions in proptest::collection::vec(action(), 1..60),
        poll in any::<bool>(),
        selection in prop_oneof![
            Just(UnitSelection::Prioritized),
            Just(UnitSelection::Failover),
            Just(UnitSelection::RoundRobin),
            Just(UnitSelection::MediaServerLoadBalancing),
        ],
    ) {
        let mut config = config();
        config.globals.poll_interval = poll.then_some(300);
        config.pools.get_mut("p2").unwrap().max_io_streams = Some(1);
        let units = vec!["stu1".to_owned(), "stu2".to_owned()];
        config.groups = vec![Group { label: "group".into(), units, selection }];
        config.policies = vec![
            Policy { limit_jobs: 2, schedules: Vec::new(), ..policy("a", "group", 1) },
            Policy { schedules: Vec::new(), ..policy("b", "stu2", 1) },
            Policy { schedules: Vec::new(), ..policy("c", "gold", 1) },
        ];
        config.lifecycle_policies = vec![lifecycle::gold(), lifecycle::silver()];
        config.import_units = vec!["stu2".into()];
        config.lifecycle.max_batch_kbytes = 2048;
        let first = config.clone();
        let mut world = World::new(config);
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [followed, late] = homes.each_ref().map(|home| Bpjobd::open(home.path()).unwrap());
        let (names, media) = (["v1", "v2"], ["ms1", "ms2"]);
        for action in actions {
            match action {
                Action::Backup(which, streams, tries) => {
                    let mut one = policy(["a", "b", "c"][which], ["group", "stu2", "gold"][which], streams);
                    one.schedules[0].media_multiplexing = 2;
                    world.submit(&one, tries);
                }
                Action::Verify(which) => {
                    world.apply(Input::Submit(vec![verify(["stu1", "stu2", "group"][which])]));
                }
                Action::Expire(which) => {
                    let image = world.core.lifecycle_images().images.into_iter().nth(which);
                    if let Some(image) = image {
                        world.apply(Input::Submit(vec![lifecycle::expiry(&image.backup_id, "stu2")]));
                    }
                }
                Action::Expired(which) => {
                    let images = world.core.lifecycle_images().images.into_iter().take(which);
                    let copies = images.map(|image| expiry::copy(&image.backup_id, 1, "v2"));
                    world.apply(Input::Expired { copies: copies.collect(), pressure: None });
                }
                Action::End(which, status, checkpoint) => {
                    if let Some(id) = world.running.keys().copied().nth(which % 4) {
                        world.end_at(id, status, checkpoint);
                    }
                }
                Action::Step => {
                    world.step();
                }
                Action::Order(which, order) => world.apply(Input::Order(which as u64 + 1, order)),
                Action::MediaServer(which, up) => {
                    world.apply(Input::MediaServer { name: media[which].into(), up });
                }
                Action::Volume(which, up) => world.apply(Input::Volume { name: names[which].into(), up }),
                Action::Polled(which, up, used) => {
                    if world.polls.remove(names[which]) {
                        let space = Some((1000 << 20, used.min(1000 << 20)));
                        let polled = Polled { volume: names[which].into(), server_up: up, lsu_up: up, space };
                        world.apply(Input::Polled(polled));
                    }
                }
                Action::NotPolled(which) => {
                    if world.polls.remove(names[which]) {
                        world.apply(Input::NotPolled(names[which].into()));
                    }
                }
                Action::Told(newest) => {
                    if world.event_polls.remove("v2") {
                        // One of them names a policy that is not there.
                        let slp = |number| if number == 3 { "lost" } else { "silver" }.to_owned();
                        let events = |newest| (1..=newest).map(|number| ToldEvent { number, slp: slp(number) });
                        let events = newest.map(|newest| events(newest).collect());
                        world.apply(Input::Told { volume: "v2".into(), events });
                    }
                }
                Action::Restore(which, refused) => {
                    world.apply(Input::Asked(vec![restore(["stu1", "stu2"][which], refused)]));
                }
                Action::Restarted => {
                    // The jobs database was left behind here and there.
                    tell_all(&late, &world);
                    (world.running, world.stopping) = Default::default();
                    world.polls.clear();
                    world.event_polls.clear();
                    world.lifecycle.lost();
                    world.apply(Input::Restarted);
                }
            }
            check(&world);
            world.lifecycle.check(&world.core);
            tell_changed(&followed, &mut world);
        }
        tell_all(&late, &world);
        says_the_same(&followed, &world);
        says_the_same(&late, &world);
        // The inputs, written down and read again, give the same table.
        let mut again = Core::new(first.clone());
        for input in &world.inputs {
            let line = serde_json::to_vec(input).unwrap();
            again.apply(serde_json::from_slice(&line).unwrap());
        }
        prop_assert_eq!(table(&again), table(&world.core));
        prop_assert_eq!(again.lifecycle_images(), world.core.lifecycle_images());
        // Healed, everything comes to an end.
        for (name, server) in names.iter().zip(media) {
            world.apply(Input::Volume { name: (*name).into(), up: true });
            world.apply(Input::MediaServer { name: server.into(), up: true });
        }
        // No other domain has anything to tell any more: else there would be no end.
        world.event_polls.clear();
        world.apply(Input::Told { volume: "v2".into(), events: None });
        world.apply(Input::Configure(Box::new(Config { import_units: Vec::new(), ..first })));
        for _ in 0..1000 {
            for name in std::mem::take(&mut world.polls) {
                let polled = Polled { volume: name, server_up: true, lsu_up: true, space: Some((1 << 40, 0)) };
                world.apply(Input::Polled(polled));
            }
            for id in world.running.keys().copied().collect::<Vec<_>>() {
                world.end(id, 0);
            }
            let held: Vec<u64> =
                world.core.jobs().filter(|job| job.state == JobState::Suspended).map(|job| job.id).collect();
            for id in held {
                world.apply(Input::Order(id, JobOrder::Resume));
            }
            check(&world);
            world.lifecycle.check(&world.core);
            if !world.step() && world.running.is_empty() && world.polls.is_empty() {
                break;
            }
        }
        let open: Vec<&Job> = world.core.jobs().filter(|job| !job.is_done()).collect();
        prop_assert!(open.is_empty(), "{open:?}");
        lifecycle::check_all_done(&world.core);
    }
}
