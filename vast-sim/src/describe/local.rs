//! Applying a description to a cluster in this process.

use serde_json::Value;

use super::apply::{CallError, Outcome, Target};
use crate::cluster::Cluster;
use crate::error::ProvisionError;
use crate::faults::Fault;
use crate::provision::KeyPair;

impl Target for Cluster {
    fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, CallError> {
        Ok(Self::vms(self, method, path, body)?)
    }

    fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), CallError> {
        Ok(Self::put_keys(self, user_id, tenant_id, keys)?)
    }

    fn arm(&self, fault: &Fault) -> Result<Outcome, CallError> {
        if self.faults().list().iter().any(|armed| armed.fault == *fault) {
            return Ok(Outcome::Unchanged);
        }
        for warning in self.fault_warnings(fault) {
            tracing::warn!(effect = fault.effect.name(), "{warning}");
        }
        match self.faults().add(fault.clone()) {
            Ok(_) => Ok(Outcome::Created),
            Err(body) => Err(CallError::Refused(ProvisionError { status: 400, body })),
        }
    }
}
