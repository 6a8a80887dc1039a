//! `/tenants/`

use std::sync::Arc;

use super::super::engine::{self, Call, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, any, int, list, text, yes_no};
use crate::core::Core;
use crate::store::registry::{Row, number};
use crate::store::state::State;

pub(crate) struct Tenants;

/// The tenant that always exists.
pub(crate) const DEFAULT: u64 = 1;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").required(),
    list("access_ip_ranges"),
    int("ad_provider_id"),
    text("ad_title").read_only(),
    yes_no("allow_disabled_users"),
    yes_no("allow_locked_users"),
    text("allowed_delegations").or(Unset::Text("NONE")),
    text("application_users_group_name"),
    any("capacity_rules"),
    list("client_ip_ranges"),
    text("client_ip_ranges_summary").read_only(),
    yes_no("data_engine_enabled").read_only(),
    text("default_others_share_level_perm"),
    text("dir").read_only(),
    text("domain_name"),
    text("encryption_crn"),
    text("encryption_group"),
    int("encryption_group_id").read_only(),
    text("encryption_group_state").read_only(),
    yes_no("grant_unrequested_delegations_by_default"),
    text("identity_provider_name"),
    yes_no("is_nfsv42_supported"),
    int("krb_provider_id"),
    text("krb_provider_title").read_only(),
    int("ldap_provider_id"),
    text("ldap_title").read_only(),
    any("local_provider").read_only(),
    int("local_provider_id").or(Unset::Int(1)),
    text("local_provider_title").read_only(),
    text("login_name_primary_provider").or(Unset::Text("LOCAL")),
    int("max_views"),
    text("mtls_identifier"),
    int("nis_provider_id"),
    text("nis_title").read_only(),
    int("oidc_provider_id"),
    text("oidc_provider_title").read_only(),
    text("posix_primary_provider").or(Unset::Text("NONE")),
    text("preferred_owning_group").or(Unset::Text("PROTOCOL_BASED")),
    any("qos"),
    yes_no("require_smb_signing"),
    text("smb_administrators_group_name"),
    yes_no("smb_allowed").read_only(),
    text("smb_encryption_state").or(Unset::Text("OFF")),
    yes_no("smb_privileged_group_full_access"),
    text("smb_privileged_group_sid"),
    text("smb_privileged_user_name"),
    text("sync").read_only(),
    text("sync_time").read_only(),
    text("tenant_admins_group_name"),
    int("trash_gid"),
    yes_no("use_smb_native"),
    yes_no("use_smb_privileged_group"),
    yes_no("use_smb_privileged_user"),
    list("vippool_names").read_only(),
    list("vippools").read_only(),
];

impl Resource for Tenants {
    fn kind(&self) -> &'static str {
        "tenants"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        engine::refuse_duplicate(state, "tenants", "name", &row, None)?;
        Ok(engine::insert(core, state, "tenants", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        engine::refuse_duplicate(state, "tenants", "name", &changes, Some(id))?;
        state.vms.update("tenants", id, changes);
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        if id == DEFAULT {
            return Err(ApiError::bad_request("The default tenant cannot be deleted."));
        }
        let users = ["views", "viewpolicies", "quotas", "vippools"];
        if let Some(kind) =
            users.iter().find(|k| state.vms.rows(k).any(|(_, r)| number(r, "tenant_id") == Some(id)))
        {
            return Err(ApiError::conflict(&format!("The tenant still has {kind}.")));
        }
        state.vms.remove("tenants", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id");
        let pools: Vec<_> = state
            .vms
            .rows("vippools")
            .filter(|(_, p)| number(p, "tenant_id").is_none() || number(p, "tenant_id") == id)
            .map(|(pool, p)| serde_json::json!({ "id": pool, "name": p.get("name") }))
            .collect();
        let names = pools.iter().filter_map(|p| p.get("name").cloned()).collect();
        row.insert("vippool_names".to_owned(), serde_json::Value::Array(names));
        row.insert("vippools".to_owned(), serde_json::Value::Array(pools));
    }
}
