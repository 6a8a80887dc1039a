//! The jobs database against a plain model, cut at every byte, and used from many threads.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

fn journal(home: &Path) -> PathBuf {
    home.join("db/jobs/jobs.journal")
}

fn new_job(policy: &str) -> NewJob {
    NewJob { policy: policy.into(), client: "client1".into(), ..NewJob::default() }
}

fn state(job: u64, at: u64, state: JobState) -> JobUpdate {
    JobUpdate { job, at, change: Change::State(state) }
}

fn done(job: u64, at: u64, status: i32) -> JobUpdate {
    JobUpdate { job, at, change: Change::Done { status, text: "as tested".into() } }
}

#[test]
fn a_job_is_what_its_changes_made_it() {
    let home = tempfile::tempdir().unwrap();
    let db = JobsDb::open(home.path()).unwrap();
    let id = db.submit(100, new_job("p1")).unwrap();
    let change = |at, change| db.append(JobUpdate { job: id, at, change }).unwrap();
    change(101, Change::Detail("requesting resource stu1".into()));
    let granted = |pid| Change::TryStarted { pid, storage_unit: "stu1".into(), server: "ms1".into() };
    change(110, granted(7));
    change(111, Change::Fields(Box::new(Fields { operation: Some(Operation::Write), ..Fields::default() })));
    change(112, Change::Progress(Progress { kbytes: 5, files: 2, ..Progress::default() }));
    change(120, Change::TryEnded { status: 84, text: "media write error".into() });
    change(121, Change::State(JobState::Requeued));
    change(122, Change::Progress(Progress { kbytes: 999, ..Progress::default() }));
    change(720, granted(8));
    change(730, Change::Detail("started process bptm".into()));
    change(740, Change::Done { status: 0, text: "well".into() });

    let job = JobsDb::open(home.path()).unwrap().job(id).unwrap().unwrap();
    assert_eq!((job.state, job.status, job.elapsed()), (JobState::Done, Some(0), 640));
    assert_eq!(job.operation, None, "a job that is done does nothing");
    let facts: Vec<_> =
        job.tries.iter().map(|t| (t.pid, t.status, t.started, t.ended, t.lines.len())).collect();
    assert_eq!(facts, [(7, Some(84), 110, Some(120), 1), (8, Some(0), 720, Some(740), 1)]);
    assert_eq!(job.tries[0].progress.kbytes, 5, "figures that come after the end of a try are not its own");
    assert_eq!(job.details().collect::<Vec<_>>(), ["requesting resource stu1", "started process bptm"]);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let db = JobsDb::open(home.path()).unwrap();
    let id = db.submit(1, new_job("p1")).unwrap();
    db.append(done(id, 2, 0)).unwrap();
    let before = fs::read(journal(home.path())).unwrap();
    let error = db.append(state(id, 3, JobState::Active)).unwrap_err();
    assert!(matches!(error, JobsDbError::JobDone(1)), "{error}");
    let error = db.append(state(99, 3, JobState::Active)).unwrap_err();
    assert!(matches!(error, JobsDbError::NoSuchJob(99)), "{error}");
    assert_eq!(fs::read(journal(home.path())).unwrap(), before);
}

#[test]
fn cut_at_any_byte_it_has_the_whole_records_before_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let db = JobsDb::open(home.path()).unwrap().unsynced();
    // How long the journal was after each record, and what it held then.
    let mut states = vec![(0, Vec::new())];
    let mut note = |db: &JobsDb| {
        let length = fs::metadata(journal(home.path())).unwrap().len();
        states.push((length, db.jobs().unwrap()));
    };
    for round in 1..=2 {
        let id = db.submit(round * 10, new_job("p1")).unwrap();
        note(&db);
        db.append(state(id, round * 10 + 1, JobState::Active)).unwrap();
        note(&db);
        db.append(done(id, round * 10 + 2, 1)).unwrap();
        note(&db);
    }
    let whole = fs::read(journal(home.path())).unwrap();
    for cut in 0..=whole.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join("db/jobs")).unwrap();
        fs::write(journal(copy.path()), &whole[..cut]).unwrap();
        let db = JobsDb::open(copy.path()).unwrap().unsynced();
        let expected = &states.iter().rev().find(|(length, _)| *length <= cut as u64).unwrap().1;
        assert_eq!(&db.jobs().unwrap(), expected, "cut at byte {cut}");
        let id = db.submit(99, new_job("after")).unwrap();
        assert!(expected.iter().all(|job| job.id < id), "cut at byte {cut}: id {id} is used again");
        let again = JobsDb::open(copy.path()).unwrap().jobs().unwrap();
        assert_eq!(again.len(), expected.len() + 1, "cut at byte {cut}: the torn end is still there");
    }
}

#[test]
fn damage_before_the_end_is_refused_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let db = JobsDb::open(home.path()).unwrap();
    for policy in ["p1", "p2"] {
        db.submit(1, new_job(policy)).unwrap();
    }
    let mut bytes = fs::read(journal(home.path())).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 30] ^= 1;
    fs::write(journal(home.path()), &bytes).unwrap();
    let error = JobsDb::open(home.path()).unwrap_err();
    assert!(matches!(error, JobsDbError::Damaged { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn handles_of_many_threads_see_each_other_and_never_the_same_id() {
    let home = tempfile::tempdir().unwrap();
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    // A handle of its own locks against the others as another process does.
                    let db = JobsDb::open(home.path()).unwrap().unsynced();
                    let submit = |n| {
                        let id = db.submit(n, new_job("p1")).unwrap();
                        db.append(done(id, n + 1, 0)).unwrap();
                        id
                    };
                    (0..25).map(submit).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 100);
    let jobs = JobsDb::open(home.path()).unwrap().jobs().unwrap();
    assert_eq!(jobs.len(), 100);
    assert!(jobs.iter().all(|job| job.state == JobState::Done));
}

/// Environment variable of the test below when it runs itself as the process that is killed: the home.
const VICTIM: &str = "NBU_HARNESS_JOBS_VICTIM";

#[test]
fn what_a_killed_process_was_told_is_there_and_the_next_one_goes_on() {
    if let Ok(home) = std::env::var(VICTIM) {
        let db = JobsDb::open(Path::new(&home)).unwrap().unsynced();
        loop {
            let id = db.submit(1, new_job("p1")).unwrap();
            db.append(done(id, 2, 0)).unwrap();
            println!("job {id}");
        }
    }
    let home = tempfile::tempdir().unwrap();
    let mut told = BTreeSet::new();
    for round in 0..8 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["jobs_db::tests::what_a_killed_process_was_told_is_there_and_the_next_one_goes_on"])
            .args(["--exact", "--nocapture"])
            .env(VICTIM, home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut ids =
            lines.filter_map(|line| line.unwrap().strip_prefix("job ").map(|id| id.parse::<u64>().unwrap()));
        let before = told.len();
        told.extend(ids.by_ref().take(round + 1));
        assert_eq!(told.len(), before + round + 1, "it ended by itself, or an id is used again");
        victim.kill().unwrap();
        assert_eq!(victim.wait().unwrap().signal(), Some(9));
        // It was told of more while it was killed, in what is left of its output.
        told.extend(ids);
        let jobs = JobsDb::open(home.path()).unwrap().jobs().unwrap();
        let count = jobs.len() as u64;
        assert!(jobs.iter().map(|job| job.id).eq(1..=count), "an id is missing or there twice");
        let done: BTreeSet<_> = jobs.iter().filter(|job| job.status == Some(0)).map(|job| job.id).collect();
        assert!(told.is_subset(&done), "told of and not there: {:?}", told.difference(&done));
    }
}

/// What one of two handles does next.
#[derive(Debug, Clone)]
enum Act {
    Submit,
    Append(u64, Change),
    /// A writer dies in the middle of a record.
    Tear(Vec<u8>),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let change = prop_oneof![
        proptest::sample::select(JobState::ALL).prop_map(Change::State),
        any::<u32>().prop_map(|pid| Change::TryStarted { pid, storage_unit: "s".into(), server: "m".into() }),
        ".*".prop_map(Change::Detail),
        any::<u64>().prop_map(|kbytes| Change::Progress(Progress { kbytes, ..Progress::default() })),
        any::<i32>().prop_map(|status| Change::TryEnded { status, text: "t".into() }),
        any::<i32>().prop_map(|status| Change::Done { status, text: "d".into() }),
        ".*".prop_map(|id| Change::Fields(Box::new(Fields { backup_id: Some(id), ..Fields::default() }))),
    ];
    prop_oneof![
        2 => Just(Act::Submit),
        6 => (1..8u64, change).prop_map(|(job, change)| Act::Append(job, change)),
        1 => proptest::collection::vec(any::<u8>().prop_filter("torn", |b| *b != b'\n'), 1..60).prop_map(Act::Tear),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn two_handles_agree_with_a_plain_map(acts in proptest::collection::vec((0..2usize, act()), 1..40)) {
        let home = tempfile::tempdir().unwrap();
        let open = || JobsDb::open(home.path()).unwrap().unsynced();
        let mut handles = [open(), open()];
        let mut model: BTreeMap<u64, Job> = BTreeMap::new();
        for (at, (who, act)) in (0u64..).zip(acts) {
            match act {
                Act::Submit => {
                    let id = handles[who].submit(at, new_job("p")).unwrap();
                    prop_assert_eq!(id, model.len() as u64 + 1);
                    model.insert(id, Job::new(id, at, new_job("p")));
                }
                Act::Append(job, change) => {
                    let result = handles[who].append(JobUpdate { job, at, change: change.clone() });
                    match model.get_mut(&job) {
                        None => prop_assert!(matches!(result, Err(JobsDbError::NoSuchJob(_)))),
                        Some(known) if known.ended.is_some() => {
                            prop_assert!(matches!(result, Err(JobsDbError::JobDone(_))));
                        }
                        Some(known) => {
                            result.unwrap();
                            known.apply(at, change);
                        }
                    }
                }
                Act::Tear(bytes) => {
                    use std::io::Write;
                    let mut file = fs::OpenOptions::new().append(true).create(true)
                        .open(journal(home.path())).unwrap();
                    file.write_all(&bytes).unwrap();
                }
                Act::Reopen => handles[who] = open(),
            }
            prop_assert_eq!(handles[1 - who].jobs().unwrap(), model.values().cloned().collect::<Vec<_>>());
        }
    }
}

#[test]
fn cleaning_forgets_done_jobs_for_ever_and_hands_out_no_id_twice() {
    let home = tempfile::tempdir().unwrap();
    let db = JobsDb::open(home.path()).unwrap();
    let done = |job, status| {
        db.append(JobUpdate { job, at: 200, change: Change::Done { status, text: String::new() } }).unwrap();
    };
    let parent = db.submit(100, NewJob::default()).unwrap();
    let child = db.submit(100, NewJob { parent: Some(parent), ..NewJob::default() }).unwrap();
    let (open, last) =
        (db.submit(100, NewJob::default()).unwrap(), db.submit(100, NewJob::default()).unwrap());
    done(child, 0);
    done(last, 84);
    let ids = |db: &JobsDb| db.jobs().unwrap().iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(db.clean(|job| job.status == Some(0)).unwrap(), [] as [u64; 0], "its parent is not done");
    assert_eq!(db.clean(|_| true).unwrap(), [last]);
    done(parent, 0);
    assert_eq!(db.clean(|_| true).unwrap(), [parent, child]);
    // Other processes see it, also those that read the journal from its beginning.
    for db in [&db, &JobsDb::open(home.path()).unwrap()] {
        assert_eq!(ids(db), [open]);
        let gone = db.append(JobUpdate { job: last, at: 300, change: Change::Detail("late".into()) });
        assert!(matches!(gone, Err(JobsDbError::NoSuchJob(id)) if id == last), "{gone:?}");
    }
    assert_eq!(db.submit(300, NewJob::default()).unwrap(), last + 1);
    assert!(matches!(db.submit_numbered(last, 300, NewJob::default()), Err(JobsDbError::TakenId(..))));
}
