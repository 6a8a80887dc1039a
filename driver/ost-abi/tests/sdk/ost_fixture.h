/*
 * ost_fixture.h: stands in for a licensed OpenStorage header in the tests of the adaptation (src/sdk).
 *
 * Everything in it is made up, and made up to differ from stspi.h: names, numbers, order and size of members, suffixes,
 * arguments. It was written without looking at any licensed header and tells nothing about one. It lacks calls that
 * stspi.h has, and has one that stspi.h lacks.
 */
#ifndef OST_FIXTURE_H
#define OST_FIXTURE_H

#include <stdint.h>

#define OSTF_LEVEL 0x0b01
#define OSTF_UNIT 512
#define OSTF_ID_LEN 320
#define OSTF_LSU_LEN 128
#define OSTF_KEY_LEN 300
#define OSTF_LINE_LEN 500

/* Codes. Unknown to this header is whatever stspi.h has beyond them. */
enum ostf_code {
    OSTF_OK = 0,
    OSTF_BAD_ARGUMENT = 3001,
    OSTF_NO_MEMORY = 3002,
    OSTF_BUSY = 3003,
    OSTF_BAD_OFFSET = 3004,
    OSTF_AGAIN = 3005,
    OSTF_NONE = 3006,
    OSTF_ABORTED = 3007,
    OSTF_NETWORK = 3009,
    OSTF_SOFTWARE = 3010,
    OSTF_EXISTS = 3011,
    OSTF_FULL = 3012,
    OSTF_LOGIN = 3013,
    OSTF_FORBIDDEN = 3014,
    OSTF_DAMAGED = 3015,
    OSTF_PLUGIN = 3016,
    OSTF_NOT_MINE = 3017,
    OSTF_NOT_OFFERED = 3018,
    OSTF_BAD_HANDLE = 3019,
    OSTF_EVENTS_LOST = 3020,
    OSTF_LOCK_SHORT = 3021,
    OSTF_LOCK_LONG = 3022,
    OSTF_LOCKED = 3023
};

/* Severities. */
#define OSTF_SAY_ALL 0
#define OSTF_SAY_INFO 1
#define OSTF_SAY_WARNING 2
#define OSTF_SAY_ERROR 3
#define OSTF_SAY_FATAL 4

/* Places in ostf_server_props.features. */
#define OSTF_FEATURE_RESUME 40
#define OSTF_FEATURE_FLUSH 41
#define OSTF_FEATURE_INCLUDE 3
#define OSTF_FEATURE_COPY 5
#define OSTF_FEATURE_COPY_PART 6
#define OSTF_FEATURE_BACKGROUND_COPY 7
#define OSTF_FEATURE_EVENTS 9
#define OSTF_FEATURE_META 11
#define OSTF_FEATURE_LOCK 12
#define OSTF_FEATURES 48

/* ostf_server_props.traits */
#define OSTF_SERVER_LISTS 0x100
#define OSTF_SERVER_LOGIN 0x200

/* ostf_lsu_props.traits */
#define OSTF_LSU_DISK 0x10
#define OSTF_LSU_UP 0x20
#define OSTF_LSU_SENDS 0x40
#define OSTF_LSU_RECEIVES 0x80
#define OSTF_LSU_LOCKS 0x400

/* Parts that stspi_async_copy_image_v11 may tell the other side of. */
#define OSTF_TELL_OF_IT 0x8000
#define OSTF_TELL_NOW 0x4000

struct ostf_server;
struct ostf_lsus;
struct ostf_image;
struct ostf_images;
struct ostf_channel;

typedef void (*ostf_say_fn)(int severity, const char *line, void *cookie);

typedef struct ostf_plugin {
    char library[64];
    char type[48];
    char about[100];
    char build[32];
    uint16_t level;
    uint8_t many_threads;
} ostf_plugin;

typedef struct ostf_session_v7 {
    const char *program;
    const char *job;
    void *cookie;
    ostf_say_fn say;
    int16_t from_severity;
} ostf_session_v7;

typedef struct ostf_login_v7 {
    const char *secret;
    const char *user;
} ostf_login_v7;

typedef struct ostf_server_props {
    char about[OSTF_LINE_LEN];
    uint8_t features[OSTF_FEATURES];
    uint32_t traits;
    char id[OSTF_ID_LEN];
} ostf_server_props;

typedef struct ostf_lsu {
    char id[OSTF_LSU_LEN];
    struct ostf_server *on;
} ostf_lsu;

typedef struct ostf_lsu_props_v11 {
    char id[OSTF_LSU_LEN];
    char about[OSTF_LINE_LEN];
    uint64_t taken;
    uint64_t total;
    uint64_t taken_on_media;
    uint32_t traits;
    uint32_t unit;
    uint32_t lock_shortest;
    uint32_t lock_longest;
} ostf_lsu_props_v11;

typedef struct ostf_key_v10 {
    char policy[OSTF_KEY_LEN];
    int64_t made;
    char base[OSTF_KEY_LEN];
} ostf_key_v10;

typedef struct ostf_image_props_v10 {
    uint64_t lock_end;
    uint64_t bytes;
    ostf_key_v10 key;
    int64_t made_here;
    uint8_t complete;
    uint8_t writing;
    uint8_t locked;
    char domain[OSTF_ID_LEN];
    char slp[OSTF_KEY_LEN];
    uint64_t set;
    uint32_t copy;
} ostf_image_props_v10;

typedef struct ostf_origin_v11 {
    uint64_t set;
    const char *slp;
    const char *domain;
} ostf_origin_v11;

typedef struct ostf_event_v11 {
    ostf_key_v10 key;
    uint64_t number;
    uint64_t when;
    uint16_t kind;
    uint16_t parts;
} ostf_event_v11;

int stspi_init_v11(uint16_t level, ostf_plugin *plugin);
int stspi_claim_v7(const char *server, uint32_t reserved);
int stspi_terminate_v7(void);

int stspi_open_server(const ostf_session_v7 *session, const char server[], const ostf_login_v7 *login,
                      const char interface[], struct ostf_server **handle);
int stspi_open_target_server_v9(struct ostf_server *through, const char *server, const ostf_login_v7 *login,
                                struct ostf_server **handle);
int stspi_close_server_v9(struct ostf_server *server);
int stspi_get_server_prop_v9(struct ostf_server *server, ostf_server_props *props);
int stspi_get_server_prop_byname_v9(const ostf_session_v7 *session, const char *server, ostf_server_props *props);

int stspi_open_lsu_list_v11(struct ostf_server *server, uint32_t traits, struct ostf_lsus **list);
int stspi_list_lsu_v9(struct ostf_lsus *list, char id[OSTF_LSU_LEN]);
int stspi_close_lsu_list_v9(struct ostf_lsus *list);
int stspi_get_lsu_prop_byname_v11(const ostf_lsu *lsu, ostf_lsu_props_v11 *props);

int stspi_create_image_v10(const ostf_lsu *lsu, const ostf_key_v10 *key, int more_follow, int priority,
                           struct ostf_image **image);
int stspi_open_image_v9(const ostf_lsu *lsu, const ostf_key_v10 *key, char mode, struct ostf_image **image);
int stspi_write_image_v9(struct ostf_image *image, uint64_t offset, uint32_t length, const void *data,
                         uint32_t *written);
int stspi_read_image_v9(struct ostf_image *image, uint64_t offset, uint32_t length, void *data, uint32_t *read);
int stspi_flush_v9(struct ostf_image *image);
int stspi_close_image_v10(struct ostf_image *image, int complete, int forced);
int stspi_get_image_prop_v10(struct ostf_image *image, ostf_image_props_v10 *props);
int stspi_get_image_prop_byname_v10(const ostf_lsu *lsu, const ostf_key_v10 *key, ostf_image_props_v10 *props);
int stspi_delete_image_v10(const ostf_lsu *lsu, const ostf_key_v10 *key);
int stspi_open_image_list_v10(const ostf_lsu *lsu, int kind, struct ostf_images **list);
int stspi_list_image_v10(struct ostf_images *list, ostf_key_v10 *key);
int stspi_close_image_list_v9(struct ostf_images *list);

int stspi_write_image_meta_v9(struct ostf_image *image, const void *data, uint32_t length);
int stspi_read_image_meta_v9(struct ostf_image *image, void *data, uint32_t length, uint32_t *read);
int stspi_include_in_image_v10(struct ostf_image *image, uint64_t at, const ostf_lsu *lsu, const ostf_key_v10 *key,
                               uint64_t from, uint64_t length, uint32_t options);
int stspi_copy_image_v9(const ostf_lsu *to, const ostf_key_v10 *to_key, const ostf_lsu *from,
                        const ostf_key_v10 *from_key);
int stspi_copy_extent_v9(struct ostf_image *to, uint64_t at, struct ostf_image *from, uint64_t offset,
                         uint64_t length);

int stspi_async_copy_image_v11(const ostf_lsu *to, const ostf_key_v10 *to_key, const ostf_lsu *from,
                               const ostf_key_v10 *from_key, const ostf_origin_v11 *origin, uint32_t tell,
                               uint64_t *operation);
int stspi_async_wait_v11(struct ostf_server *server, const uint64_t *operation);
int stspi_async_cancel_v11(struct ostf_server *server, const uint64_t *operation);

int stspi_open_evchannel_v11(const ostf_lsu *lsu, uint64_t after, struct ostf_channel **channel);
int stspi_get_event_v11(struct ostf_channel *channel, ostf_event_v11 *event);
int stspi_get_event_payload_v11(struct ostf_channel *channel, const ostf_event_v11 *event,
                                ostf_image_props_v10 *parts, uint16_t room);
int stspi_delete_event_v11(struct ostf_channel *channel, const ostf_event_v11 *event);
int stspi_close_evchannel_v9(struct ostf_channel *channel);

int stspi_lock_image_v11(const ostf_lsu *lsu, const ostf_key_v10 *key, uint64_t until, int longer);

/* stspi.h knows nothing like it. */
int stspi_get_config_v11(struct ostf_server *server, const char *name, char *value, uint32_t room);

#endif
