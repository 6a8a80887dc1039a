//! The jobs of a step: what is submitted, what is made of the records, compared with what the oracle knows.

use super::domain::{Domain, Ran, schedules};
use super::domains::installed;
use super::media_servers::Fleet;
use super::record::{ChangedFile, ImageFacts, JobRecord};
use super::restores::{RestoreOutcome, Unfinished};
use super::setup::Storage;
use super::sources::{Content, Prepared};
use super::watch::{Late, Misfortunes};
use super::{Observer, SetupError, Stand};
use crate::data::{ChangingFile, Mutator};
use crate::nbu::order::JobRequest;
use crate::nbu::{
    Accelerator, Catalog, ExpireRequest, Installation, JobKind, JobState, PathBytes, ScheduleType,
    StorageUnit, VerifyRequest,
};
use crate::primary::config::{Policy, PolicyStream, Schedule};
use crate::primary::{Job, JobOrder, Submission, submissions};
use crate::scenario::{
    BackupStep, CopyStep, Domain as Side, ImageChoice, Milliseconds, ResumeStep, Scenario,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A backup that is in the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Backup {
    pub(super) backup_id: String,
    pub(super) stream: usize,
    /// Storage unit that it was written to.
    pub(super) unit: String,
    /// What its restore must give.
    pub(super) content: Arc<Content>,
    /// An incremental backup is no whole: restores leave it out.
    pub(super) full: bool,
}

/// What a backup step did.
pub(super) struct BackupOutcome {
    pub(super) made: Vec<Backup>,
    pub(super) images: Vec<ImageFacts>,
    pub(super) changed: Vec<ChangedFile>,
    /// What resumed restores gave.
    pub(super) restored: RestoreOutcome,
    /// Ids of backups that were deleted, since their retention was over.
    pub(super) gone: BTreeSet<String>,
}

/// All jobs of a run.
pub(super) struct Jobs<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) installation: &'a Installation,
    /// What is installed on the media servers now: the same, or with faults of the plug-in.
    pub(super) in_force: Installation,
    /// Which media servers have another plug-in than that.
    pub(super) fleet: Fleet,
    pub(super) observer: &'a dyn Observer,
    pub(super) stand: &'a Stand,
    /// Where backups can go, in both domains.
    pub(super) storage: Storage,
    pub(super) domain: Domain<'a>,
    /// The domain that backups are replicated to, once it is needed: from the start where it imports by itself.
    pub(super) target: Option<Domain<'a>>,
    pub(super) policy: Policy,
    pub(super) records: Vec<JobRecord>,
    pub(super) misfortunes: Misfortunes,
    /// Restores that were suspended or are incomplete.
    pub(super) unfinished: Vec<Unfinished>,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        (storage, fleet): (Storage, Fleet),
        prepared: &[Prepared],
        stand: &'a Stand,
        installation: &'a Installation,
        observer: &'a dyn Observer,
    ) -> Result<Self, SetupError> {
        let policy = Policy {
            name: scenario.policy.clone(),
            storage: scenario.policy_storage.clone(),
            further_copies: scenario.copies.further.clone(),
            on_copy_failure: scenario.copies.on_failure,
            streams: scenario
                .streams
                .iter()
                .zip(prepared)
                .map(|(stream, prepared)| PolicyStream {
                    client: stream.client.clone(),
                    number: stream.of_client,
                    source: prepared.source.clone(),
                })
                .collect(),
            header: scenario.header,
            collect_tir: scenario.collect_tir,
            schedules: schedules(&scenario.schedules),
            limit_jobs: scenario.limit_jobs,
            priority: scenario.priority,
        };
        let (own, more) = (policy.clone(), storage.clone());
        let own_side = installed(installation, &fleet)?;
        let domain = Domain::start(scenario, own_side, own, Side::Source, more, stand, observer)?;
        let (records, misfortunes) = (Vec::new(), Misfortunes::default());
        let mut jobs = Self {
            scenario,
            installation,
            in_force: installation.clone(),
            fleet,
            observer,
            stand,
            storage,
            domain,
            target: None,
            policy,
            records,
            misfortunes,
            unfinished: Vec::new(),
        };
        if scenario.replicates_by_itself() {
            jobs.target = Some(jobs.start_target()?);
        }
        Ok(jobs)
    }

    pub(super) fn into_records(self) -> Vec<JobRecord> {
        self.records
    }

    /// Keeps what is not about the jobs themselves; returns those.
    pub(super) fn taken(&mut self, ran: Ran) -> Vec<JobRecord> {
        self.misfortunes.add(ran.struck);
        self.misfortunes.add(ran.never_struck);
        // A resumed job is the one it was.
        self.records.retain(|known| !ran.jobs.iter().any(|job| job.result.job_id == known.result.job_id));
        ran.jobs
    }

    /// The schedule that a backup by hand belongs to: the policy's own for that, or one of the type.
    pub(super) fn schedule(&self, kind: ScheduleType) -> Schedule {
        let own = self.policy.schedules.iter().find(|one| one.name == self.scenario.schedule);
        let of_type = || self.policy.schedules.iter().find(|one| one.kind == kind);
        let found = own.filter(|one| one.kind == kind).or_else(of_type).cloned();
        found.unwrap_or_else(|| Schedule {
            name: self.scenario.schedule.clone(),
            kind,
            frequency: 0,
            windows: Vec::new(),
            media_multiplexing: 1,
            retention: None,
        })
    }

    pub(super) fn backup(
        &mut self,
        step_index: usize,
        step: &BackupStep,
        prepared: &[Prepared],
        late: Vec<Late>,
    ) -> Result<BackupOutcome, SetupError> {
        let schedule = self.schedule(step.schedule);
        let mut asked = submissions(&self.policy, None, &schedule, step.tries, None);
        for (submission, stream) in asked.iter_mut().zip(prepared) {
            submission.name.clone_from(&stream.facts.source);
            if let JobRequest::Backup(request) = &mut submission.request {
                request.abort_after = step.abort_after.or(step.suspend_after).map(|bytes| bytes.0);
                request.suspend = step.suspend_after.is_some();
                request.checkpoint = step.checkpoint;
                request.worm_seconds = step.worm.map(|time| time.0 / 1000);
                let forced_rescan = step.forced_rescan;
                let accelerator = Accelerator { forced_rescan, ..Accelerator::default() };
                request.accelerator = step.accelerator.then_some(accelerator);
            }
        }
        let mutators = start_mutators(prepared)?;
        let ran = self.domain.run(step_index, asked, late)?;
        self.backed_up(ran, mutators, prepared)
    }

    /// Lets the clock go on, and with it what is due.
    pub(super) fn advance(
        &mut self,
        step_index: usize,
        time: Milliseconds,
        prepared: &[Prepared],
        late: Vec<Late>,
    ) -> Result<BackupOutcome, SetupError> {
        let mutators = start_mutators(prepared)?;
        let ran = self.domain.advance(step_index, time, late)?;
        let outcome = self.backed_up(ran, mutators, prepared)?;
        self.advance_target(step_index, time)?;
        Ok(outcome)
    }

    /// Resumes the jobs that can be, possibly with another buffer size.
    pub(super) fn resume(
        &mut self,
        step_index: usize,
        step: ResumeStep,
        prepared: &[Prepared],
        late: Vec<Late>,
    ) -> Result<BackupOutcome, SetupError> {
        let size = step.size_data_buffers_disk.and_then(|size| u32::try_from(size.0).ok());
        let Some(size) = size else { return self.order(step_index, JobOrder::Resume, prepared, late) };
        let mut other = self.in_force.clone();
        other.data_buffers.size_data_buffers_disk = size;
        self.domain.reinstall(self.fleet.install(&other)?)?;
        let outcome = self.order(step_index, JobOrder::Resume, prepared, late)?;
        self.domain.reinstall(self.fleet.install(&self.in_force)?)?;
        Ok(outcome)
    }

    /// Resumes or restarts the jobs that can be.
    pub(super) fn order(
        &mut self,
        step_index: usize,
        order: JobOrder,
        prepared: &[Prepared],
        late: Vec<Late>,
    ) -> Result<BackupOutcome, SetupError> {
        let concerned = |job: &Job| match order {
            JobOrder::Resume => matches!(job.state, JobState::Suspended | JobState::Incomplete),
            _ => job.is_done() && job.status.is_some_and(|status| status > 1),
        };
        let ran = self.domain.order(step_index, order, &concerned, late)?;
        self.backed_up(ran, Vec::new(), prepared)
    }

    fn backed_up(
        &mut self,
        ran: Ran,
        mutators: Vec<(usize, ChangingFile, Mutator)>,
        prepared: &[Prepared],
    ) -> Result<BackupOutcome, SetupError> {
        let results = self.taken(ran);
        let restored = self.restored(&results)?;
        let mut changed = Vec::new();
        for (stream, file, mutator) in mutators {
            let rewrites = mutator.stop()?;
            let path = PathBytes::from(file.relative_path.as_path());
            let of_stream = results.iter().filter(|job| job.stream == stream);
            let reported = of_stream.flat_map(|job| &job.result.warnings).any(|warning| warning.path == path);
            changed.push(ChangedFile { stream, path: path.to_string(), rewrites, reported });
        }
        let catalog = Catalog::open(&self.installation.work_dir)?;
        let (mut made, mut images) = (Vec::new(), Vec::new());
        // Other jobs about a backup make none.
        for job in results.iter().filter(|job| job.result.kind == JobKind::Backup) {
            if let Some(image) = catalog.image(&job.result.backup_id)? {
                if let Some(stream) = prepared.iter().find(|stream| stream.facts.number == job.stream) {
                    made.push(Backup {
                        backup_id: image.backup_id.clone(),
                        stream: job.stream,
                        unit: job.unit.clone(),
                        content: Arc::clone(&stream.content),
                        full: image.schedule_type == ScheduleType::Full,
                    });
                }
                images.push(ImageFacts { stream: job.stream, image, made: job.result.images.clone() });
            }
        }
        let gone = gone(&results);
        self.records.extend(results);
        Ok(BackupOutcome { made, images, changed, restored, gone })
    }

    /// A job about a backup, for nbjm.
    pub(super) fn about(&self, backup: &Backup, name: String, request: JobRequest) -> Submission {
        self.asked(backup.unit.clone(), backup.stream, name, request)
    }

    /// A job for nbjm, with storage of a unit or group.
    pub(super) fn asked(
        &self,
        storage: String,
        stream: usize,
        name: String,
        request: JobRequest,
    ) -> Submission {
        Submission {
            policy: self.scenario.policy.clone(),
            client: self.client_of(stream),
            stream,
            priority: self.scenario.priority,
            ..Submission::new(request, storage, name)
        }
    }

    /// The client of a stream; of what is about no stream, the policy's first one.
    fn client_of(&self, stream: usize) -> String {
        let found = self.scenario.streams.iter().find(|one| one.number == stream);
        found.map(|stream| &stream.client).or(self.scenario.clients.first()).cloned().unwrap_or_default()
    }

    pub(super) fn verify(
        &mut self,
        step_index: usize,
        step: &CopyStep,
        backups: &[Backup],
    ) -> Result<(), SetupError> {
        let copy = step.copy;
        let jobs = chosen(backups, step.images).map(|backup| {
            let (backup_id, storage_unit) = (backup.backup_id.clone(), nowhere());
            let request = JobRequest::Verify(VerifyRequest { job_id: 0, backup_id, copy, storage_unit });
            self.about(backup, backup.backup_id.clone(), request)
        });
        let results = self.run_in(step.domain, step_index, jobs.collect())?;
        self.records.extend(results);
        Ok(())
    }

    /// Expires all backups, or one copy of each; returns the ids of those that are gone.
    pub(super) fn expire(
        &mut self,
        step_index: usize,
        step: &CopyStep,
        backups: &[Backup],
    ) -> Result<BTreeSet<String>, SetupError> {
        let copy = step.copy;
        let jobs = chosen(backups, step.images).map(|backup| {
            let request = JobRequest::Expire(ExpireRequest {
                job_id: 0,
                backup_id: backup.backup_id.clone(),
                copy,
                storage_unit: nowhere(),
                leftovers_of: None,
            });
            self.about(backup, backup.backup_id.clone(), request)
        });
        let results = self.run_in(step.domain, step_index, jobs.collect())?;
        let gone = gone(&results);
        self.records.extend(results);
        Ok(gone)
    }
}

/// The backups that a step is about. The latest one of each stream is the one that was made last.
pub(super) fn chosen(backups: &[Backup], images: ImageChoice) -> impl Iterator<Item = &Backup> {
    backups
        .iter()
        .enumerate()
        .filter(move |(index, backup)| {
            let later = backups.iter().skip(index + 1).any(|other| other.stream == backup.stream);
            match images {
                ImageChoice::All => true,
                ImageChoice::Latest => !later,
                ImageChoice::Older => later,
            }
        })
        .map(|(_, backup)| backup)
}

/// The backups that image cleanup has taken out of the catalogue, with their last copies.
fn gone(results: &[JobRecord]) -> BTreeSet<String> {
    let cleanups = results.iter().filter(|job| job.result.kind == JobKind::ImageCleanup);
    cleanups.flat_map(|job| job.result.processed.iter().cloned()).collect()
}

/// The storage of a job that has not been given any yet.
pub(super) fn nowhere() -> StorageUnit {
    StorageUnit::new("", "", "", "")
}

fn start_mutators(prepared: &[Prepared]) -> Result<Vec<(usize, ChangingFile, Mutator)>, SetupError> {
    let mut mutators = Vec::new();
    for stream in prepared {
        if let Content::Tree { root, changing: Some(file), .. } = &*stream.content {
            mutators.push((stream.facts.number, file.clone(), Mutator::start(root, file)?));
        }
    }
    Ok(mutators)
}
