//! The database and its rules: what refers to what, and what may change.

use super::credentials::CredentialStore;
use super::error::{EmmError, Kind};
use super::model::{
    DiskPool, DiskVolume, MediaServer, PluginInstall, ServerReport, State, StorageServer, StorageType,
    StorageUnit, VolumeReport,
};
use super::settings::Settings;
use super::table::{Table, checked_name};
use super::{LifecyclePolicy, StorageUnitGroup};
use serde::{Deserialize, Serialize};

/// Everything but the passwords, which are in [`CredentialStore`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    media_servers: Table<MediaServer>,
    storage_servers: Table<StorageServer>,
    disk_pools: Table<DiskPool>,
    pub(super) storage_units: Table<StorageUnit>,
    pub(super) storage_unit_groups: Table<StorageUnitGroup>,
    pub(super) lifecycle_policies: Table<LifecyclePolicy>,
    /// How many media ids were given out. One is never given to a second volume.
    media_ids: u64,
}

/// A storage server that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewServer {
    /// Name without its type.
    pub name: String,
    /// Type: the plug-in's prefix.
    pub server_type: String,
    /// How its storage is formatted and attached.
    pub storage_type: StorageType,
    /// Media server that it is set up with.
    pub media_server: String,
    /// What the plug-in said.
    pub report: ServerReport,
}

/// A pool that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPool {
    /// Name.
    pub name: String,
    /// Storage server with its type.
    pub storage_server: String,
    /// Its volumes, at least one.
    pub volumes: Vec<VolumeReport>,
    /// Values that are not the default.
    pub values: PoolValues,
}

/// Values of a pool that an administrator sets; what is `None` stays as it is, or is the default of a new pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolValues {
    /// High water mark in percent, 1 to 100.
    pub high_water_mark: Option<u8>,
    /// Low water mark in percent, less than the high one.
    pub low_water_mark: Option<u8>,
    /// I/O streams per volume, from 1; -1 is unlimited.
    pub max_io_streams: Option<i32>,
    /// A comment.
    pub comment: Option<String>,
}

/// What the administrator can do to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// Use it.
    Up,
    /// Do not use it.
    Down,
    /// Forget what the last poll found: it counts as up until the next.
    Reset,
}

impl StateChange {
    fn apply(self, states: &mut super::States) {
        match self {
            Self::Up => states.admin = State::Up,
            Self::Down => states.admin = State::Down,
            Self::Reset => states.internal = State::Up,
        }
    }
}

/// The media id with a number, from 1: `@aaaab`, `@aaaac`, and on in letters.
fn media_id(mut number: u64) -> String {
    let mut letters = [b'a'; 5];
    for letter in letters.iter_mut().rev() {
        *letter = b'a' + u8::try_from(number % 26).unwrap_or(0);
        number /= 26;
    }
    // Longer than NetBackup's after twelve million volumes, and still nobody else's.
    let more = if number > 0 { number.to_string() } else { String::new() };
    format!("@{}{more}", String::from_utf8_lossy(&letters))
}

impl PoolValues {
    fn apply(&self, pool: &mut DiskPool) -> Result<(), EmmError> {
        let high = self.high_water_mark.unwrap_or(pool.high_water_mark);
        let low = self.low_water_mark.unwrap_or(pool.low_water_mark);
        let streams = self.max_io_streams.unwrap_or(pool.max_io_streams);
        if !(1..=100).contains(&high) {
            return Err(EmmError::bad("as a high water mark", &high, "1 to 100 percent"));
        }
        if low >= high {
            return Err(EmmError::bad(
                "as a low water mark",
                &low,
                format!("less than the high one, {high}"),
            ));
        }
        if streams != -1 && streams < 1 {
            return Err(EmmError::bad(
                "as a number of I/O streams",
                &streams,
                "1 or more, or -1 for unlimited",
            ));
        }
        (pool.high_water_mark, pool.low_water_mark, pool.max_io_streams) = (high, low, streams);
        if let Some(comment) = &self.comment {
            pool.comment.clone_from(comment);
        }
        Ok(())
    }
}

impl Database {
    /// Media servers by name.
    pub const fn media_servers(&self) -> &Table<MediaServer> {
        &self.media_servers
    }

    /// Storage servers by type and name.
    pub const fn storage_servers(&self) -> &Table<StorageServer> {
        &self.storage_servers
    }

    /// Disk pools by name.
    pub const fn disk_pools(&self) -> &Table<DiskPool> {
        &self.disk_pools
    }

    /// Storage units by label.
    pub const fn storage_units(&self) -> &Table<StorageUnit> {
        &self.storage_units
    }

    /// Storage unit groups by name.
    pub const fn storage_unit_groups(&self) -> &Table<StorageUnitGroup> {
        &self.storage_unit_groups
    }

    /// Storage lifecycle policies by name.
    pub const fn lifecycle_policies(&self) -> &Table<LifecyclePolicy> {
        &self.lifecycle_policies
    }

    /// A media server.
    pub fn media_server(&self, name: &str) -> Result<&MediaServer, EmmError> {
        self.media_servers.get(Kind::MediaServer, name)
    }

    /// A storage server by type and name, such as `VastData:vast1`.
    pub fn storage_server(&self, key: &str) -> Result<&StorageServer, EmmError> {
        self.storage_servers.get(Kind::StorageServer, key)
    }

    /// A disk pool.
    pub fn disk_pool(&self, name: &str) -> Result<&DiskPool, EmmError> {
        self.disk_pools.get(Kind::DiskPool, name)
    }

    /// Adds a media server.
    pub fn add_media_server(&mut self, server: MediaServer) -> Result<(), EmmError> {
        checked_name(Kind::MediaServer, &server.name)?;
        let name = server.name.clone();
        self.media_servers.add(Kind::MediaServer, &name, server)
    }

    /// Gives a media server another plug-in.
    pub fn set_plugin(&mut self, media_server: &str, plugin: PluginInstall) -> Result<(), EmmError> {
        self.media_servers.get_mut(Kind::MediaServer, media_server)?.plugin = plugin;
        Ok(())
    }

    /// Takes a media server out, unless a storage server, credentials or a storage unit need it.
    pub fn remove_media_server(
        &mut self,
        name: &str,
        credentials: &CredentialStore,
    ) -> Result<MediaServer, EmmError> {
        self.media_server(name)?;
        let server = self.storage_servers.iter().find(|s| s.media_server == name);
        let unit = self.storage_units.iter().find(|u| u.media_servers.iter().any(|m| m == name));
        let held = credentials.iter().find(|c| c.media_server == name);
        let by = server
            .map(|s| format!("{} {}", Kind::StorageServer, s.key()))
            .or_else(|| held.map(|c| format!("its {} for {}", Kind::Credentials, c.storage_server)))
            .or_else(|| unit.map(|u| format!("{} {}", Kind::StorageUnit, u.label)));
        match by {
            Some(by) => Err(EmmError::InUse { kind: Kind::MediaServer, name: name.into(), by }),
            None => self.media_servers.remove(Kind::MediaServer, name),
        }
    }

    /// Adds a storage server as its plug-in reported it.
    pub fn add_storage_server(&mut self, new: NewServer, settings: &Settings) -> Result<(), EmmError> {
        checked_name(Kind::StorageServer, &new.name)?;
        checked_name(Kind::StorageServer, &new.server_type)?;
        self.media_server(&new.media_server)?;
        let server = StorageServer {
            name: new.name,
            server_type: new.server_type,
            storage_type: new.storage_type,
            media_server: new.media_server,
            states: super::States::default(),
            flags: settings.flags_for(&new.report.capabilities),
            report: new.report,
        };
        self.storage_servers.add(Kind::StorageServer, &server.key(), server)
    }

    /// Takes over what the plug-in reports now: of the server, of its volumes, and so the flags of server and pools.
    /// A volume that the plug-in does not report any more is internally down.
    pub fn refresh(
        &mut self,
        key: &str,
        report: ServerReport,
        volumes: Option<&[VolumeReport]>,
        settings: &Settings,
    ) -> Result<(), EmmError> {
        let server = self.storage_servers.get_mut(Kind::StorageServer, key)?;
        server.flags = settings.flags_for(&report.capabilities);
        server.report = report;
        server.states.internal = State::Up;
        for pool in self.disk_pools.iter_mut().filter(|pool| pool.storage_server == key) {
            pool.flags.clone_from(&server.flags);
            for volume in pool.volumes.iter_mut().filter(|_| volumes.is_some()) {
                let found =
                    volumes.iter().copied().flatten().find(|report| report.name == volume.report.name);
                volume.states.internal = if found.is_some() { State::Up } else { State::Down };
                if let Some(found) = found {
                    volume.report.clone_from(found);
                }
            }
        }
        Ok(())
    }

    /// Changes the state of a storage server.
    pub fn change_server_state(&mut self, key: &str, change: StateChange) -> Result<(), EmmError> {
        change.apply(&mut self.storage_servers.get_mut(Kind::StorageServer, key)?.states);
        Ok(())
    }

    /// Takes a storage server out, unless a pool or credentials need it.
    pub fn remove_storage_server(
        &mut self,
        key: &str,
        credentials: &CredentialStore,
    ) -> Result<StorageServer, EmmError> {
        self.storage_server(key)?;
        let pool = self.disk_pools.iter().find(|pool| pool.storage_server == key);
        let held = credentials.iter().find(|held| held.storage_server == key);
        let by = pool
            .map(|pool| format!("{} {}", Kind::DiskPool, pool.name))
            .or_else(|| held.map(|held| format!("{} of {}", Kind::Credentials, held.media_server)));
        match by {
            Some(by) => Err(EmmError::InUse { kind: Kind::StorageServer, name: key.into(), by }),
            None => self.storage_servers.remove(Kind::StorageServer, key),
        }
    }

    /// Adds a disk pool; its volumes get media ids. A volume belongs to one pool at most.
    pub fn add_disk_pool(&mut self, new: &NewPool, settings: &Settings) -> Result<(), EmmError> {
        checked_name(Kind::DiskPool, &new.name)?;
        if self.disk_pools.find(&new.name).is_some() {
            return Err(EmmError::Exists { kind: Kind::DiskPool, name: new.name.clone() });
        }
        let server = self.storage_server(&new.storage_server)?;
        if new.volumes.is_empty() {
            return Err(EmmError::bad("as the volumes of a disk pool", &"", "at least one volume"));
        }
        let mut pool = DiskPool {
            name: new.name.clone(),
            storage_server: new.storage_server.clone(),
            volumes: Vec::new(),
            high_water_mark: settings.high_water_mark,
            low_water_mark: settings.low_water_mark,
            max_io_streams: settings.max_io_streams,
            states: super::States::default(),
            flags: server.flags.clone(),
            comment: String::new(),
        };
        new.values.apply(&mut pool)?;
        self.extend(&mut pool, &new.volumes)?;
        self.disk_pools.add(Kind::DiskPool, &new.name, pool)
    }

    fn extend(&mut self, pool: &mut DiskPool, volumes: &[VolumeReport]) -> Result<(), EmmError> {
        for report in volumes {
            let others = self.disk_pools.iter().filter(|other| other.storage_server == pool.storage_server);
            if let Some(other) = others.chain([&*pool]).find(|other| other.volume(&report.name).is_some()) {
                let by = format!("{} {}", Kind::DiskPool, other.name);
                return Err(EmmError::InUse { kind: Kind::DiskVolume, name: report.name.clone(), by });
            }
            pool.volumes.push(DiskVolume {
                media_id: String::new(),
                states: super::States::default(),
                report: report.clone(),
            });
        }
        for volume in pool.volumes.iter_mut().filter(|volume| volume.media_id.is_empty()) {
            self.media_ids += 1;
            volume.media_id = media_id(self.media_ids);
        }
        Ok(())
    }

    /// Changes values of a disk pool.
    pub fn update_disk_pool(&mut self, name: &str, values: &PoolValues) -> Result<(), EmmError> {
        values.apply(self.disk_pools.get_mut(Kind::DiskPool, name)?)
    }

    /// Changes the state of a disk pool.
    pub fn change_pool_state(&mut self, name: &str, change: StateChange) -> Result<(), EmmError> {
        change.apply(&mut self.disk_pools.get_mut(Kind::DiskPool, name)?.states);
        Ok(())
    }

    /// Changes the state of a disk volume.
    pub fn change_volume_state(
        &mut self,
        pool: &str,
        volume: &str,
        change: StateChange,
    ) -> Result<(), EmmError> {
        let pool = self.disk_pools.get_mut(Kind::DiskPool, pool)?;
        let names: Vec<_> = pool.volumes.iter().map(|v| v.report.name.as_str()).collect();
        let nearest = crate::nearest::nearest(volume, names).map(str::to_owned);
        match pool.volumes.iter_mut().find(|v| v.report.name == volume) {
            Some(found) => change.apply(&mut found.states),
            None => return Err(EmmError::NoSuch { kind: Kind::DiskVolume, name: volume.into(), nearest }),
        }
        Ok(())
    }

    /// Takes a disk pool out, unless a storage unit uses it.
    pub fn remove_disk_pool(&mut self, name: &str) -> Result<DiskPool, EmmError> {
        self.disk_pool(name)?;
        match self.storage_units.iter().find(|unit| unit.pool == name) {
            Some(unit) => {
                let by = format!("{} {}", Kind::StorageUnit, unit.label);
                Err(EmmError::InUse { kind: Kind::DiskPool, name: name.into(), by })
            }
            None => self.disk_pools.remove(Kind::DiskPool, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::media_id;

    #[test]
    fn media_ids_count_in_letters() {
        let ids = [1, 2, 25, 26, 11_881_375, 11_881_376].map(media_id);
        assert_eq!(ids, ["@aaaab", "@aaaac", "@aaaaz", "@aaaba", "@zzzzz", "@aaaaa1"]);
    }
}
