//! `/clusters/`: the cluster itself, with its capacity figures.

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{Methods, Resource};
use super::super::fields::{Field, Unset, any, float, int, list, text, yes_no};
use super::quotas::terabytes;
use crate::core::Core;
use crate::store::registry::Row;
use crate::store::state::State;

pub(crate) struct Clusters;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name"),
    text("state").read_only().or(Unset::Text("ONLINE")),
    text("sw_version").read_only(),
    text("build").read_only(),
    text("ip").read_only(),
    text("mgmt_vip").read_only(),
    text("mgmt_inner_vip").read_only(),
    text("mgmt_cnode").read_only(),
    text("leader_cnode").read_only(),
    text("leader_state").read_only().or(Unset::Text("UP")),
    text("uptime").read_only(),
    text("psnt"),
    text("system_name").read_only(),
    yes_no("enabled").or(Unset::True),
    yes_no("enable_s3").read_only().or(Unset::True),
    yes_no("enable_smb").read_only(),
    yes_no("enable_trash"),
    yes_no("enable_dr"),
    yes_no("enable_encryption"),
    yes_no("enable_similarity"),
    yes_no("loopback").read_only(),
    yes_no("sw_defined"),
    yes_no("s3_enable_v2_authentication"),
    yes_no("s3_block_v2_authentication").read_only(),
    yes_no("s3_allow_cors"),
    text("memory_raid_state").read_only().or(Unset::Text("HEALTHY")),
    text("nvram_raid_state").read_only().or(Unset::Text("HEALTHY")),
    text("ssd_raid_state").read_only().or(Unset::Text("HEALTHY")),
    int("memory_raid_rebuild_progress").read_only().or(Unset::Int(0)),
    int("nvram_raid_rebuild_progress").read_only().or(Unset::Int(0)),
    int("ssd_raid_rebuild_progress").read_only().or(Unset::Int(0)),
    text("upgrade_state").read_only(),
    text("upgrade_phase").read_only(),
    text("expansion_state").read_only(),
    list("protocols"),
    any("qos"),
    any("max_performance").read_only(),
    any("available_upgrade_version").read_only(),
    any("protocols_audit"),
    float("drr").read_only(),
    text("drr_text").read_only(),
    int("physical_space").read_only(),
    float("physical_space_tb").read_only(),
    int("physical_space_in_use").read_only(),
    float("physical_space_in_use_tb").read_only(),
    float("physical_space_in_use_percent").read_only(),
    float("free_physical_space").read_only(),
    float("free_physical_space_tb").read_only(),
    int("logical_space").read_only(),
    float("logical_space_tb").read_only(),
    int("logical_space_in_use").read_only(),
    float("logical_space_in_use_tb").read_only(),
    float("logical_space_in_use_percent").read_only(),
    float("free_logical_space").read_only(),
    float("free_logical_space_tb").read_only(),
    int("usable_capacity_bytes").read_only(),
    float("usable_capacity_tb").read_only(),
    int("free_usable_capacity").read_only(),
    float("free_usable_capacity_tb").read_only(),
    float("auxiliary_space_in_use").read_only(),
    float("auxiliary_space_in_use_tb").read_only(),
    float("logical_auxiliary_space_in_use").read_only(),
    int("logical_inodes_in_use_num").read_only(),
    int("rd_bw").read_only().or(Unset::Int(0)),
    int("wr_bw").read_only().or(Unset::Int(0)),
    int("rd_iops").read_only().or(Unset::Int(0)),
    int("wr_iops").read_only().or(Unset::Int(0)),
    int("rd_latency").read_only().or(Unset::Int(0)),
    int("wr_latency").read_only().or(Unset::Int(0)),
    int("bw").read_only().or(Unset::Int(0)),
    int("iops").read_only().or(Unset::Int(0)),
    int("latency").read_only().or(Unset::Int(0)),
];

impl Resource for Clusters {
    fn kind(&self) -> &'static str {
        "clusters"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadAndPatch
    }

    /// No reduction is simulated: logical, usable and physical figures are the same bytes.
    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let usage = state.cluster_usage();
        let capacity = core.config.capacity;
        let used = usage.bytes;
        let free = capacity.saturating_sub(used);
        let percent = if capacity == 0 { 0.0 } else { terabytes(used) / terabytes(capacity) * 100.0 };
        for (prefix, value) in [
            ("physical_space", capacity),
            ("logical_space", capacity),
            ("physical_space_in_use", used),
            ("logical_space_in_use", used),
            ("free_physical_space", free),
            ("free_logical_space", free),
            ("free_usable_capacity", free),
        ] {
            row.insert(prefix.to_owned(), value.into());
            row.insert(format!("{prefix}_tb"), terabytes(value).into());
        }
        let fields: [(&str, Value); 10] = [
            ("usable_capacity_bytes", capacity.into()),
            ("usable_capacity_tb", terabytes(capacity).into()),
            ("physical_space_in_use_percent", percent.into()),
            ("logical_space_in_use_percent", percent.into()),
            ("drr", 1.0.into()),
            ("drr_text", "1.0:1".into()),
            ("auxiliary_space_in_use", 0.0.into()),
            ("auxiliary_space_in_use_tb", 0.0.into()),
            ("logical_auxiliary_space_in_use", 0.0.into()),
            ("logical_inodes_in_use_num", usage.objects.into()),
        ];
        row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        row.insert("sw_version".to_owned(), core.config.sw_version.clone().into());
    }
}
