//! The NetBackup domain of a run: a primary and media servers as processes, configured as the scenario says, and told
//! what to do by this side as an operator would.

use super::lifecycle;
use super::pause::Paused;
use super::record::{JobRecord, PauseOutcome};
use super::setup::Storage;
use super::watch::{Late, Misfortunes, Scope, Surroundings, Watcher, record};
use super::{Observer, SetupError, Stand};
use crate::nbu::{Installation, JobKind};
use crate::primary::config::{AllocationStatuses, Config, Globals, Policy, Schedule, Window};
use crate::primary::{Job, JobOrder, Operator, PRIMARY, PrimaryError, Servers, Submission, Until, Watch};
use crate::scenario::{Domain as Side, GlobalAttributes, Milliseconds, PauseStep, Scenario, ScheduleSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a domain is made of.
pub(super) struct Installed {
    /// The program that every process is.
    pub(super) exe: PathBuf,
    /// Its NetBackup home.
    pub(super) home: PathBuf,
    /// What each media server has.
    pub(super) media_servers: BTreeMap<String, Installation>,
}

/// Ids of the target domain's jobs begin here, so that those of both are told apart.
const TARGET_JOBS: u64 = 10_001;

/// A running domain.
pub(super) struct Domain<'a> {
    home: PathBuf,
    config: Config,
    servers: Servers,
    operator: Operator,
    stand: &'a Stand,
    observer: &'a dyn Observer,
    paused: Paused,
    /// Ids up to this one were seen.
    last_id: u64,
    /// Those of them that something may still happen to by itself: their next try comes when the clock goes on.
    open: BTreeSet<u64>,
    /// Marks in the news of the primary so far.
    marks: u64,
}

/// What a step's jobs did.
pub(super) struct Ran {
    /// In order of their ids, parents apart.
    pub(super) jobs: Vec<JobRecord>,
    pub(super) never_struck: Misfortunes,
    pub(super) struck: Misfortunes,
}

impl<'a> Domain<'a> {
    /// Starts the servers and configures them.
    pub(super) fn start(
        scenario: &Scenario,
        installed: Installed,
        policy: Policy,
        side: Side,
        storage: Storage,
        stand: &'a Stand,
        observer: &'a dyn Observer,
    ) -> Result<Self, SetupError> {
        let Installed { exe, home, media_servers } = installed;
        std::fs::create_dir_all(&home).map_err(SetupError::io("create", &home))?;
        let config = configuration(scenario, media_servers, policy, storage, side);
        let servers = Servers::new(&exe, &home);
        for name in &scenario.media_servers {
            servers.start(name)?;
        }
        servers.start(PRIMARY)?;
        let mut operator = Operator::connect(&home)?;
        operator.configure(&config)?;
        let paused = Paused::default();
        let (last_id, open, marks) = (0, BTreeSet::new(), 0);
        Ok(Self { home, config, servers, operator, stand, observer, paused, last_id, open, marks })
    }

    /// Runs jobs until nothing more happens to them by itself. Backups by hand and restores are asked of bprd, as
    /// `bpbackup -i` and `bprestore` do; what an administrator's other commands want goes to nbjm.
    pub(super) fn run(
        &mut self,
        step: usize,
        submissions: Vec<Submission>,
        late: Vec<Late>,
    ) -> Result<Ran, SetupError> {
        self.watched(step, BTreeSet::new(), late, |domain| {
            let of_user =
                |asked: &Submission| matches!(asked.request.kind(), JobKind::Backup | JobKind::Restore);
            let ids = if submissions.iter().all(of_user) {
                domain.operator.ask_bprd(submissions)?
            } else {
                domain.operator.submit(submissions)?
            };
            domain.settle(ids)
        })
    }

    /// Lets the virtual clock go on. The jobs are new ones and those of earlier steps that were still to be tried.
    pub(super) fn advance(
        &mut self,
        step: usize,
        time: Milliseconds,
        late: Vec<Late>,
    ) -> Result<Ran, SetupError> {
        self.watched(step, self.open.clone(), late, |domain| {
            let end = domain.operator.now()? + time.0 / 1000;
            domain.reach(end)
        })
    }

    fn watched(
        &mut self,
        step: usize,
        again: BTreeSet<u64>,
        late: Vec<Late>,
        act: impl FnOnce(&mut Acting<'_>) -> Result<(), PrimaryError>,
    ) -> Result<Ran, SetupError> {
        let scope = Scope { after: self.last_id, also: again };
        let in_scope = scope.clone();
        let around = Surroundings {
            home: &self.home,
            servers: &self.servers,
            stand: self.stand,
            observer: self.observer,
            paused: &self.paused,
        };
        let watcher = Watcher::new(around, step, scope, late);
        let mut acting = Acting {
            home: &self.home,
            servers: &self.servers,
            operator: &mut self.operator,
            watcher: &watcher,
            observer: self.observer,
        };
        let watch = Watch::connect(&self.home).ok();
        self.marks += 1;
        let mark = self.marks;
        let jobs = std::thread::scope(|scope| {
            scope.spawn(|| watcher.run(watch));
            let jobs = act(&mut acting).and_then(|()| acting.operator.jobs()).map(|jobs| {
                let last = jobs.last().map_or(0, |job| job.id);
                let open = jobs.iter().filter(|job| job.submission.is_some() && !job.is_settled());
                let open = open.map(|job| job.id).collect();
                let of_step = |job: &Job| in_scope.has(job.id) && job.submission.is_some();
                (jobs.into_iter().filter(of_step).collect::<Vec<Job>>(), last, open)
            });
            // What happened to the jobs is on its way to the watcher still.
            watcher.stop(Some(mark));
            if jobs.is_err() || acting.operator.mark(mark).is_err() {
                watcher.stop(None);
            }
            jobs
        });
        let (jobs, last, open) = jobs?;
        (self.last_id, self.open) = (last, open);
        let jobs = jobs
            .iter()
            .map(|job| Ok(record(step, job, self.operator.result(job.id)?)))
            .collect::<Result<Vec<_>, PrimaryError>>()?;
        let (never_struck, struck) = watcher.into_late();
        Ok(Ran { jobs, never_struck, struck })
    }

    /// Gives an order about every job that `concerned` names, and runs until they are settled. The jobs are those of
    /// this run so far, or new ones.
    pub(super) fn order(
        &mut self,
        step: usize,
        order: JobOrder,
        concerned: &dyn Fn(&Job) -> bool,
        late: Vec<Late>,
    ) -> Result<Ran, SetupError> {
        let jobs: Vec<Job> =
            self.operator.jobs()?.into_iter().filter(|job| job.submission.is_some()).collect();
        let ids: Vec<u64> = jobs.iter().filter(|job| concerned(job)).map(|job| job.id).collect();
        // A resumed job keeps its id, and is watched again.
        let again = if order == JobOrder::Resume { ids.iter().copied().collect() } else { BTreeSet::new() };
        self.watched(step, again, late, |domain| {
            for id in &ids {
                domain.operator.order(*id, order)?;
            }
            let all = domain.operator.jobs()?.iter().map(|job| job.id).collect();
            domain.settle(all)
        })
    }

    /// From now on jobs find this on the media servers.
    pub(super) fn reinstall(
        &mut self,
        media_servers: BTreeMap<String, Installation>,
    ) -> Result<(), SetupError> {
        self.config.media_servers = media_servers;
        Ok(self.operator.configure(&self.config)?)
    }

    /// From now on the primary knows this of its storage.
    pub(super) fn restock(&mut self, storage: Storage) -> Result<(), SetupError> {
        let Storage { volumes, pools, units, groups } = storage;
        self.config = Config { volumes, pools, units, groups, ..self.config.clone() };
        Ok(self.operator.configure(&self.config)?)
    }

    /// Kills a server now.
    pub(super) fn kill(&mut self, name: &str) -> Result<bool, SetupError> {
        let killed = self.servers.kill(name);
        if name == PRIMARY {
            self.operator = restart(&self.servers, &self.home)?;
        } else {
            self.operator.media_server(name, false)?;
        }
        Ok(killed)
    }

    /// Pauses a media server without jobs, or lets one go on and waits until what it still did has ended.
    /// One that had not been paused any more is only waited for.
    pub(super) fn pause(&mut self, step: &PauseStep) -> Result<Option<PauseOutcome>, SetupError> {
        let hits = self.paused.signal(&self.servers, step, &[]);
        if !step.paused {
            self.servers.quiesce(&step.server)?;
        }
        let over = !step.paused && hits == 0;
        Ok((!over).then(|| PauseOutcome { pause: step.clone(), hits }))
    }

    /// Starts a server again; one that runs is left alone.
    pub(super) fn start_again(&mut self, name: &str) -> Result<(), SetupError> {
        if !self.servers.is_running(name) {
            self.servers.start(name)?;
        }
        if name != PRIMARY {
            self.operator.media_server(name, true)?;
        }
        Ok(())
    }

    /// A moment on NetBackup's clock that is later than every backup so far and earlier than all to come.
    pub(super) fn tick(&mut self) -> Result<i64, SetupError> {
        Ok(i64::try_from(self.operator.tick()?).unwrap_or(i64::MAX))
    }

    /// Marks a disk volume.
    pub(super) fn volume(&mut self, lsu: &str, up: bool) -> Result<(), SetupError> {
        Ok(self.operator.volume(lsu, up)?)
    }
}

/// The domain while its jobs are watched.
struct Acting<'d> {
    home: &'d Path,
    servers: &'d Servers,
    operator: &'d mut Operator,
    watcher: &'d Watcher<'d>,
    observer: &'d dyn Observer,
}

impl Acting<'_> {
    /// Lets jobs go on until nothing more happens to them by itself. When nobody wants more of them they are cancelled,
    /// and settle soon.
    fn settle(&mut self, jobs: Vec<u64>) -> Result<(), PrimaryError> {
        self.go_on(&Until::Settled(jobs), &mut || true)
    }

    /// Lets the virtual clock go on. When nobody wants more no other job begins, and those that have are cancelled.
    fn reach(&mut self, end: u64) -> Result<(), PrimaryError> {
        let (watcher, observer) = (self.watcher, self.observer);
        self.go_on(&Until::At(end), &mut || !observer.interrupted() || watcher.has_open())
    }

    /// Lets the domain go on. A primary that is killed meanwhile is started again.
    fn go_on(&mut self, until: &Until, wait: &mut dyn FnMut() -> bool) -> Result<(), PrimaryError> {
        loop {
            match self.operator.run(until, wait) {
                // Stuck or not: what the jobs look like now is what there is to be judged.
                Ok(_) => return Ok(()),
                Err(PrimaryError::Gone(_)) if !self.servers.is_running(PRIMARY) => {
                    *self.operator = restart(self.servers, self.home)?;
                }
                // An answer that nobody wants any more would come on this connection, and the clock go on until then.
                Err(PrimaryError::Gone(_)) if !wait() => {
                    *self.operator = Operator::connect(self.home)?;
                    return self.operator.run(&Until::Settled(Vec::new()), &mut || true).map(|_| ());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn restart(servers: &Servers, home: &Path) -> Result<Operator, PrimaryError> {
    servers.start(PRIMARY)?;
    Operator::connect(home)
}

/// The domain's configuration.
fn configuration(
    scenario: &Scenario,
    media_servers: BTreeMap<String, Installation>,
    policy: Policy,
    storage: Storage,
    side: Side,
) -> Config {
    let Storage { volumes, pools, units, groups } = storage;
    let import_units = lifecycle::import_units(scenario, side, &pools, &units);
    Config {
        first_job_id: match side {
            Side::Source => 1,
            Side::Target => TARGET_JOBS,
        },
        clock_start: scenario.globals.clock_start,
        globals: globals(&scenario.globals),
        media_servers,
        volumes,
        pools,
        units,
        groups,
        policies: vec![policy],
        allocation: AllocationStatuses::default(),
        lifecycle_policies: lifecycle::policies(scenario, side),
        lifecycle: lifecycle::parameters(&scenario.globals.slp),
        import_units,
    }
}

const fn globals(of: &GlobalAttributes) -> Globals {
    Globals {
        tries: of.schedule_attempts.tries,
        tries_period: of.schedule_attempts.per.0 / 1000,
        retry_delay: of.job_retry_delay.0 / 1000,
        incomplete_to_done: of.incomplete_to_done.0 / 1000,
        job_silence_ms: of.job_silence.0,
        max_jobs_per_client: of.max_jobs_per_client,
        poll_interval: match of.disk_polling {
            None => None,
            Some(interval) => Some(interval.0 / 1000),
        },
        image_cleanup_interval: of.image_cleanup_interval.0 / 1000,
        image_expiry_dependency_check: of.image_expiry_dependency_check,
    }
}

/// The policy's schedules for nbpem.
pub(super) fn schedules(of: &[ScheduleSpec]) -> Vec<Schedule> {
    let schedule = |one: &ScheduleSpec| Schedule {
        name: one.name.clone(),
        kind: one.schedule_type,
        frequency: one.frequency.0 / 1000,
        windows: one
            .windows
            .iter()
            .map(|window| Window {
                days: match window.days.as_slice() {
                    [] => (0..7).collect(),
                    days => days.iter().map(|day| *day as u8).collect(),
                },
                opens: window.opens.0,
                duration: window.duration.0 / 1000,
            })
            .collect(),
        media_multiplexing: one.media_multiplexing,
        retention: one.retention.map(|time| time.0 / 1000),
    };
    of.iter().map(schedule).collect()
}
