//! The VMS resources, one file each: field table, relations, computed fields, actions.

pub(crate) mod clusters;
pub(crate) mod nodes;
pub(crate) mod quotas;
pub(crate) mod tenants;
pub(crate) mod users;
pub(crate) mod versions;
pub(crate) mod viewpolicies;
pub(crate) mod views;
pub(crate) mod vippools;
pub(crate) mod vtasks;

use super::engine::Resource;

static ALL: &[&dyn Resource] = &[
    &clusters::Clusters,
    &nodes::CNodes,
    &nodes::DNodes,
    &quotas::Quotas,
    &tenants::Tenants,
    &users::LocalProviders,
    &users::Users,
    &versions::Versions,
    &viewpolicies::ViewPolicies,
    &views::Views,
    &vippools::VipPools,
    &vippools::Vips,
    &vtasks::VTasks,
];

/// The resource behind a URL segment.
pub(crate) fn by_kind(kind: &str) -> Option<&'static dyn Resource> {
    ALL.iter().copied().find(|r| r.kind() == kind)
}
