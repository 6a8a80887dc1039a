//! A cluster in this process: started, provisioned, examined, its manager's password changed.

use super::faults::Armed;
use super::jump_clock::JumpClock;
use super::{SetupError, StorageState};
use crate::scenario::{EmbeddedCluster, Etag, Lsu, S3Scheme};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vast_sim::{BlockingCluster, Config, EtagMode};

/// Its threads.
const CLUSTER_THREADS: usize = 2;
/// Owner of all buckets.
const OWNER: &str = "netbackup";

/// A cluster in this process.
pub(super) struct Embedded {
    pub(super) cluster: BlockingCluster,
    /// What it takes for the time.
    pub(super) clock: Arc<JumpClock>,
    pub(super) vips: Vec<IpAddr>,
    pub(super) keys: vast_sim::KeyPair,
    /// LSU and the id of its quota.
    pub(super) lsus: Vec<(String, Option<u64>)>,
    /// Its manager.
    pub(super) user: String,
    /// The manager's password now.
    password: Mutex<String>,
    /// Faults that were injected.
    pub(super) armed: Mutex<Vec<Armed>>,
}

impl Embedded {
    /// Starts one with these LSUs, and with VIPs in a network that no other one has.
    ///
    /// # Errors
    /// When it does not start or refuses an LSU.
    pub(super) fn start(settings: &EmbeddedCluster, lsus: &[Lsu], network: u8) -> Result<Self, SetupError> {
        let vips: Vec<IpAddr> =
            (0..settings.vips).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, network, 11 + n))).collect();
        let clock = Arc::new(JumpClock::new());
        let config = Config {
            clock: Arc::<JumpClock>::clone(&clock),
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
        let mut provided = Vec::new();
        for lsu in lsus {
            let view = cluster.create_bucket(&lsu.name, OWNER).map_err(refused)?;
            if lsu.worm {
                let locking = serde_json::json!({ "s3_versioning": true, "locking": true });
                cluster
                    .vms("PATCH", &format!("views/{view}"), &locking)
                    .map_err(|error| SetupError::Cluster(error.to_string()))?;
            }
            let quota = lsu.quota.map(|quota| cluster.create_quota(&format!("/{}", lsu.name), quota.0));
            provided.push((lsu.name.clone(), quota.transpose().map_err(refused)?));
        }
        let (lsus, password, armed) = (provided, Mutex::new(password), Mutex::default());
        Ok(Self { cluster, clock, vips, keys, lsus, user, password, armed })
    }

    /// The port of its VIPs.
    pub(super) fn s3_port(&self, scheme: S3Scheme) -> Result<u16, SetupError> {
        let urls = match scheme {
            S3Scheme::Http => self.cluster.s3_urls(),
            S3Scheme::Https => self.cluster.s3_tls_urls(),
        };
        let port = urls.first().and_then(|url| url.rsplit(':').next()).and_then(|port| port.parse().ok());
        port.ok_or_else(|| SetupError::Cluster(format!("no S3 port in {urls:?}")))
    }

    /// The password that its manager has now.
    pub(super) fn password(&self) -> String {
        self.password.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives its manager another password, as an administrator of the cluster does: VMS takes the old one no more, nor
    /// any token that was got with it.
    pub(super) fn rotate_password(&self) -> Result<(), SetupError> {
        let refused = |error: vast_sim::ProvisionError| SetupError::Cluster(error.to_string());
        let managers = self.cluster.vms("GET", "managers", &serde_json::Value::Null).map_err(refused)?;
        let mut managers = managers.as_array().into_iter().flatten();
        let own = managers.find(|manager| manager["username"] == self.user.as_str());
        let id = own.and_then(|manager| manager["id"].as_u64());
        let id = id.ok_or_else(|| SetupError::Cluster(format!("there is no manager {}", self.user)))?;
        let mut password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        let next = format!("{password}, rotated");
        let change = serde_json::json!({ "password": next });
        self.cluster.vms("PATCH", &format!("managers/{id}"), &change).map_err(refused)?;
        *password = next;
        Ok(())
    }

    /// What its LSUs hold, added to `state` with `prefix` before each name.
    pub(super) fn add_state(&self, prefix: &str, state: &mut StorageState) {
        let raw = self.cluster.raw_state();
        for bucket in
            raw.buckets.iter().filter(|bucket| self.lsus.iter().any(|(name, _)| *name == bucket.name))
        {
            state.bytes += bucket.bytes;
            state.objects += bucket.objects.len();
            state.uploads += bucket.uploads.len();
            for object in &bucket.objects {
                state.things.insert(format!("{prefix}{}/{}", bucket.name, object.key), object.size);
            }
            for upload in &bucket.uploads {
                let bytes = upload.parts.iter().map(|part| part.size).sum();
                let name =
                    format!("{prefix}{}/{} (open upload {})", bucket.name, upload.key, upload.upload_id);
                state.things.insert(name, bytes);
            }
        }
    }
}
