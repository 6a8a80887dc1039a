//! The jobs of a step: started as the storage unit allows, watched, compared with what the oracle knows.

use super::flows::{AtTarget, Flow, target_dir};
use super::record::{ChangedFile, FaultOutcome, ImageFacts, JobRecord};
use super::sources::{Content, HASH_THREADS, Prepared};
use super::{Observer, SetupError, Stand};
use crate::data::{ChangingFile, GenData, Mutator};
use crate::nbu::{
    self, Accelerator, BackupRequest, Catalog, ExpireRequest, Installation, JobControl, JobEvent, JobKind,
    JobResult, JobState, PathBytes, RestoreRequest, ScheduleType, Selection, StorageUnit, VerifyRequest,
};
use crate::oracle::{CompareOptions, Comparison, Difference, Kind, Snapshot, compare};
use crate::scenario::{
    BackupStep, CopyStep, Domain, Fault, ImageChoice, RestoreSelection, RestoreStep, Scenario,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Differences kept for the report.
const LIST: usize = 50;

/// A backup that is in the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Backup {
    pub(super) backup_id: String,
    pub(super) stream: usize,
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
    pub(super) never_struck: Vec<FaultOutcome>,
}

/// What a restore step found.
pub(super) struct RestoreOutcome {
    pub(super) full: Option<Comparison>,
    pub(super) single: Option<Comparison>,
    pub(super) never_struck: Vec<FaultOutcome>,
}

/// All jobs of a run.
pub(super) struct Jobs<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) stand: &'a Stand,
    pub(super) installation: &'a Installation,
    observer: &'a dyn Observer,
    pub(super) unit: StorageUnit,
    /// Backup time of the next job; they must differ.
    pub(super) next_time: u64,
    next_id: u64,
    pub(super) records: Vec<JobRecord>,
    /// Backups of the last step that can be resumed.
    pub(super) incomplete: Vec<BackupRequest>,
}

/// One job to run.
pub(super) struct Job {
    id: u64,
    stream: usize,
    kind: JobKind,
    name: String,
    wanted_bytes: Option<u64>,
    action: Action,
}

pub(super) enum Action {
    Backup(Box<BackupRequest>),
    Restore(Box<RestoreRequest>),
    Verify(Box<VerifyRequest>),
    Expire(Box<ExpireRequest>),
    Flow(Box<dyn Flow>),
}

impl<'a> Jobs<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        stand: &'a Stand,
        installation: &'a Installation,
        observer: &'a dyn Observer,
    ) -> Self {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let unit = stand.storage_unit(scenario.unit());
        Self {
            scenario,
            stand,
            installation,
            observer,
            unit,
            next_time: now,
            next_id: 1,
            records: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    pub(super) fn into_records(self) -> Vec<JobRecord> {
        self.records
    }

    /// A job that goes on under the id that it had.
    pub(super) fn again(id: u64, stream: usize, name: String, action: Action) -> Job {
        Job { id, stream, kind: JobKind::Backup, name, wanted_bytes: None, action }
    }

    pub(super) fn job(
        &mut self,
        stream: usize,
        kind: JobKind,
        name: String,
        action: impl FnOnce(u64) -> Action,
    ) -> Job {
        let id = self.next_id;
        self.next_id += 1;
        Job { id, stream, kind, name, wanted_bytes: None, action: action(id) }
    }

    pub(super) fn backup(
        &mut self,
        step_index: usize,
        step: &BackupStep,
        prepared: &[Prepared],
        late: &[Fault],
    ) -> Result<BackupOutcome, SetupError> {
        let mut jobs = Vec::new();
        for stream in prepared {
            let request = BackupRequest {
                job_id: 0,
                client: self.scenario.client.clone(),
                policy: self.scenario.policy.clone(),
                schedule: self.scenario.schedule.clone(),
                schedule_type: step.schedule,
                stream: u32::try_from(stream.facts.number).unwrap_or(u32::MAX),
                backup_time: self.next_time,
                source: stream.source.clone(),
                storage_unit: self.unit.clone(),
                header_order: self.scenario.header,
                checkpoint_bytes: step.checkpoint.map(|bytes| bytes.0),
                resume: false,
                suspend: step.suspend_after.is_some(),
                worm_seconds: step.worm.map(|time| time.0 / 1000),
                accelerator: step
                    .accelerator
                    .then(|| Accelerator { forced_rescan: step.forced_rescan, ..Accelerator::default() }),
                abort_after: step.abort_after.or(step.suspend_after).map(|bytes| bytes.0),
            };
            // Room for a synthetic backup, which is made one second after the newest of its components.
            self.next_time += 2;
            let name = stream.facts.source.clone();
            jobs.push(self.job(stream.facts.number, JobKind::Backup, name, |id| {
                Action::Backup(Box::new(BackupRequest { job_id: id, ..request }))
            }));
        }
        let requests: Vec<BackupRequest> = jobs
            .iter()
            .filter_map(|job| match &job.action {
                Action::Backup(request) => Some((**request).clone()),
                _ => None,
            })
            .collect();
        let mutators = start_mutators(prepared)?;
        let (results, never_struck) = self.run_all(step_index, jobs, late);
        self.incomplete =
            requests.into_iter().filter(|request| can_resume(&results, request.job_id)).collect();
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
        for job in &results {
            if let Some(image) = catalog.image(&job.result.backup_id)? {
                if let Some(stream) = prepared.iter().find(|stream| stream.facts.number == job.stream) {
                    made.push(Backup {
                        backup_id: image.backup_id.clone(),
                        stream: job.stream,
                        content: Arc::clone(&stream.content),
                        full: image.schedule_type == ScheduleType::Full,
                    });
                }
                images.push(ImageFacts { stream: job.stream, image, made: job.result.images.clone() });
            }
        }
        self.records.extend(results);
        Ok(BackupOutcome { made, images, changed, never_struck })
    }

    pub(super) fn verify(&mut self, step_index: usize, step: &CopyStep, backups: &[Backup]) {
        let (unit, copy) = (self.unit.clone(), step.copy);
        let jobs = chosen(backups, step.images).map(|backup| {
            let (backup_id, storage_unit) = (backup.backup_id.clone(), unit.clone());
            self.job(backup.stream, JobKind::Verify, backup.backup_id.clone(), |job_id| {
                let request = VerifyRequest { job_id, backup_id, copy, storage_unit };
                match step.domain {
                    Domain::Source => Action::Verify(Box::new(request)),
                    Domain::Target => Action::Flow(Box::new(AtTarget(request))),
                }
            })
        });
        let jobs = jobs.collect();
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.records.extend(results);
    }

    /// Expires all backups, or one copy of each; returns the ids of those that are gone.
    pub(super) fn expire(
        &mut self,
        step_index: usize,
        step: &CopyStep,
        backups: &[Backup],
    ) -> Result<BTreeSet<String>, SetupError> {
        let (unit, copy) = (self.unit.clone(), step.copy);
        let jobs = chosen(backups, step.images).map(|backup| {
            let (backup_id, storage_unit) = (backup.backup_id.clone(), unit.clone());
            self.job(backup.stream, JobKind::ImageCleanup, backup.backup_id.clone(), |job_id| {
                let request = ExpireRequest { job_id, backup_id, copy, storage_unit };
                match step.domain {
                    Domain::Source => Action::Expire(Box::new(request)),
                    Domain::Target => Action::Flow(Box::new(AtTarget(request))),
                }
            })
        });
        let jobs = jobs.collect();
        let (results, _) = self.run_all(step_index, jobs, &[]);
        let work_dir = match step.domain {
            Domain::Source => self.installation.work_dir.clone(),
            Domain::Target => target_dir(self.installation),
        };
        let catalog = Catalog::open(&work_dir)?;
        let mut gone = BTreeSet::new();
        for job in &results {
            if catalog.image(&job.result.backup_id)?.is_none() {
                gone.insert(job.result.backup_id.clone());
            }
        }
        self.records.extend(results);
        Ok(gone)
    }

    pub(super) fn restore(
        &mut self,
        step_index: usize,
        step: &RestoreStep,
        backups: &[Backup],
        target: &Path,
        late: &[Fault],
    ) -> Result<RestoreOutcome, SetupError> {
        let plans = self.plan_restores(step, backups, target)?;
        let (jobs, expected): (Vec<Job>, Vec<Expected<'_>>) = plans.into_iter().unzip();
        let (results, never_struck) = self.run_all(step_index, jobs, late);
        self.observer.note("comparing what was restored with what was backed up");
        let mut total: Option<Comparison> = None;
        for (result, expected) in results.iter().zip(&expected) {
            let compared = expected.compare(&result.result)?;
            match &mut total {
                Some(total) => total.add(compared, LIST),
                None => total = Some(compared),
            }
            if expected.destination.exists() {
                remove_tree(&expected.destination)?;
            }
        }
        self.records.extend(results);
        Ok(match step.selection {
            RestoreSelection::All => RestoreOutcome { full: total, single: None, never_struck },
            _ => RestoreOutcome { full: None, single: total, never_struck },
        })
    }

    fn plan_restores<'p>(
        &mut self,
        step: &RestoreStep,
        backups: &'p [Backup],
        target: &Path,
    ) -> Result<Vec<(Job, Expected<'p>)>, SetupError> {
        let mut plans = Vec::new();
        let copy = step.copy;
        let catalog = match step.domain {
            Domain::Source => Catalog::open(&self.installation.work_dir)?,
            Domain::Target => Catalog::open(&target_dir(self.installation))?,
        };
        for backup in chosen(backups, step.images).filter(|backup| backup.full) {
            let choices: Vec<Option<Vec<PathBytes>>> = match &step.selection {
                RestoreSelection::All => vec![None],
                RestoreSelection::Files(files) => {
                    vec![Some(files.iter().map(|path| PathBytes::from_text(path)).collect())]
                }
                RestoreSelection::SingleFiles(count) => {
                    let picked = pick(&backup.content, *count, self.scenario.seed);
                    picked.into_iter().map(|path| Some(vec![path])).collect()
                }
            };
            for paths in choices {
                let destination = target.join(format!("{}-{}", backup.backup_id, plans.len()));
                let selection = paths.clone().map_or(Selection::All, Selection::Files);
                let (backup_id, storage_unit) = (backup.backup_id.clone(), self.unit.clone());
                let request_destination = destination.clone();
                let name = match &paths {
                    None => backup.backup_id.clone(),
                    Some(paths) => paths.iter().map(PathBytes::to_string).collect::<Vec<_>>().join(" "),
                };
                let mut job = self.job(backup.stream, JobKind::Restore, name, |job_id| {
                    let request = RestoreRequest {
                        job_id,
                        backup_id,
                        copy,
                        storage_unit,
                        destination: request_destination,
                        selection,
                    };
                    match step.domain {
                        Domain::Source => Action::Restore(Box::new(request)),
                        Domain::Target => Action::Flow(Box::new(AtTarget(request))),
                    }
                });
                if let Some(paths) = &paths {
                    job.wanted_bytes = Some(bytes_in_stream(&catalog, &backup.backup_id, paths)?);
                }
                plans.push((job, Expected { content: &backup.content, destination, paths }));
            }
        }
        Ok(plans)
    }

    /// Runs jobs, as many at a time as the storage unit allows, and returns them in order.
    pub(super) fn run_all(
        &self,
        step: usize,
        jobs: Vec<Job>,
        late: &[Fault],
    ) -> (Vec<JobRecord>, Vec<FaultOutcome>) {
        for job in &jobs {
            self.observer.job_queued(job.id, job.kind, &job.name);
        }
        let at_a_time = self.scenario.unit().max_concurrent_jobs.min(jobs.len()).max(1);
        let queue = Mutex::new(VecDeque::from(jobs));
        let done = Mutex::new(BTreeMap::new());
        let late = Mutex::new(late.to_vec());
        std::thread::scope(|scope| {
            for _ in 0..at_a_time {
                scope.spawn(|| {
                    while !self.observer.interrupted() {
                        let Some(job) = lock(&queue).pop_front() else { break };
                        let record = self.run_one(step, &job, &late);
                        self.observer.job_done(&record);
                        lock(&done).insert(job.id, record);
                    }
                });
            }
        });
        let never_struck = lock(&late).iter().map(|fault| FaultOutcome { fault: *fault, hits: 0 }).collect();
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        (done.into_values().collect(), never_struck)
    }

    /// Injects the faults that were waiting for this line of a job's details: the creation of a certain fragment.
    fn strike(&self, line: &str, late: &Mutex<Vec<Fault>>) {
        let Some((_, image)) = line.split_once("created image ") else { return };
        let made = image.trim_end().rsplit_once("_F").and_then(|(_, number)| number.parse::<u32>().ok());
        let due: Vec<Fault> = {
            let mut late = lock(late);
            let (due, rest) = late.iter().copied().partition(|fault| fault.fragment == made);
            *late = rest;
            due
        };
        for fault in due {
            if let Err(error) = self.stand.inject(&fault) {
                self.observer.note(&format!("a fault could not be injected: {error}"));
            }
        }
    }

    fn run_one(&self, step: usize, job: &Job, late: &Mutex<Vec<Fault>>) -> JobRecord {
        let mut watch = |event: &JobEvent| {
            if let JobEvent::Log(line) = event {
                self.strike(line, late);
            }
            self.observer.job_event(job.id, event);
            if self.observer.interrupted() { JobControl::Cancel } else { JobControl::Continue }
        };
        let result = match &job.action {
            Action::Backup(request) => nbu::backup(self.installation, request, &mut watch),
            Action::Restore(request) => nbu::restore(self.installation, request, &mut watch),
            Action::Verify(request) => nbu::verify(self.installation, request, &mut watch),
            Action::Expire(request) => nbu::expire(self.installation, request, &mut watch),
            Action::Flow(flow) => flow.run(self.installation, &mut watch),
        };
        let unit = self.scenario.unit().label.clone();
        JobRecord { step, stream: job.stream, unit, wanted_bytes: job.wanted_bytes, result }
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

/// Whether a job ended so that it can go on.
pub(super) fn can_resume(results: &[JobRecord], job_id: u64) -> bool {
    let states = [JobState::Incomplete, JobState::Suspended];
    results.iter().any(|job| job.result.job_id == job_id && states.contains(&job.result.state))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Bytes of the stream that these files take, headers included.
fn bytes_in_stream(catalog: &Catalog, backup_id: &str, paths: &[PathBytes]) -> Result<u64, SetupError> {
    let mut bytes = 0;
    for record in catalog.files(backup_id)? {
        let record = record?;
        if paths.contains(&record.path) {
            bytes += record.end() - record.start;
        }
    }
    Ok(bytes)
}

/// Picks regular files of a stream: the first, the last and others by the seed. Files with several names are left out,
/// since one of them alone is not the whole story, and so are files that change.
fn pick(content: &Content, count: u32, seed: u64) -> Vec<PathBytes> {
    let candidates: Vec<PathBytes> = match content {
        Content::Tree { before, changing, .. } => {
            let volatile = changing.as_ref().map(|file| file.relative_path.as_os_str().as_bytes());
            let single = before.iter().filter(|(path, entry)| {
                matches!(entry.kind, Kind::File(_)) && entry.hard_links.is_none() && Some(*path) != volatile
            });
            single.map(|(path, _)| PathBytes::from(path)).collect()
        }
        Content::Synthetic(data) => data.files().map(|(name, _)| PathBytes::from(name.as_str())).collect(),
    };
    let mut random = crate::data::tree::Random::new(seed);
    let last = candidates.len().saturating_sub(1);
    let mut chosen = BTreeSet::new();
    for n in 0..count.min(u32::try_from(candidates.len()).unwrap_or(u32::MAX)) {
        chosen.insert(match n {
            0 => 0,
            1 => last,
            _ => usize::try_from(random.next() % candidates.len() as u64).unwrap_or_default(),
        });
    }
    chosen.into_iter().filter_map(|index| candidates.get(index).cloned()).collect()
}

/// What a restore must give.
struct Expected<'p> {
    content: &'p Content,
    destination: PathBuf,
    /// The chosen files; none for all.
    paths: Option<Vec<PathBytes>>,
}

impl Expected<'_> {
    fn compare(&self, result: &JobResult) -> Result<Comparison, SetupError> {
        match self.content {
            Content::Tree { before, changing, .. } => self.compare_tree(before, changing.as_ref(), result),
            Content::Synthetic(data) => Ok(compare_synthetic(data, self.paths.as_deref(), result)),
        }
    }

    fn compare_tree(
        &self,
        before: &Snapshot,
        changing: Option<&ChangingFile>,
        result: &JobResult,
    ) -> Result<Comparison, SetupError> {
        if !self.destination.is_dir() {
            let mut none = Comparison { paths: before.paths().count(), ..Comparison::default() };
            let found = format!("nothing: the job ended with status {}", result.status);
            none.push(difference(&result.backup_id, "missing", "a restored tree", &found), LIST);
            return Ok(none);
        }
        let found = Snapshot::take(&self.destination, HASH_THREADS)?;
        let Some(paths) = &self.paths else {
            let volatile = changing.map(|file| file.relative_path.as_os_str().as_bytes().to_vec());
            let options = CompareOptions {
                list: LIST,
                volatile: volatile.into_iter().collect(),
                ..CompareOptions::default()
            };
            let mut compared = compare(before, &found, &options);
            if let Some(file) = changing
                && let Err(text) = file.accepts(&self.destination.join(&file.relative_path))
            {
                let path = file.relative_path.display().to_string();
                compared.push(difference(&path, "content", "one that the file held", &text), LIST);
            }
            return Ok(compared);
        };
        // A single file comes with the directories above it, whose attributes are not part of the selection.
        let chosen: BTreeSet<&[u8]> = paths.iter().map(|path| path.0.as_slice()).collect();
        let files_found = found.filtered(|path| {
            chosen.contains(path) || found.get(path).is_some_and(|entry| entry.kind != Kind::Directory)
        });
        let options = CompareOptions { list: LIST, ..CompareOptions::default() };
        Ok(compare(&before.filtered(|path| chosen.contains(path)), &files_found, &options))
    }
}

/// Synthetic files are checked while they are restored; what is left to do is to see that all of them were there.
fn compare_synthetic(data: &GenData, paths: Option<&[PathBytes]>, result: &JobResult) -> Comparison {
    let files = paths.map_or_else(|| data.file_count(), |paths| paths.len() as u64);
    let bytes = match paths {
        None => data.total_bytes(),
        Some(paths) => {
            paths.iter().filter_map(|path| data.file(&path.to_string())).map(|stream| stream.bytes).sum()
        }
    };
    let mut compared =
        Comparison { paths: usize::try_from(files).unwrap_or(usize::MAX), bytes, ..Comparison::default() };
    for bad in &result.bad_ranges {
        let found = format!("other bytes from {} to {}", bad.from, bad.to);
        compared.push(difference(&bad.path.to_string(), "content", "the generated bytes", &found), LIST);
    }
    if result.files < files || result.kbytes < bytes / 1024 {
        let expected = format!("{files} files, {} KiB", bytes / 1024);
        let found = format!("{} files, {} KiB", result.files, result.kbytes);
        compared.push(difference(&result.backup_id, "missing", &expected, &found), LIST);
    }
    compared
}

fn difference(path: &str, what: &'static str, expected: &str, found: &str) -> Difference {
    Difference { path: path.into(), what, expected: expected.into(), found: found.into() }
}

/// Removes a restored tree, directories without write permission included.
fn remove_tree(root: &Path) -> Result<(), SetupError> {
    if !rustix::process::geteuid().is_root() {
        open_directories(root)?;
    }
    fs::remove_dir_all(root).map_err(SetupError::io("remove", root))
}

fn open_directories(dir: &Path) -> Result<(), SetupError> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(SetupError::io("change the mode of", dir))?;
    for child in fs::read_dir(dir).map_err(SetupError::io("list", dir))? {
        let child = child.map_err(SetupError::io("list", dir))?;
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_directories(&dir.join(OsStr::new(&child.file_name())))?;
        }
    }
    Ok(())
}
