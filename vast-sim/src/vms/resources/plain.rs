//! Resources that are kept and shown and have no effect in the simulator: providers, replication, hardware that is not
//! simulated. Their tables say all about them.

use super::super::engine::Resource;

/// A resource of that kind.
pub(crate) struct Plain(&'static str);

impl Resource for Plain {
    fn kind(&self) -> &'static str {
        self.0
    }
}

macro_rules! plain {
    ($($kind:literal)*) => {
        &[$(&Plain($kind)),*]
    };
}

#[rustfmt::skip]
pub(crate) static ALL: &[&dyn Resource] = plain!(
    "activedirectory" "bgpconfigs" "callhomeconfigs" "carriers" "cboxes" "certificates" "cnodegroups"
    "dboxes" "dns" "dtrays" "eboxes" "encryptedpaths" "encryptiongroups" "eventbrokers" "eventdefinitionconfigs"
    "fans" "hosts" "iamroles" "kafkabrokers" "kerberos" "ldaps" "licenses" "modules"
    "nativereplicationremotetargets" "nicports" "nics" "nis" "nvrams" "oidcs" "ports" "psus" "quotaentityinfos" "racks"
    "replicationpolicies" "replicationrestorepoints" "replicationstreams" "replicationtargets" "snapshotpolicies" "ssds"
    "supportbundles" "switches" "tlscertificates" "userquotas" "vpntunnels" "webhooks"
);

/// Resources that a VAST cluster has and the simulator refuses, so that no client takes an empty answer for a true one.
pub(crate) const NOT_SIMULATED: &[&str] = &[
    "analytics",
    "basicsettings",
    "bigcatalogconfig",
    "bigcatalogindexedcolumns",
    "blobexpansions",
    "challengetokens",
    "columns",
    "computeclusters",
    "config",
    "delta",
    "envs",
    "filesystem",
    "injections",
    "issues",
    "managedapplications",
    "mcvms",
    "openfilehandles",
    "openfiles",
    "openfilesqueries",
    "projectioncolumns",
    "projections",
    "quotagroups",
    "schemas",
    "settingsdiff",
    "subnetmanager",
    "supportbundlesqueue",
    "supporteddrives",
    "tables",
    "topics",
    "vastauditlog",
    "vastdb",
    "vastdbtable",
    "virtual-machines",
];
