//! The domain of a scenario put together: units with their pools and media servers, groups, schedules, and the steps
//! that name them.

use super::diagnostic::nearest;
use super::domain::{
    GlobalAttributes, GroupSpec, KillStep, PauseStep, PoolSpec, ScheduleSpec, Victim, VolumeStep,
};
use super::file::{BackupFile, KillFile, PauseFile, Policy, Unit};
use super::inline::{self, Copies};
use super::lifecycle::{self, SlpFile, SlpSpec};
use super::media_server::{self, ClockOffset, MediaServers, PluginSpec};
use super::resolve::{Problem, twice};
use super::settings::Nbu;
use super::step::BackupStep;
use super::storage::StorageUnitSpec;
use super::values::{ByteSize, Milliseconds};
use crate::nbu::CheckpointEvery;
use crate::primary::PRIMARY;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;

/// NetBackup's default maximum fragment size of a disk storage unit: 524,288 MiB.
const MAX_FRAGMENT: ByteSize = ByteSize(524_288 << 20);
const MAX_JOBS: usize = 1024;
const MAX_TRIES: u32 = 100;
/// The most that NetBackup's `Media multiplexing` takes.
const MAX_MULTIPLEXING: u32 = 32;
/// The schedule of a scenario that names none.
const SCHEDULE: &str = "full";

/// What the file says of the domain.
pub(super) struct Domain {
    pub(super) globals: GlobalAttributes,
    pub(super) media_servers: Vec<String>,
    pub(super) plugins: BTreeMap<String, PluginSpec>,
    pub(super) clocks: BTreeMap<String, ClockOffset>,
    pub(super) pools: Vec<PoolSpec>,
    pub(super) units: Vec<StorageUnitSpec>,
    pub(super) groups: Vec<GroupSpec>,
    pub(super) slps: Vec<SlpSpec>,
    pub(super) schedule: String,
    pub(super) schedules: Vec<ScheduleSpec>,
    pub(super) policy_unit: usize,
    pub(super) copies: Copies,
}

pub(super) fn resolve(
    nbu: &Nbu,
    media_servers: Vec<Spanned<media_server::Entry>>,
    pools: Vec<Spanned<PoolSpec>>,
    units: Vec<Unit>,
    groups: Vec<Spanned<GroupSpec>>,
    slps: Vec<SlpFile>,
    policy: &Policy,
) -> Result<Domain, Problem> {
    if let Some(interval) = nbu.disk_polling.as_ref().filter(|interval| interval.value.0 < 1000) {
        return Err(Problem::new(
            interval.referenced,
            "volumes cannot be polled so often",
            "expected at least 1s",
        ));
    }
    if let Some(interval) = nbu.image_cleanup_interval.as_ref().filter(|interval| interval.value.0 < 60_000) {
        return Err(Problem::new(
            interval.referenced,
            "images cannot be cleaned up so often",
            "expected at least 1m",
        ));
    }
    if let Some(attempts) =
        nbu.schedule_attempts.as_ref().filter(|one| one.value.tries == 0 || one.value.per.0 < 1000)
    {
        let help = "expected at least one try and at least 1s, such as {tries: 2, per: 12h}";
        return Err(Problem::new(attempts.referenced, "not a number of tries within a time", help));
    }
    lifecycle::parameters(nbu.slp.as_ref())?;
    media_server::attributes(nbu)?;
    let MediaServers { names, plugins, clocks } = media_server::resolve(media_servers)?;
    let mut domain = Domain {
        globals: nbu.globals(),
        media_servers: names,
        plugins,
        clocks,
        pools: Vec::new(),
        units: Vec::new(),
        groups: Vec::new(),
        slps: Vec::new(),
        schedule: String::new(),
        schedules: Vec::new(),
        policy_unit: 0,
        copies: Copies::default(),
    };
    for pool in pools {
        domain.add_pool(pool)?;
    }
    for unit in units {
        domain.add_unit(unit)?;
    }
    for group in groups {
        domain.add_group(group)?;
    }
    domain.slps = lifecycle::resolve(slps, &domain.units, &domain.groups)?;
    domain.policy_unit = domain.policy_unit(inline::first(policy)?)?;
    domain.copies = inline::further(policy, |label| domain.policy_unit(label).map(drop))?;
    domain.add_schedules(policy)?;
    Ok(domain)
}

impl Domain {
    fn add_pool(&mut self, pool: Spanned<PoolSpec>) -> Result<(), Problem> {
        let (place, pool) = (pool.referenced, pool.value);
        if self.pools.iter().any(|other| other.name == pool.name) {
            return Err(Problem::new(
                place,
                format!("there is another pool `{}`", pool.name),
                "give each its own name",
            ));
        }
        if pool.lsus.is_empty() {
            return Err(Problem::new(place, "a disk pool needs disk volumes", "add `lsus: [lsu0]`"));
        }
        if pool.high_water > 100 || pool.low_water > pool.high_water {
            return Err(Problem::new(place, "not water marks", "expected low_water <= high_water <= 100"));
        }
        self.pools.push(pool);
        Ok(())
    }

    fn add_unit(&mut self, unit: Unit) -> Result<(), Problem> {
        if self.units.iter().any(|other| other.label == unit.label.value) {
            return Err(twice(unit.label.referenced, &unit.label.value, "storage unit"));
        }
        if let Some(size) = unit.max_fragment.as_ref().filter(|size| size.value.0 < 1 << 20) {
            return Err(Problem::new(
                size.referenced,
                "a fragment cannot be so small",
                "expected at least 1m",
            ));
        }
        if let Some(jobs) =
            unit.max_concurrent_jobs.as_ref().filter(|jobs| !(1..=MAX_JOBS).contains(&jobs.value))
        {
            return Err(Problem::new(
                jobs.referenced,
                "not a number of jobs",
                format!("expected 1 to {MAX_JOBS}"),
            ));
        }
        let media = unit.media.iter().map(|name| self.media_server(name)).collect::<Result<Vec<_>, _>>()?;
        let (pool, lsu) = match (unit.pool, unit.lsu) {
            (Some(pool), None) => {
                let names: Vec<&str> = self.pools.iter().map(|pool| pool.name.as_str()).collect();
                let Some(found) = self.pools.iter().find(|other| other.name == pool.value) else {
                    let message = format!("there is no disk pool `{}`", pool.value);
                    return Err(Problem::new(pool.referenced, message, nearest("name", &pool.value, &names)));
                };
                (pool.value, found.lsus[0].clone())
            }
            // A pool of this one volume.
            (None, Some(lsu)) => {
                if !self.pools.iter().any(|pool| pool.name == lsu) {
                    self.pools.push(PoolSpec {
                        name: lsu.clone(),
                        lsus: vec![lsu.clone()],
                        high_water: PoolSpec::default_high_water(),
                        low_water: PoolSpec::default_low_water(),
                        max_io_streams: None,
                    });
                }
                (lsu.clone(), lsu)
            }
            _ => {
                let message = "a storage unit is on a disk pool, or on one LSU";
                return Err(Problem::new(
                    unit.label.referenced,
                    message,
                    "add `lsu: NAME` or `pool: NAME`, not both",
                ));
            }
        };
        self.units.push(StorageUnitSpec {
            label: unit.label.value,
            pool,
            lsu,
            media: if media.is_empty() { self.media_servers.clone() } else { media },
            max_fragment: unit.max_fragment.map_or(MAX_FRAGMENT, |size| size.value),
            max_concurrent_jobs: unit.max_concurrent_jobs.map_or(1, |jobs| jobs.value),
        });
        Ok(())
    }

    fn add_group(&mut self, group: Spanned<GroupSpec>) -> Result<(), Problem> {
        let (place, group) = (group.referenced, group.value);
        let labels: Vec<&str> = self.units.iter().map(|unit| unit.label.as_str()).collect();
        if labels.contains(&group.label.as_str())
            || self.groups.iter().any(|other| other.label == group.label)
        {
            let message = format!("there is another storage unit or group `{}`", group.label);
            return Err(Problem::new(place, message, "give each its own label"));
        }
        if let Some(unknown) = group.units.iter().find(|label| !labels.contains(&label.as_str())) {
            let message = format!("there is no storage unit `{unknown}`");
            return Err(Problem::new(place, message, nearest("label", unknown, &labels)));
        }
        if group.units.is_empty() {
            return Err(Problem::new(place, "a group needs storage units", "add `units: [stu1, stu2]`"));
        }
        self.groups.push(group);
        Ok(())
    }

    fn policy_unit(&self, storage: &Spanned<String>) -> Result<usize, Problem> {
        let backs_up_to = lifecycle::backs_up_to(&self.slps, &storage.value);
        let group = self.groups.iter().find(|group| group.label == backs_up_to);
        let label = group.map_or(backs_up_to, |group| &group.units[0]);
        self.units.iter().position(|unit| unit.label == label).ok_or_else(|| {
            let units = self.units.iter().map(|unit| unit.label.as_str());
            let groups = self.groups.iter().map(|group| group.label.as_str());
            let slps = self.slps.iter().map(|slp| slp.policy.name.as_str());
            let labels: Vec<&str> = units.chain(groups).chain(slps).collect();
            let message = format!("there is no storage unit `{}`", storage.value);
            Problem::new(storage.referenced, message, nearest("label", &storage.value, &labels))
        })
    }

    fn add_schedules(&mut self, policy: &Policy) -> Result<(), Problem> {
        for schedule in &policy.schedules {
            if self.schedules.iter().any(|other| other.name == schedule.value.name) {
                let message = format!("there is another schedule `{}`", schedule.value.name);
                return Err(Problem::new(schedule.referenced, message, "give each its own name"));
            }
            if schedule.value.frequency.0 < 1000 {
                return Err(Problem::new(schedule.referenced, "not a frequency", "expected at least 1s"));
            }
            if !(1..=MAX_MULTIPLEXING).contains(&schedule.value.media_multiplexing) {
                let message = format!("`media_multiplexing` cannot be {}", schedule.value.media_multiplexing);
                let help = format!("expected 1 (none) to {MAX_MULTIPLEXING}");
                return Err(Problem::new(schedule.referenced, message, help));
            }
            if let Some(retention) = schedule.value.retention {
                self.check_retention(policy, retention)
                    .map_err(|(message, help)| Problem::new(schedule.referenced, message, help))?;
            }
            self.schedules.push(schedule.value.clone());
        }
        let first = self.schedules.first().map_or_else(|| SCHEDULE.to_owned(), |first| first.name.clone());
        self.schedule = policy.schedule.as_ref().map_or(first, |name| name.value.clone());
        if self.schedules.is_empty() {
            self.schedules.push(ScheduleSpec::by_hand(self.schedule.clone()));
        }
        match &policy.schedule {
            Some(name) => self.schedule_name(name).map(drop),
            None => Ok(()),
        }
    }

    /// What is wrong with the retention of a schedule, and what to do instead.
    fn check_retention(
        &self,
        policy: &Policy,
        retention: Milliseconds,
    ) -> Result<(), (String, &'static str)> {
        if retention.0 < 1000 {
            return Err(("not a retention".to_owned(), "expected at least 1s, such as 14d"));
        }
        let storage = policy.storage.as_ref().map(|storage| storage.value.as_str()).unwrap_or_default();
        let is_slp = self.slps.iter().any(|slp| slp.policy.name == storage);
        if is_slp {
            let message = format!("storage lifecycle policy `{storage}` says how long its copies are kept");
            return Err((message, "give its operations the `retention`"));
        }
        Ok(())
    }

    fn schedule_name(&self, name: &Spanned<String>) -> Result<String, Problem> {
        let names: Vec<&str> = self.schedules.iter().map(|schedule| schedule.name.as_str()).collect();
        if names.contains(&name.value.as_str()) {
            return Ok(name.value.clone());
        }
        let message = format!("the policy has no schedule `{}`", name.value);
        Err(Problem::new(name.referenced, message, nearest("name", &name.value, &names)))
    }

    /// Labels of the storage units.
    pub(super) fn labels(&self) -> Vec<&str> {
        self.units.iter().map(|unit| unit.label.as_str()).collect()
    }

    /// A media server that a step or a unit names.
    pub(super) fn media_server(&self, name: &Spanned<String>) -> Result<String, Problem> {
        self.media_server_at(name.referenced, &name.value)
    }

    /// The same, with the place that the name is at.
    pub(super) fn media_server_at(&self, place: Location, name: &str) -> Result<String, Problem> {
        if self.media_servers.iter().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        let names: Vec<&str> = self.media_servers.iter().map(String::as_str).collect();
        let message = format!("there is no media server `{name}`");
        Err(Problem::new(place, message, nearest("name", name, &names)))
    }

    /// A media server or the primary.
    pub(super) fn server(&self, place: Location, name: String) -> Result<String, Problem> {
        if name == PRIMARY || self.media_servers.contains(&name) {
            return Ok(name);
        }
        let names: Vec<&str> = self.media_servers.iter().map(String::as_str).chain([PRIMARY]).collect();
        let help = nearest("name", &name, &names);
        Err(Problem::new(place, format!("there is no server `{name}`"), help))
    }

    pub(super) fn backup(step: BackupFile) -> Result<BackupStep, Problem> {
        let tries = match step.tries {
            None => 1,
            Some(tries) if (1..=MAX_TRIES).contains(&tries.value) => tries.value,
            Some(tries) => {
                let help = format!("expected 1 to {MAX_TRIES}");
                return Err(Problem::new(tries.referenced, "not a number of tries", help));
            }
        };
        Ok(BackupStep {
            schedule: step.schedule,
            accelerator: step.accelerator,
            forced_rescan: step.forced_rescan,
            checkpoint: step.checkpoint.map(|checkpoint| checkpoint.every(CheckpointEvery::BACKUP)),
            suspend_after: step.suspend_after,
            worm: step.worm,
            abort_after: step.abort_after,
            tries,
        })
    }

    pub(super) fn kill(&self, step: Spanned<KillFile>) -> Result<KillStep, Problem> {
        let (place, file) = (step.referenced, step.value);
        let victim = match (file.process, file.server) {
            (Some(process), None) if file.fragment.is_some() => Victim::Process(process),
            (Some(_), None) => {
                let help = "add `fragment: 2`: when a job of the next step makes it";
                return Err(Problem::new(place, "it is not said when", help));
            }
            (None, Some(server)) => Victim::Server(self.server(place, server)?),
            _ => {
                let help = "add `process: bptm` or `server: NAME`, not both";
                return Err(Problem::new(place, "it is not said what is killed", help));
            }
        };
        Ok(KillStep { victim, fragment: file.fragment })
    }

    pub(super) fn pause(&self, step: &Spanned<PauseFile>, paused: bool) -> Result<PauseStep, Problem> {
        let server = self.media_server_at(step.referenced, &step.value.server)?;
        Ok(PauseStep { server, paused, fragment: step.value.fragment })
    }

    pub(super) fn volume(&self, step: Spanned<VolumeStep>) -> Result<VolumeStep, Problem> {
        let names: Vec<&str> = self.pools.iter().flat_map(|pool| &pool.lsus).map(String::as_str).collect();
        if names.contains(&step.value.lsu.as_str()) {
            return Ok(step.value);
        }
        let message = format!("there is no disk volume `{}`", step.value.lsu);
        Err(Problem::new(step.referenced, message, nearest("LSU", &step.value.lsu, &names)))
    }
}
