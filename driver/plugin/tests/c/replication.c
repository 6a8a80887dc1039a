/* Steps of copies, operations and event channels: see steps.c. */
#define _GNU_SOURCE
#include "steps.h"

#define IMAGES 16

/* The part of "a:b:c" with that number, or all of it if there is none. */
static const char *part(const char *text, int number)
{
    static char parts[3][256];
    const char *from = text;
    for (int i = 0; i < number; i++) {
        const char *colon = strchr(from, ':');
        from = colon ? colon + 1 : from;
    }
    size_t length = strcspn(from, ":");
    CHECK(length < sizeof parts[0]);
    memcpy(parts[number], from, length);
    parts[number][length] = 0;
    return parts[number];
}

/* Where copies go: the LSU of the target server, or of this one. */
static const sts_lsu_t *goal(void)
{
    return here.target ? &here.far : &here.near;
}

static sts_backup_info_t backup_of(uint64_t set)
{
    sts_backup_info_t backup = { .size = sizeof backup, .bi_copy = 1, .isi_id = set };
    put(backup.bi_master_server, sizeof backup.bi_master_server, "primary1");
    put(backup.isi_slpname, sizeof backup.isi_slpname, "gold");
    return backup;
}

static void answer_payload(int code, const sts_image_info_t *images, uint32_t count)
{
    printf("code=%d count=%u", code, count);
    for (uint32_t i = 0; i < count; i++) {
        const sts_backup_info_t *backup = &images[i].backup;
        const char *master = backup->bi_master_server, *slp = backup->isi_slpname, *name = images[i].def.img_basename;
        CHECK(images[i].status == STS_II_IMAGE_CREATED && backup->bi_copy == 1);
        printf(" size%u=%llu set%u=%llu name%u=%llu master%u=%llu slp%u=%llu", i,
               (unsigned long long)images[i].imo_size, i, (unsigned long long)backup->isi_id, i,
               (unsigned long long)digest(name, strlen(name)), i, (unsigned long long)digest(master, strlen(master)),
               i, (unsigned long long)digest(slp, strlen(slp)));
    }
    printf("\n");
}

static int copy_step(const char *step, int slot, const char *text, const uint64_t n[3])
{
    sts_image_def_t from = image_named(part(text, 0)), to = image_named(part(text, 1));
    uint64_t count = 0;
    if (is(step, "copy")) {
        answer(api.copy_image(&here.near, &from, goal(), &to), 0);
    } else if (is(step, "begin_copy")) {
        answer(api.begin_copy_image(&here.near, &from, goal(), &to, &here.copies[slot]), 0);
    } else if (is(step, "end_copy")) {
        answer(api.end_copy_image(here.copies[slot], (uint32_t)n[0]), 0);
    } else if (is(step, "copy_extent")) {
        int code = api.copy_extent(here.images[slot], n[0], n[1], here.images[atoi(text)], n[2], &count);
        answer(code, count);
    } else {
        return 0;
    }
    return 1;
}

/* async: NUMBERS are the image set, the event flags, and 1 for the targets of the configuration. */
static int operation_step(const char *step, const char *text, const uint64_t n[3])
{
    uint64_t operation = 0;
    sts_backup_info_t backup = backup_of(n[0]);
    const sts_backup_info_t *given = n[0] ? &backup : NULL;
    const sts_lsu_t *to_lsu = n[2] ? NULL : goal();
    int code;
    if (is(step, "async")) {
        sts_image_def_t from = image_named(part(text, 0)), to = image_named(part(text, 1));
        code = api.async_copy_image(&here.lsu, &from, to_lsu, &to, given, (uint32_t)n[1], &operation);
        answer(code, operation);
    } else if (is(step, "named_async")) {
        sts_image_def_t from = image_named(part(text, 1)), to = image_named(part(text, 2));
        code = api.named_async_copy_image(part(text, 0), &here.lsu, &from, to_lsu, &to, given, (uint32_t)n[1], &operation);
        answer(code, operation);
    } else if (is(step, "wait")) {
        answer(api.async_wait(here.server, n[0]), 0);
    } else if (is(step, "cancel")) {
        answer(api.async_cancel(here.server, n[0]), 0);
    } else {
        return 0;
    }
    return 1;
}

static void pushed(void *context, const sts_event_t *event)
{
    (void)context;
    (void)event;
}

static int event_step(const char *step, int slot, const char *text, const uint64_t n[3])
{
    bstsp_evchannel_handle_s **channel = &here.channels[slot];
    sts_event_t event = { .size = sizeof event };
    sts_image_info_t images[IMAGES];
    uint32_t count = 0;
    if (is(step, "events")) {
        answer(api.open_evchannel(&here.lsu, NULL, NULL, n[0], channel), 0);
    } else if (is(step, "pushed_events")) {
        answer(api.open_evchannel(&here.lsu, pushed, NULL, n[0], channel), 0);
    } else if (is(step, "event")) {
        int code = api.get_event(*channel, &event);
        printf("code=%d type=%u seqno=%llu images=%u time=%llu lsu=%llu name=%llu\n", code, event.ev_type,
               (unsigned long long)event.ev_seqno, event.ev_images, (unsigned long long)event.ev_time,
               (unsigned long long)digest(event.ev_lsu, strlen(event.ev_lsu)),
               (unsigned long long)digest(event.ev_image.img_basename, strlen(event.ev_image.img_basename)));
    } else if (is(step, "payload")) {
        CHECK(n[1] <= IMAGES);
        for (int i = 0; i < IMAGES; i++)
            images[i].size = is(text, "unsized") ? 1 : sizeof images[i];
        int code = api.get_event_payload(*channel, n[0], images, (uint32_t)n[1], &count);
        answer_payload(code, images, count);
    } else if (is(step, "delete_event")) {
        answer(api.delete_event(*channel, n[0]), 0);
    } else if (is(step, "close_events")) {
        answer(api.close_evchannel(*channel), 0);
    } else {
        return 0;
    }
    return 1;
}

int replication_step(const char *step, int slot, const char *text, const uint64_t n[3])
{
    if (is(step, "open_target")) {
        /* SERVER:LSU; without credentials, unless a number is given: then with those of this session. */
        char full[256];
        sts_cred_v7_t own = credentials();
        snprintf(full, sizeof full, "VastData:%s", part(text, 0));
        int code = api.open_target_server(here.server, full, n[0] ? &own : NULL, NULL, &here.target);
        if (code == STS_EOK) {
            here.far = lsu_of(here.target);
            put(here.far.sl_name, sizeof here.far.sl_name, part(text, 1));
        }
        answer(code, 0);
    } else if (is(step, "close_target")) {
        int code = api.close_server(here.target);
        if (code == STS_EOK)
            here.target = NULL;
        answer(code, 0);
    } else if (is(step, "close_source")) {
        /* What must not work while something is open. */
        answer(api.close_server(here.server), 0);
    } else if (is(step, "at")) {
        /* near, far, or another LSU of the server. */
        here.lsu = is(text, "far") ? here.far : here.near;
        if (!is(text, "far") && !is(text, "near"))
            put(here.lsu.sl_name, sizeof here.lsu.sl_name, text);
        answer(0, 0);
    } else if (is(step, "label")) {
        answer(api.label_lsu(&here.lsu, is(text, "-") ? "" : text), 0);
    } else if (is(step, "long_label")) {
        char label[1024];
        CHECK(n[0] < sizeof label);
        memset(label, 'l', n[0]);
        label[n[0]] = 0;
        answer(api.label_lsu(&here.lsu, label), 0);
    } else {
        return copy_step(step, slot, text, n) || operation_step(step, text, n) || event_step(step, slot, text, n);
    }
    return 1;
}
