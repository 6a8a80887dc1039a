//! `/cnodes/` and `/dnodes/`: the machines of the cluster.

use super::super::engine::{Methods, Resource};
use super::super::fields::{Field, int, text, yes_no};

pub(crate) struct CNodes;
pub(crate) struct DNodes;

static CNODE_FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").read_only(),
    text("display_name").read_only(),
    text("hostname").read_only(),
    text("ip").read_only(),
    text("ip1").read_only(),
    text("ip2").read_only(),
    text("mgmt_ip").read_only(),
    text("ipmi_ip").read_only(),
    text("ipv6").read_only(),
    text("state").read_only(),
    text("display_state").read_only(),
    yes_no("enabled").read_only(),
    yes_no("is_mgmt").read_only(),
    text("cluster").read_only(),
    int("cluster_id").read_only(),
    text("cbox").read_only(),
    int("cbox_id").read_only(),
    text("box_vendor").read_only(),
    text("build").read_only(),
    text("os_version").read_only(),
    text("bios_version").read_only(),
    text("bmc_fw_version").read_only(),
    text("bmc_state").read_only(),
    text("host_label").read_only(),
    text("host_opensm_master").read_only(),
    int("cores").read_only(),
    text("led_status").read_only(),
    text("new_name").read_only(),
    text("position").read_only(),
    text("sn").read_only(),
    text("sync").read_only(),
    text("sync_time").read_only(),
    text("vlan").read_only(),
    yes_no("turbo_boost").read_only(),
    yes_no("vms_preferred").read_only(),
];

static DNODE_FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").read_only(),
    text("display_name").read_only(),
    text("hostname").read_only(),
    text("ip").read_only(),
    text("ip1").read_only(),
    text("ip2").read_only(),
    text("mgmt_ip").read_only(),
    text("ipmi_ip").read_only(),
    text("ipv6").read_only(),
    text("state").read_only(),
    yes_no("enabled").read_only(),
    yes_no("is_primary").read_only(),
    text("cluster").read_only(),
    int("cluster_id").read_only(),
    text("arch_type").read_only(),
    text("dbox").read_only(),
    int("dbox_id").read_only(),
    text("dtray").read_only(),
    text("ebox").read_only(),
    int("ebox_id").read_only(),
    text("build").read_only(),
    text("os_version").read_only(),
    text("bios_version").read_only(),
    text("bmc_fw_version").read_only(),
    text("bmc_state").read_only(),
    text("host_label").read_only(),
    text("led_status").read_only(),
    text("new_name").read_only(),
    text("position").read_only(),
    text("sn").read_only(),
    text("sync").read_only(),
    text("sync_time").read_only(),
];

impl Resource for CNodes {
    fn kind(&self) -> &'static str {
        "cnodes"
    }

    fn fields(&self) -> &'static [Field] {
        CNODE_FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
    }
}

impl Resource for DNodes {
    fn kind(&self) -> &'static str {
        "dnodes"
    }

    fn fields(&self) -> &'static [Field] {
        DNODE_FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
    }
}
