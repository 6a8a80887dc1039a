/* What each capability is good for, once for every bit: it does that when the bit is set and is refused when it is not. */
#define _GNU_SOURCE
#include "host.h"

/* What the checks work on. */
struct place {
    sts_lsu_t lsu;
    sts_image_def_t source, image;
};

/* Begins the image that a check writes. */
static bstsp_image_handle_s *begin(struct place *at)
{
    bstsp_image_handle_s *image = NULL;
    OK(api.create_image(&at->lsu, &at->image, 0, &image));
    return image;
}

static void write_block(bstsp_image_handle_s *image)
{
    unsigned char block[512];
    uint64_t written = 0;
    fill(block, 1, 0, sizeof block);
    OK(api.write_image(image, NULL, block, sizeof block, 0, &written));
}

static uint64_t durable(struct place *at)
{
    sts_image_info_t info = { .size = sizeof info };
    OK(api.get_image_prop_byname(&at->lsu, &at->image, &info));
    return info.imo_size;
}

/* An image that was closed incomplete goes on. */
static int checkpoint(struct place *at)
{
    bstsp_image_handle_s *image = begin(at);
    write_block(image);
    OK(api.close_image(image, 0));
    int code = api.open_image(&at->lsu, &at->image, STS_O_WRITE, &image);
    if (code == STS_EOK)
        OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    CHECK(durable(at) == 512);
    return code;
}

/* Bytes are durable before the image is closed. */
static int flush(struct place *at)
{
    bstsp_image_handle_s *image = begin(at);
    write_block(image);
    int code = api.flush_image(image);
    CHECK(durable(at) == (code == STS_EOK ? 512 : 0));
    OK(api.close_image(image, 0));
    return code;
}

/* A range of another image is part of this one. */
static int include(struct place *at)
{
    bstsp_image_handle_s *image = begin(at);
    unsigned char wanted[512], got[512];
    uint64_t count = 0;
    int code = api.include_in_image(image, &at->lsu, &at->source, 7, 300, 0, &count);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    OK(api.open_image(&at->lsu, &at->image, STS_O_READ, &image));
    OK(api.read_image(image, got, sizeof got, 0, &count));
    CHECK(count == (code == STS_EOK ? 300 : 0));
    fill(wanted, 1, 0, sizeof wanted);
    CHECK(!memcmp(wanted + 7, got, count));
    OK(api.close_image(image, 0));
    return code;
}

/* Bytes are kept beside the image; without it there is no way to read any either. */
static int image_meta(struct place *at)
{
    bstsp_image_handle_s *image = begin(at);
    char got[8] = { 0 };
    uint64_t count = 0;
    int code = api.write_image_meta(image, "beside", 6, 0, &count);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    OK(api.open_image(&at->lsu, &at->image, STS_O_READ, &image));
    CODE(code, api.read_image_meta(image, got, sizeof got, 0, &count));
    CHECK(code != STS_EOK || (count == 6 && !memcmp(got, "beside", 6)));
    OK(api.close_image(image, 0));
    return code;
}

/* The image is what the source is. */
static void check_copied(struct place *at)
{
    bstsp_image_handle_s *image = NULL;
    unsigned char wanted[512], got[513];
    uint64_t count = 0;
    OK(api.open_image(&at->lsu, &at->image, STS_O_READ, &image));
    OK(api.read_image(image, got, sizeof got, 0, &count));
    fill(wanted, 1, 0, sizeof wanted);
    CHECK(count == sizeof wanted && !memcmp(wanted, got, count));
    OK(api.close_image(image, 0));
}

/* Whole images are copied, in one call or in several. */
static int copy_image(struct place *at)
{
    bstsp_copy_handle_s *copy = NULL;
    int code = api.copy_image(&at->lsu, &at->source, &at->lsu, &at->image);
    if (code == STS_EOK) {
        check_copied(at);
        OK(api.delete_image(&at->lsu, &at->image, 0));
    }
    CODE(code, api.begin_copy_image(&at->lsu, &at->source, &at->lsu, &at->image, &copy));
    if (code == STS_EOK) {
        int ended;
        while ((ended = api.end_copy_image(copy, STS_CLOSEF_IH_COMPLETE)) == STS_EAGAIN)
            ;
        OK(ended);
        check_copied(at);
    }
    return code;
}

/* Ranges are copied from an image that is open to another one. */
static int copy_extent(struct place *at)
{
    bstsp_image_handle_s *image = begin(at), *source = NULL;
    unsigned char wanted[512], got[512];
    uint64_t count = 0;
    OK(api.open_image(&at->lsu, &at->source, STS_O_READ, &source));
    int code = api.copy_extent(source, 7, 300, image, 0, &count);
    CHECK(count == (code == STS_EOK ? 300 : 0));
    OK(api.close_image(source, 0));
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    OK(api.open_image(&at->lsu, &at->image, STS_O_READ, &image));
    OK(api.read_image(image, got, sizeof got, 0, &count));
    CHECK(count == (code == STS_EOK ? 300 : 0));
    fill(wanted, 1, 0, sizeof wanted);
    CHECK(!memcmp(wanted + 7, got, count));
    OK(api.close_image(image, 0));
    return code;
}

static int wait_for(struct place *at, uint64_t operation)
{
    int code;
    while ((code = api.async_wait(at->lsu.sl_server, operation)) == STS_EBUSY)
        ;
    return code;
}

/* An image is copied in the background. */
static int async_copy(struct place *at)
{
    uint64_t operation = 0;
    int code = api.async_copy_image(&at->lsu, &at->source, &at->lsu, &at->image, NULL, 0, &operation);
    CHECK(!operation == (code != STS_EOK));
    if (code == STS_EOK) {
        OK(wait_for(at, operation));
        check_copied(at);
        OK(api.async_cancel(at->lsu.sl_server, operation));
    }
    return code;
}

/* The same, and asked for again by name it is the same. */
static int named_async_copy(struct place *at)
{
    char name[32];
    static int run;
    uint64_t operation = 0, again = 0;
    snprintf(name, sizeof name, "operation %d of %ld", run++, (long)getpid());
    int code = api.named_async_copy_image(name, &at->lsu, &at->source, &at->lsu, &at->image, NULL, 0, &operation);
    CODE(code, api.named_async_copy_image(name, &at->lsu, &at->source, &at->lsu, &at->image, NULL, 0, &again));
    CHECK(operation == again);
    if (code == STS_EOK) {
        OK(wait_for(at, operation));
        check_copied(at);
    }
    return code;
}

/* The log of an LSU can be read and emptied. */
static int events(struct place *at)
{
    bstsp_evchannel_handle_s *channel = NULL;
    sts_event_t event = { .size = sizeof event };
    int code = api.open_evchannel(&at->lsu, NULL, NULL, STS_EV_SEQNO_START, &channel);
    if (code == STS_EOK) {
        int got;
        while ((got = api.get_event(channel, &event)) == STS_EOK)
            OK(api.delete_event(channel, event.ev_seqno));
        CHECK(got == STS_ENOENT);
        CODE(STS_ENOENT, api.delete_event(channel, 1));
        OK(api.close_evchannel(channel));
    }
    return code;
}

/* What is copied with event flags makes an event. Either call that copies in the background takes them. */
static int image_set(struct place *at)
{
    bstsp_evchannel_handle_s *channel = NULL;
    sts_backup_info_t backup = { .size = sizeof backup, .bi_copy = 1, .isi_id = 7 };
    sts_event_t event = { .size = sizeof event };
    sts_image_info_t image = { .size = sizeof image };
    uint32_t flags = STS_EVF_INCLUDE | STS_EVF_TRIGGER, count = 0;
    uint64_t operation = 0;
    char name[32];
    snprintf(name, sizeof name, "set of %ld", (long)getpid());
    int code = api.named_async_copy_image(name, &at->lsu, &at->source, &at->lsu, &at->image, &backup, flags, &operation);
    if (code == STS_ENOTSUP)
        code = api.async_copy_image(&at->lsu, &at->source, &at->lsu, &at->image, &backup, flags, &operation);
    if (code != STS_EOK)
        return code;
    OK(wait_for(at, operation));
    /* Whoever cannot read events is not told of this one. */
    if (api.open_evchannel(&at->lsu, NULL, NULL, STS_EV_SEQNO_START, &channel) != STS_EOK)
        return code;
    OK(api.get_event(channel, &event));
    CHECK(event.ev_type == STS_EVT_IMG_REP && event.ev_images == 1);
    OK(api.get_event_payload(channel, event.ev_seqno, &image, 1, &count));
    CHECK(count == 1 && image.imo_size == 512 && image.backup.isi_id == 7);
    OK(api.delete_event(channel, event.ev_seqno));
    OK(api.close_evchannel(channel));
    return code;
}

static int label(struct place *at)
{
    sts_lsu_info_t info = { .size = sizeof info };
    int code = api.label_lsu(&at->lsu, "a label");
    OK(api.get_lsu_prop_byname(&at->lsu, &info));
    CHECK(!strcmp(info.label, code == STS_EOK ? "a label" : ""));
    CODE(code, api.label_lsu(&at->lsu, ""));
    return code;
}

static int replication_properties(struct place *at)
{
    sts_lsu_replication_t partners = { .size = sizeof partners };
    return api.get_lsu_replication_prop(&at->lsu, &partners);
}

/* This LSU keeps no locks, so only asking for one succeeds; locks that are set are tested on one that does. */
static int worm(struct place *at)
{
    sts_image_lock_t lock = { .size = sizeof lock };
    int code = api.get_image_lock(&at->lsu, &at->source, &lock);
    if (code == STS_EOK && (lock.lock_flags != 0 || lock.lock_until != 0))
        die(__FILE__, __LINE__, "an image is locked that nobody locked");
    return code;
}

static const struct {
    unsigned index;
    int (*check)(struct place *at);
} behaviours[] = {
    { STS_SRVC_CHECKPOINT, checkpoint },
    { STS_SRVC_FLUSH, flush },
    { STS_SRVC_INCLUDE_IN_IMAGE, include },
    { STS_SRVC_COPY_IMAGE, copy_image },
    { STS_SRVC_COPY_EXTENT, copy_extent },
    { STS_SRVC_ASYNC_COPY, async_copy },
    { STS_SRVC_NAMED_ASYNC_COPY, named_async_copy },
    /* Before what makes one. */
    { STS_SRVC_EVENTS, events },
    { STS_SRVC_IMAGE_SET, image_set },
    { STS_SRVC_IMAGE_META, image_meta },
    { STS_SRVC_LABEL_LSU, label },
    { STS_SRVC_LSU_REPLICATION_PROP, replication_properties },
    { STS_SRVC_WORM, worm },
};

#define ROWS (sizeof behaviours / sizeof behaviours[0])

/* behaviours: every capability whose bit is set does what it is for, the others of the table are refused. */
void mode_behaviours(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    struct place at = { lsu_of(server), image_named("source"), image_named("image") };
    sts_server_info_t props = { .size = sizeof props };
    bstsp_image_handle_s *image = NULL;
    (void)argc;
    (void)argv;
    OK(api.get_server_prop(server, &props));
    OK(api.create_image(&at.lsu, &at.source, 0, &image));
    write_block(image);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    for (unsigned i = 0; i < 32 * STS_SRV_CAP_WORDS; i++) {
        int there = props.srv_cap[i / 32] >> (i % 32) & 1;
        size_t row = 0;
        while (row < ROWS && behaviours[row].index != i)
            row++;
        if (there && row == ROWS)
            die(__FILE__, __LINE__, "a capability is advertised that has no row in behaviours");
        if (row == ROWS)
            continue;
        CODE(there ? STS_EOK : STS_ENOTSUP, behaviours[row].check(&at));
        int code = api.delete_image(&at.lsu, &at.image, 0);
        CHECK(code == STS_EOK || code == STS_ENOENT);
    }
    OK(api.delete_image(&at.lsu, &at.source, 0));
    OK(api.close_server(server));
}
