//! Who asks, and what they may see and do.

use http::Method;
use serde_json::Value;

use super::error::ApiError;
use super::tables;
use crate::store::registry::text;
use crate::store::state::State;

/// The one that a request is from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Id of the manager; 0 for the simulator's own library and background work.
    pub(crate) manager: u64,
    /// Name of the manager.
    pub(crate) name: String,
    /// The only tenant whose objects the caller sees; none for all.
    pub(crate) tenant: Option<u64>,
    /// Whether the caller belongs to that tenant, and does not just look at it.
    pub(crate) is_of_tenant: bool,
    /// Permissions by codename (`edit_logical`); none for every permission.
    pub(crate) permissions: Option<Vec<String>>,
}

/// Resources without a tenant of their own that belong to tenants all the same: what is theirs follows from other
/// objects, and the resource sees to it.
const WITHIN_TENANTS: &[&str] = &[
    "apitokens",
    "blockhostvolumes",
    "blockmappings",
    "capacity",
    "folders",
    "globalsnapstreams",
    "groups",
    "locals3keys",
    "monitors",
    "s3keys",
    "s3lifecyclerules",
    "users",
    "volumes",
    "vtasks",
];

/// Resources that concern the caller only; they need no permission.
const OWN: &[&str] = &["apitokens", "health", "login", "logout", "plugins"];

/// The kind of permission that a method needs. What is done to an object that exists is a change.
fn verb(method: &Method, below_object: bool) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "view",
        Method::POST if !below_object => "create",
        Method::DELETE if !below_object => "delete",
        _ => "edit",
    }
}

impl Caller {
    /// The simulator itself, which may do everything.
    pub(crate) fn itself() -> Self {
        Self::default()
    }

    /// Whether objects of a tenant (none: of the cluster as a whole) are visible to the caller.
    pub(crate) fn sees(&self, tenant: Option<u64>) -> bool {
        match (self.tenant, tenant) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        }
    }

    /// Whether objects of a tenant (none: of the cluster as a whole) are the caller's to change.
    pub(crate) fn may_change(&self, tenant: Option<u64>) -> bool {
        self.sees(tenant) && (tenant.is_some() || !self.is_of_tenant)
    }

    /// Refuses to act in a tenant that is not the caller's.
    pub(crate) fn check_tenant(&self, tenant: Option<u64>) -> Result<(), ApiError> {
        if self.sees(tenant) {
            Ok(())
        } else {
            Err(ApiError::permission_denied("You do not have access to this tenant."))
        }
    }

    /// Refuses what the caller's roles do not permit, and to change what belongs to no tenant from within one.
    pub(crate) fn check(&self, state: &State, method: &Method, segments: &[String]) -> Result<(), ApiError> {
        let Some(kind) = segments.first().map(String::as_str).filter(|kind| !OWN.contains(kind)) else {
            return Ok(());
        };
        if kind == "managers" && segments.get(1).is_some_and(|name| name == "password") {
            // One's own password.
            return Ok(());
        }
        let below_object = segments.len() > 2;
        let verb = verb(method, below_object);
        if self.tenant.is_some()
            && verb != "view"
            && !WITHIN_TENANTS.contains(&kind)
            && tables::of(kind).field("tenant_id").is_none()
        {
            return Err(ApiError::permission_denied("Only administrators of the cluster may do this."));
        }
        let Some(permissions) = &self.permissions else { return Ok(()) };
        let permitted = state.vms.rows("realms").any(|(_, realm)| {
            let types = realm.get("object_types").and_then(Value::as_array);
            types.is_some_and(|t| t.iter().any(|t| t.as_str() == Some(kind)))
                && permissions.iter().any(|p| {
                    p.strip_prefix(verb).and_then(|p| p.strip_prefix('_')) == Some(text(realm, "name"))
                })
        });
        if permitted {
            Ok(())
        } else {
            Err(ApiError::permission_denied(&format!("You do not have permission to {verb} {kind}.")))
        }
    }
}
