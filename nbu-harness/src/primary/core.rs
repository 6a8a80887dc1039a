//! nbjm and nbpem: the table of jobs and what happens to it. No clock, no process, no socket: an [`Input`] goes in,
//! [`Effect`]s come out, and the same inputs always give the same effects and the same table. The process around it
//! writes every input down first, and becomes what it was by applying them again.

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::kind_of;
use super::broker::{Decision, Grant, VolumeState};
use super::config::Config;
use super::event::{Effect, Ended, Input, JobOrder, Polled};
use super::job::{Job, NOT_RETRIED, Operation, Place, Submission, Try};
use super::multiplex;
use super::nbstserv::Nbstserv;
use super::scheduler::ScheduleOfClient;
use crate::nbu::order::JobRequest;
use crate::nbu::{ExpireRequest, JobState, StorageUnit};

/// NetBackup's statuses that nbjm itself gives.
pub(super) mod status {
    pub(in crate::primary) const CANCELLED: i32 = 150;
    pub(in crate::primary) const SUSPENDED: i32 = 157;
    pub(in crate::primary) const WINDOW_CLOSED: i32 = 196;
    pub(in crate::primary) const CONNECTION_BROKEN: i32 = 40;
}

/// Seconds between the backup times of two jobs of one client.
pub(super) const BACKUP_SECONDS: u64 = 2;

/// The table of jobs, and what is known of the domain.
#[derive(Debug)]
pub(crate) struct Core {
    config: Config,
    now: u64,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) next_id: u64,
    /// Backup times of a client are unique: the last one given.
    pub(super) last_backup_time: BTreeMap<String, u64>,
    pub(super) volumes: BTreeMap<String, VolumeState>,
    pub(super) media_down: BTreeSet<String>,
    grants: u64,
    /// Number of the last multiplexed group.
    groups: u64,
    pub(super) last_grant: BTreeMap<String, u64>,
    /// Bytes set aside for each copy of an active job.
    pub(super) committed: BTreeMap<u64, Vec<u64>>,
    polling: BTreeSet<String>,
    /// What the operator wants of an active job.
    pub(super) stopping: BTreeMap<u64, JobOrder>,
    /// When the schedule of a policy may be due again for a client at the earliest.
    pub(super) earliest: BTreeMap<ScheduleOfClient, u64>,
    /// Per policy, schedule and stream: bytes of the last backup.
    pub(super) last_bytes: BTreeMap<(String, String, usize), u64>,
    pub(super) nbstserv: Nbstserv,
    /// When nbstserv looked at its images last, and nbrmms for events.
    pub(super) looked: (u64, u64),
    /// When image cleanup looked for what has expired last.
    pub(super) cleaned: u64,
    /// Disk volumes that are being asked for their events.
    pub(super) asked_events: BTreeSet<String>,
    pub(super) images_changed: bool,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            now: config.clock_start,
            last_backup_time: BTreeMap::new(),
            next_id: config.first_job_id,
            looked: (config.clock_start, config.clock_start),
            cleaned: config.clock_start,
            config,
            jobs: BTreeMap::new(),
            volumes: BTreeMap::new(),
            media_down: BTreeSet::new(),
            grants: 0,
            groups: 0,
            last_grant: BTreeMap::new(),
            committed: BTreeMap::new(),
            polling: BTreeSet::new(),
            stopping: BTreeMap::new(),
            earliest: BTreeMap::new(),
            last_bytes: BTreeMap::new(),
            nbstserv: Nbstserv::default(),
            asked_events: BTreeSet::new(),
            images_changed: false,
        }
    }

    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    /// A moment after every backup so far.
    pub(crate) fn after_backups(&self) -> u64 {
        let last = self.last_backup_time.values().max().map_or(0, |last| last + BACKUP_SECONDS);
        self.now.max(last)
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// KiB of the last backup that was like this job; 0 without one.
    pub(crate) fn kbytes_last(&self, job: &Job) -> u64 {
        let asked = job.submission.as_ref().filter(|asked| asked.request.is_backup());
        asked.and_then(|asked| self.last_bytes.get(&kind_of(asked))).map_or(0, |bytes| bytes / 1024)
    }

    pub(crate) fn job(&self, id: u64) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Whether a data process or a look at a volume is under way: the virtual clock stands still then.
    pub(crate) fn is_active(&self) -> bool {
        !self.polling.is_empty()
            || !self.asked_events.is_empty()
            || self.jobs.values().any(|job| job.active_try().is_some())
    }

    /// Applies an input; returns what is to be done.
    pub(crate) fn apply(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Configure(config) => self.config = *config,
            Input::Clock(to) => self.clock(to, &mut effects),
            Input::Submit(submissions) => {
                self.submit(submissions, &mut effects);
            }
            Input::Asked(received) => self.asked(received, &mut effects),
            Input::Order(id, order) => self.order(id, order, &mut effects),
            Input::Ended(id, ended) => self.ended(id, &ended, &mut effects),
            Input::Polled(polled) => self.polled(polled, &mut effects),
            Input::NotPolled(volume) => {
                self.polling.remove(&volume);
            }
            Input::Told { volume, events } => self.told_events(&volume, events, &mut effects),
            Input::MediaServer { name, up } => {
                if up {
                    self.media_down.remove(&name);
                } else {
                    self.media_down.insert(name);
                }
            }
            Input::Volume { name, up } => self.volumes.entry(name).or_default().admin_up = up,
            Input::Expired { copies, pressure } => self.expired(copies, pressure, &mut effects),
            Input::Restarted => self.restarted(&mut effects),
        }
        self.allocate(&mut effects);
        if std::mem::take(&mut self.images_changed) {
            effects.push(Effect::ImagesChanged);
        }
        effects
    }

    /// When something happens by itself next, beside image cleanup; none when nothing does.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let jobs = self.jobs.values().filter_map(|job| job.timer);
        let windows = self.jobs.values().filter(|job| job.state == JobState::Queued);
        let windows = windows.filter_map(|job| job.submission.as_ref()?.window_closes);
        jobs.chain(windows).chain(self.next_schedule()).chain(self.next_look()).min()
    }

    fn clock(&mut self, to: u64, effects: &mut Vec<Effect>) {
        self.now = self.now.max(to);
        let due: Vec<u64> = self
            .jobs
            .values()
            .filter(|job| job.timer.is_some_and(|at| at <= self.now))
            .map(|job| job.id)
            .collect();
        for id in due {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.timer = None;
            match job.state {
                JobState::Requeued => job.state = job.waiting(),
                JobState::Incomplete => self.finish(id, effects),
                _ => {}
            }
            effects.push(Effect::Changed(id));
        }
        let closed = |job: &&Job| {
            let closes = job.submission.as_ref().and_then(|asked| asked.window_closes);
            job.state == JobState::Queued && closes.is_some_and(|closes| closes <= self.now)
        };
        let closed: Vec<u64> = self.jobs.values().filter(closed).map(|job| job.id).collect();
        for id in closed {
            self.done(id, status::WINDOW_CLOSED, effects);
        }
        for submissions in self.due_schedules() {
            self.submit(submissions, effects);
        }
        self.look_after_images(effects);
        self.clean_up_images(effects);
    }

    fn ended(&mut self, id: u64, ended: &Ended, effects: &mut Vec<Effect>) {
        self.lifecycle_try_over(id, ended);
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.active_try().is_some()) else { return };
        let Some(submission) = &job.submission else { return };
        self.committed.remove(&id);
        let asked = self.stopping.remove(&id);
        if let Some(last) = job.tries.last_mut() {
            last.ended = Some(self.now);
            last.status = Some(ended.status);
            (last.kbytes, last.files) = (ended.kbytes, ended.files);
            last.reported = ended.reported;
        }
        job.status = Some(ended.status);
        job.checkpoint |= ended.checkpoint;
        job.operation = Operation::RequestResources;
        if ended.status <= 1 && submission.request.is_backup() {
            self.last_bytes.insert(kind_of(submission), ended.kbytes.saturating_mul(1024));
        }
        let globals = &self.config.globals;
        // A schedule has so many tries within a period, a backup by hand has them once.
        let since = submission.window_closes.map_or(0, |_| self.now.saturating_sub(globals.tries_period));
        let tried = job.tries.iter().filter(|one| one.started >= since).count();
        let retry = !NOT_RETRIED.contains(&ended.status)
            && tried < submission.tries as usize
            && submission.window_closes.is_none_or(|closes| self.now + globals.retry_delay < closes);
        match asked {
            // It was suspended when the cancel came.
            Some(JobOrder::Cancel) if ended.status == status::SUSPENDED => {
                return self.done(id, status::CANCELLED, effects);
            }
            Some(JobOrder::Cancel) => return self.done(id, ended.status, effects),
            _ if ended.status == status::SUSPENDED => job.state = JobState::Suspended,
            _ if retry => {
                (job.state, job.timer) = (JobState::Requeued, Some(self.now + globals.retry_delay));
            }
            _ if job.checkpoint && !NOT_RETRIED.contains(&ended.status) => {
                (job.state, job.timer) = (JobState::Incomplete, Some(self.now + globals.incomplete_to_done));
            }
            _ => return self.done(id, ended.status, effects),
        }
        effects.push(Effect::Changed(id));
    }

    /// An incomplete job is done with the status it had.
    fn finish(&mut self, id: u64, effects: &mut Vec<Effect>) {
        let status = self.jobs.get(&id).and_then(|job| job.status).unwrap_or(status::CONNECTION_BROKEN);
        self.done(id, status, effects);
    }

    /// A job is done, and with the last of its children a parent.
    pub(super) fn done(&mut self, id: u64, status: i32, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        (job.state, job.status, job.ended) = (JobState::Done, Some(status), Some(self.now));
        (job.timer, job.reason) = (None, None);
        effects.push(Effect::Changed(id));
        let parent = job.parent;
        self.lifecycle_job_over(id, status);
        for cleanup in self.cleanups_of(id, status).unwrap_or_default() {
            self.submit(vec![cleanup], effects);
        }
        let Some(parent) = parent else { return self.backup_done(id, status) };
        let children = self.jobs.values().filter(|job| job.parent == Some(parent));
        let statuses: Option<Vec<i32>> =
            children.map(|job| job.status.filter(|_| job.state == JobState::Done)).collect();
        // The worst one: any failure, then a partial success.
        let worst = statuses.and_then(|all| all.into_iter().max_by_key(|status| (*status > 1, *status)));
        if let Some(worst) = worst.filter(|_| self.jobs.get(&parent).is_some_and(|parent| !parent.is_done()))
        {
            self.done(parent, worst, effects);
        }
    }

    /// Image cleanup jobs for a backup that failed, one for each copy, when one of its tries could not clean up after itself.
    fn cleanups_of(&self, id: u64, status: i32) -> Option<Vec<Submission>> {
        let job = self.jobs.get(&id)?;
        let asked = job.submission.as_ref().filter(|_| status > 1)?;
        let at_checkpoint = |one: &&Try| job.checkpoint && !one.media_server.is_empty();
        let lost = job.tries.iter().rfind(|one| !one.reported && !one.media_server.is_empty());
        let lost = lost.or_else(|| job.tries.iter().rfind(at_checkpoint))?;
        let JobRequest::Backup(backup) = &asked.request else { return None };
        let cleanup = |(unit, _): (&str, &str)| Submission {
            request: JobRequest::Expire(ExpireRequest {
                job_id: 0,
                backup_id: job.backup_id.clone(),
                copy: None,
                storage_unit: StorageUnit::new("", "", "", ""),
                leftovers_of: Some(backup.backup_time),
            }),
            schedule: String::new(),
            storage: unit.to_owned(),
            further_copies: Vec::new(),
            media_server: None,
            name: job.backup_id.clone(),
            tries: self.config.globals.tries,
            window_closes: None,
            ..asked.clone()
        };
        Some(lost.places().map(cleanup).collect())
    }

    fn polled(&mut self, polled: Polled, effects: &mut Vec<Effect>) {
        self.polling.remove(&polled.volume);
        effects.extend(self.pressure(&polled).map(|pressure| Effect::LookForExpired(Some(pressure))));
        let state = self.volumes.entry(polled.volume).or_default();
        (state.server_up, state.lsu_up, state.space) = (polled.server_up, polled.lsu_up, polled.space);
        state.polled = Some(self.now);
    }

    fn restarted(&mut self, effects: &mut Vec<Effect>) {
        self.polling.clear();
        self.asked_events.clear();
        let lost: Vec<u64> =
            self.jobs.values().filter(|job| job.active_try().is_some()).map(|job| job.id).collect();
        for id in lost {
            let ended = Ended {
                status: status::CONNECTION_BROKEN,
                kbytes: 0,
                files: 0,
                checkpoint: false,
                reported: false,
                processed: Vec::new(),
            };
            self.ended(id, &ended, effects);
        }
    }

    /// Gives storage to every job that can have it, those of higher priority and those that waited longer first.
    fn allocate(&mut self, effects: &mut Vec<Effect>) {
        let mut waiting: Vec<(std::cmp::Reverse<u32>, u64)> = Vec::new();
        for job in self.jobs.values().filter(|job| job.waits()) {
            let priority = job.submission.as_ref().map_or(0, |asked| asked.priority);
            waiting.push((std::cmp::Reverse(priority), job.id));
        }
        waiting.sort_unstable();
        let before = effects.len();
        for (_, id) in waiting {
            match self.consider(id) {
                Some(Decision::Grant(grants)) => self.grant(id, grants, effects),
                Some(Decision::Poll(volumes)) => {
                    for (volume, media_server) in volumes {
                        if self.polling.insert(volume.clone()) {
                            effects.push(Effect::Poll { volume, media_server });
                        }
                    }
                }
                Some(Decision::Wait(reason)) => {
                    if let Some(job) = self.jobs.get_mut(&id)
                        && job.reason.as_ref() != Some(&reason)
                    {
                        job.reason = Some(reason);
                        effects.push(Effect::Changed(id));
                    }
                }
                Some(Decision::Refuse(status, reason)) => self.refused(id, status, reason, effects),
                None => {}
            }
        }
        let mut number = self.groups;
        multiplex::form(&mut effects[before..], &mut number, |id| self.jobs.get(&id));
        self.groups = number;
    }

    /// The storage of a grant, with its credentials.
    fn storage(&self, grant: &Grant) -> Option<StorageUnit> {
        let unit = self.config.unit(&grant.unit)?;
        let volume = self.config.volumes.get(&grant.volume)?;
        let (server, lsu) = (volume.server.as_str(), volume.lsu.as_str());
        let storage = StorageUnit::new(server, volume.user.as_str(), volume.password.as_str(), lsu);
        let capabilities = volume.capabilities.clone();
        Some(StorageUnit { max_fragment_size: unit.max_fragment, capabilities, ..storage })
    }

    /// Starts a try of a job with what it got for each of its copies, copy 1 first.
    fn grant(&mut self, id: u64, grants: Vec<Grant>, effects: &mut Vec<Effect>) {
        let storage: Option<Vec<StorageUnit>> = grants.iter().map(|grant| self.storage(grant)).collect();
        let mut grants = grants.into_iter();
        let (Some(mut storage), Some(first)) = (storage.filter(|all| !all.is_empty()), grants.next()) else {
            let status = self.config.allocation.no_unit;
            return self.refused(id, status, "a disk volume of the pool is not there".to_owned(), effects);
        };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(submission) = &job.submission else { return };
        let mut request = submission.request.clone();
        let tried = u32::try_from(job.tries.len()).unwrap_or(u32::MAX);
        request.assign(id, storage.remove(0), tried, job.checkpoint);
        request.assign_copies(storage);
        job.backup_id = request.backup_id();
        job.operation = request.operation();
        (job.state, job.reason) = (JobState::Active, None);
        self.grants += 1;
        let (mut further_copies, mut committed) = (Vec::new(), vec![first.committed]);
        self.last_grant.insert(first.unit.clone(), self.grants);
        for Grant { unit, volume, committed: bytes, .. } in grants {
            self.last_grant.insert(unit.clone(), self.grants);
            committed.push(bytes);
            further_copies.push(Place { unit, volume });
        }
        self.committed.insert(id, committed);
        job.tries.push(Try {
            unit: first.unit,
            volume: first.volume,
            further_copies,
            media_server: first.media_server.clone(),
            ..Try::begun(self.now)
        });
        effects.push(Effect::Changed(id));
        effects.push(Effect::Start { job: id, media_server: first.media_server, request: Box::new(request) });
    }

    /// No storage: as good as a try that failed at once.
    fn refused(&mut self, id: u64, status: i32, reason: String, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.state = JobState::Active;
        job.tries.push(Try { unit: job.storage().to_owned(), ..Try::begun(self.now) });
        let ended =
            Ended { status, kbytes: 0, files: 0, checkpoint: false, reported: false, processed: Vec::new() };
        self.ended(id, &ended, effects);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.reason = Some(reason);
        }
    }
}
