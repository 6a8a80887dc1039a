//! The media servers of a run: which plug-in and clock each has, what the upgrade of one brings, and new credentials.

use super::SetupError;
use super::jobs::Jobs;
use super::setup::{Administrator, Storage};
use crate::nbu::Installation;
use crate::scenario::{ClockOffset, PluginSpec, Scenario, SetUp, ThreadModel};
use crate::shim;
use nbu_trace::orders;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What every media server has now.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    names: Vec<String>,
    /// Of those that have another one than the one under test.
    plugins: BTreeMap<String, PluginSpec>,
    /// Of those whose clock is wrong.
    clocks: BTreeMap<String, ClockOffset>,
}

impl Fleet {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            names: scenario.media_servers.clone(),
            plugins: scenario.plugins.clone(),
            clocks: scenario.clocks.clone(),
        }
    }

    /// What is installed on each, where `base` is what those have that do not differ.
    ///
    /// # Errors
    /// When a library is not there.
    pub(super) fn install(&self, base: &Installation) -> Result<BTreeMap<String, Installation>, SetupError> {
        self.names.iter().map(|name| Ok((name.clone(), self.on(name, base)?))).collect()
    }

    /// What is installed on one.
    ///
    /// # Errors
    /// As for [`Self::install`].
    pub(super) fn on(&self, name: &str, base: &Installation) -> Result<Installation, SetupError> {
        let mut installation = base.clone();
        if let Some(plugin) = self.plugins.get(name) {
            installation = with_plugin(installation, plugin)?;
        }
        if let Some(offset) = self.clocks.get(name) {
            shim::set_clock(&installation.exe, offset.0, &mut installation.plugin_env)?;
        }
        Ok(installation)
    }
}

/// The installation with another plug-in; a wrapping one stays in front of it.
fn with_plugin(mut installation: Installation, plugin: &PluginSpec) -> Result<Installation, SetupError> {
    let environment = &mut installation.plugin_env;
    let wrapped = environment.get(orders::PLUGIN).map(PathBuf::from);
    let is_wrapped = wrapped.is_some();
    let mut library = wrapped.unwrap_or_else(|| installation.plugin.clone());
    if let Some(path) = &plugin.path {
        library = std::path::absolute(path).map_err(SetupError::io("find", path))?;
    }
    if let Some(threads) = plugin.threads {
        library = library_of(&library, threads);
    }
    if !library.is_file() {
        let what = format!("the plug-in of a media server is not there: {}", library.display());
        return Err(SetupError::Impossible(what));
    }
    if is_wrapped {
        environment.insert(orders::PLUGIN.to_owned(), library.display().to_string());
    } else {
        installation.plugin = library;
    }
    if let Some(older) = plugin.older() {
        installation.plugin = shim::wrap(&installation.exe, &installation.plugin, environment)?;
        let order = serde_json::to_string(&older);
        let order = order.map_err(|error| SetupError::Impossible(error.to_string()))?;
        environment.insert(orders::OLDER.to_owned(), order);
    }
    Ok(installation)
}

/// The other library of a plug-in, or the same, by NetBackup's rule for their names.
fn library_of(library: &Path, threads: ThreadModel) -> PathBuf {
    let stem = library.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let single = stem.strip_suffix("MT").unwrap_or(&stem);
    library.with_file_name(match threads {
        ThreadModel::St => format!("{single}.so"),
        ThreadModel::Mt => format!("{single}MT.so"),
    })
}

impl Jobs<'_> {
    /// From now on a media server loads the plug-in under test. With commands the administrator installs it and has it
    /// asked, and the primary gets what was recorded.
    pub(super) fn upgrade(
        &mut self,
        name: &str,
        administrator: &mut Administrator<'_>,
    ) -> Result<(), SetupError> {
        self.fleet.plugins.remove(name);
        self.reinstall(self.in_force.clone())?;
        if self.scenario.globals.set_up == SetUp::Commands
            && administrator.upgrade(self.scenario, name, &self.fleet)?
        {
            self.restock(administrator.storage(self.scenario)?)?;
        }
        Ok(())
    }

    /// From now on jobs have the credentials that the storage server has now: the administrator enters them, and with
    /// commands tries them at once.
    pub(super) fn update_credentials(
        &mut self,
        administrator: &mut Administrator<'_>,
    ) -> Result<(), SetupError> {
        self.stand.update_password_files()?;
        let storage = match self.scenario.globals.set_up {
            SetUp::Direct => Storage::direct(self.scenario, self.stand),
            SetUp::Commands if administrator.update_credentials(self.scenario, self.stand)? => {
                administrator.storage(self.scenario)?
            }
            SetUp::Commands => return Ok(()),
        };
        self.restock(storage)
    }

    /// From now on both primaries know this of their storage.
    fn restock(&mut self, storage: Storage) -> Result<(), SetupError> {
        self.domain.restock(storage.clone())?;
        if let Some(target) = &mut self.target {
            let storage = storage.clone();
            target.restock(match self.stand.target_server() {
                Some(server) => storage.of_server(server),
                None => storage,
            })?;
        }
        self.storage = storage;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(plugin: PluginSpec) -> Fleet {
        let names = vec!["ms1".to_owned(), "ms2".to_owned()];
        Fleet { names, plugins: BTreeMap::from([("ms2".to_owned(), plugin)]), clocks: BTreeMap::new() }
    }

    #[test]
    fn only_the_server_that_differs_gets_an_older_version_and_what_wraps_the_plugin_stays_in_front() {
        let dir = tempfile::tempdir().unwrap();
        let library = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let (single, multi) = (library("libstspiX.so"), library("libstspiXMT.so"));
        let wrapper = library("libnbu_shim.so");
        let exe = dir.path().join("nbu-harness");
        let base = Installation::new(exe, multi.clone(), "/c".into(), dir.path().to_path_buf());
        let plugin = PluginSpec {
            threads: Some(ThreadModel::St),
            version: Some("0.0.9".into()),
            ..PluginSpec::default()
        };
        let installed = fleet(plugin.clone()).install(&base).unwrap();
        assert_eq!((&installed["ms1"].plugin, installed["ms1"].plugin_env.len()), (&multi, 0));
        let older = &installed["ms2"];
        assert_eq!(older.plugin, wrapper);
        assert_eq!(older.plugin_env[orders::PLUGIN], single.display().to_string());
        assert_eq!(older.plugin_env[orders::OLDER], r#"{"version":"0.0.9"}"#);

        let mut defective = base.clone();
        defective.plugin = shim::wrap(&base.exe, &base.plugin, &mut defective.plugin_env).unwrap();
        let older = fleet(plugin).on("ms2", &defective).unwrap();
        assert_eq!(older.plugin, wrapper);
        assert_eq!(older.plugin_env[orders::PLUGIN], single.display().to_string());

        let missing = PluginSpec { path: Some("/no/libstspiY.so".into()), ..PluginSpec::default() };
        assert!(fleet(missing).install(&base).unwrap_err().to_string().contains("/no/libstspiY.so"));
    }
}
