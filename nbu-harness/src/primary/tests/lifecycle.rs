//! nbstserv and nbjm together: images get the copies that their policy asks for, each once.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::emm::{LifecyclePolicy, Operation, UseFor};
use crate::nbu::order::JobRequest;
use crate::nbu::{ExpireRequest, JobKind, StorageUnit};
use crate::primary::job::Submission;
use crate::primary::nbstserv::{LifecycleState, ToldEvent};

const MINUTE: u64 = 60;

fn operation(use_for: UseFor, storage: &str, source: Option<usize>) -> Operation {
    Operation { use_for, storage: storage.into(), source, retention_seconds: None }
}

/// A backup to stu2, a duplicate of it on stu1, and a replication of that.
pub(super) fn gold() -> LifecyclePolicy {
    let operations = vec![
        operation(UseFor::Backup, "stu2", None),
        operation(UseFor::Duplication, "stu1", Some(0)),
        operation(UseFor::Replication, "", Some(1)),
    ];
    LifecyclePolicy { name: "gold".into(), version: 0, operations }
}

pub(super) fn expiry(backup_id: &str, storage: &str) -> Submission {
    let request = JobRequest::Expire(ExpireRequest {
        job_id: 0,
        backup_id: backup_id.into(),
        copy: None,
        storage_unit: StorageUnit::new("", "", "", ""),
        leftovers_of: None,
    });
    Submission {
        policy: "x".into(),
        client: "x".into(),
        ..Submission::new(request, storage.into(), backup_id.into())
    }
}

/// An import from stu2, and a duplicate of it on stu1.
pub(super) fn silver() -> LifecyclePolicy {
    let operations =
        vec![operation(UseFor::Import, "stu2", None), operation(UseFor::Duplication, "stu1", Some(0))];
    LifecyclePolicy { name: "silver".into(), version: 0, operations }
}

/// What a world knows of images and their copies, by itself.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Operations that are done, by image.
    done: BTreeMap<String, BTreeSet<u32>>,
    /// Operations that a job is at.
    running: BTreeSet<(String, u32)>,
    /// Images that a backup made under a policy, or that were imported, and that were not expired, with how many
    /// operations are to follow.
    images: BTreeMap<String, usize>,
    /// Events that were imported, and those that a job is at.
    imported: BTreeSet<u64>,
    importing: BTreeSet<u64>,
}

impl Copies {
    pub(super) fn started(&mut self, core: &Core, request: &JobRequest) {
        match request {
            JobRequest::Lifecycle(request) => {
                for id in &request.backup_ids {
                    let done = self.done.get(id);
                    assert!(done.is_none_or(|done| !done.contains(&request.operation)), "{id} has it");
                    let source =
                        request.source == 1 || done.is_some_and(|done| done.contains(&request.source));
                    assert!(source, "{id} has nothing to copy from");
                    let new = self.running.insert((id.clone(), request.operation));
                    assert!(new, "two jobs make operation {} of {id}", request.operation);
                }
                let mut images = core.lifecycle_images().images;
                images.retain(|image| request.backup_ids.contains(&image.backup_id));
                let kbytes: u64 = images.iter().map(|image| image.kbytes).sum();
                let limit = core.config().lifecycle.max_batch_kbytes;
                assert!(kbytes <= limit || images.len() == 1, "{kbytes} KiB: {request:?}");
            }
            JobRequest::ImportReplicas(request) => {
                for number in request.events.iter().flatten() {
                    assert!(!self.imported.contains(number), "event {number} is imported twice");
                    assert!(self.importing.insert(*number), "two jobs import event {number}");
                }
            }
            JobRequest::Expire(request) => {
                let Some(wanted) = self.images.get(&request.backup_id) else { return };
                let done = self.done.get(&request.backup_id).map_or(0, BTreeSet::len);
                assert_eq!(done, *wanted, "{} is expired before its time", request.backup_id);
            }
            _ => {}
        }
    }

    pub(super) fn ended(&mut self, core: &Core, job: &Job, ended: &Ended) {
        let Some(asked) = &job.submission else { return };
        match &asked.request {
            JobRequest::Lifecycle(request) => {
                for id in &request.backup_ids {
                    self.running.remove(&(id.clone(), request.operation));
                }
                for id in &ended.processed {
                    let new = self.done.entry(id.clone()).or_default().insert(request.operation);
                    assert!(new, "{id} got a copy twice");
                }
            }
            JobRequest::ImportReplicas(request) => {
                for number in request.events.iter().flatten() {
                    self.importing.remove(number);
                    if ended.status == 0 {
                        self.imported.insert(*number);
                    }
                }
                for id in &ended.processed {
                    self.images.entry(id.clone()).or_insert(1);
                }
            }
            JobRequest::Backup(_) if ended.status <= 1 && asked.storage == "gold" => {
                let policy = core.config().lifecycle_policy("gold").unwrap();
                self.images.insert(job.backup_id.clone(), policy.operations.len() - 1);
            }
            JobRequest::Expire(request) if ended.status == 0 => {
                self.images.remove(&request.backup_id);
                self.done.remove(&request.backup_id);
            }
            _ => {}
        }
    }

    /// The primary was killed: no job runs any more.
    pub(super) fn lost(&mut self) {
        self.running.clear();
        self.importing.clear();
    }

    /// Every image is known, and complete exactly when all its operations were done.
    pub(super) fn check(&self, core: &Core) {
        let images = core.lifecycle_images().images;
        let known: BTreeSet<String> = images.iter().map(|image| image.backup_id.clone()).collect();
        assert_eq!(known, self.images.keys().cloned().collect());
        for image in images {
            let done = self.done.get(&image.backup_id).cloned().unwrap_or_default();
            let all = done.len() == self.images[&image.backup_id];
            assert_eq!(image.state() == LifecycleState::Complete, all, "{image:?}, done {done:?}");
        }
    }
}

/// The images that a job of a status was successful with.
pub(super) fn processed(job: &Job, status: i32) -> Vec<String> {
    let about: Vec<String> = match job.submission.as_ref().map(|asked| &asked.request) {
        Some(JobRequest::Lifecycle(request)) => request.backup_ids.clone(),
        Some(JobRequest::ImportReplicas(request)) => {
            request.events.iter().flatten().map(|number| format!("imported_{number}")).collect()
        }
        // Here every copy is the last one.
        Some(JobRequest::Expire(request)) => vec![request.backup_id.clone()],
        _ => Vec::new(),
    };
    let count = match status {
        0 => about.len(),
        1 => about.len().min(1),
        _ => 0,
    };
    about[..count].to_vec()
}

/// Nothing is left to be done.
pub(super) fn check_all_done(core: &Core) {
    let images = core.lifecycle_images().images;
    let open = images.iter().find(|image| image.state() != LifecycleState::Complete);
    assert!(open.is_none(), "{open:?}");
}

fn with(policies: Vec<LifecyclePolicy>) -> World {
    let mut config = config();
    config.lifecycle_policies = policies;
    World::new(config)
}

fn minutes(world: &World) -> u64 {
    (world.core.now() - START) / MINUTE
}

/// Ids of the jobs of nbstserv, with the minute that each was submitted in.
fn jobs_of_nbstserv(world: &World) -> Vec<(u64, u64)> {
    let of_nbstserv =
        |job: &&Job| job.submission.as_ref().is_some_and(|asked| asked.request.is_of_lifecycle());
    world.core.jobs().filter(of_nbstserv).map(|job| (job.id, (job.submitted - START) / MINUTE)).collect()
}

#[test]
fn images_are_copied_together_when_nbstserv_looks_and_complete_when_all_is_done() {
    let mut world = with(vec![gold()]);
    let ids = world.submit(&policy("a", "gold", 2), 1);
    for id in &ids {
        assert_eq!(world.core.job(*id).unwrap().tries[0].unit, "stu2");
        world.end(*id, 0);
    }
    let states = |world: &World| -> Vec<LifecycleState> {
        world.core.lifecycle_images().images.iter().map(crate::primary::LifecycleImage::state).collect()
    };
    assert_eq!(states(&world), [LifecycleState::NotStarted; 2]);
    assert!(world.step());
    let [(copy, 5)] = jobs_of_nbstserv(&world)[..] else { panic!("{:?}", jobs_of_nbstserv(&world)) };
    let job = world.core.job(copy).unwrap();
    assert_eq!(
        (job.kind, job.policy(), job.tries[0].unit.as_str()),
        (JobKind::Duplicate, "SLP_gold", "stu1")
    );
    // One of the two fails: it alone is tried again, beside the replication of the other.
    world.end(copy, 1);
    assert_eq!(states(&world), [LifecycleState::InProcess; 2]);
    assert!(world.step());
    assert_eq!(minutes(&world), 10);
    let second: Vec<u64> = world.running.keys().copied().collect();
    assert_eq!(second.len(), 2);
    for id in second {
        world.end(id, 0);
    }
    assert!(world.step());
    let last: Vec<u64> = world.running.keys().copied().collect();
    assert_eq!(
        last.iter().map(|id| world.core.job(*id).unwrap().kind).collect::<Vec<_>>(),
        [JobKind::Replication]
    );
    world.end(last[0], 0);
    assert_eq!(states(&world), [LifecycleState::Complete; 2]);
    assert!(!world.step(), "nothing is left to wait for");
}

#[test]
fn a_copy_is_tried_three_times_fast_and_then_seldom() {
    let mut world = with(vec![gold()]);
    let id = world.submit(&policy("a", "gold", 1), 1)[0];
    world.end(id, 0);
    let mut tries = Vec::new();
    for _ in 0..5 {
        assert!(world.step());
        tries.push(minutes(&world));
        let job = *world.running.keys().next().unwrap();
        world.end(job, 191);
    }
    assert_eq!(tries, [5, 10, 15, 135, 255]);
}

#[test]
fn an_image_is_not_expired_before_its_policy_is_complete() {
    let mut world = with(vec![LifecyclePolicy { operations: gold().operations[..2].to_vec(), ..gold() }]);
    let id = world.submit(&policy("a", "gold", 1), 1)[0];
    let backup_id = world.core.job(id).unwrap().backup_id.clone();
    world.end(id, 0);
    world.apply(Input::Submit(vec![expiry(&backup_id, "stu2")]));
    let refused = world.core.jobs().last().unwrap().clone();
    assert_eq!((refused.state, refused.status), (JobState::Done, Some(1573)));
    assert!(world.step());
    let copy = *world.running.keys().next().unwrap();
    world.end(copy, 0);
    world.apply(Input::Submit(vec![expiry(&backup_id, "stu2")]));
    let expiring = *world.running.keys().next().unwrap();
    world.end(expiring, 0);
    assert_eq!(world.status(expiring), Some(0));
    assert!(world.core.lifecycle_images().images.is_empty());
}

#[test]
fn an_operator_restarts_no_job_of_nbstserv_and_a_cancelled_one_comes_again() {
    let mut world = with(vec![gold()]);
    let id = world.submit(&policy("a", "gold", 1), 1)[0];
    world.end(id, 0);
    assert!(world.step());
    let (job, _) = jobs_of_nbstserv(&world)[0];
    world.apply(Input::Order(job, JobOrder::Cancel));
    world.end(job, 150);
    world.apply(Input::Order(job, JobOrder::Restart));
    assert_eq!(jobs_of_nbstserv(&world), [(job, 5)]);
    assert!(world.step());
    assert_eq!(jobs_of_nbstserv(&world), [(job, 5), (job + 1, 10)]);
}

#[test]
fn what_a_job_has_that_waits_no_other_job_gets() {
    let mut world = target(vec![gold(), silver()]);
    let ids = world.submit(&policy("a", "gold", 2), 1);
    world.end(ids[0], 0);
    world.end(ids[1], 0);
    assert!(world.step());
    let (copy, _) = jobs_of_nbstserv(&world)[0];
    world.end(copy, 157);
    told(&mut world, &[(1, "silver")]);
    let [_, (import, 5)] = jobs_of_nbstserv(&world)[..] else { panic!("{:?}", jobs_of_nbstserv(&world)) };
    world.end(import, 157);
    assert_eq!((world.state(copy), world.state(import)), (JobState::Suspended, JobState::Suspended));
    for _ in 0..30 {
        assert!(world.step());
        told(&mut world, &[(1, "silver")]);
    }
    assert_eq!(jobs_of_nbstserv(&world), [(copy, 5), (import, 5)]);
    for id in [copy, import] {
        world.apply(Input::Order(id, JobOrder::Resume));
        world.end(id, 0);
    }
    assert!(world.step());
    told(&mut world, &[]);
    let kinds: Vec<JobKind> = world.running.keys().map(|id| world.core.job(*id).unwrap().kind).collect();
    assert_eq!(kinds, [JobKind::Replication, JobKind::Duplicate], "what follows from each");
}

/// A target domain that stu2's LSU is replicated to.
fn target(policies: Vec<LifecyclePolicy>) -> World {
    let mut config = config();
    config.lifecycle_policies = policies;
    config.import_units = vec!["stu2".into()];
    World::new(config)
}

fn told(world: &mut World, events: &[(u64, &str)]) {
    assert!(world.event_polls.remove("v2"), "v2 was not asked");
    let events = events.iter().map(|(number, slp)| ToldEvent { number: *number, slp: (*slp).to_owned() });
    world.apply(Input::Told { volume: "v2".into(), events: Some(events.collect()) });
}

#[test]
fn events_are_imported_by_policy_once_and_what_they_brought_is_copied_on() {
    let mut imports = LifecyclePolicy { name: "gold".into(), ..silver() };
    imports.operations[0].retention_seconds = Some(60);
    let mut world = target(vec![imports]);
    assert!(world.step());
    assert_eq!(minutes(&world), 5);
    assert!(world.core.is_active(), "the clock stands still while nbrmms asks");
    told(&mut world, &[(1, "gold"), (2, "gold")]);
    let [(import, 5)] = jobs_of_nbstserv(&world)[..] else { panic!("{:?}", jobs_of_nbstserv(&world)) };
    assert_eq!(world.core.job(import).unwrap().kind, JobKind::ReplicationImport);
    let asked = world.core.job(import).unwrap().submission.clone().unwrap().request;
    let JobRequest::ImportReplicas(asked) = asked else { panic!("job {import} is no import") };
    assert_eq!(asked.retention_seconds, Some(60));
    let processed = vec!["c_1".to_owned(), "c_2".to_owned()];
    let ended = Ended { status: 0, kbytes: 2, files: 2, checkpoint: false, reported: true, processed };
    world.apply(Input::Ended(import, ended));
    assert!(world.step());
    // The storage tells of them once more: they are known.
    told(&mut world, &[(1, "gold"), (2, "gold")]);
    let [_, (copy, 10)] = jobs_of_nbstserv(&world)[..] else { panic!("{:?}", jobs_of_nbstserv(&world)) };
    let Some(JobRequest::Lifecycle(request)) =
        &world.core.job(copy).unwrap().submission.as_ref().map(|s| &s.request)
    else {
        panic!("job {copy} is no copy");
    };
    assert_eq!(request.backup_ids, ["c_1", "c_2"]);
}

#[test]
fn an_import_without_its_policy_ends_with_1532_or_1534_and_is_tried_again() {
    let backs_up = LifecyclePolicy { operations: gold().operations[..1].to_vec(), ..gold() };
    let mut world = target(vec![backs_up]);
    let mut statuses: BTreeMap<u64, Vec<Option<i32>>> = BTreeMap::new();
    for _ in 0..28 {
        assert!(world.step());
        let before = jobs_of_nbstserv(&world).len();
        told(&mut world, &[(1, "silver"), (2, "gold")]);
        for (job, _) in jobs_of_nbstserv(&world).split_off(before) {
            statuses.entry(minutes(&world)).or_default().push(world.status(job));
        }
    }
    // By name: gold has no import operation, silver is not there.
    let each = vec![Some(1534), Some(1532)];
    assert_eq!(statuses, [5, 10, 15, 135].map(|minute| (minute, each.clone())).into());
    let answer = Input::Told { volume: "v2".into(), events: None };
    assert!(world.step());
    world.event_polls.clear();
    world.apply(answer);
    assert!(world.step(), "a volume that did not answer is asked again");
}
