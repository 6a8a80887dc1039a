/*
 * A host built against another header than stspi.h, and against nothing else of ours.
 *
 *   sdk_host LIBRARY SERVER USER PASSWORD LSU
 *
 * A whole backup, restore, listing, include, copy, replication with its event, and delete. Prints "name=value" lines and exits 0 when everything held;
 * otherwise one line on standard error says what did not, and where.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ost_fixture.h"

#define EACH(X) \
    X(stspi_init_v11) X(stspi_claim_v7) X(stspi_terminate_v7) X(stspi_open_server) X(stspi_open_target_server_v9) \
    X(stspi_close_server_v9) X(stspi_get_server_prop_v9) X(stspi_get_server_prop_byname_v9) \
    X(stspi_open_lsu_list_v11) X(stspi_list_lsu_v9) X(stspi_close_lsu_list_v9) X(stspi_get_lsu_prop_byname_v11) \
    X(stspi_create_image_v10) X(stspi_open_image_v9) X(stspi_write_image_v9) X(stspi_read_image_v9) \
    X(stspi_flush_v9) X(stspi_close_image_v10) X(stspi_get_image_prop_v10) X(stspi_get_image_prop_byname_v10) \
    X(stspi_delete_image_v10) X(stspi_open_image_list_v10) X(stspi_list_image_v10) X(stspi_close_image_list_v9) \
    X(stspi_include_in_image_v10) X(stspi_write_image_meta_v9) X(stspi_read_image_meta_v9) \
    X(stspi_copy_image_v9) X(stspi_copy_extent_v9) X(stspi_async_copy_image_v11) X(stspi_async_wait_v11) \
    X(stspi_async_cancel_v11) X(stspi_open_evchannel_v11) X(stspi_get_event_v11) X(stspi_get_event_payload_v11) \
    X(stspi_delete_event_v11) X(stspi_close_evchannel_v9) X(stspi_lock_image_v11) X(stspi_get_config_v11)

#define MEMBER(name) static __typeof__(name) *f_##name;
EACH(MEMBER)
#undef MEMBER

/* Calls go through what dlsym found; the prototypes are the header's. */
#define CALL(name, ...) f_##name(__VA_ARGS__)

static int lines, last_severity, cookie;

static void die(int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", __FILE__, line, what);
    exit(1);
}

static void check(int line, const char *what, int want, int got)
{
    char text[256];
    if (want == got)
        return;
    snprintf(text, sizeof text, "%s is %d, not %d", what, got, want);
    die(line, text);
}

#define CHECK(condition) do { if (!(condition)) die(__LINE__, #condition); } while (0)
#define CODE(want, call) check(__LINE__, #call, (want), (call))
#define OK(call) CODE(OSTF_OK, call)

static void say(int severity, const char *line, void *with)
{
    CHECK(with == &cookie);
    CHECK(severity >= OSTF_SAY_INFO && severity <= OSTF_SAY_FATAL);
    lines++;
    last_severity = severity;
    fprintf(stderr, "<%d> %s\n", severity, line);
}

static ostf_key_v10 key_of(const char *base)
{
    ostf_key_v10 key;
    memset(&key, 0, sizeof key);
    strcpy(key.policy, "policy one");
    strcpy(key.base, base);
    key.made = 1588173008;
    return key;
}

static void fill(unsigned char *buffer, size_t length)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < length; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        buffer[i] = (unsigned char)x;
    }
}

static void compare_image(const ostf_lsu *lsu, const ostf_key_v10 *key, const unsigned char *want, size_t size)
{
    struct ostf_image *image = NULL;
    unsigned char *buffer = malloc(size + 512);
    uint32_t got = 1;
    size_t at = 0;
    CHECK(buffer != NULL);
    OK(CALL(stspi_open_image_v9, lsu, key, 'r', &image));
    while (got > 0) {
        OK(CALL(stspi_read_image_v9, image, at, 42496 < size + 512 - at ? 42496 : size + 512 - at, buffer + at, &got));
        at += got;
    }
    CHECK(at == size && !memcmp(buffer, want, size));
    OK(CALL(stspi_close_image_v10, image, 0, 0));
    free(buffer);
}

#define SIZE (6u << 20)
#define STEP (256u << 10)

static void backup(const ostf_lsu *lsu, const ostf_key_v10 *key, const unsigned char *data)
{
    struct ostf_image *image = NULL, *other = NULL;
    ostf_image_props_v10 props;
    uint32_t written = 77;
    memset(&props, 0x55, sizeof props);
    CODE(OSTF_NONE, CALL(stspi_get_image_prop_byname_v10, lsu, key, &props));
    CHECK(props.bytes == 0x5555555555555555u);

    OK(CALL(stspi_create_image_v10, lsu, key, 1, 99, &image));
    CODE(OSTF_BUSY, CALL(stspi_create_image_v10, lsu, key, 0, 99, &other));
    CHECK(other == NULL);
    OK(CALL(stspi_get_image_prop_v10, image, &props));
    CHECK(props.writing == 1 && props.complete == 0 && props.bytes == 0);
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_write_image_v9, image, 0, 511, data, &written));
    CODE(OSTF_BAD_OFFSET, CALL(stspi_write_image_v9, image, 512, 512, data, &written));
    CHECK(written == 77);
    for (uint32_t at = 0; at < SIZE; at += STEP) {
        OK(CALL(stspi_write_image_v9, image, at, STEP, data + at, &written));
        CHECK(written == STEP);
    }
    OK(CALL(stspi_flush_v9, image));
    OK(CALL(stspi_close_image_v10, image, 1, 0));
    CODE(OSTF_BAD_HANDLE, CALL(stspi_close_image_v10, image, 1, 0));
    CODE(OSTF_FORBIDDEN, CALL(stspi_open_image_v9, lsu, key, 'w', &other));
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_open_image_v9, lsu, key, 'x', &other));
    CODE(OSTF_EXISTS, CALL(stspi_create_image_v10, lsu, key, 0, 99, &other));

    OK(CALL(stspi_get_image_prop_byname_v10, lsu, key, &props));
    CHECK(props.writing == 0 && props.complete == 1 && props.bytes == SIZE && !props.locked);
    CHECK(!strcmp(props.key.base, key->base) && !strcmp(props.key.policy, key->policy));
    CHECK(props.key.made == key->made && props.made_here > 0);
}

/* The second image is a block of its own and an unaligned range of the first. */
static void include(const ostf_lsu *lsu, const ostf_key_v10 *source, const unsigned char *data, int there)
{
    ostf_key_v10 key = key_of("client_1588173008_C1_F2");
    struct ostf_image *image = NULL;
    uint32_t written = 0;
    const uint64_t from = 1048577, length = 2000000;
    OK(CALL(stspi_create_image_v10, lsu, &key, 0, 0, &image));
    OK(CALL(stspi_write_image_v9, image, 0, 512, data, &written));
    CODE(there ? OSTF_OK : OSTF_NOT_OFFERED,
         CALL(stspi_include_in_image_v10, image, 512, lsu, source, from, length, 0));
    OK(CALL(stspi_close_image_v10, image, 1, 0));
    if (there) {
        unsigned char *want = malloc(512 + length);
        CHECK(want != NULL);
        memcpy(want, data, 512);
        memcpy(want + 512, data + from, length);
        compare_image(lsu, &key, want, 512 + length);
        free(want);
    } else {
        compare_image(lsu, &key, data, 512);
    }
    OK(CALL(stspi_delete_image_v10, lsu, &key));
}

/* Copies of the whole image and of a part, and one in the background that the target is told of. */
static void copies(struct ostf_server *server, const ostf_lsu *lsu, const ostf_key_v10 *source, const unsigned char *data)
{
    ostf_key_v10 copy = key_of("copy"), part = key_of("part"), replica = key_of("replica");
    ostf_origin_v11 origin = { .set = 9, .slp = "gold", .domain = "primary1" };
    struct ostf_image *from = NULL, *to = NULL;
    struct ostf_channel *channel = NULL;
    ostf_event_v11 event;
    ostf_image_props_v10 told;
    uint64_t operation = 0;
    int code;
    OK(CALL(stspi_copy_image_v9, lsu, &copy, lsu, source));
    compare_image(lsu, &copy, data, SIZE);

    OK(CALL(stspi_open_image_v9, lsu, source, 'r', &from));
    OK(CALL(stspi_create_image_v10, lsu, &part, 0, 0, &to));
    OK(CALL(stspi_copy_extent_v9, to, 0, from, 1048577, 2000000));
    CODE(OSTF_BAD_OFFSET, CALL(stspi_copy_extent_v9, to, 1, from, 0, 1));
    OK(CALL(stspi_close_image_v10, to, 1, 0));
    OK(CALL(stspi_close_image_v10, from, 0, 0));
    compare_image(lsu, &part, data + 1048577, 2000000);

    OK(CALL(stspi_async_copy_image_v11, lsu, &replica, lsu, source, &origin, OSTF_TELL_OF_IT | OSTF_TELL_NOW, &operation));
    CHECK(operation != 0);
    while ((code = CALL(stspi_async_wait_v11, server, &operation)) == OSTF_BUSY)
        ;
    CHECK(code == OSTF_OK);
    OK(CALL(stspi_async_cancel_v11, server, &operation));
    compare_image(lsu, &replica, data, SIZE);

    OK(CALL(stspi_open_evchannel_v11, lsu, 0, &channel));
    OK(CALL(stspi_get_event_v11, channel, &event));
    CHECK(event.parts == 1 && event.when > 0 && !strcmp(event.key.base, "replica"));
    OK(CALL(stspi_get_event_payload_v11, channel, &event, &told, 1));
    CHECK(told.bytes == SIZE && told.complete == 1 && told.set == 9 && told.copy == 1);
    CHECK(!strcmp(told.domain, "primary1") && !strcmp(told.slp, "gold") && !strcmp(told.key.base, "replica"));
    OK(CALL(stspi_delete_event_v11, channel, &event));
    CODE(OSTF_NONE, CALL(stspi_get_event_v11, channel, &event));
    OK(CALL(stspi_close_evchannel_v9, channel));
    CODE(OSTF_BAD_HANDLE, CALL(stspi_close_evchannel_v9, channel));
    OK(CALL(stspi_delete_image_v10, lsu, &copy));
    OK(CALL(stspi_delete_image_v10, lsu, &part));
    OK(CALL(stspi_delete_image_v10, lsu, &replica));
}

static void bad_arguments(struct ostf_server *server, const ostf_lsu *lsu)
{
    ostf_key_v10 endless = key_of("x");
    ostf_lsu nameless = *lsu;
    struct ostf_image *image = NULL;
    struct ostf_lsus *list = NULL;
    char id[OSTF_LSU_LEN];
    uint64_t operation = 0;
    memset(endless.base, 'x', sizeof endless.base);
    memset(nameless.id, 'x', sizeof nameless.id);
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_create_image_v10, lsu, &endless, 0, 0, &image));
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_create_image_v10, &nameless, &endless, 0, 0, &image));
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_create_image_v10, NULL, &endless, 0, 0, &image));
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_create_image_v10, lsu, (void *)((char *)&endless + 1), 0, 0, &image));
    CODE(OSTF_BAD_ARGUMENT, CALL(stspi_get_server_prop_v9, server, NULL));
    CHECK(image == NULL && last_severity == OSTF_SAY_ERROR);
    /* A trait that the plug-in knows nothing of is one that no LSU has. */
    OK(CALL(stspi_open_lsu_list_v11, server, 1, &list));
    CODE(OSTF_NONE, CALL(stspi_list_lsu_v9, list, id));
    OK(CALL(stspi_close_lsu_list_v9, list));
    /* Calls that our interface lacks, and calls whose feature is not there. */
    CODE(OSTF_NOT_OFFERED, CALL(stspi_get_config_v11, server, "x", id, sizeof id));
    CHECK(CALL(stspi_async_wait_v11, server, NULL) != OSTF_OK);
    CHECK(CALL(stspi_async_wait_v11, server, &operation) != OSTF_OK);
}

int main(int argc, char **argv)
{
    ostf_session_v7 session = { .program = "bptm", .job = "1", .cookie = &cookie, .say = say, .from_severity = OSTF_SAY_INFO };
    ostf_login_v7 login;
    ostf_plugin plugin;
    ostf_server_props props, by_name;
    ostf_lsu lsu;
    ostf_lsu_props_v11 space;
    ostf_key_v10 key = key_of("client_1588173008_C1_F1"), listed;
    struct ostf_server *server = NULL;
    struct ostf_lsus *lsus = NULL;
    struct ostf_images *images = NULL;
    char id[OSTF_LSU_LEN];
    unsigned char *data = malloc(SIZE);
    int code, found = 0;
    CHECK(argc == 6 && data != NULL);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(__LINE__, dlerror());
#define FIND(name) \
    *(void **)&f_##name = dlsym(library, #name); \
    CHECK(f_##name != NULL);
    EACH(FIND)
    setvbuf(stdout, NULL, _IOLBF, 0);

    CODE(OSTF_NOT_OFFERED, CALL(stspi_init_v11, 0x0801, &plugin));
    OK(CALL(stspi_init_v11, OSTF_LEVEL, &plugin));
    printf("name=%s\nthreads=%d\n", plugin.library, plugin.many_threads);
    CHECK(plugin.level == OSTF_LEVEL && !strcmp(plugin.type, "VastData"));
    OK(CALL(stspi_claim_v7, argv[2], 7));
    CODE(OSTF_NOT_MINE, CALL(stspi_claim_v7, "PureDisk:x", 0));

    login.user = argv[3];
    login.secret = "wrong";
    CODE(OSTF_LOGIN, CALL(stspi_open_server, &session, argv[2], &login, NULL, &server));
    CHECK(server == NULL && lines > 0);
    login.secret = argv[4];
    OK(CALL(stspi_open_server, &session, argv[2], &login, NULL, &server));
    OK(CALL(stspi_get_server_prop_v9, server, &props));
    OK(CALL(stspi_get_server_prop_byname_v9, &session, argv[2], &by_name));
    CHECK(!strcmp(props.id, argv[2]) && !memcmp(props.features, by_name.features, sizeof props.features));
    CHECK(props.features[OSTF_FEATURE_RESUME] && props.features[OSTF_FEATURE_FLUSH]);
    CHECK(props.traits == (OSTF_SERVER_LISTS | OSTF_SERVER_LOGIN));

    OK(CALL(stspi_open_lsu_list_v11, server, OSTF_LSU_DISK, &lsus));
    while ((code = CALL(stspi_list_lsu_v9, lsus, id)) == OSTF_OK)
        found += !strcmp(id, argv[5]);
    CHECK(code == OSTF_NONE && found == 1);
    OK(CALL(stspi_close_lsu_list_v9, lsus));
    memset(&lsu, 0, sizeof lsu);
    lsu.on = server;
    CHECK(strlen(argv[5]) < sizeof lsu.id);
    strcpy(lsu.id, argv[5]);
    OK(CALL(stspi_get_lsu_prop_byname_v11, &lsu, &space));
    CHECK(space.total - space.taken >= SIZE && space.unit == OSTF_UNIT && !strcmp(space.id, argv[5]));
    CHECK((space.traits & (OSTF_LSU_DISK | OSTF_LSU_UP)) == (OSTF_LSU_DISK | OSTF_LSU_UP));

    fill(data, SIZE);
    backup(&lsu, &key, data);
    compare_image(&lsu, &key, data, SIZE);
    OK(CALL(stspi_open_image_list_v10, &lsu, 3, &images));
    OK(CALL(stspi_list_image_v10, images, &listed));
    CHECK(!strcmp(listed.base, key.base) && !strcmp(listed.policy, key.policy) && listed.made == key.made);
    CODE(OSTF_NONE, CALL(stspi_list_image_v10, images, &listed));
    OK(CALL(stspi_close_image_list_v9, images));
    include(&lsu, &key, data, props.features[OSTF_FEATURE_INCLUDE]);
    copies(server, &lsu, &key, data);
    bad_arguments(server, &lsu);
    OK(CALL(stspi_delete_image_v10, &lsu, &key));
    CODE(OSTF_NONE, CALL(stspi_delete_image_v10, &lsu, &key));

    OK(CALL(stspi_close_server_v9, server));
    OK(CALL(stspi_terminate_v7));
    free(data);
    printf("include=%d\ndone=1\n", props.features[OSTF_FEATURE_INCLUDE]);
    return 0;
}
