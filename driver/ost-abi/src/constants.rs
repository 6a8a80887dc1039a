//! Limits and flag values. Names with public evidence keep them; every number here is provisional unless it says so.

/// Version of the interface that this header describes, in the numbering of the OST protocol (9, 10, 11).
///
/// Provenance: documented (that versions 9 to 11 exist), provisional (that this subset calls itself 11).
pub const STSPI_INTERFACE_VERSION: u32 = 11;

/// Unit of write lengths, in bytes: every `stspi_write_image` length is a multiple of it.
///
/// Provenance: training (the rule), provisional (the value; it fits the 512-byte steps seen in bptm logs).
pub const STS_BLOCK_SIZE: u64 = 512;

/// Largest length of one read or write call, in bytes (64 MiB).
///
/// Provenance: provisional.
pub const STS_MAX_IO: u64 = 67_108_864;

/// Size of a storage-server name field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_STSNAME: usize = 256;

/// Size of a network-interface field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_IF: usize = 256;

/// Size of an LSU name field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_LSUNAME: usize = 256;

/// Size of an image base-name field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_IMAGENAME: usize = 256;

/// Size of a policy name field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_POLICYNAME: usize = 256;

/// Size of a credential field (user name, password), in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_CRED: usize = 256;

/// Size of a descriptive text field, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_TEXT: usize = 256;

/// Number of 32-bit words in the capability array of a server.
///
/// Provenance: training (that the array exists), provisional (its size).
pub const STS_SRV_CAP_WORDS: usize = 4;

/// A 64-bit figure that the plug-in cannot tell without unreasonable work.
///
/// Provenance: provisional.
pub const STS_UNKNOWN: u64 = u64::MAX;

/// Thread model of the library that answers: one thread, and it starts none of its own.
///
/// Provenance: provisional.
pub const STSPI_THREADS_SINGLE: u32 = 1;

/// Thread model of the library that answers: any number of host threads, each with handles of its own.
///
/// Provenance: provisional.
pub const STSPI_THREADS_MULTI: u32 = 2;

/// Open mode: read.
///
/// Provenance: provisional.
pub const STS_O_READ: u32 = 1;

/// Open mode: continue writing an image that was closed incomplete.
///
/// Provenance: provisional.
pub const STS_O_WRITE: u32 = 2;

/// Close flag: the image is complete and can never be written again. Clear: the image stays pending.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_CLOSEF_IH_COMPLETE: u32 = 1;

/// Image status: created, not yet closed complete.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_II_IMAGE_PENDING: u32 = 1;

/// Image status: closed complete.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_II_IMAGE_CREATED: u32 = 2;

/// Image status: a writer has it open.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_II_BUSY_WRITE: u32 = 4;

/// Server flag: images can be listed.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_SRV_IMAGELIST: u64 = 1;

/// Server flag: `stspi_open_server` wants credentials.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_SRV_CRED: u64 = 2;

/// Server flag: the storage is disk.
///
/// Provenance: provisional.
pub const STS_SRV_DISK: u64 = 4;

/// Capability index: an image closed incomplete can be reopened for writing (checkpoint restart).
///
/// Provenance: provisional.
pub const STS_SRVC_CHECKPOINT: u32 = 0;

/// Capability index: `stspi_flush_image` makes what was written durable.
///
/// Provenance: provisional.
pub const STS_SRVC_FLUSH: u32 = 1;

/// LSU media flag: disk.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSUF_DISK: u64 = 1;

/// LSU media flag: usable.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSUF_ACTIVE: u64 = 2;

/// LSU allocation type: the LSU exists before NetBackup uses it.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSU_AT_STATIC: u32 = 1;

/// LSU storage type: nothing special.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSU_ST_NONE: u32 = 0;

/// LSU save-as flag: images.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_SA_IMAGE: u64 = 1;

/// Severity of a log line: debug.
///
/// Provenance: log (`<2>` in bptm logs).
pub const STS_LOG_DEBUG: i32 = 2;

/// Severity of a log line: information.
///
/// Provenance: log (`<4>` in bptm logs).
pub const STS_LOG_INFO: i32 = 4;

/// Severity of a log line: warning.
///
/// Provenance: documented (`<8>`), after the series seen in bptm logs.
pub const STS_LOG_WARNING: i32 = 8;

/// Severity of a log line: error.
///
/// Provenance: log (`<16>` in bptm logs).
pub const STS_LOG_ERROR: i32 = 16;

/// Severity of a log line: critical.
///
/// Provenance: log (`<32>` in bptm logs).
pub const STS_LOG_CRITICAL: i32 = 32;
