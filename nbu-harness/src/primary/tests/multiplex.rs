//! Which backups become one multiplexed backup.

use super::*;
use crate::nbu::MultiplexGroup;
use crate::nbu::order::JobRequest;

/// Groups that an input formed are whole, of one place and one schedule, and not larger than that allows.
pub(super) fn check(core: &Core, effects: &[Effect]) {
    let mut groups: BTreeMap<u64, Vec<(u64, u32)>> = BTreeMap::new();
    for effect in effects {
        let Effect::Start { job, request, .. } = effect else { continue };
        let JobRequest::Backup(backup) = &**request else { continue };
        if let Some(group) = backup.multiplexed {
            groups.entry(group.number).or_default().push((*job, group.images));
        }
    }
    for members in groups.values() {
        assert!(members.len() > 1, "{members:?}");
        let at = |id: u64| {
            let job = core.job(id).unwrap();
            let (asked, run) = (job.submission.as_ref().unwrap(), job.active_try().unwrap());
            (asked.policy.clone(), asked.multiplexing as usize, run.volume.clone(), run.media_server.clone())
        };
        let first = at(members[0].0);
        assert!(members.len() <= first.1, "{members:?}");
        for (id, images) in members {
            assert_eq!(*images as usize, members.len());
            assert_eq!(at(*id), first);
        }
    }
}

/// A policy whose schedule multiplexes, with a stream for each client.
fn multiplexed(limit: u32, clients: u32) -> Policy {
    let mut policy = policy("a", "stu1", clients as usize);
    for schedule in &mut policy.schedules {
        schedule.media_multiplexing = limit;
    }
    for (stream, number) in policy.streams.iter_mut().zip(1..) {
        (stream.client, stream.number) = (format!("client{number}"), 1);
    }
    policy
}

/// What is started by an input: the group of each backup.
fn groups(core: &mut Core, input: Input) -> Vec<Option<MultiplexGroup>> {
    let of = |effect| match effect {
        Effect::Start { request, .. } => match *request {
            JobRequest::Backup(backup) => Some(backup.multiplexed),
            _ => None,
        },
        _ => None,
    };
    core.apply(input).into_iter().filter_map(of).collect()
}

fn wide() -> Config {
    let mut config = config();
    config.units[0].media_servers = vec!["ms1".into()];
    config.units[0].max_concurrent_jobs = 5;
    config
}

fn asked(policy: &Policy) -> Input {
    Input::Submit(submissions(policy, None, &policy.schedules[0], 2, None))
}

#[test]
fn groups_are_as_large_as_the_schedule_allows_and_one_backup_is_none() {
    let mut core = Core::new(wide());
    let started = groups(&mut core, asked(&multiplexed(2, 6)));
    let group = |number| Some(MultiplexGroup { number, images: 2 });
    // Five of six run: the last one of them is alone.
    assert_eq!(started, [group(1), group(1), group(2), group(2), None]);
    let ended =
        Ended { status: 0, kbytes: 1, files: 1, checkpoint: false, reported: true, processed: Vec::new() };
    assert_eq!(groups(&mut core, Input::Ended(1, ended)), [None], "nobody to be together with");
}

#[test]
fn backups_on_several_media_servers_or_of_a_schedule_without_are_apart() {
    let mut config = wide();
    assert_eq!(groups(&mut Core::new(config.clone()), asked(&multiplexed(1, 2))), [None, None]);
    config.units[0].media_servers = vec!["ms1".into(), "ms2".into()];
    assert_eq!(groups(&mut Core::new(config), asked(&multiplexed(4, 2))), [None, None]);
}

#[test]
fn clients_have_backups_of_one_second_and_no_common_parent() {
    let mut core = Core::new(wide());
    let mut policy = multiplexed(1, 3);
    // The third stream is another one of the second client.
    (policy.streams[2].client, policy.streams[2].number) = ("client2".into(), 2);
    core.apply(asked(&policy));
    let jobs: Vec<(u64, Option<u64>, &str)> =
        core.jobs().map(|job| (job.id, job.parent, job.backup_id.as_str())).collect();
    let (at, later) = (START, START + 2);
    assert_eq!(
        jobs,
        [
            (1, None, &*format!("client1_{at}")),
            (2, None, ""),
            (3, Some(2), &*format!("client2_{at}")),
            (4, Some(2), &*format!("client2_{later}")),
        ]
    );
}

#[test]
fn each_client_has_its_own_schedule() {
    let mut config = wide();
    config.policies = vec![multiplexed(4, 2)];
    let mut world = World::new(config);
    // The first night: both are due, and the second one fails both of its tries.
    assert!(world.step());
    assert_eq!(world.running.len(), 2);
    let (good, bad) = (1, 2);
    world.end(good, 0);
    world.end(bad, 84);
    while world.running.is_empty() {
        assert!(world.step());
    }
    world.end(bad, 84);
    assert_eq!(world.state(bad), JobState::Done);
    // The next night: the tries of the second one are counted anew, and a full backup is due for it still.
    while world.running.is_empty() {
        assert!(world.step());
    }
    let again: Vec<(&str, &str)> = world
        .running
        .keys()
        .filter_map(|id| world.core.job(*id)?.submission.as_ref())
        .map(|asked| (asked.client.as_str(), asked.schedule.as_str()))
        .collect();
    assert_eq!(world.core.now(), START + DAY + 4 * HOUR);
    assert_eq!(again, [("client1", "diff"), ("client2", "full")]);
}
