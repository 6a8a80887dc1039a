//! What all parts of a running cluster share.

use std::sync::{Arc, Mutex};

use crate::background::Background;
use crate::config::Config;
use crate::counters::Counting;
use crate::describe::Described;
use crate::env::{Entropy, millis};
use crate::faults::Faults;
use crate::metrics::Metrics;
use crate::net::management::Management;
use crate::net::vips::DataPath;
use crate::s3::features::FeaturesOff;
use crate::s3::lifecycle::LastRun;
use crate::s3::signature::OwnKey;
use crate::store::Store;
use crate::vms::auth::Tokens;

/// The running cluster without its listeners.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: Store,
    pub(crate) counting: Counting,
    pub(crate) metrics: Metrics,
    pub(crate) qos: crate::qos::Qos,
    pub(crate) faults: Faults,
    pub(crate) tokens: Tokens,
    pub(crate) background: Background,
    /// Certificate of the authority that signed the cluster's.
    pub(crate) ca_pem: String,
    /// When lifecycle rules were carried out last.
    pub(crate) lifecycle: LastRun,
    pub(crate) own_key: OwnKey,
    pub(crate) data_path: DataPath,
    pub(crate) management: Management,
    /// What this server lacks at the moment.
    pub(crate) features_off: Mutex<FeaturesOff>,
    /// What the cluster was made to be when it started.
    pub(crate) described: Mutex<Option<Arc<Described>>>,
}

impl Core {
    /// Milliseconds since 1970 on the cluster's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.config.clock.now())
    }
}
