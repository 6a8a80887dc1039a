//! The domain as an administrator sets it up: by NetBackup's own commands, each a process, in the domain's home. The
//! primary is then configured with what they left in the enterprise media manager's database.

use super::media_servers::Fleet;
use super::record::CommandRecord;
use super::{SetupError, Stand};
use crate::emm::{Database, Emm, EmmError, Selection};
use crate::nbu::Installation;
use crate::primary::config::{Group, Pool, Unit, Volume};
use crate::scenario::{AttributeSource, GroupSpec, PoolSpec, Scenario, StorageUnitSpec};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

/// Where backups can go, as the primary is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Storage {
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) pools: BTreeMap<String, Pool>,
    pub(super) units: Vec<Unit>,
    pub(super) groups: Vec<Group>,
}

impl Storage {
    /// What the scenario says, as it stands there.
    pub(super) fn direct(scenario: &Scenario, stand: &Stand) -> Self {
        let lsus = scenario.pools.iter().flat_map(|pool| &pool.lsus);
        let volumes = lsus.map(|lsu| {
            let unit = stand.storage_unit_of(lsu);
            let (server, user, password) = (unit.server, unit.user, unit.password);
            (lsu.clone(), Volume { server, user, password, lsu: unit.lsu, capabilities: None })
        });
        let pools = scenario.pools.iter().map(|pool| {
            let (high_water, low_water, max_io_streams) =
                (pool.high_water, pool.low_water, pool.max_io_streams);
            (pool.name.clone(), Pool { volumes: pool.lsus.clone(), high_water, low_water, max_io_streams })
        });
        let units = scenario.units.iter().map(|unit| Unit {
            label: unit.label.clone(),
            pool: unit.pool.clone(),
            media_servers: unit.media.clone(),
            max_concurrent_jobs: u32::try_from(unit.max_concurrent_jobs).unwrap_or(u32::MAX),
            max_fragment: unit.max_fragment.0,
        });
        let groups = scenario.groups.iter().map(|group| Group {
            label: group.label.clone(),
            units: group.units.clone(),
            selection: group.selection,
        });
        Self {
            volumes: volumes.collect(),
            pools: pools.collect(),
            units: units.collect(),
            groups: groups.collect(),
        }
    }

    /// Only what is of one storage server.
    pub(super) fn of_server(mut self, server: &str) -> Self {
        self.volumes.retain(|_, volume| volume.server == server);
        let volumes = &self.volumes;
        self.pools.retain(|_, pool| pool.volumes.iter().all(|name| volumes.contains_key(name)));
        let pools = &self.pools;
        self.units.retain(|unit| pools.contains_key(&unit.pool));
        let units = &self.units;
        self.groups
            .retain(|group| group.units.iter().all(|label| units.iter().any(|unit| unit.label == *label)));
        self
    }

    /// What the commands left. A disk volume is used with the credentials of the media server that its storage server was
    /// set up with.
    fn of(emm: &Emm) -> Result<Self, EmmError> {
        let (database, credentials) = (emm.read()?, emm.credentials()?);
        let mut storage = Self::default();
        for pool in database.disk_pools().iter() {
            let server = database.storage_server(&pool.storage_server)?;
            let held = credentials.get(&server.media_server, &server.key())?;
            for volume in &pool.volumes {
                let lsu = volume.report.name.clone();
                let (user, password) = (held.user.clone(), held.password.reveal().to_owned());
                let capabilities = Some(server.report.capabilities.clone());
                let volume = Volume { server: server.key(), user, password, lsu: lsu.clone(), capabilities };
                storage.volumes.insert(lsu, volume);
            }
            let volumes = pool.volumes.iter().map(|volume| volume.report.name.clone()).collect();
            let max_io_streams = u32::try_from(pool.max_io_streams).ok();
            let (high_water, low_water) = (pool.high_water_mark, pool.low_water_mark);
            storage.pools.insert(pool.name.clone(), Pool { volumes, high_water, low_water, max_io_streams });
        }
        storage.units = units(&database);
        storage.groups = groups(&database);
        Ok(storage)
    }
}

fn units(database: &Database) -> Vec<Unit> {
    let unit = |unit: &crate::emm::StorageUnit| Unit {
        label: unit.label.clone(),
        pool: unit.pool.clone(),
        media_servers: unit.media_servers.clone(),
        max_concurrent_jobs: unit.max_concurrent_jobs,
        max_fragment: unit.max_fragment_mb.saturating_mul(MIB),
    };
    database.storage_units().iter().map(unit).collect()
}

fn groups(database: &Database) -> Vec<Group> {
    let group = |group: &crate::emm::StorageUnitGroup| Group {
        label: group.name.clone(),
        units: group.units.clone(),
        selection: group.selection,
    };
    database.storage_unit_groups().iter().map(group).collect()
}

/// A shell of an administrator on the primary.
pub(super) struct Administrator<'a> {
    /// What media servers have that do not differ.
    installation: &'a Installation,
    /// What was done, as far as it went.
    pub(super) done: Vec<CommandRecord>,
}

impl<'a> Administrator<'a> {
    pub(super) const fn new(installation: &'a Installation) -> Self {
        Self { installation, done: Vec::new() }
    }

    /// Sets the scenario's storage up. Returns what came of it when all of it worked.
    ///
    /// # Errors
    /// When a command cannot be started, or what they left cannot be read.
    pub(super) fn set_up(
        &mut self,
        scenario: &Scenario,
        fleet: &Fleet,
        stand: &Stand,
    ) -> Result<Option<Storage>, SetupError> {
        let went = self.all_commands(scenario, fleet, stand)?;
        went.then(|| self.storage(scenario)).transpose()
    }

    /// What is recorded, as the primary is told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn storage(&self, scenario: &Scenario) -> Result<Storage, SetupError> {
        let mut storage = Storage::of(&Emm::open(&self.installation.work_dir)?)?;
        if scenario.globals.attributes == AttributeSource::Plugin {
            storage.volumes.values_mut().for_each(|volume| volume.capabilities = None);
        }
        Ok(storage)
    }

    /// Records a media server's new plug-in, and what the storage server can do by it. Returns whether that worked.
    ///
    /// # Errors
    /// When a command cannot be started.
    pub(super) fn upgrade(
        &mut self,
        scenario: &Scenario,
        name: &str,
        fleet: &Fleet,
    ) -> Result<bool, SetupError> {
        let update = host("-updatehost", name, &fleet.on(name, self.installation)?);
        let server = ["-storage_server", &scenario.server.name, "-stype", &scenario.server.server_type];
        let ask = [&["-updatests"], &server[..], &["-media_server", name]].concat();
        Ok(self.run("nbemmcmd", &words(&update), "")?
            && self.run("nbdevconfig", &ask, "")?
            && self.run("bpstsinfo", &["-pi"], "")?)
    }

    /// Gives every media server the credentials that the storage server has now. Returns whether that worked.
    ///
    /// # Errors
    /// When a command cannot be started.
    pub(super) fn update_credentials(
        &mut self,
        scenario: &Scenario,
        stand: &Stand,
    ) -> Result<bool, SetupError> {
        let server = ["-storage_server", &scenario.server.name, "-stype", &scenario.server.server_type];
        let (user, password) = stand.credentials();
        for name in &scenario.media_servers {
            let update = [&["-update"], &server[..], &["-sts_user_id", user, "-media_server", name]].concat();
            if !self.run("tpconfig", &update, &password)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all of it went well; it stops at the first command that fails.
    fn all_commands(
        &mut self,
        scenario: &Scenario,
        fleet: &Fleet,
        stand: &Stand,
    ) -> Result<bool, SetupError> {
        let server = ["-storage_server", &scenario.server.name, "-stype", &scenario.server.server_type];
        let servers = ["-storage_servers", &scenario.server.name, "-stype", &scenario.server.server_type];
        let (user, password) = stand.credentials();
        let Some(first) = scenario.media_servers.first() else { return Ok(true) };
        for name in &scenario.media_servers {
            let add = host("-addhost", name, &fleet.on(name, self.installation)?);
            if !self.run("nbemmcmd", &words(&add), "")? {
                return Ok(false);
            }
        }
        let create = [&["-creatests"], &server[..], &["-media_server", first]].concat();
        if !self.run("nbdevconfig", &create, "")? {
            return Ok(false);
        }
        for name in &scenario.media_servers {
            let add = [&["-add"], &server[..], &["-sts_user_id", user, "-media_server", name]].concat();
            if !self.run("tpconfig", &add, &password)? {
                return Ok(false);
            }
        }
        if !self.run("nbdevconfig", &[&["-previewdv"], &servers[..]].concat(), "")? {
            return Ok(false);
        }
        let preview = self.done.last().map(|command| command.output.clone()).unwrap_or_default();
        for pool in &scenario.pools {
            let list = self.installation.work_dir.join(format!("{}.dvlist", pool.name));
            let lines = volume_lines(&preview, &pool.lsus);
            std::fs::write(&list, lines).map_err(SetupError::io("write", &list))?;
            if !self.run("nbdevconfig", &words(&create_pool(pool, &servers, &list)), "")? {
                return Ok(false);
            }
        }
        for unit in &scenario.units {
            if !self.run("bpstuadd", &words(&add_unit(unit)), "")? {
                return Ok(false);
            }
        }
        for group in &scenario.groups {
            if !self.run("bpstuadd", &words(&add_group(group)), "")? {
                return Ok(false);
            }
        }
        // Which versions there are is of interest where there are several.
        Ok(scenario.plugins.is_empty() || self.run("bpstsinfo", &["-pi"], "")?)
    }

    /// Runs a command with a line of input; returns whether it ended with 0.
    fn run(&mut self, name: &str, arguments: &[&str], input: &str) -> Result<bool, SetupError> {
        let failed = |source| SetupError::Io { what: "run", path: self.installation.exe.clone(), source };
        let mut command = Command::new(&self.installation.exe);
        command.arg(name).args(arguments).arg("--home").arg(&self.installation.work_dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not want it does not read it.
            let _ = writeln!(stdin, "{input}");
        }
        let output = child.wait_with_output().map_err(failed)?;
        let text = [output.stdout, output.stderr].concat();
        self.done.push(CommandRecord {
            line: [&[name], arguments].concat().join(" "),
            status: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&text).into_owned(),
        });
        Ok(output.status.success())
    }
}

/// What `nbemmcmd` is told of a media server.
fn host(verb: &str, name: &str, installation: &Installation) -> Vec<String> {
    let (plugin, config) = (installation.plugin.display(), installation.plugin_config.display());
    let mut line: Vec<String> = [verb, "-machinename", name].map(str::to_owned).into();
    line.extend(["-plugin".to_owned(), plugin.to_string(), "-plugin_config".to_owned(), config.to_string()]);
    if !installation.plugin_env.is_empty() {
        line.push("-plugin_env".to_owned());
        line.extend(installation.plugin_env.iter().map(|(name, value)| format!("{name}={value}")));
    }
    line
}

/// The lines of a preview that are of these LSUs.
fn volume_lines(preview: &str, lsus: &[String]) -> String {
    let of_pool = |line: &&str| lsus.iter().any(|lsu| line.contains(&format!(" \"{lsu}\" ")));
    preview.lines().filter(of_pool).flat_map(|line| [line, "\n"]).collect()
}

fn create_pool(pool: &PoolSpec, servers: &[&str], list: &Path) -> Vec<String> {
    let mut line: Vec<String> = ["-createdp", "-dp", &pool.name].map(str::to_owned).into();
    line.extend(servers.iter().map(|word| (*word).to_owned()));
    line.extend(["-dvlist".to_owned(), list.display().to_string()]);
    line.extend(["-hwm".to_owned(), pool.high_water.to_string()]);
    line.extend(["-lwm".to_owned(), pool.low_water.to_string()]);
    if let Some(streams) = pool.max_io_streams {
        line.extend(["-max_io_streams".to_owned(), streams.to_string()]);
    }
    line
}

fn add_unit(unit: &StorageUnitSpec) -> Vec<String> {
    let mut line: Vec<String> = ["-label", &unit.label, "-dp", &unit.pool].map(str::to_owned).into();
    line.push("-hostlist".to_owned());
    line.extend(unit.media.iter().cloned());
    line.extend(["-cj".to_owned(), unit.max_concurrent_jobs.to_string()]);
    line.extend(["-mfs".to_owned(), (unit.max_fragment.0 / MIB).to_string()]);
    line
}

fn add_group(group: &GroupSpec) -> Vec<String> {
    // Numbered from 1.
    let number =
        (1..).zip(Selection::ALL).find(|(_, one)| *one == group.selection).map_or(1, |(number, _)| number);
    let mut line: Vec<String> = ["-group", &group.label, "-stunits"].map(str::to_owned).into();
    line.extend(group.units.iter().cloned());
    line.extend(["-sm".to_owned(), number.to_string()]);
    line
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}
