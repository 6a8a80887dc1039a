//! The steps of a scenario, one after the other.

use super::jobs::{Backup, BackupOutcome, Jobs};
use super::media_servers::Fleet;
use super::plugin_faults::PluginFaults;
use super::record::{ImageFacts, KillOutcome, Record, RecordedAttributes, StepRecord};
use super::setup::{Administrator, Storage};
use super::sources::{self, Prepared};
use super::watch::{Late, never};
use super::{Observer, SetupError, Stand};
use super::{attributes, lifecycle};
use crate::nbu::Installation;
use crate::primary::JobOrder;
use crate::scenario::{Domain, Scenario, SetUp, Step, Victim, VolumeState};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a run needs beside the scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that every NetBackup process is: this one, normally.
    pub exe: PathBuf,
    /// The plug-in under test.
    pub plugin: PathBuf,
    /// Directory for the catalogue, data and logs; must exist and be empty.
    pub work_dir: PathBuf,
    /// The Rust toolchain's directory, when `rustc` shall not be asked.
    pub sysroot: Option<PathBuf>,
    /// Environment variables for the processes that load the plug-in.
    pub plugin_env: std::collections::BTreeMap<String, String>,
}

/// Runs a scenario to its end.
///
/// # Errors
/// When the surroundings could not be set up. A job that fails is no error: it is in the record.
pub fn run(scenario: &Scenario, options: &Options, observer: &dyn Observer) -> Result<Record, SetupError> {
    let started = Instant::now();
    let data_dir = options.work_dir.join("data");
    std::fs::create_dir_all(&data_dir).map_err(SetupError::io("create", &data_dir))?;
    let prepared = sources::prepare(scenario, options.sysroot.as_deref(), &data_dir, observer)?;
    if observer.interrupted() {
        return Err(SetupError::Interrupted);
    }
    let stand = Stand::start(scenario, &options.work_dir)?;
    let installation = installation(scenario, options, &stand);
    let fleet = Fleet::new(scenario);
    let mut administrator = Administrator::new(&installation);
    let storage = match scenario.globals.set_up {
        SetUp::Direct => Some(Storage::direct(scenario, &stand)),
        SetUp::Commands => administrator.set_up(scenario, &fleet, &stand)?,
    };
    let mut attributes = Vec::new();
    if scenario.globals.set_up == SetUp::Commands && storage.is_some() {
        attributes.push(attributes::recorded(&installation.work_dir, scenario, 0)?);
    }
    // Nothing can be done in a domain whose set-up failed; that it did is for the judge to say.
    let steps = if storage.is_some() { scenario.run.as_slice() } else { &[] };
    let storage = storage.unwrap_or_default();
    let mut runner = Runner {
        scenario,
        stand: &stand,
        jobs: Jobs::new(scenario, (storage, fleet), &prepared, &stand, &installation, observer)?,
        administrator,
        attributes,
        prepared,
        plugin_faults: PluginFaults::new(installation.clone()),
        backups: Vec::new(),
        replicas: Vec::new(),
        steps: Vec::new(),
        pending: Vec::new(),
        work_dir: &options.work_dir,
    };
    for step in steps {
        runner.step(step)?;
        if observer.interrupted() {
            return Err(SetupError::Interrupted);
        }
    }
    let mut faults = stand.fault_outcomes();
    let mut misfortunes = std::mem::take(&mut runner.jobs.misfortunes);
    misfortunes.add(never(runner.pending));
    faults.append(&mut misfortunes.faults);
    let record = Record {
        scenario: scenario.clone(),
        set_up: runner.administrator.done,
        attributes: runner.attributes,
        streams: runner.prepared.iter().map(|stream| stream.facts.clone()).collect(),
        steps: runner.steps,
        jobs: runner.jobs.into_records(),
        vips: stand.vip_requests(),
        vms: stand.vms_requests(),
        faults,
        kills: misfortunes.kills,
        pauses: misfortunes.pauses,
        orders: misfortunes.orders,
        plugin_faults: runner.plugin_faults.outcomes()?,
        storage: stand.storage_state(),
        elapsed_ms: elapsed_ms(started),
    };
    Ok(record)
}

fn installation(scenario: &Scenario, options: &Options, stand: &Stand) -> Installation {
    let plugin_config = stand.plugin_config().to_path_buf();
    Installation {
        plugin_env: options.plugin_env.clone(),
        data_buffers: scenario.buffers,
        timeouts: scenario.timeouts,
        fork_point: scenario.fork,
        ..Installation::new(
            options.exe.clone(),
            options.plugin.clone(),
            plugin_config,
            options.work_dir.join("netbackup"),
        )
    }
}

pub(crate) fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

struct Runner<'a> {
    scenario: &'a Scenario,
    stand: &'a Stand,
    prepared: Vec<Prepared>,
    jobs: Jobs<'a>,
    administrator: Administrator<'a>,
    attributes: Vec<RecordedAttributes>,
    plugin_faults: PluginFaults,
    /// Backups that are in the catalogue.
    backups: Vec<Backup>,
    /// Backups that are in the catalogue of the target domain.
    replicas: Vec<Backup>,
    steps: Vec<StepRecord>,
    /// Faults and kills that wait for a job of the next step to make a certain fragment.
    pending: Vec<Late>,
    work_dir: &'a Path,
}

impl Runner<'_> {
    fn step(&mut self, step: &Step) -> Result<(), SetupError> {
        let started = Instant::now();
        let mut record = StepRecord {
            name: step.name(),
            elapsed_ms: 0,
            before: self.stand.storage_state(),
            after: None,
            full: None,
            single: None,
            images: Vec::new(),
            copies: Vec::new(),
            changed: Vec::new(),
        };
        let index = self.steps.len();
        match step {
            Step::Backup(step) => {
                let late = std::mem::take(&mut self.pending);
                let outcome = self.jobs.backup(index, step, &self.prepared, late)?;
                self.backed_up(outcome, &mut record);
            }
            Step::Advance(time) => {
                let late = std::mem::take(&mut self.pending);
                let outcome = self.jobs.advance(index, *time, &self.prepared, late)?;
                self.backed_up(outcome, &mut record);
                record.copies = self.jobs.copies_by_lifecycle(index, &self.backups)?;
                if let Some(unit) = lifecycle::imports_to(self.scenario) {
                    self.replicas = self.jobs.at_target(unit, &self.backups, &self.replicas)?;
                }
                self.stand.advance(*time)?;
            }
            Step::Restore(step) => {
                let target = self.work_dir.join(format!("restore-{index}"));
                let backups = match step.domain {
                    Domain::Source => &self.backups,
                    Domain::Target => &self.replicas,
                };
                let outcome = self.jobs.restore(index, step, backups, &target)?;
                (record.full, record.single) = (outcome.full, outcome.single);
            }
            Step::Verify(step) => {
                let backups = match step.domain {
                    Domain::Source => &self.backups,
                    Domain::Target => &self.replicas,
                };
                self.jobs.verify(index, step, backups)?;
            }
            Step::Import(step) => self.jobs.import(index, *step, &self.backups)?,
            Step::Replicate => self.jobs.replicate(index, &self.backups)?,
            Step::ImportReplicas(step) => {
                self.jobs.import_replicas(index, *step)?;
                let unit = &self.scenario.units[step.unit].label;
                self.replicas = self.jobs.at_target(unit, &self.backups, &self.replicas)?;
            }
            Step::Cleanup => self.jobs.cleanup(index)?,
            Step::LoseCatalog => {
                let dir = self.work_dir.join("netbackup").join("catalog");
                std::fs::remove_dir_all(&dir).map_err(SetupError::io("remove", &dir))?;
            }
            Step::Change(step) => {
                let mtime = self.jobs.domain.tick()?;
                for (stream, prepared) in self.scenario.streams.iter().zip(&mut self.prepared) {
                    prepared.change(&stream.source, *step, mtime)?;
                }
            }
            Step::Synthetic(step) => {
                let made = self.jobs.synthesize(index, *step, &self.prepared)?;
                record.images = made.images;
                self.backups.extend(made.made);
            }
            Step::Duplicate(step) => record.copies = self.jobs.duplicate(index, step, &self.backups)?,
            Step::Expire(step) => {
                let backups = match step.domain {
                    Domain::Source => &mut self.backups,
                    Domain::Target => &mut self.replicas,
                };
                let gone = self.jobs.expire(index, step, backups)?;
                backups.retain(|backup| !gone.contains(&backup.backup_id));
            }
            Step::Fill(step) => self.stand.fill(step)?,
            Step::Fault(fault) if fault.fragment.is_some() => self.pending.push(Late::Fault(*fault)),
            Step::Fault(fault) => self.stand.inject(fault)?,
            Step::PluginFault(order) => {
                let installation = self.plugin_faults.arm(order)?;
                self.jobs.reinstall(installation)?;
            }
            Step::Heal => {
                self.stand.heal();
                let installation = self.plugin_faults.heal();
                self.jobs.reinstall(installation)?;
            }
            Step::Kill(kill) => match (&kill.victim, kill.fragment) {
                (Victim::Server(name), None) => {
                    let hits = u64::from(self.jobs.domain.kill(name)?);
                    self.jobs.misfortunes.kills.push(KillOutcome { kill: kill.clone(), hits });
                }
                _ => self.pending.push(Late::Kill(kill.clone())),
            },
            Step::Pause(pause) if pause.fragment.is_none() => {
                let outcome = self.jobs.domain.pause(pause)?;
                self.jobs.misfortunes.pauses.extend(outcome);
            }
            Step::Pause(pause) => self.pending.push(Late::Pause(pause.clone())),
            Step::Order(order) => self.pending.push(Late::Order(*order)),
            Step::Resume(step) => {
                let late = std::mem::take(&mut self.pending);
                let outcome = self.jobs.resume(index, *step, &self.prepared, late)?;
                self.backed_up(outcome, &mut record);
            }
            Step::Restart => {
                let late = std::mem::take(&mut self.pending);
                let outcome = self.jobs.order(index, JobOrder::Restart, &self.prepared, late)?;
                self.backed_up(outcome, &mut record);
            }
            Step::Upgrade(name) => {
                self.jobs.upgrade(name, &mut self.administrator)?;
                if self.scenario.globals.set_up == SetUp::Commands {
                    let home = self.work_dir.join("netbackup");
                    self.attributes.push(attributes::recorded(&home, self.scenario, index + 1)?);
                }
            }
            Step::UpdateCredentials => self.jobs.update_credentials(&mut self.administrator)?,
            Step::Start(name) => self.jobs.domain.start_again(name)?,
            Step::Volume(step) => self.jobs.domain.volume(&step.lsu, step.state == VolumeState::Up)?,
        }
        record.after = self.stand.storage_state();
        record.elapsed_ms = elapsed_ms(started);
        debug_assert!(self.scenario.run.len() > index, "one record per step");
        self.steps.push(record);
        Ok(())
    }

    fn backed_up(&mut self, outcome: BackupOutcome, record: &mut StepRecord) {
        self.backups.extend(outcome.made);
        self.backups.retain(|backup| !outcome.gone.contains(&backup.backup_id));
        (record.full, record.single) = (outcome.restored.full, outcome.restored.single);
        if !self.scenario.copies.is_one() {
            let count = |facts: &ImageFacts| (facts.image.backup_id.clone(), facts.image.copies.len() as u64);
            record.copies = outcome.images.iter().map(count).collect();
        }
        record.images = outcome.images;
        record.changed = outcome.changed;
    }
}
