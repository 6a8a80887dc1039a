//! The jobs database follows the table of jobs, step by step or far behind.

use super::*;
use crate::jobs_db::{JobState as Known, JobType, JobsDb, Operation, ScheduleType as Kind, Subtype};
use crate::nbu::JobEvent;
use crate::primary::bpjobd::Bpjobd;

/// What the primary does after every input.
pub(super) fn tell_changed(bpjobd: &Bpjobd, world: &mut World) {
    for id in std::mem::take(&mut world.changed) {
        tell(bpjobd, world, id);
    }
}

/// What it does when it is started again.
pub(super) fn tell_all(bpjobd: &Bpjobd, world: &World) {
    for job in world.core.jobs() {
        tell(bpjobd, world, job.id);
    }
}

fn tell(bpjobd: &Bpjobd, world: &World, id: u64) {
    let job = world.core.job(id).unwrap();
    bpjobd.keep(job, world.core.now(), world.core.kbytes_last(job)).unwrap();
}

pub(super) fn says_the_same(bpjobd: &Bpjobd, world: &World) {
    let known = bpjobd.jobs().unwrap();
    assert_eq!(known.len(), world.core.jobs().count());
    for (known, job) in known.iter().zip(world.core.jobs()) {
        assert_eq!((known.id, known.state, known.submitted), (job.id, job.state, job.submitted));
        assert_eq!((known.ended, known.request.parent), (job.ended, job.parent), "{known:?}");
        assert_eq!(known.request.backup_id, job.backup_id);
        assert!(known.state != Known::Done || known.status == job.status, "{known:?} {job:?}");
        let tries = known
            .tries
            .iter()
            .map(|one| (one.started, one.ended, one.status, one.storage_unit.as_str(), one.server.as_str()));
        let table = job
            .tries
            .iter()
            .map(|one| (one.started, one.ended, one.status, one.unit.as_str(), one.media_server.as_str()));
        assert!(tries.eq(table), "{known:?}\n{job:?}");
    }
}

#[test]
fn a_job_is_found_in_the_jobs_database_as_it_went() {
    let home = tempfile::tempdir().unwrap();
    let bpjobd = Bpjobd::open(home.path()).unwrap();
    let mut world = World::new(config());
    let mut kept = policy("a", "stu1", 1);
    kept.schedules[0].retention = Some(14 * DAY);
    let id = world.submit(&kept, 2)[0];
    tell_changed(&bpjobd, &mut world);
    let started = JobEvent::ProcessStarted { name: "bpbrm".into(), pid: 4711 };
    let other = JobEvent::ProcessStarted { name: "bptm".into(), pid: 4712 };
    let moved = JobEvent::Progress { bytes: 512 << 10, files: 0, total_bytes: Some(1 << 20) };
    let operation = || JobsDb::open(home.path()).unwrap().job(id).unwrap().unwrap().operation;
    assert_eq!(operation(), Some(Operation::Connect));
    let writes = JobEvent::Operation(Operation::Write);
    for event in [started, other, writes, JobEvent::Log("begin writing".into()), moved] {
        bpjobd.event(id, world.core.now(), &event).unwrap();
    }
    // The table of jobs knows the first operation only, and takes nothing back.
    tell_all(&bpjobd, &world);
    // Another process looks, as bpdbjobs does.
    let seen = JobsDb::open(home.path()).unwrap().job(id).unwrap().unwrap();
    assert_eq!((seen.state, seen.operation), (Known::Active, Some(Operation::Write)));
    assert_eq!((seen.progress().kbytes, seen.progress().percent), (512, Some(50)));
    assert_eq!(seen.last_try().map(|last| (last.pid, last.server.as_str())), Some((4711, "ms1")));
    assert_eq!((seen.request.job_type, seen.request.subtype), (JobType::Backup, Subtype::Immediate));
    assert_eq!((seen.request.schedule.as_str(), seen.request.schedule_type), ("full", Kind::Full));
    assert_eq!((seen.request.retention_level, seen.request.retention_seconds), (1, 14 * DAY));
    assert!(seen.request.controls.killable && !seen.request.controls.restartable);

    world.end(id, 84);
    tell_changed(&bpjobd, &mut world);
    let seen = JobsDb::open(home.path()).unwrap().job(id).unwrap().unwrap();
    assert_eq!((seen.state, seen.status, seen.operation), (Known::Requeued, Some(84), None));
    assert_eq!(seen.tries[0].lines, ["begin writing"]);
    assert_eq!((seen.tries[0].progress.kbytes, seen.tries[0].progress.percent), (1024, Some(50)));
    assert!(world.step());
    world.end(id, 0);
    tell_changed(&bpjobd, &mut world);
    // Nothing that comes too late changes a job that is done, or is an error.
    bpjobd.event(id, world.core.now(), &JobEvent::Log("too late".into())).unwrap();
    bpjobd.event(id, world.core.now(), &JobEvent::Operation(Operation::Catalog)).unwrap();
    let seen = JobsDb::open(home.path()).unwrap().job(id).unwrap().unwrap();
    assert_eq!((seen.state, seen.status, seen.operation), (Known::Done, Some(0), None));
    assert_eq!(seen.tries.iter().map(|one| one.status).collect::<Vec<_>>(), [Some(84), Some(0)]);
    assert!(seen.request.controls.restartable && !seen.request.controls.killable);
    says_the_same(&bpjobd, &world);
}

#[test]
fn why_a_job_waits_is_among_its_details_once() {
    let home = tempfile::tempdir().unwrap();
    let bpjobd = Bpjobd::open(home.path()).unwrap();
    let mut limited = config();
    limited.units[0].max_concurrent_jobs = 1;
    let mut world = World::new(limited);
    let ids = world.submit(&policy("a", "stu1", 2), 1);
    tell_all(&bpjobd, &world);
    tell_all(&bpjobd, &world);
    let lines = bpjobd.jobs().unwrap().pop().unwrap().early_lines;
    assert_eq!(lines, [world.reason(ids[1])]);
}
