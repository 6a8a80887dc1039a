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

// Capability index: an image closed incomplete can be reopened for writing (checkpoint restart).
//
// Provenance: provisional.
#define STS_SRVC_CHECKPOINT 0

// Capability index: `stspi_flush_image` makes what was written durable.
//
// Provenance: provisional.
#define STS_SRVC_FLUSH 1

// LSU media flag: disk.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSUF_DISK 1

// LSU media flag: usable.
//
// Provenance: documented (name in sample outputs), provisional (value).
#define STS_LSUF_ACTIVE 2

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

// Which LSUs an enumeration shall name.
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
// Provenance: training (`lsu_used`, `lsu_used_phys`, `lsu_capacity`), documented (the figures `bpstsinfo -li` prints),
// provisional (layout).
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
  // LSU name.
  char name[STS_MAX_LSUNAME];
  // One line for an administrator.
  char description[STS_MAX_TEXT];
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

// Properties of an image.
//
// Provenance: training (`imo_size`, the status bits), provisional (layout).
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
  // Identity.
  struct sts_image_def_t def;
} sts_image_info_t;

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

// Deletes an image, complete or pending; `STS_ENOENT` if there is none.
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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STSPI_H */
