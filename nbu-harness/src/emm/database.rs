//! The database, and its rules about media servers and storage servers: what refers to what, and what may change.

use super::credentials::CredentialStore;
use super::error::{EmmError, Kind};
use super::model::{
    DiskPool, MediaServer, PluginInstall, ServerReport, State, StorageServer, StorageType, VolumeReport,
};
use super::settings::Settings;
use super::table::{Table, checked_name};
use super::{LifecyclePolicy, StorageUnit, StorageUnitGroup};
use serde::{Deserialize, Serialize};

/// Everything but the passwords, which are in [`CredentialStore`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    media_servers: Table<MediaServer>,
    storage_servers: Table<StorageServer>,
    pub(super) disk_pools: Table<DiskPool>,
    pub(super) storage_units: Table<StorageUnit>,
    pub(super) storage_unit_groups: Table<StorageUnitGroup>,
    pub(super) lifecycle_policies: Table<LifecyclePolicy>,
    /// How many media ids were given out. One is never given to a second volume.
    pub(super) media_ids: u64,
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
    pub(super) fn apply(self, states: &mut super::States) {
        match self {
            Self::Up => states.admin = State::Up,
            Self::Down => states.admin = State::Down,
            Self::Reset => states.internal = State::Up,
        }
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
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn media_server(&self, name: &str) -> Result<&MediaServer, EmmError> {
        self.media_servers.get(Kind::MediaServer, name)
    }

    /// A storage server by type and name, such as `VastData:vast1`.
    ///
    /// # Errors
    /// When there is none.
    pub fn storage_server(&self, key: &str) -> Result<&StorageServer, EmmError> {
        self.storage_servers.get(Kind::StorageServer, key)
    }

    /// A disk pool.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn disk_pool(&self, name: &str) -> Result<&DiskPool, EmmError> {
        self.disk_pools.get(Kind::DiskPool, name)
    }

    /// Adds a media server.
    ///
    /// # Errors
    /// When the name is taken or none that can be.
    pub fn add_media_server(&mut self, server: MediaServer) -> Result<(), EmmError> {
        checked_name(Kind::MediaServer, &server.name)?;
        let name = server.name.clone();
        self.media_servers.add(Kind::MediaServer, &name, server)
    }

    /// Gives a media server another plug-in.
    ///
    /// # Errors
    /// When there is no such media server.
    pub fn set_plugin(&mut self, media_server: &str, plugin: PluginInstall) -> Result<(), EmmError> {
        self.media_servers.get_mut(Kind::MediaServer, media_server)?.plugin = plugin;
        Ok(())
    }

    /// Takes a media server out, unless a storage server, credentials or a storage unit need it.
    ///
    /// # Errors
    /// When there is none of that name, or something needs it.
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
    ///
    /// # Errors
    /// When a name is none that can be or is taken, or there is no such media server.
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
    ///
    /// # Errors
    /// When there is no such storage server.
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
    ///
    /// # Errors
    /// When there is no such storage server.
    pub fn change_server_state(&mut self, key: &str, change: StateChange) -> Result<(), EmmError> {
        change.apply(&mut self.storage_servers.get_mut(Kind::StorageServer, key)?.states);
        Ok(())
    }

    /// Takes a storage server out, unless a pool or credentials need it.
    ///
    /// # Errors
    /// When there is none, or something needs it.
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
}
