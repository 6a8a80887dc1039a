//! The clusters that this process talks to: one client per storage server and credentials, shared by all its handles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use image_store::s3::S3Store;
use image_store::{Exclusivity, ImageStore, Notice, Notices, StoreConfig};
use ost_abi::STS_EPLUGIN;
use vast_client::{ClientConfig, Environment, Log as _, Secret, Severity, VastClient};

use crate::config::{MemorySection, ServerSection};
use crate::fault::Fault;
use crate::log::LogQueue;
use crate::runtime::Driver;
use crate::status::{client_fault, image_fault};

/// What an image store on VAST is.
pub(crate) type Images = ImageStore<S3Store>;

/// A session with one cluster.
pub(crate) struct Cluster {
    /// Storage-server name, without the type.
    pub(crate) name: String,
    pub(crate) client: VastClient,
    pub(crate) driver: Arc<Driver>,
    pub(crate) log: Arc<LogQueue>,
    /// Longest time that one call of the host may take.
    pub(crate) deadline: Duration,
    memory: MemorySection,
    lease_seconds: Option<u32>,
    environment: image_store::Environment,
    lsus: Mutex<HashMap<String, Images>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Turns what the image store notices into log lines.
struct NoticeLog(Arc<LogQueue>);

impl Notices for NoticeLog {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::NotExclusive { why } => self.0.log(
                Severity::Warning,
                format_args!(
                    "this storage server keeps neither conditional writes nor multipart uploads as it should ({why}): \
                     that no two writers share an image rests on NetBackup, and the image of a writer that fell silent \
                     cannot be continued"
                ),
            ),
            Notice::ExclusiveByUploads { why } => self.0.log(
                Severity::Info,
                format_args!(
                    "this storage server keeps no conditional writes ({why}); multipart uploads keep the writers of an \
                     image apart, at {} requests for each change of its state",
                    Exclusivity::REQUESTS_BY_UPLOADS
                ),
            ),
            Notice::ReadAgain { key, what } => {
                self.0.log(Severity::Warning, format_args!("{key}: {what}; reading it again"));
            }
        }
    }
}

struct SharedClock(Arc<dyn vast_client::Clock>);

impl image_store::Clock for SharedClock {
    fn now(&self) -> std::time::SystemTime {
        self.0.now()
    }
}

struct SharedEntropy(Arc<dyn vast_client::Entropy>);

impl image_store::Entropy for SharedEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}

impl Cluster {
    fn new(
        name: &str,
        config: &ClientConfig,
        memory: MemorySection,
        lease_seconds: Option<u32>,
        driver: Arc<Driver>,
    ) -> Result<Self, Fault> {
        let log = Arc::new(LogQueue::default());
        let system = Environment::system().with_log(Arc::clone(&log) as Arc<_>);
        let environment = image_store::Environment {
            clock: Arc::new(SharedClock(Arc::clone(&system.clock))),
            entropy: Arc::new(SharedEntropy(Arc::clone(&system.entropy))),
            notices: Arc::new(NoticeLog(Arc::clone(&log))),
        };
        // A call may need several exchanges with the cluster, each bounded by the client's own total.
        let deadline = config.timeouts.total.saturating_mul(3);
        let client = VastClient::new(config, &system).map_err(|e| client_fault(&e))?;
        Ok(Self {
            name: name.to_owned(),
            client,
            driver,
            log,
            deadline,
            memory,
            lease_seconds,
            environment,
            lsus: Mutex::new(HashMap::new()),
        })
    }

    /// The images of an LSU. No request is sent.
    pub(crate) fn images(&self, lsu: &str) -> Result<Images, Fault> {
        let mut lsus = self.lsus.lock().map_err(|_| Fault::new(STS_EPLUGIN, "the LSU table is unusable"))?;
        if let Some(images) = lsus.get(lsu) {
            return Ok(images.clone());
        }
        let mib = |n: u32| u64::from(n) << 20;
        let usual = StoreConfig::default();
        let config = StoreConfig {
            memory_budget: mib(self.memory.write_mib),
            read_budget: mib(self.memory.read_mib),
            lease_seconds: self.lease_seconds.unwrap_or(usual.lease_seconds),
            ..usual
        };
        let store = Arc::new(S3Store::new(self.client.bucket(lsu)));
        let images = ImageStore::new(store, config, self.environment.clone()).map_err(|e| image_fault(&e))?;
        lsus.insert(lsu.to_owned(), images.clone());
        Ok(images)
    }

    /// Runs a future on the plug-in's runtime, to its end or the deadline.
    pub(crate) fn run<F: Future>(&self, future: F) -> Result<F::Output, Fault> {
        self.driver.run(self.deadline, future)
    }
}

/// Sessions by server, credentials and settings: a changed file or password gives a new client.
#[derive(Debug, Default)]
pub(crate) struct Clusters(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    name: String,
    user: String,
    password: Secret,
    section: ServerSection,
    memory: MemorySection,
    keys: vast_client::KeyPair,
    cluster: Weak<Cluster>,
}

impl Clusters {
    /// A session with a server that is open already, whoever opened it.
    pub(crate) fn open(&self, name: &str) -> Option<Arc<Cluster>> {
        let known = self.0.lock().ok()?;
        known.iter().filter(|k| k.name == name).find_map(|k| k.cluster.upgrade())
    }

    /// The client for a server and credentials, shared with whoever has it already.
    #[allow(clippy::too_many_arguments, reason = "all of it is the identity of a session")]
    pub(crate) fn get(
        &self,
        name: &str,
        section: &ServerSection,
        memory: MemorySection,
        user: &str,
        password: &str,
        config: &ClientConfig,
        driver: Arc<Driver>,
    ) -> Result<Arc<Cluster>, Fault> {
        let mut known =
            self.0.lock().map_err(|_| Fault::new(STS_EPLUGIN, "the session table is unusable"))?;
        known.retain(|k| k.cluster.strong_count() > 0);
        let found = known.iter().find_map(|k| {
            let same = k.name == name
                && k.user == user
                && k.password.expose() == password
                && k.section == *section
                && k.memory == memory
                && k.keys == config.s3.keys;
            if same { k.cluster.upgrade() } else { None }
        });
        if let Some(cluster) = found {
            return Ok(cluster);
        }
        let cluster = Arc::new(Cluster::new(name, config, memory, section.lease_seconds(), driver)?);
        known.push(Known {
            name: name.to_owned(),
            user: user.to_owned(),
            password: Secret::new(password),
            section: section.clone(),
            memory,
            keys: config.s3.keys.clone(),
            cluster: Arc::downgrade(&cluster),
        });
        Ok(cluster)
    }
}
