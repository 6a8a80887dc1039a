//! `/versions/`: installed software.

use super::super::engine::Resource;

pub(crate) struct Versions;

impl Resource for Versions {
    fn kind(&self) -> &'static str {
        "versions"
    }
}
