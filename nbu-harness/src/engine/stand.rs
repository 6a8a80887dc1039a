//! The cluster under a scenario: started or reached, provisioned, examined, and made to misbehave.

use super::{FaultOutcome, SetupError, StorageState, VipRequests};
use crate::nbu::StorageUnit;
use crate::scenario::{
    Cluster, EmbeddedCluster, Etag, ExternalCluster, Fault, FaultEffect, FaultOperation, FillStep,
    Milliseconds, S3Scheme, Scenario, StorageUnitSpec, WormLimits,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vast_sim::{BlockingCluster, Config, Effect, EtagMode, VIP_POOL};

/// Threads of the embedded cluster.
const CLUSTER_THREADS: usize = 2;
/// Owner of all buckets.
const OWNER: &str = "netbackup";

/// A cluster that is ready, and the plug-in's configuration for it.
pub struct Stand {
    embedded: Option<Embedded>,
    /// Storage server as NetBackup names it.
    server: String,
    user: String,
    password: String,
    config: PathBuf,
}

struct Embedded {
    cluster: BlockingCluster,
    vips: Vec<IpAddr>,
    keys: vast_sim::KeyPair,
    /// LSU and the id of its quota.
    lsus: Vec<(String, Option<u64>)>,
    armed: Mutex<Vec<Armed>>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    trace: Trace,
}

/// Where it shows what a fault has hit.
#[derive(Debug)]
enum Trace {
    /// Its rule in the fault plane counts.
    Rule(u64),
    /// Tokens expired when the management API had refused this many requests; those after it met an expired token.
    Tokens { refused_before: u64 },
    /// It was healed after this many hits.
    Healed(u64),
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

/// The plug-in's configuration file.
#[derive(Debug, Serialize)]
struct PluginConfig<'a> {
    server: BTreeMap<&'a str, ServerSection<'a>>,
}

#[derive(Debug, Serialize)]
struct ServerSection<'a> {
    vms: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<&'a Path>,
    s3: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_port: Option<u16>,
    vip_pool: &'a str,
    key_file: &'a Path,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    disable: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    worm: Option<WormLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<&'a Path>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    replication: BTreeMap<&'a str, Vec<String>>,
}

/// Where images of each LSU go, as the configuration names it.
fn partners(scenario: &Scenario) -> BTreeMap<&str, Vec<String>> {
    let server = format!("{}:{}", scenario.server.server_type, scenario.server.name);
    let mut partners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pair in &scenario.replication {
        partners.entry(&pair.from).or_default().push(format!("{server}:{}", pair.to));
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
        let (embedded, user, password, vms) = match &scenario.cluster {
            Cluster::Embedded(settings) => {
                let (embedded, keys, user, password) = Embedded::start(settings, scenario)?;
                let key_file = dir.join("s3-key.toml");
                write_keys(&key_file, &keys)?;
                let ca = dir.join("ca.pem");
                fs::write(&ca, embedded.cluster.ca_pem()).map_err(SetupError::io("write", &ca))?;
                let vms = embedded.cluster.vms_url();
                let password_file = dir.join("vms-password");
                write_secret(&password_file, &format!("{password}\n"))?;
                let replicates = !scenario.replication.is_empty();
                let section = ServerSection {
                    vms: scenario.server.vms.as_deref().unwrap_or(&vms),
                    ca_file: Some(&ca),
                    s3: settings.s3.name(),
                    s3_port: Some(embedded.s3_port(settings.s3)?),
                    vip_pool: VIP_POOL,
                    key_file: &key_file,
                    disable: &scenario.server.disable,
                    worm: scenario.server.worm,
                    // Of the server as a target: who copies there has no credentials of NetBackup's.
                    user: replicates.then_some(&user),
                    password_file: replicates.then_some(&password_file),
                    replication: partners(scenario),
                };
                write_config(&config, &scenario.server.name, section)?;
                (Some(embedded), user, password, vms)
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
                write_config(&config, &scenario.server.name, section)?;
                (None, external.user.clone(), password, external.vms.clone())
            }
        };
        debug_assert!(vms.starts_with("https://"), "the management API is always HTTPS");
        Ok(Self {
            embedded,
            server: format!("{}:{}", scenario.server.server_type, scenario.server.name),
            user: scenario.server.user.clone().unwrap_or(user),
            password: scenario.server.password.as_ref().map_or(password, |given| given.0.clone()),
            config,
        })
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

    /// An LSU with this cluster's credentials.
    /// User and password of the storage server.
    pub(super) fn credentials(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    pub(super) fn storage_unit_of(&self, lsu: &str) -> StorageUnit {
        StorageUnit::new(self.server.as_str(), self.user.as_str(), self.password.as_str(), lsu)
    }

    /// The embedded cluster.
    pub fn cluster(&self) -> Option<&vast_sim::Cluster> {
        self.embedded.as_ref().map(|embedded| &*embedded.cluster)
    }

    /// The S3 keys of the embedded cluster.
    pub(crate) fn keys(&self) -> Option<&vast_sim::KeyPair> {
        self.embedded.as_ref().map(|embedded| &embedded.keys)
    }

    /// Everything that the scenario's LSUs hold, from the raw state; none for an external cluster.
    pub fn storage_state(&self) -> Option<StorageState> {
        let embedded = self.embedded.as_ref()?;
        let raw = embedded.cluster.raw_state();
        let mut state = StorageState::default();
        for bucket in
            raw.buckets.iter().filter(|bucket| embedded.lsus.iter().any(|(name, _)| *name == bucket.name))
        {
            state.bytes += bucket.bytes;
            state.objects += bucket.objects.len();
            state.uploads += bucket.uploads.len();
            for object in &bucket.objects {
                state.things.insert(format!("{}/{}", bucket.name, object.key), object.size);
            }
            for upload in &bucket.uploads {
                let bytes = upload.parts.iter().map(|part| part.size).sum();
                state.things.insert(
                    format!("{}/{} (open upload {})", bucket.name, upload.key, upload.upload_id),
                    bytes,
                );
            }
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
        embedded.cluster.advance(by).map_err(|error| SetupError::Cluster(error.to_string()))
    }

    /// Makes the cluster misbehave from now on.
    ///
    /// # Errors
    /// When there is no such VIP or the fault plane refuses.
    pub fn inject(&self, fault: &Fault) -> Result<(), SetupError> {
        let embedded = self.need_embedded("fault")?;
        let trace = if fault.effect == FaultEffect::ExpireTokens {
            let refused_before = embedded.refused_requests();
            embedded.cluster.expire_access_tokens();
            Trace::Tokens { refused_before }
        } else {
            let id = embedded.cluster.faults().add(embedded.translate(fault)?);
            Trace::Rule(id.map_err(SetupError::Cluster)?)
        };
        embedded.armed().push(Armed { fault: *fault, trace });
        Ok(())
    }

    /// Ends all misbehaviour.
    pub fn heal(&self) {
        if let Some(embedded) = &self.embedded {
            for armed in embedded.armed().iter_mut() {
                if let Trace::Rule(id) = armed.trace {
                    armed.trace = Trace::Healed(embedded.hits(&armed.trace));
                    embedded.cluster.faults().remove(id);
                }
            }
        }
    }

    /// What became of all faults so far.
    pub fn fault_outcomes(&self) -> Vec<FaultOutcome> {
        let Some(embedded) = &self.embedded else { return Vec::new() };
        let armed = embedded.armed();
        armed
            .iter()
            .map(|armed| FaultOutcome { fault: armed.fault, hits: embedded.hits(&armed.trace) })
            .collect()
    }

    fn need_embedded(&self, what: &str) -> Result<&Embedded, SetupError> {
        self.embedded
            .as_ref()
            .ok_or_else(|| SetupError::Impossible(format!("{what} needs an embedded cluster")))
    }
}

impl Embedded {
    fn start(
        settings: &EmbeddedCluster,
        scenario: &Scenario,
    ) -> Result<(Self, vast_sim::KeyPair, String, String), SetupError> {
        let vips: Vec<IpAddr> =
            (0..settings.vips).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11 + n))).collect();
        let config = Config {
            vips: vips.clone(),
            capacity: settings.capacity.0,
            etag: match settings.etag {
                Etag::Md5 => EtagMode::Md5,
                Etag::Opaque => EtagMode::Opaque,
            },
            access_token_lifetime: Duration::from_millis(settings.access_token_lifetime.0),
            ..Config::default()
        };
        let (user, password) = (config.user.clone(), config.password.clone());
        let cluster = BlockingCluster::start(config, CLUSTER_THREADS)
            .map_err(|error| SetupError::Cluster(error.to_string()))?;
        let refused = |error: vast_sim::ProvisionError| SetupError::Cluster(error.to_string());
        let (_, keys) = cluster.create_user(OWNER).map_err(refused)?;
        let mut lsus = Vec::new();
        for lsu in &scenario.lsus {
            let view = cluster.create_bucket(&lsu.name, OWNER).map_err(refused)?;
            if lsu.worm {
                let locking = serde_json::json!({ "s3_versioning": true, "locking": true });
                cluster
                    .vms("PATCH", &format!("views/{view}"), &locking)
                    .map_err(|error| SetupError::Cluster(error.to_string()))?;
            }
            let quota = lsu.quota.map(|quota| cluster.create_quota(&format!("/{}", lsu.name), quota.0));
            lsus.push((lsu.name.clone(), quota.transpose().map_err(refused)?));
        }
        Ok((Self { cluster, vips, keys: keys.clone(), lsus, armed: Mutex::default() }, keys, user, password))
    }

    fn s3_port(&self, scheme: S3Scheme) -> Result<u16, SetupError> {
        let urls = match scheme {
            S3Scheme::Http => self.cluster.s3_urls(),
            S3Scheme::Https => self.cluster.s3_tls_urls(),
        };
        let port = urls.first().and_then(|url| url.rsplit(':').next()).and_then(|port| port.parse().ok());
        port.ok_or_else(|| SetupError::Cluster(format!("no S3 port in {urls:?}")))
    }

    fn translate(&self, fault: &Fault) -> Result<vast_sim::Fault, SetupError> {
        let error = |status, code: &str| Effect::Error {
            status,
            code: code.into(),
            message: "injected by the scenario".into(),
        };
        let effect = match fault.effect {
            FaultEffect::SlowDown => error(503, "SlowDown"),
            FaultEffect::InternalError => error(500, "InternalError"),
            FaultEffect::Reset => Effect::ResetAfterBody,
            FaultEffect::AnswerLost => Effect::AnswerLost,
            FaultEffect::CorruptBody => Effect::CorruptBody { offset: 100 },
            FaultEffect::VipDown | FaultEffect::ExpireTokens => Effect::ResetBeforeBody,
        };
        let mut translated = vast_sim::Fault::s3(effect).skip(fault.skip.into());
        if fault.effect != FaultEffect::VipDown {
            translated = translated.times(fault.times.into());
        }
        let operations: &[&str] = match fault.operation {
            None => &[],
            Some(FaultOperation::Put) => &["PutObject"],
            Some(FaultOperation::Get) => &["GetObject"],
            Some(FaultOperation::Delete) => &["DeleteObject", "DeleteObjects"],
            Some(FaultOperation::List) => &["ListObjectsV2"],
        };
        for operation in operations {
            translated = translated.on(operation);
        }
        if let Some(number) = fault.vip {
            let vip = usize::from(number).checked_sub(1).and_then(|index| self.vips.get(index));
            let vip =
                vip.ok_or_else(|| SetupError::Impossible(format!("the cluster has no VIP {number}")))?;
            translated = translated.vip(&vip.to_string());
        }
        Ok(translated)
    }

    fn hits(&self, trace: &Trace) -> u64 {
        match *trace {
            Trace::Rule(id) => {
                let standing = self.cluster.faults().list();
                standing.iter().find(|status| status.id == id).map_or(0, |status| status.hits)
            }
            Trace::Tokens { refused_before } => self.refused_requests().saturating_sub(refused_before),
            Trace::Healed(hits) => hits,
        }
    }

    /// Requests that the management API has refused, logins apart.
    fn refused_requests(&self) -> u64 {
        let counted = self.cluster.counters().vms;
        let asked = counted.iter().filter(|(name, _)| !name.starts_with("POST token"));
        asked.map(|(_, count)| count.errors).sum()
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
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

fn write_keys(path: &Path, keys: &vast_sim::KeyPair) -> Result<(), SetupError> {
    let text = format!("access_key = {:?}\nsecret_key = {:?}\n", keys.access_key, keys.secret_key);
    write_secret(path, &text)
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> Result<(), SetupError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(SetupError::io("write", path))
}

fn write_config(path: &Path, name: &str, section: ServerSection<'_>) -> Result<(), SetupError> {
    let config = PluginConfig { server: BTreeMap::from([(name, section)]) };
    let text = toml::to_string(&config).map_err(|error| SetupError::Impossible(error.to_string()))?;
    fs::write(path, text).map_err(SetupError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "\
scenario: NBU-FLT-900
title: tokens that nobody uses
storage:
  server: {password: hunter2}
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA]
run:
  - fault: {effect: expire_tokens}
";

    #[test]
    fn expired_tokens_that_no_request_met_are_no_hit_and_the_password_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = crate::scenario::parse("a.yaml", SCENARIO).unwrap();
        let stand = Stand::start(&scenario, dir.path()).unwrap();
        let crate::scenario::Step::Fault(fault) = &scenario.run[0] else { panic!("{:?}", scenario.run) };
        stand.inject(fault).unwrap();
        assert_eq!(stand.fault_outcomes(), [FaultOutcome { fault: *fault, hits: 0 }]);
        stand.heal();
        assert_eq!(stand.fault_outcomes(), [FaultOutcome { fault: *fault, hits: 0 }]);
        let debug = format!("{stand:?}");
        assert!(debug.contains("vast1") && !debug.contains("hunter2"), "{debug}");
    }
}
