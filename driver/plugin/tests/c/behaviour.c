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
    { STS_SRVC_IMAGE_META, image_meta },
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
