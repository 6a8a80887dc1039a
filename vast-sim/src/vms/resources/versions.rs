//! `/versions/`: installed software.

use super::super::engine::{Methods, Resource};
use super::super::fields::{Field, int, text, yes_no};

pub(crate) struct Versions;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("name").read_only(),
    text("title").read_only(),
    text("url").read_only(),
    text("build").read_only(),
    text("sys_version").read_only(),
    text("os_version").read_only(),
    text("carriers_fw_version").read_only(),
    text("status").read_only(),
    text("cluster").read_only(),
    text("created").read_only(),
    yes_no("enable_dr").read_only(),
    yes_no("force").read_only(),
    yes_no("skip_hw_check").read_only(),
];

impl Resource for Versions {
    fn kind(&self) -> &'static str {
        "versions"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
    }
}
