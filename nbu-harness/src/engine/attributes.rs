//! What the commands recorded of the storage server: the plug-in's version, and the flags of the server and its pools.

use super::SetupError;
use super::record::RecordedAttributes;
use crate::emm::{Emm, server_key};
use crate::scenario::Scenario;
use std::path::Path;

/// What is recorded now, in the home of a domain that commands have set up; `step` is that which it is after, from 1, or 0
/// for the set-up.
///
/// # Errors
/// When it cannot be read.
pub(super) fn recorded(
    home: &Path,
    scenario: &Scenario,
    step: usize,
) -> Result<RecordedAttributes, SetupError> {
    let database = Emm::open(home)?.read()?;
    let server = database.storage_server(&server_key(&scenario.server.server_type, &scenario.server.name))?;
    let pools = database.disk_pools().iter().map(|pool| (pool.name.clone(), pool.flags.clone()));
    Ok(RecordedAttributes {
        step,
        version: server.report.version.clone(),
        server: server.flags.clone(),
        pools: pools.collect(),
    })
}
