//! Applying a description to a cluster in this process, and again whenever the cluster starts over.

use std::sync::Arc;

use serde_json::Value;

use super::Described;
use super::apply::{ApplyError, CallError, Done, Outcome, Target};
use crate::cluster::Cluster;
use crate::core::Core;
use crate::error::ProvisionError;
use crate::faults::{self, Fault};
use crate::provision::{self, KeyPair};
use crate::store::lock;

/// A cluster from within.
struct Inside<'a>(&'a Arc<Core>);

impl Target for Inside<'_> {
    fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, CallError> {
        let origin = format!("https://{}", self.0.config.vms_listen);
        Ok(provision::vms(self.0, &origin, method, path, body)?)
    }

    fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), CallError> {
        Ok(provision::put_keys(self.0, user_id, tenant_id, keys).map_err(ProvisionError::from)?)
    }

    fn arm(&self, fault: &Fault) -> Result<Outcome, CallError> {
        let all = &self.0.faults;
        if all.list().iter().any(|armed| armed.fault == *fault) {
            return Ok(Outcome::Unchanged);
        }
        for warning in faults::doubts(self.0, fault) {
            tracing::warn!(effect = fault.effect.name(), "{warning}");
        }
        match all.add(fault.clone()) {
            Ok(_) => Ok(Outcome::Created),
            Err(body) => Err(CallError::Refused(ProvisionError { status: 400, body })),
        }
    }
}

impl Target for Cluster {
    fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, CallError> {
        Inside(&self.core).vms(method, path, body)
    }

    fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), CallError> {
        Inside(&self.core).put_keys(user_id, tenant_id, keys)
    }

    fn arm(&self, fault: &Fault) -> Result<Outcome, CallError> {
        Inside(&self.core).arm(fault)
    }
}

impl Cluster {
    /// Makes this cluster what a description says, now and after every [`Self::reset`].
    ///
    /// # Errors
    /// The first object that could not be had, shown in the description.
    pub fn describe(&self, described: Described) -> Result<Vec<Done>, ApplyError> {
        let done = described.apply(self)?;
        *lock(&self.core.described) = Some(Arc::new(described));
        Ok(done)
    }
}

/// Brings about what the cluster was started with.
pub(crate) fn again(core: &Arc<Core>) -> Result<(), ApplyError> {
    let described = lock(&core.described).clone();
    described.map_or(Ok(()), |described| described.apply(&Inside(core)).map(drop))
}
