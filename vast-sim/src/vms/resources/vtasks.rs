//! `/vtasks/`: asynchronous tasks. Nothing here takes time yet, so the list is empty.

use super::super::engine::{Methods, Resource};
use super::super::fields::{Field, any, int, text};

pub(crate) struct VTasks;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("name").read_only(),
    text("state").read_only(),
    any("messages").read_only(),
    any("info").read_only(),
    text("start_time").read_only(),
    text("end_time").read_only(),
    int("execution_time").read_only(),
    int("timeout_in_seconds").read_only(),
];

impl Resource for VTasks {
    fn kind(&self) -> &'static str {
        "vtasks"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
    }
}
