//! Which calls depend on which capability of a server, in one table.
//!
//! A capability is advertised if and only if its calls work. A call of a capability that a server does not advertise
//! answers `STS_ENOTSUP`. Calls that are in no row are always there.

use crate::constants::{
    STS_SRV_EVSYNC, STS_SRV_IMAGE_COPY, STS_SRV_STORED_EV, STS_SRVC_ASYNC_COPY, STS_SRVC_CHECKPOINT,
    STS_SRVC_COPY_EXTENT, STS_SRVC_COPY_IMAGE, STS_SRVC_EVENTS, STS_SRVC_FLUSH, STS_SRVC_IMAGE_META,
    STS_SRVC_IMAGE_SET, STS_SRVC_INCLUDE_IN_IMAGE, STS_SRVC_LABEL_LSU, STS_SRVC_LSU_REPLICATION_PROP,
    STS_SRVC_NAMED_ASYNC_COPY, STS_SRVC_WORM, STS_SRVC_WRITE_IMAGE_RANDOM,
};

/// One capability of a server.
///
/// Provenance: provisional (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityRow {
    /// Number in `srv_cap` (`STS_SRVC_*`).
    pub index: u32,
    /// Name for people: in configuration files and reports.
    pub name: &'static str,
    /// Server flags (`STS_SRV_*`) that are set when the capability is there, and clear otherwise.
    pub server_flags: u64,
    /// The calls that are only there with it. A call in several rows is there with any of them.
    pub calls: &'static [&'static str],
}

/// Every capability, each at its own index.
///
/// Provenance: training (that optional calls have capabilities: the asynchronous three, events, replication properties,
/// image sets), provisional (the selection).
pub const STS_CAPABILITIES: &[CapabilityRow] = &[
    // Opening an incomplete image with STS_O_WRITE, no call of its own.
    row(STS_SRVC_CHECKPOINT, "checkpoint", 0, &[]),
    row(STS_SRVC_FLUSH, "flush", 0, &["stspi_flush_image"]),
    // Offsets of stspi_write_image, no call of its own.
    row(STS_SRVC_WRITE_IMAGE_RANDOM, "random_write", 0, &[]),
    row(STS_SRVC_INCLUDE_IN_IMAGE, "include", 0, &["stspi_include_in_image"]),
    row(
        STS_SRVC_COPY_IMAGE,
        "copy_image",
        STS_SRV_IMAGE_COPY,
        &["stspi_open_target_server", "stspi_copy_image", "stspi_begin_copy_image", "stspi_end_copy_image"],
    ),
    row(STS_SRVC_COPY_EXTENT, "copy_extent", 0, &["stspi_open_target_server", "stspi_copy_extent"]),
    row(
        STS_SRVC_ASYNC_COPY,
        "async_copy",
        0,
        &["stspi_async_copy_image", "stspi_async_wait", "stspi_async_cancel"],
    ),
    row(
        STS_SRVC_NAMED_ASYNC_COPY,
        "named_async_copy",
        0,
        &["stspi_named_async_copy_image", "stspi_async_wait", "stspi_async_cancel"],
    ),
    row(
        STS_SRVC_EVENTS,
        "events",
        STS_SRV_STORED_EV | STS_SRV_EVSYNC,
        &[
            "stspi_open_evchannel",
            "stspi_get_event",
            "stspi_get_event_payload",
            "stspi_delete_event",
            "stspi_close_evchannel",
        ],
    ),
    row(STS_SRVC_LSU_REPLICATION_PROP, "replication_properties", 0, &["stspi_get_lsu_replication_prop"]),
    // What the event flags of stspi_async_copy_image mean, no call of its own.
    row(STS_SRVC_IMAGE_SET, "image_set", 0, &[]),
    row(STS_SRVC_IMAGE_META, "image_meta", 0, &["stspi_write_image_meta", "stspi_read_image_meta"]),
    row(STS_SRVC_LABEL_LSU, "label", 0, &["stspi_label_lsu"]),
    row(
        STS_SRVC_WORM,
        "worm",
        0,
        &["stspi_set_image_lock", "stspi_extend_image_lock", "stspi_get_image_lock"],
    ),
];

const fn row(
    index: u32,
    name: &'static str,
    server_flags: u64,
    calls: &'static [&'static str],
) -> CapabilityRow {
    CapabilityRow { index, name, server_flags, calls }
}

/// True for a call that depends on a capability; a library may lack its symbol.
///
/// Provenance: provisional (ours).
pub fn sts_is_optional(call: &str) -> bool {
    STS_CAPABILITIES.iter().any(|row| row.calls.contains(&call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ENTRY_POINTS, STS_SRV_CAP_WORDS};

    #[test]
    fn every_capability_has_its_own_index_and_name_within_the_array() {
        for (at, row) in STS_CAPABILITIES.iter().enumerate() {
            assert_eq!(row.index as usize, at, "{}", row.name);
            assert!((row.index as usize) < 32 * STS_SRV_CAP_WORDS);
            assert!(STS_CAPABILITIES[..at].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }

    #[test]
    fn every_call_of_the_table_is_an_entry_point() {
        for call in STS_CAPABILITIES.iter().flat_map(|row| row.calls) {
            assert!(ENTRY_POINTS.contains(call), "{call}");
        }
        assert!(!sts_is_optional("stspi_write_image"));
        assert!(sts_is_optional("stspi_flush_image"));
    }
}
