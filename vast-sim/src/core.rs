//! What all parts of a running cluster share.

use std::sync::Arc;

use crate::config::Config;
use crate::counters::Counting;
use crate::env::{Entropy, millis};
use crate::faults::Faults;
use crate::store::Store;
use crate::vms::auth::Tokens;

/// The running cluster without its listeners.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: Store,
    pub(crate) counting: Counting,
    pub(crate) faults: Faults,
    pub(crate) tokens: Tokens,
}

impl Core {
    /// Gives an S3 answer its request id, which clients log and support asks for.
    pub(crate) fn stamp(&self, headers: &mut http::HeaderMap) {
        let mut id = [0; 8];
        self.entropy.fill(&mut id);
        if let Ok(id) = http::HeaderValue::try_from(format!("{:016X}", u64::from_be_bytes(id))) {
            headers.insert("x-amz-request-id", id);
        }
    }

    /// Milliseconds since 1970 on the cluster's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.config.clock.now())
    }
}
