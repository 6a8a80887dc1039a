//! The client: one cluster, its management and its data path.

use std::sync::Arc;

use crate::config::ClientConfig;
use crate::counters::{Counters, CountersSnapshot};
use crate::environment::Environment;
use crate::error::{Error, Result, Thing};
use crate::lsu::{self, Lsu};
use crate::s3::bucket::S3Bucket;
use crate::s3::executor::S3;
use crate::vip_pool::VipStatus;
use crate::vms::Vms;

/// What VMS says of the cluster itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterInfo {
    /// Its name; empty when VMS does not say.
    pub name: String,
    /// Its globally unique id; empty when VMS does not say.
    pub guid: String,
    /// Its state in VMS's words, `ONLINE` when all is well; empty when VMS does not say.
    pub state: String,
    /// The release, for example `5.4.1.20`; empty when VMS does not say.
    pub version: String,
}

/// A VAST cluster. Cheap to clone.
///
/// A client belongs to the tokio runtime it is first used on: its connections live there. It starts no thread; the
/// only tasks it spawns drive connections and re-read the VIP list. After a `fork`, the child makes its own client
/// and leaves this one untouched.
#[derive(Debug, Clone)]
pub struct VastClient {
    vms: Arc<Vms>,
    s3: Arc<S3>,
    counters: Arc<Counters>,
}

impl VastClient {
    /// Makes a client. Reads the certificate files; no network I/O.
    ///
    /// # Errors
    /// [`Error::Config`] for values that cannot work.
    pub fn new(config: &ClientConfig, environment: &Environment) -> Result<Self> {
        config.validate()?;
        let counters = Arc::new(Counters::default());
        let vms = Arc::new(Vms::new(config, environment, &counters)?);
        let s3 = Arc::new(S3::new(config, Arc::clone(&vms), environment, &counters)?);
        Ok(Self { vms, s3, counters })
    }

    /// Finds out whether the cluster can be used at all: logs in, and has a list of VIPs. With fixed endpoints or a
    /// known list, only the login needs VMS.
    pub async fn check(&self) -> Result<()> {
        self.vms.login().await?;
        self.s3.source.ensure(&self.s3.vips).await
    }

    /// What VMS says of the cluster itself.
    pub async fn cluster(&self) -> Result<ClusterInfo> {
        let cluster = self.vms.clusters().await?.into_iter().next().unwrap_or_default();
        let mut version = cluster.sw_version.unwrap_or_default();
        if version.is_empty() {
            // A tenant's manager may see the versions and not the cluster's own.
            version = match self.vms.versions().await {
                Ok(versions) => versions.into_iter().find_map(|v| v.sys_version).unwrap_or_default(),
                Err(Error::Denied(_) | Error::NotFound(Thing::Resource, _)) => String::new(),
                Err(error) => return Err(error),
            };
        }
        Ok(ClusterInfo {
            name: cluster.name.unwrap_or_default(),
            guid: cluster.guid.unwrap_or_default(),
            state: cluster.state.unwrap_or_default(),
            version,
        })
    }

    /// All LSUs: S3 views with a bucket, in the order of their names.
    pub async fn lsus(&self) -> Result<Vec<Lsu>> {
        lsu::lsus(&self.vms).await
    }

    /// The LSU of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with [`Thing::Lsu`] when there is none.
    pub async fn lsu(&self, name: &str) -> Result<Lsu> {
        lsu::lsu(&self.vms, name).await
    }

    /// A handle on a bucket; whether it exists shows at the first call.
    #[must_use]
    pub fn bucket(&self, name: &str) -> S3Bucket {
        S3Bucket::new(Arc::clone(&self.s3), name)
    }

    /// The VIPs as they are known now; empty before the first request to them.
    #[must_use]
    pub fn vips(&self) -> Vec<VipStatus> {
        self.s3.vips.status()
    }

    /// What this client has done so far.
    #[must_use]
    pub fn counters(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }
}
