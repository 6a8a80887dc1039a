//! What bprd hands on: restores that are active before they have resources, and requests that come to nothing.

use super::*;
use crate::nbu::order::JobRequest;
use crate::nbu::{CheckpointEvery, JobKind, RestoreRequest, Selection, StorageUnit};
use crate::primary::bprd::receive;
use crate::primary::event::Received;
use crate::primary::job::Submission;

pub(super) fn restore(storage: &str, refused: bool) -> Received {
    let request = JobRequest::Restore(RestoreRequest {
        job_id: 0,
        backup_id: "c_1".into(),
        copy: None,
        storage_unit: StorageUnit::new("", "", "", ""),
        destination: "/r".into(),
        selection: Selection::All,
        checkpoint: CheckpointEvery::RESTORE,
        suspend_after: None,
        resume: false,
    });
    let submission = Submission {
        policy: "a".into(),
        client: "c".into(),
        ..Submission::new(request, storage.into(), "c_1".into())
    };
    let refused = refused.then(|| (227, "no image c_1".to_owned()));
    Received { submission, said: vec!["Info bprd (pid=1) restore of c_1".into()], refused }
}

#[test]
fn a_restore_is_active_before_it_has_resources_and_takes_none() {
    let mut limited = config();
    limited.units[0].max_concurrent_jobs = 1;
    let mut world = World::new(limited);
    world.apply(Input::Asked(vec![restore("stu1", false), restore("stu1", false)]));
    let (first, second) = (1, 2);
    assert_eq!(world.running.len(), 1);
    let job = world.core.job(second).unwrap();
    assert_eq!((job.kind, job.state, job.tries.len()), (JobKind::Restore, JobState::Active, 0));
    assert!(world.reason(second).contains("limit of 1 jobs"), "{}", world.reason(second));
    assert_eq!(job.details, ["Info bprd (pid=1) restore of c_1"]);
    // The clock may go on: nothing moves data for it.
    world.end(first, 0);
    assert_eq!(world.running.keys().copied().collect::<Vec<_>>(), [second]);
    world.end(second, 0);
    assert!(world.core.jobs().all(Job::is_done));
}

#[test]
fn a_restore_without_resources_is_cancelled_and_suspended_at_once_and_resumed() {
    let mut limited = config();
    limited.units[0].max_concurrent_jobs = 1;
    let mut world = World::new(limited);
    world.apply(Input::Asked(vec![restore("stu1", false), restore("stu1", false), restore("stu1", false)]));
    world.apply(Input::Order(2, JobOrder::Cancel));
    world.apply(Input::Order(3, JobOrder::Suspend));
    assert!(world.stopping.is_empty(), "there is nobody to stop");
    assert_eq!((world.state(2), world.core.job(2).unwrap().status), (JobState::Done, Some(150)));
    assert_eq!(world.state(3), JobState::Suspended);
    world.end(1, 0);
    assert!(world.running.is_empty(), "a suspended one gets nothing");
    world.apply(Input::Order(3, JobOrder::Resume));
    assert_eq!(world.running.keys().copied().collect::<Vec<_>>(), [3]);
}

#[test]
fn what_bprd_refuses_is_a_job_that_is_done() {
    let mut world = World::new(config());
    world.apply(Input::Asked(vec![restore("stu1", true), restore("stu1", false)]));
    let job = world.core.job(1).unwrap();
    assert_eq!((job.state, job.status, job.tries.len()), (JobState::Done, Some(227), 1));
    assert_eq!(job.reason.as_deref(), Some("no image c_1"));
    assert_eq!(world.running.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn bprd_looks_into_policies_and_catalogue_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut known = config();
    known.policies = vec![policy("a", "stu1", 1)];
    let mut asked = submissions(&policy("a", "stu1", 1), None, &policy("a", "stu1", 1).schedules[0], 1, None);
    asked.extend(submissions(&policy("b", "stu1", 1), None, &policy("b", "stu1", 1).schedules[0], 1, None));
    let mut other_client = asked[0].clone();
    if let JobRequest::Backup(request) = &mut other_client.request {
        request.client = "other".into();
    }
    asked.push(other_client);
    asked.push(restore("stu1", false).submission);
    let statuses: Vec<Option<i32>> = receive(&known, dir.path(), asked)
        .into_iter()
        .map(|received| received.refused.map(|(status, _)| status))
        .collect();
    assert_eq!(statuses, [None, Some(230), Some(239), Some(227)]);
}
