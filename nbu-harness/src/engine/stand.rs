//! The cluster under a scenario: started or reached, and examined; and the plug-in's configuration for it.

use super::embedded::Embedded;
use super::plugin_config::{ServerSection, write_config, write_keys, write_secret};
use super::{SetupError, StorageState, VipRequests};
use crate::nbu::StorageUnit;
use crate::scenario::{
    Cluster, ExternalCluster, FillStep, Milliseconds, Scenario, StorageUnitSpec, TargetCluster,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vast_sim::VIP_POOL;

/// A cluster that is ready, and the plug-in's configuration for it.
pub struct Stand {
    pub(super) embedded: Option<Embedded>,
    target: Option<Target>,
    /// Storage server as NetBackup names it.
    server: String,
    user: String,
    /// None: whatever the embedded cluster's manager has.
    password: Option<String>,
    config: PathBuf,
}

/// The cluster that backups are replicated to.
struct Target {
    cluster: Embedded,
    /// Storage server as NetBackup names it.
    server: String,
    /// What stands before the names of its LSUs.
    prefix: String,
}

/// The files beside the plug-in's configuration that it names.
struct Files {
    keys: PathBuf,
    ca: PathBuf,
    password: PathBuf,
}

impl Files {
    fn beside(config: &Path, server: Option<&str>) -> Self {
        let file = |name: &str, extension: &str| {
            let of = server.map(|server| format!("-{server}")).unwrap_or_default();
            config.with_file_name(format!("{name}{of}{extension}"))
        };
        Self { keys: file("s3-key", ".toml"), ca: file("ca", ".pem"), password: file("vms-password", "") }
    }

    fn write(&self, cluster: &Embedded) -> Result<(), SetupError> {
        write_keys(&self.keys, &cluster.keys)?;
        fs::write(&self.ca, cluster.cluster.ca_pem()).map_err(SetupError::io("write", &self.ca))?;
        self.write_password(cluster)
    }

    fn write_password(&self, cluster: &Embedded) -> Result<(), SetupError> {
        write_secret(&self.password, &format!("{}\n", cluster.password()))
    }
}

/// What the configuration says of the target.
struct Place {
    files: Files,
    vms: String,
    s3_port: u16,
    user: String,
}

impl Place {
    fn section<'a>(&'a self, target: &'a TargetCluster) -> ServerSection<'a> {
        ServerSection {
            vms: &self.vms,
            ca_file: Some(&self.files.ca),
            s3: target.cluster.s3.name(),
            s3_port: Some(self.s3_port),
            vip_pool: VIP_POOL,
            key_file: &self.files.keys,
            disable: &[],
            worm: None,
            user: Some(&self.user),
            password_file: Some(&self.files.password),
            replication: BTreeMap::new(),
        }
    }
}

impl Target {
    fn start(target: &TargetCluster, scenario: &Scenario) -> Result<Self, SetupError> {
        Ok(Self {
            cluster: Embedded::start(&target.cluster, &target.lsus, 1)?,
            server: format!("{}:{}", scenario.server.server_type, target.server),
            prefix: target.prefix(),
        })
    }

    /// Writes its files beside the configuration.
    fn place(&self, target: &TargetCluster, config: &Path) -> Result<Place, SetupError> {
        let files = Files::beside(config, Some(&target.server));
        files.write(&self.cluster)?;
        let (vms, user) = (self.cluster.cluster.vms_url(), self.cluster.user.clone());
        Ok(Place { files, vms, s3_port: self.cluster.s3_port(target.cluster.s3)?, user })
    }
}

impl std::fmt::Debug for Stand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the password, and without the cluster, whose configuration has it too.
        f.debug_struct("Stand")
            .field("server", &self.server)
            .field("user", &self.user)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Where images of each LSU go, as the configuration names it.
fn partners(scenario: &Scenario) -> BTreeMap<&str, Vec<String>> {
    let (own_type, own_name) = (&scenario.server.server_type, &scenario.server.name);
    let elsewhere = scenario.target.as_ref().map(TargetCluster::prefix);
    let mut partners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pair in &scenario.replication {
        let is_elsewhere = elsewhere.as_ref().is_some_and(|prefix| pair.to.starts_with(prefix));
        let to = if is_elsewhere {
            format!("{own_type}:{}", pair.to)
        } else {
            format!("{own_type}:{own_name}:{}", pair.to)
        };
        partners.entry(&pair.from).or_default().push(to);
    }
    partners
}

impl Stand {
    /// Starts or reaches the scenario's cluster, provides its LSUs, and writes the plug-in's configuration into `dir`.
    ///
    /// # Errors
    /// When the cluster does not start, refuses what the scenario wants, or a file cannot be written.
    pub fn start(scenario: &Scenario, dir: &Path) -> Result<Self, SetupError> {
        let config = dir.join("vast-ost.toml");
        let target = scenario.target.as_ref().map(|target| Target::start(target, scenario)).transpose()?;
        let (embedded, user, password) = match &scenario.cluster {
            Cluster::Embedded(settings) => {
                let embedded = Embedded::start(settings, &scenario.lsus, 0)?;
                let files = Files::beside(&config, None);
                files.write(&embedded)?;
                let vms = embedded.cluster.vms_url();
                let replicates = !scenario.replication.is_empty();
                let section = ServerSection {
                    vms: scenario.server.vms.as_deref().unwrap_or(&vms),
                    ca_file: Some(&files.ca),
                    s3: settings.s3.name(),
                    s3_port: Some(embedded.s3_port(settings.s3)?),
                    vip_pool: VIP_POOL,
                    key_file: &files.keys,
                    disable: &scenario.server.disable,
                    worm: scenario.server.worm,
                    // Of the server as a target: who copies there has no credentials of NetBackup's.
                    user: replicates.then_some(&embedded.user),
                    password_file: replicates.then_some(&files.password),
                    replication: partners(scenario),
                };
                let mut sections = BTreeMap::from([(scenario.server.name.as_str(), section)]);
                let target = target.as_ref().zip(scenario.target.as_ref());
                let place = target.map(|(running, target)| running.place(target, &config)).transpose()?;
                if let Some(((_, target), place)) = target.zip(place.as_ref()) {
                    sections.insert(&target.server, place.section(target));
                }
                write_config(&config, sections)?;
                (Some(embedded), None, None)
            }
            Cluster::External(external) => {
                let password = external_password(external)?;
                let section = ServerSection {
                    vms: scenario.server.vms.as_deref().unwrap_or(&external.vms),
                    ca_file: external.ca_file.as_deref(),
                    s3: external.s3.name(),
                    s3_port: external.s3_port,
                    vip_pool: &external.vip_pool,
                    key_file: &external.key_file,
                    disable: &scenario.server.disable,
                    worm: scenario.server.worm,
                    user: None,
                    password_file: None,
                    replication: partners(scenario),
                };
                write_config(&config, BTreeMap::from([(scenario.server.name.as_str(), section)]))?;
                (None, Some(external.user.clone()), Some(password))
            }
        };
        let own_user = || embedded.as_ref().map(|embedded| embedded.user.clone()).unwrap_or_default();
        let user = scenario.server.user.clone().or(user).unwrap_or_else(own_user);
        let password = scenario.server.password.as_ref().map(|given| given.0.clone()).or(password);
        let server = format!("{}:{}", scenario.server.server_type, scenario.server.name);
        Ok(Self { embedded, target, server, user, password, config })
    }

    /// The plug-in's configuration file.
    pub fn plugin_config(&self) -> &Path {
        &self.config
    }

    /// A storage unit with this cluster's credentials.
    pub fn storage_unit(&self, spec: &StorageUnitSpec) -> StorageUnit {
        let mut unit = self.storage_unit_of(&spec.lsu);
        unit.max_fragment_size = spec.max_fragment.0;
        unit
    }

    /// User and password of the storage server, as they are now.
    pub(super) fn credentials(&self) -> (&str, String) {
        let own = || self.embedded.as_ref().map(Embedded::password).unwrap_or_default();
        (&self.user, self.password.clone().unwrap_or_else(own))
    }

    /// The files that hold the password get the one that is valid now.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn update_password_files(&self) -> Result<(), SetupError> {
        match &self.embedded {
            Some(embedded) => Files::beside(&self.config, None).write_password(embedded),
            None => Ok(()),
        }
    }

    /// An LSU with this cluster's credentials.
    pub(super) fn storage_unit_of(&self, lsu: &str) -> StorageUnit {
        if let Some(target) = &self.target
            && let Some(lsu) = lsu.strip_prefix(&target.prefix)
        {
            let (user, password) = (target.cluster.user.as_str(), target.cluster.password());
            return StorageUnit::new(target.server.as_str(), user, password, lsu);
        }
        let (user, password) = self.credentials();
        StorageUnit::new(self.server.as_str(), user, password, lsu)
    }

    /// The embedded cluster.
    pub fn cluster(&self) -> Option<&vast_sim::Cluster> {
        self.embedded.as_ref().map(|embedded| &*embedded.cluster)
    }

    /// The S3 keys of the embedded cluster.
    pub(crate) fn keys(&self) -> Option<&vast_sim::KeyPair> {
        self.embedded.as_ref().map(|embedded| &embedded.keys)
    }

    /// The storage server of the target domain, if that is another one.
    pub(super) fn target_server(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.server.as_str())
    }

    /// Everything that the scenario's LSUs hold, from the raw state; none for an external cluster.
    pub fn storage_state(&self) -> Option<StorageState> {
        let mut state = StorageState::default();
        self.embedded.as_ref()?.add_state("", &mut state);
        if let Some(target) = &self.target {
            target.cluster.add_state(&target.prefix, &mut state);
        }
        Some(state)
    }

    /// Requests by VIP since the start.
    pub fn vip_requests(&self) -> Option<BTreeMap<String, VipRequests>> {
        let counters = self.embedded.as_ref()?.cluster.counters();
        let facts = counters.vips.into_iter().map(|(vip, counted)| {
            let operations = &counted.operations;
            let requests = VipRequests {
                connections: counted.connections,
                operations: operations.iter().map(|(name, count)| (name.clone(), count.requests)).collect(),
                bytes_in: operations.values().map(|count| count.bytes_in).sum(),
                bytes_out: operations.values().map(|count| count.bytes_out).sum(),
            };
            (vip, requests)
        });
        Some(facts.collect())
    }

    /// Requests to the management API since the start, by method and resource.
    pub fn vms_requests(&self) -> BTreeMap<String, u64> {
        let counters =
            self.embedded.as_ref().map(|embedded| embedded.cluster.counters().vms).unwrap_or_default();
        counters.into_iter().map(|(name, count)| (name, count.requests)).collect()
    }

    /// Leaves only some space on an LSU, as if others had filled it: its quota becomes what is used now and that.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub fn fill(&self, step: &FillStep) -> Result<(), SetupError> {
        let embedded = self.need_embedded("fill")?;
        let quota = embedded.lsus.iter().find(|(name, _)| *name == step.lsu).and_then(|(_, quota)| *quota);
        let quota =
            quota.ok_or_else(|| SetupError::Impossible(format!("the LSU {} has no quota", step.lsu)))?;
        let used = embedded.cluster.raw_state().bucket(&step.lsu).map_or(0, |bucket| bucket.bytes);
        // A quota of 0 would be no quota.
        let body = serde_json::json!({ "hard_limit": (used + step.leave.0).max(1) });
        embedded
            .cluster
            .vms("PATCH", &format!("quotas/{quota}"), &body)
            .map(|_| ())
            .map_err(|error| SetupError::Cluster(error.to_string()))
    }

    /// Lets time pass on the cluster, with everything that is due on the way; on an external one it passes by itself.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub fn advance(&self, time: Milliseconds) -> Result<(), SetupError> {
        let Some(embedded) = &self.embedded else { return Ok(()) };
        let by = Duration::from_millis(time.0);
        for cluster in [Some(embedded), self.target.as_ref().map(|target| &target.cluster)] {
            let advanced = cluster.map_or(Ok(()), |one| one.cluster.advance(by));
            advanced.map_err(|error| SetupError::Cluster(error.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn need_embedded(&self, what: &str) -> Result<&Embedded, SetupError> {
        self.embedded
            .as_ref()
            .ok_or_else(|| SetupError::Impossible(format!("{what} needs an embedded cluster")))
    }
}

fn external_password(external: &ExternalCluster) -> Result<String, SetupError> {
    std::env::var(&external.password_env).map_err(|_| {
        SetupError::Impossible(format!(
            "the environment variable {} with the password is not set",
            external.password_env
        ))
    })
}
