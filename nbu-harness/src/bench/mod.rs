//! The bench: backup and restore rates of a plug-in, as ratios to plain HTTP on the same machine in the same run.
//!
//! Absolute rates on a shared machine say little; a ratio to a control measured a moment before says more. Counts
//! (requests, peak memory) hardly vary at all. Data is synthetic: no disk is involved on either side.

mod control;
mod overhead;
mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::data::GenData;
use crate::engine::{Observer, SetupError, Stand};
use crate::nbu::{
    BackupRequest, CheckpointEvery, ExpireRequest, HeaderOrder, Installation, JobControl, JobResult,
    RestoreRequest, ScheduleType, Selection, Source, StorageUnit, backup, expire, restore,
};
use crate::scenario::Scenario;
use control::{Control, Direction};

pub use overhead::{Overhead, Parts, overhead, overhead_text};
pub use table::table;

/// Streams of one measurement.
const STREAMS: [usize; 2] = [1, 4];
/// Size of the generated files, in KiB.
const FILE_KIB: u64 = 4096;
/// The cluster and storage unit of the bench.
const SCENARIO: &str = include_str!("bench.yaml");

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The harness itself, which every NetBackup process is.
    pub exe: PathBuf,
    /// Plug-in libraries.
    pub plugins: Vec<PathBuf>,
    /// Bytes of one measurement, all streams together.
    pub bytes: u64,
    /// Measurements of each kind; their median counts.
    pub rounds: usize,
    /// Where working files go.
    pub work_dir: PathBuf,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The surroundings could not be set up.
    #[error(transparent)]
    SetUp(#[from] SetupError),
    /// A library of the harness is missing.
    #[error(transparent)]
    Library(#[from] crate::shim::Missing),
    /// The plain HTTP control failed.
    #[error("control: {0}")]
    Control(String),
    /// A job did not end with status 0.
    #[error("{plugin}: {what} ended with status {status}: {text}")]
    Job {
        /// Library.
        plugin: String,
        /// Kind of job.
        what: &'static str,
        /// NetBackup status.
        status: i32,
        /// Its text, with the plug-in's first error.
        text: String,
    },
}

/// One measurement, median of the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Library file name.
    pub plugin: String,
    /// `backup` or `restore`.
    pub kind: &'static str,
    /// Concurrent streams.
    pub streams: usize,
    /// Bytes per second through the whole of it: bpbkar, socket, shared memory, bptm, plug-in, HTTP, cluster.
    pub bytes_per_second: f64,
    /// Bytes per second of plain HTTP over as many connections.
    pub control_bytes_per_second: f64,
    /// The first over the second, median of the rounds' own ratios.
    pub ratio: f64,
    /// S3 requests per GiB.
    pub requests_per_gib: f64,
    /// Largest resident size of one bptm, in bytes.
    pub bptm_peak_bytes: u64,
}

/// The whole bench.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Bytes of one measurement.
    pub bytes: u64,
    /// Rounds.
    pub rounds: usize,
    /// Every measurement.
    pub figures: Vec<Figure>,
}

/// What one round of one kind gave.
#[derive(Debug, Clone, Copy)]
struct Round {
    took: Duration,
    control: Duration,
    requests: u64,
    peak: u64,
}

/// Measures every plug-in.
///
/// # Errors
/// When something could not be set up, or a job failed: a bench of failures would mean nothing.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Figures, BenchError> {
    let mut figures = Vec::new();
    for plugin in &options.plugins {
        let dir = tempfile::Builder::new().prefix("nbu-bench-").tempdir_in(&options.work_dir);
        let dir = dir.map_err(SetupError::io("make a directory in", &options.work_dir))?;
        let bench = Bench::new(options, plugin, dir.path())?;
        for streams in STREAMS {
            let mut backups = Vec::new();
            let mut restores = Vec::new();
            for round in 1..=options.rounds {
                observer.note(&format!("{}: {streams} stream(s), round {round}", bench.name));
                let (backup, restore) = bench.round(streams, observer)?;
                backups.push(backup);
                restores.push(restore);
            }
            figures.push(bench.figure("backup", streams, &backups));
            figures.push(bench.figure("restore", streams, &restores));
        }
    }
    Ok(Figures { bytes: options.bytes, rounds: options.rounds, figures })
}

struct Bench {
    name: String,
    bytes: u64,
    installation: Installation,
    unit: StorageUnit,
    control: Control,
    stand: Stand,
    restored: PathBuf,
    next: AtomicU64,
}

impl Bench {
    fn new(options: &Options, plugin: &Path, dir: &Path) -> Result<Self, BenchError> {
        let scenario: Scenario = crate::scenario::parse("bench.yaml", SCENARIO)
            .map_err(|diagnostic| SetupError::Impossible(diagnostic.render(false)))?;
        let stand = Stand::start(&scenario, dir)?;
        let unit = stand.storage_unit(scenario.unit());
        let config = stand.plugin_config().to_owned();
        let keys = stand.keys().ok_or_else(|| BenchError::Control("the cluster has no keys".to_owned()))?;
        let control = Control {
            vips: stand.cluster().map(vast_sim::Cluster::s3_urls).unwrap_or_default(),
            bucket: unit.lsu.clone(),
            access_key: keys.access_key.clone(),
            secret_key: keys.secret_key.clone(),
        };
        let plugin = plugin.canonicalize().unwrap_or_else(|_| plugin.to_owned());
        let name = plugin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let installation = Installation::new(options.exe.clone(), plugin, config, dir.join("netbackup"));
        let restored = dir.join("restored");
        Ok(Self {
            name,
            bytes: options.bytes,
            installation,
            unit,
            control,
            stand,
            restored,
            next: AtomicU64::new(1),
        })
    }

    /// Control and backup, control and restore, then everything is removed again.
    fn round(&self, streams: usize, observer: &dyn Observer) -> Result<(Round, Round), BenchError> {
        let go_on = || if observer.interrupted() { JobControl::Cancel } else { JobControl::Continue };
        let put = self.control.run(Direction::Put, self.bytes, streams)?;
        let get = self.control.run(Direction::Get, self.bytes, streams)?;
        let requests: Vec<BackupRequest> = (0..streams).map(|_| self.backup_request(streams)).collect();
        let before = self.requests();
        let (took, results) = self
            .at_once("backup", &requests, |request| backup(&self.installation, request, &mut |_| go_on()))?;
        let between = self.requests();
        let backup_round = Round { took, control: put, requests: between - before, peak: peak(&results) };
        let (took, results) = self.at_once("restore", &requests, |request| {
            let request = RestoreRequest {
                copy: None,
                job_id: self.job(),
                backup_id: request.backup_id(),
                storage_unit: self.unit.clone(),
                destination: self.restored.clone(),
                selection: Selection::All,
                checkpoint: CheckpointEvery::RESTORE,
                suspend_after: None,
                resume: false,
            };
            restore(&self.installation, &request, &mut |_| go_on())
        })?;
        let restore_round =
            Round { took, control: get, requests: self.requests() - between, peak: peak(&results) };
        self.at_once("expire", &requests, |request| {
            let request = ExpireRequest {
                copy: None,
                job_id: self.job(),
                backup_id: request.backup_id(),
                storage_unit: self.unit.clone(),
                leftovers_of: None,
            };
            expire(&self.installation, &request, &mut |_| go_on())
        })?;
        Ok((backup_round, restore_round))
    }

    fn backup_request(&self, streams: usize) -> BackupRequest {
        let job_id = self.job();
        let share = self.bytes / streams as u64;
        let data = GenData {
            kb_size: FILE_KIB,
            max_files: (share / (FILE_KIB * 1024)).max(1),
            ..GenData::with_seed(job_id)
        };
        BackupRequest {
            job_id,
            client: format!("bench{job_id}"),
            policy: "bench".to_owned(),
            schedule: "full".to_owned(),
            schedule_type: ScheduleType::Full,
            stream: 1,
            backup_time: 1_700_000_000 + job_id,
            source: Source::Synthetic(data),
            storage_unit: self.unit.clone(),
            header_order: HeaderOrder::Last,
            checkpoint: None,
            resume: false,
            suspend: false,
            worm_seconds: None,
            accelerator: None,
            abort_after: None,
            inline: None,
            multiplexed: None,
            collect_tir: false,
            earlier_tries: 0,
            retention_seconds: None,
        }
    }

    /// Runs one job per request, all at once; each must end with status 0.
    fn at_once(
        &self,
        what: &'static str,
        requests: &[BackupRequest],
        job: impl Fn(&BackupRequest) -> JobResult + Sync,
    ) -> Result<(Duration, Vec<JobResult>), BenchError> {
        let started = Instant::now();
        let results: Vec<Option<JobResult>> = thread::scope(|scope| {
            let jobs: Vec<_> = requests.iter().map(|request| scope.spawn(|| job(request))).collect();
            jobs.into_iter().map(|job| job.join().ok()).collect()
        });
        let took = started.elapsed();
        let mut ended = Vec::new();
        for result in results {
            let failed = |status, text| BenchError::Job { plugin: self.name.clone(), what, status, text };
            let result = result.ok_or_else(|| failed(-1, "the job's thread panicked".to_owned()))?;
            if result.status != 0 || !result.bad_ranges.is_empty() {
                let error = result.sts_error.as_ref().map(|e| format!(" ({} {})", e.call, e.text));
                return Err(failed(result.status, format!("{}{}", result.text, error.unwrap_or_default())));
            }
            ended.push(result);
        }
        Ok((took, ended))
    }

    fn job(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn requests(&self) -> u64 {
        self.stand.cluster().map_or(0, |cluster| cluster.counters().s3_total().requests)
    }

    fn figure(&self, kind: &'static str, streams: usize, rounds: &[Round]) -> Figure {
        let rate = |time: Duration| to_f64(self.bytes) / time.as_secs_f64();
        let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        Figure {
            plugin: self.name.clone(),
            kind,
            streams,
            bytes_per_second: of(&|round| rate(round.took)),
            control_bytes_per_second: of(&|round| rate(round.control)),
            ratio: of(&|round| rate(round.took) / rate(round.control)),
            requests_per_gib: of(&|round| to_f64(round.requests) / (to_f64(self.bytes) / to_f64(1 << 30))),
            bptm_peak_bytes: rounds.iter().map(|round| round.peak).max().unwrap_or(0),
        }
    }
}

fn peak(results: &[JobResult]) -> u64 {
    results.iter().map(|result| result.peak_rss_bytes).max().unwrap_or(0)
}

#[allow(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_scenario_of_the_bench_is_valid() {
        let scenario = crate::scenario::parse("bench.yaml", SCENARIO).unwrap();
        assert_eq!(scenario.unit().lsu, "bench");
    }
}
