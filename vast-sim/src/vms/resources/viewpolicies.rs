//! `/viewpolicies/`

use std::sync::Arc;

use super::super::engine::{self, Call, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, any, int, list, text, yes_no};
use super::tenants;
use crate::core::Core;
use crate::store::registry::{Row, flag, number};
use crate::store::state::State;

pub(crate) struct ViewPolicies;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").required(),
    int("tenant_id").or(Unset::Int(1)),
    text("tenant_name").read_only(),
    text("cluster").read_only(),
    int("cluster_id").create_only(),
    int("count_views").read_only(),
    text("created").read_only(),
    yes_no("internal").read_only(),
    text("flavor").or(Unset::Text("NFS")),
    text("access_flavor").or(Unset::Text("ALL")),
    text("allowed_characters").or(Unset::Text("LCD")),
    yes_no("apple_sid"),
    text("atime_frequency"),
    text("pretty_atime_frequency").read_only(),
    text("auth_source").or(Unset::Text("RPC_AND_PROVIDERS")),
    text("pretty_auth_source").read_only(),
    list("change").read_only(),
    yes_no("data_create_delete").read_only(),
    yes_no("data_modify").read_only(),
    yes_no("data_read").read_only(),
    yes_no("disable_handle_lease"),
    yes_no("disable_read_lease"),
    yes_no("disable_write_lease"),
    yes_no("enable_access_to_snapshot_dir_in_subdirs"),
    yes_no("enable_listing_of_snapshot_dir").read_only(),
    yes_no("enable_snapshot_lookup").read_only(),
    yes_no("enable_visibility_of_snapshot_dir"),
    yes_no("expose_id_in_fsid"),
    list("full").read_only(),
    text("gid_inheritance").or(Unset::Text("LINUX")),
    yes_no("inherit_parent_mode_bits"),
    yes_no("is_block_default_policy"),
    yes_no("is_s3_default_policy"),
    yes_no("log_deleted").read_only(),
    yes_no("log_full_path").read_only(),
    yes_no("log_hostname").read_only(),
    yes_no("log_username").read_only(),
    list("nfs_all_squash"),
    yes_no("nfs_case_insensitive"),
    yes_no("nfs_enforce_mtls"),
    yes_no("nfs_enforce_tls"),
    yes_no("nfs_enforce_tls_relaxed"),
    text("nfs_minimal_protection_level").or(Unset::Text("NONE")),
    list("nfs_no_squash"),
    yes_no("nfs_posix_acl"),
    list("nfs_read_only"),
    list("nfs_read_write"),
    yes_no("nfs_return_open_permissions"),
    list("nfs_root_squash"),
    text("path_length").or(Unset::Text("LCD")),
    any("permission_per_vip_pool"),
    list("protocols"),
    any("protocols_audit"),
    list("read").read_only(),
    list("read_only"),
    list("read_write"),
    any("remote_mapping").read_only(),
    text("s3_bucket_listing").read_only(),
    text("s3_bucket_read").read_only(),
    text("s3_bucket_read_acp").read_only(),
    text("s3_bucket_write").read_only(),
    text("s3_bucket_write_acp").read_only(),
    yes_no("s3_flavor_allow_free_listing"),
    yes_no("s3_flavor_detect_full_pathname"),
    text("s3_object_full_control").read_only(),
    text("s3_object_read").read_only(),
    text("s3_object_read_acp").read_only(),
    text("s3_object_write").read_only(),
    text("s3_object_write_acp").read_only(),
    list("s3_read_only"),
    list("s3_read_write"),
    yes_no("s3_special_chars_support"),
    list("s3_visibility"),
    list("s3_visibility_groups"),
    int("smb_directory_mode"),
    text("smb_directory_mode_padded").read_only(),
    int("smb_file_mode"),
    text("smb_file_mode_padded").read_only(),
    yes_no("smb_is_ca"),
    list("smb_read_only"),
    list("smb_read_write"),
    yes_no("smb_recursive_change_notify"),
    text("sync").read_only(),
    text("sync_time").read_only(),
    list("trash_access"),
    yes_no("use_32bit_fileid"),
    yes_no("use_auth_provider"),
    list("vip_pools"),
];

const FLAVORS: &[&str] = &["NFS", "SMB", "MIXED_LAST_WINS", "S3_NATIVE"];

fn check(state: &State, row: &Row) -> Result<(), ApiError> {
    engine::require_row(state, "tenants", "tenant_id", row)?;
    match row.get("flavor").and_then(|f| f.as_str()) {
        Some(flavor) if !FLAVORS.contains(&flavor) => {
            Err(ApiError::field("flavor", format!("\"{flavor}\" is not a valid choice.")))
        }
        _ => Ok(()),
    }
}

fn views_of(state: &State, id: u64) -> u64 {
    state.vms.rows("views").filter(|(_, v)| number(v, "policy_id") == Some(id)).count() as u64
}

/// The policy of buckets that are created over S3.
pub(crate) fn s3_default(state: &State) -> u64 {
    state.vms.rows("viewpolicies").find(|(_, p)| flag(p, "is_s3_default_policy")).map_or(1, |(id, _)| id)
}

impl Resource for ViewPolicies {
    fn kind(&self) -> &'static str {
        "viewpolicies"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        row.entry("tenant_id").or_insert_with(|| tenants::DEFAULT.into());
        check(state, &row)?;
        engine::refuse_duplicate(state, "viewpolicies", "name", &row, None)?;
        Ok(engine::insert(core, state, "viewpolicies", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        check(state, &changes)?;
        engine::refuse_duplicate(state, "viewpolicies", "name", &changes, Some(id))?;
        state.vms.update("viewpolicies", id, changes);
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        match views_of(state, id) {
            0 => {
                state.vms.remove("viewpolicies", id);
                Ok(())
            }
            n => Err(ApiError::conflict(&format!("The policy is in use by {n} views."))),
        }
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        row.insert("count_views".to_owned(), views_of(state, id).into());
    }
}
