/* A host that does one step at a time, as its standard input says: several of them are several processes of NetBackup. */
#define _GNU_SOURCE
#include "steps.h"
#include <time.h>

#define BUFFER (64u * 1048576u)

struct steps here;

/* This process's clock: the machine's, and as much more as the test says. */
static atomic_long clock_ahead;

int clock_gettime(clockid_t id, struct timespec *now)
{
    static _Atomic(void *) real;
    int (*call)(clockid_t, struct timespec *);
    void *found = atomic_load(&real);
    if (!found) {
        found = dlsym(RTLD_NEXT, "clock_gettime");
        atomic_store(&real, found);
    }
    *(void **)&call = found;
    int result = call(id, now);
    if (result == 0 && id == CLOCK_REALTIME)
        now->tv_sec += atomic_load(&clock_ahead);
    return result;
}

/* FNV-1a, so that the test can compare bytes that it does not get. */
uint64_t digest(const void *from, uint64_t length)
{
    const unsigned char *bytes = from;
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static unsigned char *buffer;

void answer(int code, uint64_t count)
{
    printf("code=%d count=%llu\n", code, (unsigned long long)count);
}

static void answer_info(int code, const sts_image_info_t *info)
{
    printf("code=%d status=%u size=%llu meta=%llu lock_flags=%u lock_until=%llu\n", code, info->status,
           (unsigned long long)info->imo_size, (unsigned long long)info->meta_length, info->lock.lock_flags,
           (unsigned long long)info->lock.lock_until);
}

int is(const char *word, const char *name)
{
    return !strcmp(word, name);
}

/* Steps on an open image: NAME SLOT NUMBER... */
static int image_step(const char *step, int slot, const char *text, const uint64_t n[3])
{
    sts_image_info_t info = { .size = sizeof info };
    sts_image_def_t source;
    uint64_t count = 0;
    int code;
    if (is(step, "write")) {
        fill(buffer, n[0], n[1], n[2]);
        code = api.write_image(here.images[slot], NULL, buffer, n[2], n[1], &count);
        answer(code, count);
    } else if (is(step, "read")) {
        code = api.read_image(here.images[slot], buffer, n[1], n[0], &count);
        printf("code=%d count=%llu digest=%llu\n", code, (unsigned long long)count,
               (unsigned long long)digest(buffer, count));
    } else if (is(step, "include")) {
        source = image_named(text);
        code = api.include_in_image(here.images[slot], &here.lsu, &source, n[0], n[1], n[2], &count);
        answer(code, count);
    } else if (is(step, "meta")) {
        answer(api.write_image_meta(here.images[slot], text, strlen(text), n[0], &count), count);
    } else if (is(step, "big_meta")) {
        memset(buffer, 'm', n[1]);
        answer(api.write_image_meta(here.images[slot], buffer, n[1], n[0], &count), count);
    } else if (is(step, "read_meta")) {
        code = api.read_image_meta(here.images[slot], buffer, n[1], n[0], &count);
        printf("code=%d count=%llu digest=%llu\n", code, (unsigned long long)count,
               (unsigned long long)digest(buffer, count));
    } else if (is(step, "flush")) {
        answer(api.flush_image(here.images[slot]), 0);
    } else if (is(step, "close")) {
        answer(api.close_image(here.images[slot], (uint32_t)n[0]), 0);
    } else if (is(step, "prop")) {
        code = api.get_image_prop(here.images[slot], &info);
        answer_info(code, &info);
    } else {
        return 0;
    }
    return 1;
}

/* Steps on an image by its name. */
static int name_step(const char *step, int slot, const char *name, uint64_t until)
{
    sts_image_def_t def = image_named(name);
    sts_image_info_t info = { .size = sizeof info };
    sts_image_lock_t lock = { .size = sizeof lock };
    sts_lsu_info_t lsu_info = { .size = sizeof lsu_info };
    int code;
    if (is(step, "create")) {
        answer(api.create_image(&here.lsu, &def, 0, &here.images[slot]), 0);
    } else if (is(step, "open_read")) {
        answer(api.open_image(&here.lsu, &def, STS_O_READ, &here.images[slot]), 0);
    } else if (is(step, "open_write")) {
        answer(api.open_image(&here.lsu, &def, STS_O_WRITE, &here.images[slot]), 0);
    } else if (is(step, "prop_by_name")) {
        code = api.get_image_prop_byname(&here.lsu, &def, &info);
        answer_info(code, &info);
    } else if (is(step, "delete")) {
        answer(api.delete_image(&here.lsu, &def, slot), 0);
    } else if (is(step, "lock")) {
        answer(api.set_image_lock(&here.lsu, &def, until), 0);
    } else if (is(step, "extend_lock")) {
        answer(api.extend_image_lock(&here.lsu, &def, until), 0);
    } else if (is(step, "get_lock")) {
        code = api.get_image_lock(&here.lsu, &def, &lock);
        printf("code=%d lock_flags=%u lock_until=%llu\n", code, lock.lock_flags, (unsigned long long)lock.lock_until);
    } else if (is(step, "lsu_prop")) {
        code = api.get_lsu_prop_byname(&here.lsu, &lsu_info);
        printf("code=%d media=%llu worm_min=%llu worm_max=%llu label=%llu\n", code,
               (unsigned long long)lsu_info.media, (unsigned long long)lsu_info.worm_min,
               (unsigned long long)lsu_info.worm_max,
               (unsigned long long)digest(lsu_info.label, strlen(lsu_info.label)));
    } else {
        return 0;
    }
    return 1;
}

/* steps: lines "STEP SLOT TEXT NUMBER NUMBER NUMBER" come in, each is answered by a line. */
void mode_steps(int argc, char **argv)
{
    char line[1024], step[32], text[512];
    here.server = open_server();
    (void)argc;
    (void)argv;
    here.near = here.lsu = lsu_of(here.server);
    buffer = malloc(BUFFER + 1);
    CHECK(buffer != NULL);
    printf("code=0\n");
    while (fgets(line, sizeof line, stdin)) {
        unsigned long long a = 0, b = 0, c = 0;
        int slot = 0;
        CHECK(sscanf(line, "%31s %d %511s %llu %llu %llu", step, &slot, text, &a, &b, &c) >= 3);
        CHECK(slot >= 0 && slot < SLOTS);
        uint64_t numbers[3] = { a, b, c };
        if (is(step, "clock")) {
            atomic_fetch_add(&clock_ahead, (long)a);
            answer(0, 0);
        } else if (!image_step(step, slot, text, numbers) && !name_step(step, slot, text, a) &&
                   !replication_step(step, slot, text, numbers)) {
            die(__FILE__, __LINE__, line);
        }
    }
    OK(api.close_server(here.server));
    free(buffer);
}
