//! Images: identity, properties, locks.

use core::ffi::c_char;

use crate::constants::{STS_MAX_IMAGENAME, STS_MAX_POLICYNAME, STS_MAX_STSNAME};

/// Identity of an image.
///
/// Provenance: log (base name, date in epoch seconds, policy are part of a shipping plug-in's image name),
/// provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_image_def_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Backup time in seconds since the epoch.
    pub img_date: u64,
    /// Base name, such as `client_1588173008_C1_F2`.
    pub img_basename: [c_char; STS_MAX_IMAGENAME],
    /// Policy name; may be empty.
    pub img_policy: [c_char; STS_MAX_POLICYNAME],
}

/// What NetBackup knows of the backup that an image belongs to, as far as replication carries it along.
///
/// Provenance: training (`bi_master_server`, `isi_slpname`, the copy number, image sets), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_backup_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Copy number; 1 for a replica; 0 = not known.
    pub bi_copy: u32,
    /// Number of the image set, the same for all images of one backup; chosen by the host; 0 = no set.
    pub isi_id: u64,
    /// Master server of the domain that the backup was made in; may be empty.
    pub bi_master_server: [c_char; STS_MAX_STSNAME],
    /// Name of the storage life-cycle policy; may be empty.
    pub isi_slpname: [c_char; STS_MAX_POLICYNAME],
}

/// The lock of an image.
///
/// Provenance: documented (that locks have an end and a mode), provisional (all names, layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_image_lock_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STS_LOCKF_*`; 0 = not locked, also when a lock has ended.
    pub lock_flags: u32,
    /// When the lock ends, or ended, in seconds since the epoch by the cluster's clock; 0 = there never was one.
    pub lock_until: u64,
}

/// Properties of an image.
///
/// Provenance: training (`imo_size`, the status bits, that it is what an event's payload holds), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_image_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STS_II_*`.
    pub status: u32,
    /// Size in bytes, what has been written so far for a pending image.
    pub imo_size: u64,
    /// When the image was created, in seconds since the epoch.
    pub create_time: u64,
    /// Unit of write lengths, in bytes.
    pub block_size: u64,
    /// Length of the image's metadata in bytes.
    pub meta_length: u64,
    /// Identity.
    pub def: sts_image_def_t,
    /// Lock.
    pub lock: sts_image_lock_t,
    /// The backup that a replica belongs to. Images that a backup wrote here have empty fields.
    pub backup: sts_backup_info_t,
}

/// Description of the content of a write.
///
/// Provenance: training (that such an argument exists), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_stat_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero: nothing is known of the content.
    pub content: u32,
}
