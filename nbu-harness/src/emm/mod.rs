//! The enterprise media manager's database: media servers, storage servers, disk pools and volumes, storage units and
//! groups, storage lifecycle policies, and credentials.
//!
//! Two files below `<home>/emm`, each replaced whole under one lock: `emm.json`, and `credentials.json`, which only its
//! owner can read. Any process may be killed at any moment: the next one finds the old content or the new one. Readers
//! take no lock. `settings.json` beside them overrides defaults ([`Settings`]).
//!
//! [`Emm::change`] is the one way to change anything: its closure works on a copy, and nothing is written when it
//! fails.

mod credentials;
mod database;
mod destination;
mod error;
mod model;
mod pools;
#[cfg(test)]
mod reference_tests;
mod settings;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod units;

pub use credentials::CredentialStore;
pub use database::{Database, NewServer, StateChange};
pub use destination::{LifecyclePolicy, Operation, Selection, StorageUnit, StorageUnitGroup, UseFor};
pub use error::{EmmError, Kind};
pub use model::{
    Credentials, DiskPool, DiskVolume, MediaServer, PluginInstall, Secret, ServerReport, State, States,
    StorageServer, StorageType, VolumeReport, server_key,
};
pub use pools::{NewPool, PoolValues};
pub use settings::{FlagRule, Settings};
pub use table::Table;
pub use units::UnitValues;

use crate::durable::make_dirs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use store::{Lock, Step};

/// Format of the files; one with another is refused.
const FORMAT: u32 = 1;

/// The database of one NetBackup home.
#[derive(Debug, Clone)]
pub struct Emm {
    dir: PathBuf,
}

/// What of a file is the same in every format.
#[derive(Debug, Deserialize)]
struct AnyDocument {
    format: u32,
}

/// A file: its format, and what is in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    format: u32,
    content: T,
}

impl Emm {
    /// Opens the database of a NetBackup home. Creates its directory, for its owner only, when missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(home: &Path) -> Result<Self, EmmError> {
        let dir = home.join("emm");
        make_dirs(&dir, 0o700).map_err(EmmError::io("make", &dir))?;
        Ok(Self { dir })
    }

    /// Defaults, with what `settings.json` overrides.
    ///
    /// # Errors
    /// When the file cannot be read, or has a key or value that does not exist.
    pub fn settings(&self) -> Result<Settings, EmmError> {
        let path = self.dir.join("settings.json");
        let Some(text) = store::read(&path)? else { return Ok(Settings::default()) };
        serde_json::from_slice(&text).map_err(|error| EmmError::Damaged { path, what: error.to_string() })
    }

    /// The database as it is now.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(&self) -> Result<Database, EmmError> {
        load(&self.database_path())
    }

    /// The credentials as they are now.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn credentials(&self) -> Result<CredentialStore, EmmError> {
        load(&self.credentials_path())
    }

    /// Changes the database: all that `change` does, or nothing when it fails. Durable when it returns. Waits for
    /// other processes' changes; `change` itself must not wait for anything.
    ///
    /// # Errors
    /// What `change` returns, or when a file cannot be read or written.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Database, &CredentialStore) -> Result<T, EmmError>,
    ) -> Result<T, EmmError> {
        self.change_stepwise(change, &mut |_| ())
    }

    /// Changes the credentials, as [`Self::change`].
    ///
    /// # Errors
    /// What `change` returns, or when a file cannot be read or written.
    pub fn change_credentials<T>(
        &self,
        change: impl FnOnce(&mut CredentialStore, &Database) -> Result<T, EmmError>,
    ) -> Result<T, EmmError> {
        let lock = Lock::take(&self.dir)?;
        let (mut credentials, database) = (self.credentials()?, self.read()?);
        let made = change(&mut credentials, &database)?;
        save(&lock, &self.credentials_path(), 0o600, credentials, &mut |_| ())?;
        Ok(made)
    }

    fn change_stepwise<T>(
        &self,
        change: impl FnOnce(&mut Database, &CredentialStore) -> Result<T, EmmError>,
        step: &mut dyn FnMut(Step),
    ) -> Result<T, EmmError> {
        let lock = Lock::take(&self.dir)?;
        let (mut database, credentials) = (self.read()?, self.credentials()?);
        step(Step::Locked);
        let made = change(&mut database, &credentials)?;
        save(&lock, &self.database_path(), 0o644, database, step)?;
        Ok(made)
    }

    fn database_path(&self) -> PathBuf {
        self.dir.join("emm.json")
    }

    fn credentials_path(&self) -> PathBuf {
        self.dir.join("credentials.json")
    }
}

fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T, EmmError> {
    let Some(text) = store::read(path)? else { return Ok(T::default()) };
    let damaged = |what: String| EmmError::Damaged { path: path.into(), what };
    let wrong = |error: serde_json::Error| damaged(error.to_string());
    // The format first: what else a file of another one has, this program does not know.
    let AnyDocument { format } = serde_json::from_slice(&text).map_err(wrong)?;
    if format != FORMAT {
        return Err(damaged(format!("format {format} (this program writes {FORMAT})")));
    }
    let document: Document<T> = serde_json::from_slice(&text).map_err(wrong)?;
    Ok(document.content)
}

fn save<T: Serialize>(
    lock: &Lock,
    path: &Path,
    mode: u32,
    content: T,
    step: &mut dyn FnMut(Step),
) -> Result<(), EmmError> {
    let document = Document { format: FORMAT, content };
    let text = serde_json::to_vec_pretty(&document)
        .map_err(|error| EmmError::io("encode", path)(std::io::Error::from(error)))?;
    store::replace(lock, path, &text, mode, step)
}
