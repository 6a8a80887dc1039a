/*
 * stspi.h: the OpenStorage plug-in interface as this project lays it out.
 *
 * Generated from the ost-abi crate (cargo ci header); do not edit. Layouts and most numbers are provisional: they are
 * this project's own and not those of any licensed SDK. Each item says where it comes from.
 */

#ifndef STSPI_H
#define STSPI_H

#include <stdint.h>
#include <stddef.h>

// Version of the interface that this header describes, in the numbering of the OST protocol (9, 10, 11).
//
// Provenance: documented (that versions 9 to 11 exist), provisional (that this subset calls itself 11).
#define STSPI_INTERFACE_VERSION 11

// Unit of write lengths, in bytes: every `stspi_write_image` length is a multiple of it.
//
// Provenance: training (the rule), provisional (the value; it fits the 512-byte steps seen in bptm logs).
#define STS_BLOCK_SIZE 512

// Largest length of one read or write call, in bytes (64 MiB).
//
// Provenance: provisional.
#define STS_MAX_IO 67108864

// Size of a storage-server name field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_STSNAME 256

// Size of a network-interface field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_IF 256

// Size of an LSU name field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_LSUNAME 256

// Size of an image base-name field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_IMAGENAME 256

// Size of a policy name field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_POLICYNAME 256

// Size of a credential field (user name, password), in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_CRED 256

// Size of a descriptive text field, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_TEXT 256

// Number of 32-bit words in the capability array of a server.
//
// Provenance: training (that the array exists), provisional (its size).
#define STS_SRV_CAP_WORDS 4

// Most replication targets, or sources, that one LSU can name.
//
// Provenance: provisional.
#define STS_MAX_REP 16

// Size of the name of an asynchronous operation, in bytes, with the terminating NUL.
//
// Provenance: provisional.
#define STS_MAX_OPNAME 256

// Largest metadata of one image, in bytes (64 KiB).
//
// Provenance: provisional.
#define STS_MAX_IMAGE_META 65536

// A 64-bit figure that the plug-in cannot tell without unreasonable work.
//
// Provenance: provisional.
#define STS_UNKNOWN UINT64_MAX

// Thread model of the library that answers: one thread, and it starts none of its own.
//
// Provenance: provisional.
#define STSPI_THREADS_SINGLE 1

// Thread model of the library that answers: any number of host threads, each with handles of its own.
//
// Provenance: provisional.
#define STSPI_THREADS_MULTI 2

// Open mode: read.
//
// Provenance: provisional.
#define STS_O_READ 1

// Open mode: continue writing an image that was closed incomplete.
//
// Provenance: provisional.
#define STS_O_WRITE 2

// Close flag: the image is complete and can never be written again. Clear: the image stays pending.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_CLOSEF_IH_COMPLETE 1

// Image status: created, not yet closed complete.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_II_IMAGE_PENDING 1

// Image status: closed complete.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_II_IMAGE_CREATED 2

// Image status: a writer has it open.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_II_BUSY_WRITE 4

// Lock flag: the image is locked, `lock_until` is ahead of the cluster's clock.
//
// Provenance: provisional.
#define STS_LOCKF_LOCKED 1

// Lock flag: nobody can take the lock back before it ends. Clear: the storage's administrator could.
//
// Provenance: documented (the two modes), provisional (name and value).
#define STS_LOCKF_COMPLIANCE 2

// Event flag of an asynchronous copy: this image is named in the event's payload.
//
// Provenance: training (INCLUDE and its meaning), provisional (full name and value).
#define STS_EVF_INCLUDE 1

// Event flag of an asynchronous copy: when this image is complete, the event of its image set is due.
//
// Provenance: training (TRIGGER and its meaning), provisional (full name and value).
#define STS_EVF_TRIGGER 2

// Event type: images were replicated to this LSU.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_EVT_IMG_REP 1

// Sequence number from which an event channel delivers everything that is stored.
//
// Provenance: training.
#define STS_EV_SEQNO_START 0

// Server flag: images can be listed.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_SRV_IMAGELIST 1

// Server flag: `stspi_open_server` wants credentials.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_SRV_CRED 2

// Server flag: the storage is disk.
//
// Provenance: provisional.
#define STS_SRV_DISK 4

// Server flag: event channels resume by sequence number.
//
// Provenance: documented (name in sample outputs), provisional (value, meaning).
#define STS_SRV_EVSYNC 8

// Server flag: events are stored until they are deleted.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_SRV_STORED_EV 16

// Server flag: whole images can be copied.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_SRV_IMAGE_COPY 32

// Capability index: an image closed incomplete can be reopened for writing (checkpoint restart).
//
// Provenance: provisional.
#define STS_SRVC_CHECKPOINT 0

// Capability index: `stspi_flush_image` makes what was written durable.
//
// Provenance: provisional.
#define STS_SRVC_FLUSH 1

// Capability index: `stspi_write_image` takes any offset, not only the image's size.
//
// Provenance: provisional (a name close to it is in third-party notes).
#define STS_SRVC_WRITE_IMAGE_RANDOM 2

// Capability index: ranges of complete images can be included in a new one.
//
// Provenance: provisional (that the call exists is known).
#define STS_SRVC_INCLUDE_IN_IMAGE 3

// Capability index: whole images can be copied, to a target server as well.
//
// Provenance: training (the call), provisional (value; a name close to it is in third-party notes).
#define STS_SRVC_COPY_IMAGE 4

// Capability index: extents of an image can be copied, to a target server as well.
//
// Provenance: training (the call), provisional (name and value).
#define STS_SRVC_COPY_EXTENT 5

// Capability index: `stspi_async_copy_image` with `stspi_async_wait` and `stspi_async_cancel`.
//
// Provenance: training (that the three have a capability), provisional (name and value).
#define STS_SRVC_ASYNC_COPY 6

// Capability index: `stspi_named_async_copy_image`.
//
// Provenance: provisional.
#define STS_SRVC_NAMED_ASYNC_COPY 7

// Capability index: event channels, and payloads read separately.
//
// Provenance: training (that they have a capability), provisional (name and value).
#define STS_SRVC_EVENTS 8

// Capability index: `stspi_get_lsu_replication_prop`.
//
// Provenance: training (that it has a capability), provisional (name and value).
#define STS_SRVC_LSU_REPLICATION_PROP 9

// Capability index: asynchronous copies of one image set make one event.
//
// Provenance: training (that image sets have a capability), provisional (name and value).
#define STS_SRVC_IMAGE_SET 10

// Capability index: an image carries metadata of its own.
//
// Provenance: provisional.
#define STS_SRVC_IMAGE_META 11

// Capability index: LSUs can be labelled.
//
// Provenance: provisional.
#define STS_SRVC_LABEL_LSU 12

// Capability index: images can be locked against deletion, on LSUs that show `STS_LSUF_WORM`.
//
// Provenance: documented (that NetBackup learns of WORM through the plug-in), provisional (name and value).
#define STS_SRVC_WORM 13

// LSU media flag: disk.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSUF_DISK 1

// LSU media flag: usable.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSUF_ACTIVE 2

// LSU media flag: a delete does not return its capacity at once.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSUF_STORAGE_NOT_FREED 4

// LSU media flag: the LSU takes part in replication.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_LSUF_REP_ENABLED 8

// LSU media flag: images are replicated from here.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_LSUF_REP_SOURCE 16

// LSU media flag: images are replicated to here.
//
// Provenance: training (name and meaning), provisional (value).
#define STS_LSUF_REP_TARGET 32

// LSU media flag: images can be locked, within the LSU's minimum and maximum.
//
// Provenance: documented (that an LSU is WORM-capable or not), provisional (name and value).
#define STS_LSUF_WORM 64

// LSU allocation type: the LSU exists before NetBackup uses it.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSU_AT_STATIC 1

// LSU storage type: nothing special.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSU_ST_NONE 0

// LSU save-as flag: images.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_SA_IMAGE 1

// Severity of a log line: debug.
//
// Provenance: log (`<2>` in bptm logs).
#define STS_LOG_DEBUG 2

// Severity of a log line: information.
//
// Provenance: log (`<4>` in bptm logs).
#define STS_LOG_INFO 4

// Severity of a log line: warning.
//
// Provenance: documented (`<8>`), after the series seen in bptm logs.
#define STS_LOG_WARNING 8

// Severity of a log line: error.
//
// Provenance: log (`<16>` in bptm logs).
#define STS_LOG_ERROR 16

// Severity of a log line: critical.
//
// Provenance: log (`<32>` in bptm logs).
#define STS_LOG_CRITICAL 32

// success.
//
// Provenance: training.
#define STS_EOK 0

// one or more invalid arguments.
//
// Provenance: provisional.
#define STS_EINVAL 2060001

// memory allocation.
//
// Provenance: provisional.
#define STS_ENOMEM 2060002

// object is busy, cannot be closed.
//
// Provenance: provisional.
#define STS_EBUSY 2060005

// offset invalid for object or context.
//
// Provenance: provisional.
#define STS_EOFFSET 2060011

// call should be repeated.
//
// Provenance: provisional.
#define STS_EAGAIN 2060012

// no more entries.
//
// Provenance: log.
#define STS_ENOENT 2060013

// operation aborted.
//
// Provenance: provisional.
#define STS_EABORT 2060014

// system call failed.
//
// Provenance: provisional.
#define STS_ESYSCALL 2060017

// file not found.
//
// Provenance: provisional.
#define STS_ENOFILE 2060018

// error occurred on network socket.
//
// Provenance: provisional.
#define STS_ESOCKET 2060019

// software error.
//
// Provenance: log.
#define STS_ESOFTWARE 2060022

// object already exists.
//
// Provenance: provisional.
#define STS_EEXIST 2060024

// no space left on storage.
//
// Provenance: provisional.
#define STS_ENOSPC 2060025

// authorization failure.
//
// Provenance: provisional.
#define STS_EAUTH 2060029

// access not allowed.
//
// Provenance: documented.
#define STS_EACCESS 2060037

// stored data is damaged.
//
// Provenance: provisional.
#define STS_ECORRUPT 2060043

// plug-in error.
//
// Provenance: log.
#define STS_EPLUGIN 2060046

// storage server name not claimed.
//
// Provenance: provisional.
#define STS_ECLAIM 2060047

// operation not supported.
//
// Provenance: provisional.
#define STS_ENOTSUP 2060048

// invalid handle.
//
// Provenance: provisional.
#define STS_EHANDLE 2060049

// handle inherited across fork.
//
// Provenance: provisional.
#define STS_EFORKED 2060050

// operation timed out.
//
// Provenance: provisional.
#define STS_ETIMEDOUT 2060051

// plug-in not initialised.
//
// Provenance: provisional.
#define STS_ENOINIT 2060052

// plug-in configuration error.
//
// Provenance: provisional.
#define STS_ECONFIG 2060053

// image was taken over by another writer.
//
// Provenance: provisional.
#define STS_EFENCED 2060054

// events out of sequence.
//
// Provenance: provisional.
#define STS_EEVSEQ 2060057

// WORM invalid min.
//
// Provenance: log.
#define STS_EWORMMIN 2060064

// WORM invalid max.
//
// Provenance: documented.
#define STS_EWORMMAX 2060065

// WORM-locked image cannot be deleted.
//
// Provenance: log.
#define STS_EWORMLOCKED 2060069

// A copy begun by `stspi_begin_copy_image`. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: provisional.
typedef struct bstsp_copy_handle_s bstsp_copy_handle_s;

// An event channel. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: training (that channels are opened), provisional (the name).
typedef struct bstsp_evchannel_handle_s bstsp_evchannel_handle_s;

// An open image. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: provisional.
typedef struct bstsp_image_handle_s bstsp_image_handle_s;

// An enumeration of images. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: provisional.
typedef struct bstsp_image_list_handle_s bstsp_image_list_handle_s;

// An enumeration of LSUs. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: provisional.
typedef struct bstsp_lsu_list_handle_s bstsp_lsu_list_handle_s;

// A storage server opened by `stspi_open_server`. Opaque; owned by the plug-in; valid on the thread that made it.
//
// Provenance: log (the name and that it is a pointer to it that comes back).
typedef struct bstsp_server_handle_s bstsp_server_handle_s;

// What the plug-in says of itself.
//
// Provenance: provisional (the fields are those that `bpstsinfo -pi` is known to print).
typedef struct stspi_plugin_info_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // `STSPI_INTERFACE_VERSION` that the plug-in was built with.
  uint32_t interface_version;
  // `STSPI_THREADS_SINGLE` or `STSPI_THREADS_MULTI`.
  uint32_t thread_model;
  // Zero.
  uint32_t reserved;
  // Name of the plug-in.
  char name[STS_MAX_TEXT];
  // Storage-server type it claims; names look like `<prefix>:<server>`.
  char prefix[STS_MAX_TEXT];
  // One line for an administrator.
  char label[STS_MAX_TEXT];
  // Version of the plug-in.
  char build_version[STS_MAX_TEXT];
} stspi_plugin_info_t;

// The host's log function: context as given, severity (`STS_LOG_*`), NUL-terminated text without a line end.
//
// It is called only on the thread that is inside a `stspi_*` call, never after that call has returned.
//
// Provenance: log (that plug-in text appears in the host's log), provisional (the shape).
typedef void (*sts_log_fn)(void *context, int32_t severity, const char *text);

// Session definition: who calls, and where log lines go.
//
// Provenance: log (the type name), provisional (the fields).
typedef struct sts_session_def_v7_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Lowest severity that the host wants to see (`STS_LOG_*`).
  int32_t log_level;
  // Log function; may be null.
  sts_log_fn log;
  // Handed to the log function as it is.
  void *log_context;
  // Name of the calling program, such as `bptm`.
  char application[STS_MAX_TEXT];
  // NetBackup job id as text, or empty.
  char job_id[STS_MAX_TEXT];
} sts_session_def_v7_t;

// Credentials of a storage server.
//
// Provenance: log (the type name), documented (user and password per server and media server), provisional (layout).
typedef struct sts_cred_v7_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero.
  uint32_t flags;
  // User name.
  char user[STS_MAX_CRED];
  // Password.
  char password[STS_MAX_CRED];
} sts_cred_v7_t;

// What a storage server is and can do.
//
// Provenance: training (type name, flags word, capability array), provisional (layout).
typedef struct sts_server_info_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Open handles on this server in this process.
  uint32_t connections;
  // `STS_SRV_*`.
  uint64_t flags;
  // Bit `i` of word `i / 32` is capability `STS_SRVC_*` number `i`.
  uint32_t srv_cap[STS_SRV_CAP_WORDS];
  // Storage-server name as the plug-in knows it.
  char name[STS_MAX_STSNAME];
  // One line about the cluster: name and software version.
  char description[STS_MAX_TEXT];
} sts_server_info_t;

// Which LSUs an enumeration shall name. Who replicates to whom is in `sts_lsu_replication_t`.
//
// Provenance: training (type name and `sld_flags`), provisional (layout).
typedef struct sts_lsu_def_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // Only LSUs that have all of these `STS_LSUF_*` flags; 0 = all.
  uint64_t sld_flags;
} sts_lsu_def_t;

// An LSU name as an enumeration returns it.
//
// Provenance: provisional.
typedef struct sts_lsu_name_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // LSU name.
  char name[STS_MAX_LSUNAME];
} sts_lsu_name_t;

// An LSU: a server handle and the LSU's name.
//
// Provenance: training (both members), provisional (layout).
typedef struct sts_lsu_t {
  // Open server.
  struct bstsp_server_handle_s *sl_server;
  // LSU name.
  char sl_name[STS_MAX_LSUNAME];
} sts_lsu_t;

// Properties of an LSU. Byte figures may be `STS_UNKNOWN`.
//
// Provenance: training (`lsu_used`, `lsu_used_phys`, `lsu_capacity`), documented (the figures `bpstsinfo -li` prints, and
// that NetBackup learns of minimum and maximum lock times here), provisional (layout).
typedef struct sts_lsu_info_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // `STS_LSU_AT_*`.
  uint32_t allocation;
  // `STS_LSU_ST_*`.
  uint32_t storage;
  // Zero.
  uint32_t reserved;
  // `STS_LSUF_*`.
  uint64_t media;
  // `STS_SA_*`.
  uint64_t save_as;
  // Largest length of one read or write, in bytes.
  uint64_t max_transfer;
  // Unit of write lengths, in bytes.
  uint64_t block_size;
  // Capacity in bytes: the quota of the view, or the cluster's.
  uint64_t lsu_capacity;
  // Physical capacity in bytes.
  uint64_t lsu_capacity_phys;
  // Bytes used, before data reduction.
  uint64_t lsu_used;
  // Bytes used on the media.
  uint64_t lsu_used_phys;
  // Number of images.
  uint64_t images;
  // Shortest time that an image can be locked for, in seconds; 0 = any. Means nothing without `STS_LSUF_WORM`.
  uint64_t worm_min;
  // Longest time that an image can be locked for, in seconds; `STS_UNKNOWN` = any.
  uint64_t worm_max;
  // LSU name.
  char name[STS_MAX_LSUNAME];
  // One line for an administrator.
  char description[STS_MAX_TEXT];
  // What `stspi_label_lsu` set last; empty if nothing.
  char label[STS_MAX_TEXT];
} sts_lsu_info_t;

// Identity of an image.
//
// Provenance: log (base name, date in epoch seconds, policy are part of a shipping plug-in's image name),
// provisional (layout).
typedef struct sts_image_def_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // Backup time in seconds since the epoch.
  uint64_t img_date;
  // Base name, such as `client_1588173008_C1_F2`.
  char img_basename[STS_MAX_IMAGENAME];
  // Policy name; may be empty.
  char img_policy[STS_MAX_POLICYNAME];
} sts_image_def_t;

// Description of the content of a write.
//
// Provenance: training (that such an argument exists), provisional (layout).
typedef struct sts_stat_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero: nothing is known of the content.
  uint32_t content;
} sts_stat_t;

// The lock of an image.
//
// Provenance: documented (that locks have an end and a mode), provisional (all names, layout).
typedef struct sts_image_lock_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // `STS_LOCKF_*`; 0 = not locked, also when a lock has ended.
  uint32_t lock_flags;
  // When the lock ends, or ended, in seconds since the epoch by the cluster's clock; 0 = there never was one.
  uint64_t lock_until;
} sts_image_lock_t;

// What NetBackup knows of the backup that an image belongs to, as far as replication carries it along.
//
// Provenance: training (`bi_master_server`, `isi_slpname`, the copy number, image sets), provisional (layout).
typedef struct sts_backup_info_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Copy number; 1 for a replica; 0 = not known.
  uint32_t bi_copy;
  // Number of the image set, the same for all images of one backup; chosen by the host; 0 = no set.
  uint64_t isi_id;
  // Master server of the domain that the backup was made in; may be empty.
  char bi_master_server[STS_MAX_STSNAME];
  // Name of the storage life-cycle policy; may be empty.
  char isi_slpname[STS_MAX_POLICYNAME];
} sts_backup_info_t;

// Properties of an image.
//
// Provenance: training (`imo_size`, the status bits, that it is what an event's payload holds), provisional (layout).
typedef struct sts_image_info_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // `STS_II_*`.
  uint32_t status;
  // Size in bytes, what has been written so far for a pending image.
  uint64_t imo_size;
  // When the image was created, in seconds since the epoch.
  uint64_t create_time;
  // Unit of write lengths, in bytes.
  uint64_t block_size;
  // Length of the image's metadata in bytes.
  uint64_t meta_length;
  // Identity.
  struct sts_image_def_t def;
  // Lock.
  struct sts_image_lock_t lock;
  // The backup that a replica belongs to. Images that a backup wrote here have empty fields.
  struct sts_backup_info_t backup;
} sts_image_info_t;

// An LSU by the names of server and LSU, printed as `VastData:server:lsu`.
//
// Provenance: documented (the form in which replication partners are printed), provisional (layout).
typedef struct sts_lsu_ref_t {
  // Storage-server name with its type, as `stspi_open_server` takes it.
  char server[STS_MAX_STSNAME];
  // LSU name.
  char lsu[STS_MAX_LSUNAME];
} sts_lsu_ref_t;

// Where images of an LSU are replicated to, and from where images come.
//
// Provenance: training (`sld_flags`, `sld_rep_targets` and that sources and targets are asked for), provisional (layout).
typedef struct sts_lsu_replication_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // `STS_LSUF_REP_*`.
  uint64_t sld_flags;
  // How many of `sld_rep_targets` are filled.
  uint32_t sld_rep_target_count;
  // How many of `sld_rep_sources` are filled.
  uint32_t sld_rep_source_count;
  // LSUs that images of this one are replicated to.
  struct sts_lsu_ref_t sld_rep_targets[STS_MAX_REP];
  // LSUs whose images are replicated to this one.
  struct sts_lsu_ref_t sld_rep_sources[STS_MAX_REP];
} sts_lsu_replication_t;

// Something that happened on an LSU. What it is about is fetched with `stspi_get_event_payload`.
//
// Provenance: training (the type, and that the payload is detached), documented (`ev_seqno`, the member of a public
// GPL program), provisional (layout).
typedef struct sts_event_t {
  // `sizeof` this structure, set by the caller.
  uint32_t size;
  // `STS_EVT_*`.
  uint32_t ev_type;
  // Number in the log of the LSU, from 1, rising in the order of delivery; numbers may be missing.
  uint64_t ev_seqno;
  // When it happened, in seconds since the epoch by the cluster's clock.
  uint64_t ev_time;
  // How many `sts_image_info_t` the payload holds, at least 1.
  uint32_t ev_images;
  // Zero.
  uint32_t reserved;
  // The LSU that the images are on.
  char ev_lsu[STS_MAX_LSUNAME];
  // The image whose arrival was the event: the one copied with `STS_EVF_TRIGGER`.
  struct sts_image_def_t ev_image;
} sts_event_t;

// The host's event handler, for channels that push. This plug-in's channels are asked instead: pass null.
//
// Provenance: training (that a handler can be passed, and that NetBackup passes none), provisional (the shape).
typedef void (*sts_event_fn)(void *context, const struct sts_event_t *event);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Starts the plug-in in this process. The first call; repeated calls are harmless. No I/O, no thread.
//
// `app_version`: interface version of the host; 0 or one the plug-in does not know is `STS_ENOTSUP`.
// `path`: directory that the library was loaded from, may be null. `info`: filled on success.
//
// Provenance: provisional.
extern int stspi_init(uint32_t app_version,
                      const char *path,
                      struct stspi_plugin_info_t *info);

// Says whether a storage-server name belongs to this plug-in: `STS_EOK` or `STS_ECLAIM`. No I/O.
//
// Provenance: provisional.
extern int stspi_claim(const char *server_name);

// Ends the plug-in in this process: every handle becomes invalid, threads of the plug-in end.
//
// Provenance: provisional.
extern int stspi_terminate(void);

// Opens a storage server: logs in and looks at the data path.
//
// Provenance: log (name, argument types and their order), provisional (their meaning).
extern int stspi_open_server(const struct sts_session_def_v7_t *session,
                             const char *server_name,
                             const struct sts_cred_v7_t *credentials,
                             const char *interface,
                             struct bstsp_server_handle_s **server);

// Closes a server. `STS_EBUSY` while images or lists opened through it are open.
//
// Provenance: provisional.
extern int stspi_close_server(struct bstsp_server_handle_s *server);

// Properties of an open server.
//
// Provenance: provisional.
extern int stspi_get_server_prop(struct bstsp_server_handle_s *server,
                                 struct sts_server_info_t *info);

// Properties of a server by name: what the plug-in offers for it. No I/O, no credentials.
//
// Provenance: provisional.
extern int stspi_get_server_prop_byname(const struct sts_session_def_v7_t *session,
                                        const char *server_name,
                                        struct sts_server_info_t *info);

// Begins an enumeration of LSUs. `filter` may be null.
//
// Provenance: provisional.
extern int stspi_open_lsu_list(struct bstsp_server_handle_s *server,
                               const struct sts_lsu_def_t *filter,
                               struct bstsp_lsu_list_handle_s **list);

// The next LSU; `STS_ENOENT` at the end.
//
// Provenance: provisional.
extern int stspi_list_lsu(struct bstsp_lsu_list_handle_s *list, struct sts_lsu_name_t *lsu);

// Ends an enumeration of LSUs.
//
// Provenance: provisional.
extern int stspi_close_lsu_list(struct bstsp_lsu_list_handle_s *list);

// Properties of an LSU; `STS_ENOENT` if the server has none of that name.
//
// Provenance: provisional.
extern int stspi_get_lsu_prop_byname(const struct sts_lsu_t *lsu, struct sts_lsu_info_t *info);

// Creates an image and opens it for writing: pending and busy.
//
// `pending`: a hint, not 0 when the caller will create more images on the same LSU.
//
// Provenance: training (the arguments and the hint), provisional (types).
extern int stspi_create_image(const struct sts_lsu_t *lsu,
                              const struct sts_image_def_t *image,
                              int pending,
                              struct bstsp_image_handle_s **handle);

// Opens an image: `STS_O_READ` a complete one, `STS_O_WRITE` one that was closed incomplete.
//
// Provenance: training (name), provisional (arguments).
extern int stspi_open_image(const struct sts_lsu_t *lsu,
                            const struct sts_image_def_t *image,
                            uint32_t mode,
                            struct bstsp_image_handle_s **handle);

// Writes at an offset. `length` is a multiple of `STS_BLOCK_SIZE`, at most `STS_MAX_IO`.
//
// May buffer: a later failure is reported by the next write, flush or close. `stat` may be null.
//
// Provenance: training (the arguments), provisional (types).
extern int stspi_write_image(struct bstsp_image_handle_s *handle,
                             const struct sts_stat_t *stat,
                             const void *buffer,
                             uint64_t length,
                             uint64_t offset,
                             uint64_t *written);

// Reads at an offset. Fewer bytes than asked only at the end of the image; 0 at or after it.
//
// Provenance: provisional (order of arguments).
extern int stspi_read_image(struct bstsp_image_handle_s *handle,
                            void *buffer,
                            uint64_t length,
                            uint64_t offset,
                            uint64_t *read);

// Sends what is buffered to the storage and waits until it is durable.
//
// Provenance: training (that it is optional).
extern int stspi_flush_image(struct bstsp_image_handle_s *handle);

// Closes an image. With `STS_CLOSEF_IH_COMPLETE` success means that the whole image is durable.
//
// The handle is gone whatever the result. Without the flag a written image stays pending.
//
// Provenance: training (the flag and its meaning).
extern int stspi_close_image(struct bstsp_image_handle_s *handle, uint32_t flags);

// Properties of an open image.
//
// Provenance: provisional.
extern int stspi_get_image_prop(struct bstsp_image_handle_s *handle, struct sts_image_info_t *info);

// Properties of an image by name; `STS_ENOENT` if there is none.
//
// Provenance: log (the code for a missing image), provisional (arguments).
extern int stspi_get_image_prop_byname(const struct sts_lsu_t *lsu,
                                       const struct sts_image_def_t *image,
                                       struct sts_image_info_t *info);

// Deletes an image, complete or pending; `STS_ENOENT` if there is none, `STS_EWORMLOCKED` while it is locked.
//
// `asynchronous`: 0 or 1; this plug-in returns when it is done either way.
//
// Provenance: log (behaviour), provisional (arguments).
extern int stspi_delete_image(const struct sts_lsu_t *lsu,
                              const struct sts_image_def_t *image,
                              int asynchronous);

// Begins an enumeration of the images of an LSU.
//
// Provenance: provisional.
extern int stspi_open_image_list(const struct sts_lsu_t *lsu,
                                 struct bstsp_image_list_handle_s **list);

// The next image; `STS_ENOENT` at the end.
//
// Provenance: provisional.
extern int stspi_list_image(struct bstsp_image_list_handle_s *list, struct sts_image_def_t *image);

// Ends an enumeration of images.
//
// Provenance: provisional.
extern int stspi_close_image_list(struct bstsp_image_list_handle_s *list);

// Gives an LSU a label, in place of any it had; empty text takes it away.
//
// Provenance: provisional (that the call exists is from third-party notes).
extern int stspi_label_lsu(const struct sts_lsu_t *lsu, const char *label);

// Replication targets and sources of an LSU; `STS_ENOENT` if the server has none of that name.
//
// Provenance: training (name and purpose), provisional (arguments).
extern int stspi_get_lsu_replication_prop(const struct sts_lsu_t *lsu,
                                          struct sts_lsu_replication_t *info);

// Writes metadata of an image that is open for writing: bytes that the host keeps beside the data.
//
// `offset` is at most the length of the metadata (`STS_EOFFSET`), its end at most `STS_MAX_IMAGE_META`
// (`STS_EINVAL`). Durable like the data: with the next flush or close.
//
// Provenance: provisional (that the call exists is from third-party notes).
extern int stspi_write_image_meta(struct bstsp_image_handle_s *handle,
                                  const void *buffer,
                                  uint64_t length,
                                  uint64_t offset,
                                  uint64_t *written);

// Reads metadata of an open image. Fewer bytes than asked only at its end; 0 at or after it.
//
// Provenance: provisional (that the call exists is from third-party notes).
extern int stspi_read_image_meta(struct bstsp_image_handle_s *handle,
                                 void *buffer,
                                 uint64_t length,
                                 uint64_t offset,
                                 uint64_t *read);

// Makes a range of a complete image part of the image being written, without moving its data.
//
// `offset`: where the range comes to lie, which is the size of the image being written (`STS_EOFFSET`).
// `length`: any number of bytes above 0, all within the source (`STS_EOFFSET`). The source may be deleted
// afterwards. `source_lsu` is the LSU of the image being written; another one is `STS_ENOTSUP`.
// A source that is not there is `STS_ENOENT`, one that is not complete `STS_EACCESS`.
//
// Provenance: log (that ranges with offset and length are included), provisional (arguments).
extern int stspi_include_in_image(struct bstsp_image_handle_s *handle,
                                  const struct sts_lsu_t *source_lsu,
                                  const struct sts_image_def_t *source_image,
                                  uint64_t source_offset,
                                  uint64_t length,
                                  uint64_t offset,
                                  uint64_t *included);

// Opens the server that images shall be copied to, through an open one. Closed by `stspi_close_server`.
//
// The handle is one like any other, and the server it was opened through stays busy while it is open.
// `credentials` may be null: then the plug-in's configuration has them.
//
// Provenance: training (name and purpose), provisional (arguments).
extern int stspi_open_target_server(struct bstsp_server_handle_s *server,
                                    const char *target_name,
                                    const struct sts_cred_v7_t *credentials,
                                    const char *interface,
                                    struct bstsp_server_handle_s **target);

// Copies a complete image and waits until the copy is complete.
//
// `to_lsu` may be an LSU of a target server. The copy is pending until its last byte is durable. Called
// again after a failure it goes on where it was. A complete image of that name is `STS_EEXIST`.
//
// Provenance: training (that it copies whole images synchronously), provisional (arguments).
extern int stspi_copy_image(const struct sts_lsu_t *from_lsu,
                            const struct sts_image_def_t *from_image,
                            const struct sts_lsu_t *to_lsu,
                            const struct sts_image_def_t *to_image);

// Begins a copy like that of `stspi_copy_image`, for a host that does not want to wait in one call.
//
// Provenance: provisional (that the call exists is known, and nothing else).
extern int stspi_begin_copy_image(const struct sts_lsu_t *from_lsu,
                                  const struct sts_image_def_t *from_image,
                                  const struct sts_lsu_t *to_lsu,
                                  const struct sts_image_def_t *to_image,
                                  struct bstsp_copy_handle_s **copy);

// Ends a copy. With `STS_CLOSEF_IH_COMPLETE` it copies on: `STS_EAGAIN` when there is more to do, to be
// called again; anything else closes the handle. Without the flag the copy is given up: its target stays
// pending, to be begun again or deleted.
//
// Provenance: provisional (that the call exists is known, and nothing else).
extern int stspi_end_copy_image(struct bstsp_copy_handle_s *copy,
                                uint32_t flags);

// Copies a range of an image open for reading to one open for writing, on the same server or a target.
//
// `to_offset` is the size of the image being written; after an error that size tells how far it got. No data
// moves through the host's memory.
//
// Provenance: training (name and purpose), documented (that optimized duplication copies extents),
// provisional (arguments).
extern int stspi_copy_extent(struct bstsp_image_handle_s *from,
                             uint64_t from_offset,
                             uint64_t length,
                             struct bstsp_image_handle_s *to,
                             uint64_t to_offset,
                             uint64_t *copied);

// Begins to copy a complete image in the background and returns the number of the operation.
//
// `to_lsu` null: to every replication target of `from_lsu`. `backup` may be null without event flags.
// `event_flags`: `STS_EVF_*`; the images of one set (`isi_id`) that were copied with `STS_EVF_INCLUDE` are
// in the payload of the event that the one with `STS_EVF_TRIGGER` causes at the target, once all of them
// are complete there. The operation outlives its caller: any process may wait for it.
//
// Provenance: training (no image handles, a null target, the flags, the operation id), provisional
// (arguments and their order).
extern int stspi_async_copy_image(const struct sts_lsu_t *from_lsu,
                                  const struct sts_image_def_t *from_image,
                                  const struct sts_lsu_t *to_lsu,
                                  const struct sts_image_def_t *to_image,
                                  const struct sts_backup_info_t *backup,
                                  uint32_t event_flags,
                                  uint64_t *operation);

// As `stspi_async_copy_image`, with a name of the host's: called again with the name of an operation
// that is known, it returns the number of that one and begins nothing.
//
// Provenance: training (name), provisional (meaning of the name, arguments).
extern int stspi_named_async_copy_image(const char *name,
                                        const struct sts_lsu_t *from_lsu,
                                        const struct sts_image_def_t *from_image,
                                        const struct sts_lsu_t *to_lsu,
                                        const struct sts_image_def_t *to_image,
                                        const struct sts_backup_info_t *backup,
                                        uint32_t event_flags,
                                        uint64_t *operation);

// Asks for an operation and lets it go on: `STS_EBUSY` while it runs, `STS_EOK` when it is done, the
// code of its failure, `STS_EABORT` when it was cancelled, `STS_ENOENT` if there is none of that number.
//
// Provenance: training (that it is polled, `STS_EBUSY`, `STS_EOK`), provisional (arguments).
extern int stspi_async_wait(struct bstsp_server_handle_s *server,
                            uint64_t operation);

// Cancels an operation; nothing is left of a target that is not complete. What has ended stays as it is.
// `STS_ENOENT` if there is none of that number.
//
// Provenance: training (name and purpose), provisional (arguments).
extern int stspi_async_cancel(struct bstsp_server_handle_s *server,
                              uint64_t operation);

// Opens the event channel of an LSU: events after `seqno`, from the oldest with `STS_EV_SEQNO_START`.
//
// `handler` null: the host asks with `stspi_get_event`. Another one is `STS_ENOTSUP`. A number that the
// log has never reached is `STS_EEVSEQ`.
//
// Provenance: training (name, null handler, that the number starts at zero), provisional (arguments, and
// that a channel is one of an LSU).
extern int stspi_open_evchannel(const struct sts_lsu_t *lsu,
                                sts_event_fn handler,
                                void *context,
                                uint64_t seqno,
                                struct bstsp_evchannel_handle_s **channel);

// The next event; `STS_ENOENT` when there is none yet. The event stays stored until it is deleted.
//
// Provenance: training (name and purpose), provisional (arguments).
extern int stspi_get_event(struct bstsp_evchannel_handle_s *channel, struct sts_event_t *event);

// What an event is about: `ev_images` structures. `images` has room for `capacity` of them
// (`STS_EINVAL` if that is too few), each with its `size` set. `STS_ENOENT` if the event was deleted.
//
// Provenance: training (name, and that it holds one or more `sts_image_info_t`), provisional (arguments).
extern int stspi_get_event_payload(struct bstsp_evchannel_handle_s *channel,
                                   uint64_t seqno,
                                   struct sts_image_info_t *images,
                                   uint32_t capacity,
                                   uint32_t *count);

// Deletes an event and its payload; `STS_ENOENT` if it is not there.
//
// Provenance: provisional (that events are deleted is from third-party notes).
extern int stspi_delete_event(struct bstsp_evchannel_handle_s *channel, uint64_t seqno);

// Closes an event channel. Events that were not deleted come again.
//
// Provenance: provisional.
extern int stspi_close_evchannel(struct bstsp_evchannel_handle_s *channel);

// Locks a complete image until a time, in seconds since the epoch by the cluster's clock.
//
// Success means that everything the image consists of is kept until then. The time from now on must be
// within the LSU's minimum and maximum (`STS_EWORMMIN`, `STS_EWORMMAX`). An earlier end than that of a
// lock in force is `STS_EACCESS`, as is an image that is not complete; an LSU without `STS_LSUF_WORM` is
// `STS_ENOTSUP`.
//
// Provenance: provisional (nothing of the names and arguments is public), documented (the rules).
extern int stspi_set_image_lock(const struct sts_lsu_t *lsu,
                                const struct sts_image_def_t *image,
                                uint64_t until);

// As `stspi_set_image_lock`, for an image whose lock is in force; `STS_EACCESS` if there is none.
//
// Provenance: provisional (nothing of the names and arguments is public), documented (that locks are
// extended and never shortened).
extern int stspi_extend_image_lock(const struct sts_lsu_t *lsu,
                                   const struct sts_image_def_t *image,
                                   uint64_t until);

// The lock of an image; `STS_ENOENT` if there is no such image.
//
// Provenance: provisional.
extern int stspi_get_image_lock(const struct sts_lsu_t *lsu,
                                const struct sts_image_def_t *image,
                                struct sts_image_lock_t *lock);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STSPI_H */
