//! Resources that are kept and shown and have no effect in the simulator: providers, replication, hardware that is not
//! simulated. Their tables say all about them.

use std::sync::Arc;

use http::Method;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::store::registry::{Row, number};
use crate::store::state::State;

/// A resource of that kind.
pub(crate) struct Plain(&'static str);

impl Resource for Plain {
    fn kind(&self) -> &'static str {
        self.0
    }

    /// A provider becomes the one whose users and groups go first; no other of its tenant is it any longer.
    fn action(
        &self,
        _: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if name != "set_posix_primary" || call.method != Method::PATCH || !PROVIDERS.contains(&self.0) {
            return None;
        }
        let tenant = |row: &Row| number(row, "tenant_id");
        let own = state.vms.row(self.0, id).and_then(tenant);
        for kind in PROVIDERS {
            let same = state.vms.rows(kind).filter(|(_, row)| tenant(row) == own).map(|(id, _)| id);
            for other in same.collect::<Vec<_>>() {
                let first = (*kind, other) == (self.0, id);
                let change = Row::from_iter([("posix_primary_provider".to_owned(), first.into())]);
                state.vms.update(kind, other, change);
            }
        }
        Some(Ok(Reply::no_content()))
    }
}

/// Providers of which one can be the primary one for POSIX attributes.
const PROVIDERS: &[&str] = &["ldaps", "nis"];

macro_rules! plain {
    ($($kind:literal)*) => {
        &[$(&Plain($kind)),*]
    };
}

#[rustfmt::skip]
pub(crate) static ALL: &[&dyn Resource] = plain!(
    "activedirectory" "bgpconfigs" "callhomeconfigs" "carriers" "cboxes" "certificates" "cnodegroups"
    "dboxes" "dtrays" "eboxes" "encryptedpaths" "encryptiongroups" "eventbrokers" "eventdefinitionconfigs"
    "fans" "hosts" "iamroles" "kafkabrokers" "kerberos" "ldaps" "licenses" "modules"
    "nicports" "nics" "nis" "nvrams" "oidcs" "ports" "psus" "quotaentityinfos" "racks"
    "replicationpolicies" "replicationrestorepoints" "snapshotpolicies" "ssds"
    "supportbundles" "switches" "tlscertificates" "vpntunnels" "webhooks"
);

/// Resources of which a cluster that serves S3 alone has none: empty lists.
#[rustfmt::skip]
pub(crate) static EMPTY: &[&dyn Resource] = plain!(
    "bigcatalogconfig" "bigcatalogindexedcolumns" "columns" "computeclusters" "injections" "issues" "managedapplications"
    "mcvms" "openfilehandles" "openfiles" "openfilesqueries" "projectioncolumns" "projections" "quotagroups" "schemas"
    "subnetmanager" "supportbundlesqueue" "tables" "topics" "vastdb" "virtual-machines"
);

/// Resources that a VAST cluster has and the simulator refuses, so that no client takes an empty answer for a true one.
pub(crate) const NOT_SIMULATED: &[&str] = &[
    "analytics",
    "basicsettings",
    "blobexpansions",
    "challengetokens",
    "config",
    "delta",
    "envs",
    "filesystem",
    "settingsdiff",
    "supporteddrives",
    "vastauditlog",
    "vastdbtable",
];
