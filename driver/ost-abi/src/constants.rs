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

/// Most replication targets, or sources, that one LSU can name.
///
/// Provenance: provisional.
pub const STS_MAX_REP: usize = 16;

/// Size of the name of an asynchronous operation, in bytes, with the terminating NUL.
///
/// Provenance: provisional.
pub const STS_MAX_OPNAME: usize = 256;

/// Largest metadata of one image, in bytes (64 KiB).
///
/// Provenance: provisional.
pub const STS_MAX_IMAGE_META: u64 = 65_536;

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

/// Lock flag: the image is locked, `lock_until` is ahead of the cluster's clock.
///
/// Provenance: provisional.
pub const STS_LOCKF_LOCKED: u32 = 1;

/// Lock flag: nobody can take the lock back before it ends. Clear: the storage's administrator could.
///
/// Provenance: documented (the two modes), provisional (name and value).
pub const STS_LOCKF_COMPLIANCE: u32 = 2;

/// Event flag of an asynchronous copy: this image is named in the event's payload.
///
/// Provenance: training (INCLUDE and its meaning), provisional (full name and value).
pub const STS_EVF_INCLUDE: u32 = 1;

/// Event flag of an asynchronous copy: when this image is complete, the event of its image set is due.
///
/// Provenance: training (TRIGGER and its meaning), provisional (full name and value).
pub const STS_EVF_TRIGGER: u32 = 2;

/// Event type: images were replicated to this LSU.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_EVT_IMG_REP: u32 = 1;

/// Sequence number from which an event channel delivers everything that is stored.
///
/// Provenance: training.
pub const STS_EV_SEQNO_START: u64 = 0;

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

/// Server flag: event channels resume by sequence number.
///
/// Provenance: documented (name in sample outputs), provisional (value, meaning).
pub const STS_SRV_EVSYNC: u64 = 8;

/// Server flag: events are stored until they are deleted.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_SRV_STORED_EV: u64 = 16;

/// Server flag: whole images can be copied.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_SRV_IMAGE_COPY: u64 = 32;

/// Capability index: an image closed incomplete can be reopened for writing (checkpoint restart).
///
/// Provenance: provisional.
pub const STS_SRVC_CHECKPOINT: u32 = 0;

/// Capability index: `stspi_flush_image` makes what was written durable.
///
/// Provenance: provisional.
pub const STS_SRVC_FLUSH: u32 = 1;

/// Capability index: `stspi_write_image` takes any offset, not only the image's size.
///
/// Provenance: provisional (a name close to it is in third-party notes).
pub const STS_SRVC_WRITE_IMAGE_RANDOM: u32 = 2;

/// Capability index: ranges of complete images can be included in a new one.
///
/// Provenance: provisional (that the call exists is known).
pub const STS_SRVC_INCLUDE_IN_IMAGE: u32 = 3;

/// Capability index: whole images can be copied, to a target server as well.
///
/// Provenance: training (the call), provisional (value; a name close to it is in third-party notes).
pub const STS_SRVC_COPY_IMAGE: u32 = 4;

/// Capability index: extents of an image can be copied, to a target server as well.
///
/// Provenance: training (the call), provisional (name and value).
pub const STS_SRVC_COPY_EXTENT: u32 = 5;

/// Capability index: `stspi_async_copy_image` with `stspi_async_wait` and `stspi_async_cancel`.
///
/// Provenance: training (that the three have a capability), provisional (name and value).
pub const STS_SRVC_ASYNC_COPY: u32 = 6;

/// Capability index: `stspi_named_async_copy_image`.
///
/// Provenance: provisional.
pub const STS_SRVC_NAMED_ASYNC_COPY: u32 = 7;

/// Capability index: event channels, and payloads read separately.
///
/// Provenance: training (that they have a capability), provisional (name and value).
pub const STS_SRVC_EVENTS: u32 = 8;

/// Capability index: `stspi_get_lsu_replication_prop`.
///
/// Provenance: training (that it has a capability), provisional (name and value).
pub const STS_SRVC_LSU_REPLICATION_PROP: u32 = 9;

/// Capability index: asynchronous copies of one image set make one event.
///
/// Provenance: training (that image sets have a capability), provisional (name and value).
pub const STS_SRVC_IMAGE_SET: u32 = 10;

/// Capability index: an image carries metadata of its own.
///
/// Provenance: provisional.
pub const STS_SRVC_IMAGE_META: u32 = 11;

/// Capability index: LSUs can be labelled.
///
/// Provenance: provisional.
pub const STS_SRVC_LABEL_LSU: u32 = 12;

/// Capability index: images can be locked against deletion, on LSUs that show `STS_LSUF_WORM`.
///
/// Provenance: documented (that NetBackup learns of WORM through the plug-in), provisional (name and value).
pub const STS_SRVC_WORM: u32 = 13;

/// LSU media flag: disk.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSUF_DISK: u64 = 1;

/// LSU media flag: usable.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSUF_ACTIVE: u64 = 2;

/// LSU media flag: a delete does not return its capacity at once.
///
/// Provenance: documented (name in sample outputs), provisional (value).
pub const STS_LSUF_STORAGE_NOT_FREED: u64 = 4;

/// LSU media flag: the LSU takes part in replication.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_LSUF_REP_ENABLED: u64 = 8;

/// LSU media flag: images are replicated from here.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_LSUF_REP_SOURCE: u64 = 16;

/// LSU media flag: images are replicated to here.
///
/// Provenance: training (name and meaning), provisional (value).
pub const STS_LSUF_REP_TARGET: u64 = 32;

/// LSU media flag: images can be locked, within the LSU's minimum and maximum.
///
/// Provenance: documented (that an LSU is WORM-capable or not), provisional (name and value).
pub const STS_LSUF_WORM: u64 = 64;

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
