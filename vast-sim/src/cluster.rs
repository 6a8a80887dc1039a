//! A running cluster: start, look inside, stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::background::{self, Background};
use crate::clock::CannotAdvance;
use crate::config::Config;
use crate::core::Core;
use crate::counters::{Counters, Counting};
use crate::env::{Entropy, HashEntropy};
use crate::error::StartError;
use crate::faults::{Fault, Faults, doubts};
use crate::metrics::Metrics;
use crate::net::listen;
use crate::net::management::{self, Management};
use crate::net::vips::{self, DataPath, VipStatus};
use crate::raw_state::RawState;
use crate::s3::features::FeaturesOff;
use crate::store::{Store, lock};
use crate::vms::auth::Tokens;
use crate::{s3, seed, tls};

/// A cluster that listens. Dropping it stops it at once; [`Cluster::stop`] lets requests in flight finish first.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) core: Arc<Core>,
    vms_address: SocketAddr,
    ca_path: PathBuf,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// Holds the CA file of a cluster in memory.
    _scratch: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts a cluster on the caller's tokio runtime. It accepts connections when this returns.
    ///
    /// # Errors
    /// Configuration that makes no sense, addresses in use, a data directory that cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let entropy: Arc<dyn Entropy> = match &config.entropy {
            Some(entropy) => Arc::clone(entropy),
            None => Arc::new(HashEntropy::from_os()?),
        };
        let (store, dir, scratch) = if let Some(dir) = &config.data_dir {
            (Store::open(dir)?, dir.clone(), None)
        } else {
            let scratch = tempfile::Builder::new().prefix("vast-sim-").tempdir()?;
            (Store::in_memory(config.retention), scratch.path().to_owned(), Some(scratch))
        };
        let vms_listener = listen::bind(&*config.network, config.vms_listen)?;
        let vms_address = vms_listener.local_addr()?;
        let tls = Arc::new(certificates(&config, &dir)?);
        let core = Arc::new(Core {
            counting: Counting::new(&config.vips),
            faults: Faults::new(Arc::clone(&config.clock)),
            metrics: Metrics::lagging(&config.monitoring),
            qos: crate::qos::Qos::default(),
            tokens: Tokens::default(),
            background: Background::default(),
            ca_pem: tls.ca_pem.clone(),
            lifecycle: s3::lifecycle::LastRun::default(),
            own_key: s3::signature::OwnKey::new(&*entropy),
            data_path: DataPath::default(),
            management: Management::default(),
            features_off: Mutex::new(config.features_off.clone()),
            described: Mutex::default(),
            entropy,
            store,
            config,
        });
        background::resume_clock(&core);
        seed::apply(&core);
        let service = s3::service(&core);
        vips::start(&core, service, &tls)?;
        core.store
            .settled()
            .await
            .map_err(|e| StartError::Database { path: dir.clone(), detail: e.to_string() })?;
        management::start(&core, vms_listener, vms_address, &tls)?;
        let follower = Arc::downgrade(&core);
        core.faults.tell(move || {
            if let Some(core) = follower.upgrade() {
                management::follow(&core);
                vips::follow(&core);
                core.background.wake();
            }
        });

        let (stop, mut stopped) = watch::channel(false);
        let jobs = background::keep_running(Arc::clone(&core));
        let jobs = tokio::spawn(async move {
            tokio::select! {
                () = jobs => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(Self {
            core,
            vms_address,
            ca_path: dir.join(tls::CA_FILE),
            stop,
            tasks: vec![jobs],
            _scratch: scratch,
        })
    }

    /// Stops listening, lets requests in flight finish for at most two seconds, and makes everything durable.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut self.tasks);
        tasks.extend(self.core.data_path.stop());
        tasks.extend(self.core.management.stop());
        for task in tasks {
            let _ = task.await;
        }
        let core = Arc::clone(&self.core);
        let _ = tokio::task::spawn_blocking(move || core.store.close()).await;
    }

    /// `https://address:port` of the VMS REST API.
    pub fn vms_url(&self) -> String {
        let address = self.vms_address;
        // Nobody can connect to "any address".
        let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
        format!("https://{}", SocketAddr::new(ip, address.port()))
    }

    /// `http://address:port` of every VIP.
    pub fn s3_urls(&self) -> Vec<String> {
        self.core.data_path.addresses(false).iter().map(|a| format!("http://{a}")).collect()
    }

    /// `https://address:port` of every VIP.
    pub fn s3_tls_urls(&self) -> Vec<String> {
        self.core.data_path.addresses(true).iter().map(|a| format!("https://{a}")).collect()
    }

    /// Every VIP as it stands, pool by pool.
    pub fn vips(&self) -> Vec<VipStatus> {
        self.core.data_path.status()
    }

    /// Back to a cluster that was just started, with what [`Self::describe`] made it: nothing else stored, no faults, no
    /// sessions, nothing counted, the clock where it would be had nobody advanced it. Listeners, their addresses and the
    /// certificates stay.
    pub fn reset(&self) {
        if let Err(error) = seed::start_over(&self.core) {
            // It could be brought about before, in a cluster just like this.
            tracing::error!(?error, "the described cluster could not be had again");
        }
    }

    /// Sets what the S3 server lacks from now on.
    ///
    /// # Errors
    /// A text that names the contradiction.
    pub fn set_features_off(&self, off: FeaturesOff) -> Result<(), String> {
        off.check()?;
        *lock(&self.core.features_off) = off;
        Ok(())
    }

    /// The certificate authority that signed the cluster's certificates, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.core.ca_pem
    }

    /// A file with [`Self::ca_pem`], there as long as the cluster is.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// What was requested since the start or the last [`Self::reset_counters`].
    pub fn counters(&self) -> Counters {
        self.core.counting.snapshot()
    }

    /// Sets all counters to zero.
    pub fn reset_counters(&self) {
        self.core.counting.reset();
    }

    /// Everything that is stored.
    pub fn raw_state(&self) -> RawState {
        RawState::of(&self.core)
    }

    /// How many objects it holds, without snapshots.
    pub fn object_count(&self) -> u64 {
        self.core.store.read(|state| state.cluster_usage().objects)
    }

    /// Lets `by` pass on the cluster's clock, with everything that is due on the way: schedules, expiry, tasks. Blocks
    /// the calling thread while jobs run.
    ///
    /// # Errors
    /// When the clock given in [`Config::clock`] cannot be advanced.
    pub fn advance(&self, by: Duration) -> Result<(), CannotAdvance> {
        background::advance(&self.core, by)
    }

    /// The faults of this cluster.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// What a fault names that this cluster does not have: a bucket, a VIP, a CNode. It may be armed all the same; it
    /// hits nothing until something has that name.
    pub fn fault_warnings(&self, fault: &Fault) -> Vec<String> {
        doubts(&self.core, fault)
    }

    /// All access tokens expire now; refresh tokens stay valid.
    pub fn expire_access_tokens(&self) {
        self.core.tokens.expire_access();
    }

    /// All tokens become invalid; clients must log in again.
    pub fn revoke_tokens(&self) {
        self.core.tokens.revoke_all();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut self.tasks);
        tasks.extend(self.core.data_path.stop());
        tasks.extend(self.core.management.stop());
        for task in tasks {
            task.abort();
        }
        self.core.store.close();
    }
}

fn certificates(config: &Config, dir: &Path) -> Result<tls::Tls, StartError> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(config.tls_names.iter().cloned());
    // Buckets are hosts below these.
    let domains = config.tls_names.iter().map(String::as_str).chain([seed::VIP_POOL_DOMAIN]);
    let below = domains.filter(|n| n.contains('.') && !n.starts_with('*')).map(|n| format!("*.{n}"));
    names.extend(below.filter(|n| !config.tls_names.contains(n)));
    names.push(seed::VIP_POOL_DOMAIN.to_owned());
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    for ip in config.vips.iter().copied().chain([config.vms_listen.ip()]) {
        if !addresses.contains(&ip) && !ip.is_unspecified() {
            addresses.push(ip);
        }
    }
    tls::make(&names, &addresses, dir, config.data_dir.is_some())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn status(cluster: &Cluster, request: &str, headers: &str) -> String {
        let address = cluster.s3_urls()[0].trim_start_matches("http://").to_owned();
        let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    #[tokio::test]
    async fn no_answer_tells_of_what_may_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: Some(dir.path().to_owned()), ..Config::default() };
        let cluster = Cluster::start(config).await.unwrap();
        let preflight = "origin: http://o\r\naccess-control-request-method: GET\r\n";
        let requests = [
            ("GET /bucket/key", "", "403"),
            ("HEAD /bucket/key", "", "403"),
            ("GET /", "authorization: AWS no:no\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "403"),
            ("OPTIONS /bucket/key", preflight, "404"),
        ];
        for (request, headers, answer) in requests {
            assert_eq!(status(&cluster, request, headers).await, answer, "{request}");
        }
        cluster.core.store.lose_a_change();
        for (request, headers, _) in requests {
            assert_eq!(status(&cluster, request, headers).await, "500", "{request}");
        }
    }
}
