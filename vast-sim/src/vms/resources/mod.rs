//! The VMS resources, one file each: relations, computed fields, actions. What their objects consist of is in their
//! tables; those without a file of their own are in [`plain`].

pub(crate) mod apitokens;
pub(crate) mod blocks;
mod cluster_paths;
pub(crate) mod clusters;
mod dns;
pub(crate) mod eventdefinitions;
pub(crate) mod events;
pub(crate) mod folders;
pub(crate) mod globalsnapstreams;
pub(crate) mod groups;
pub(crate) mod indestructibility;
pub(crate) mod iodata;
pub(crate) mod keys;
pub(crate) mod managers;
pub(crate) mod monitors;
pub(crate) mod nodes;
mod plain;
pub(crate) mod protection;
mod qospolicies;
pub(crate) mod quotas;
mod replication;
pub(crate) mod roles;
pub(crate) mod s3lifecyclerules;
pub(crate) mod s3policies;
mod schedule;
pub(crate) mod snapshots;
pub(crate) mod tenants;
mod userquotas;
pub(crate) mod users;
pub(crate) mod versions;
pub(crate) mod view_paths;
pub(crate) mod view_rules;
pub(crate) mod viewpolicies;
pub(crate) mod views;
pub(crate) mod vippools;
pub(crate) mod vms;
mod volume_clones;
pub(crate) mod vtasks;

use super::engine::Resource;
use super::error::ApiError;

static ALL: &[&dyn Resource] = &[
    &apitokens::ApiTokens,
    &blocks::BlockHosts,
    &blocks::Mappings(blocks::MAPPINGS),
    &blocks::Mappings(blocks::FORMER),
    &blocks::Volumes,
    &clusters::Clusters,
    &groups::Groups,
    &indestructibility::Indestructibility,
    &keys::LocalS3Keys,
    &keys::S3Keys,
    &managers::Login,
    &managers::Logout,
    &managers::Managers,
    &super::capacity::Capacity,
    &super::prometheus::PrometheusMetrics,
    &dns::Dns,
    &eventdefinitions::EventDefinitions,
    &events::Alarms,
    &events::Events,
    &folders::Folders,
    &globalsnapstreams::GlobalSnapStreams,
    &iodata::IoData,
    &protection::ProtectedPaths,
    &protection::ProtectionPolicies,
    &snapshots::Snapshots,
    &monitors::MetricNames,
    &monitors::Monitors,
    &nodes::CNodes,
    &nodes::DNodes,
    &qospolicies::QosPolicies,
    &quotas::Quotas,
    &replication::RemoteTargets,
    &replication::S3Targets,
    &replication::Streams,
    &roles::Permissions,
    &roles::Realms,
    &roles::Roles,
    &s3policies::S3Policies,
    &s3lifecyclerules::S3LifecycleRules,
    &tenants::Tenants,
    &users::LocalProviders,
    &userquotas::UserQuotas,
    &users::Users,
    &versions::Versions,
    &viewpolicies::ViewPolicies,
    &views::Views,
    &vippools::VipPools,
    &vippools::Vips,
    &vms::Health,
    &vms::Plugins,
    &vms::Vms,
    &vtasks::VTasks,
];

/// The URL segments of all resources, those that are refused included.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    let served = ALL.iter().chain(plain::ALL).map(|r| r.kind());
    served.chain(plain::NOT_SIMULATED.iter().copied())
}

/// The resource behind a URL segment.
pub(crate) fn by_kind(kind: &str) -> Option<&'static dyn Resource> {
    ALL.iter().chain(plain::ALL).chain(plain::EMPTY).copied().find(|r| r.kind() == kind)
}

/// Why there is no such resource: VMS has it and the simulator does not, or nobody has.
pub(crate) fn unknown(kind: &str) -> ApiError {
    if plain::NOT_SIMULATED.contains(&kind) { ApiError::not_implemented(kind) } else { ApiError::not_found() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_is_handled_twice() {
        let kinds: Vec<&str> = ALL.iter().chain(plain::ALL).chain(plain::EMPTY).map(|r| r.kind()).collect();
        let unique: std::collections::BTreeSet<_> = kinds.iter().collect();
        assert_eq!(unique.len(), kinds.len());
    }
}
