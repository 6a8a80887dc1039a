//! What a caller may know of, and what of that they may change: tenants keep to themselves.

use super::caller::Caller;
use super::engine::Resource;
use super::error::ApiError;
use super::resources;
use crate::store::registry::Row;
use crate::store::state::State;

/// Collections whose objects belong to the whole cluster when they belong to no tenant, and are nobody else's business.
/// Of the others, those without a tenant serve all tenants: VIP pools, roles, DNS.
const PRIVATE: &[&str] = &[
    "alarms",
    "apitokens",
    "blockhosts",
    "blockmappings",
    "events",
    "globalsnapstreams",
    "locals3keys",
    "managers",
    "s3lifecyclerules",
    "volumes",
    "vtasks",
];

/// Whether a caller may know of a row.
pub(crate) fn is_seen(resource: &dyn Resource, state: &State, row: &Row, caller: &Caller) -> bool {
    let tenant = resource.tenant(state, row);
    let hidden = tenant.is_none() && caller.tenant.is_some() && PRIVATE.contains(&resource.kind());
    !hidden && caller.sees(tenant) && resource.is_shown_to(state, caller, row)
}

/// Whether a caller may know of an object that another one refers to.
pub(crate) fn is_known(state: &State, kind: &str, id: u64, caller: &Caller) -> bool {
    let Some(row) = state.vms.row(kind, id) else { return false };
    // Views of all tenants may use the policies of the default one, which are not shown to others.
    kind == "viewpolicies" || resources::by_kind(kind).is_none_or(|r| is_seen(r, state, row, caller))
}

/// Refuses to change what is not the caller's to change, although they may see it.
pub(crate) fn check_change(
    resource: &dyn Resource,
    state: &State,
    row: &Row,
    caller: &Caller,
) -> Result<(), ApiError> {
    if resource.may_change(state, caller, row) {
        Ok(())
    } else {
        let message = format!("You do not have permission to change this object of {}.", resource.kind());
        Err(ApiError::permission_denied(&message))
    }
}
