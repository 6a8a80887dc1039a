/* What a host finds out about optional calls: they are there with their capability's bit and answer one code without. */
#define _GNU_SOURCE
#include "host.h"

static int has(const sts_server_info_t *props, unsigned index)
{
    return props->srv_cap[index / 32] >> (index % 32) & 1;
}

/* What a call may say when its capability is there: anything but that it is not supported. */
#define AGREES(there, call) \
    do { \
        int code = (call); \
        if ((code == STS_ENOTSUP) == !!(there)) { \
            fprintf(stderr, "capability is %d\n", !!(there)); \
            check_code(__FILE__, __LINE__, #call, (there) ? STS_EINVAL : STS_ENOTSUP, code); \
        } \
    } while (0)

/*
 * capabilities: every optional call is made on handles that are open and with arguments that are wrong in some other
 * way: without the capability that does not matter. Prints the indexes of the bits that are set.
 */
void mode_capabilities(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server(), *target = NULL;
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("client_1588173008_C1_F1");
    sts_server_info_t props = { .size = sizeof props }, by_name = { .size = sizeof by_name };
    sts_session_def_v7_t s = session();
    bstsp_image_handle_s *image = NULL;
    bstsp_copy_handle_s *copy = NULL;
    bstsp_evchannel_handle_s *channel = NULL;
    uint64_t n = 0;
    (void)argc;
    (void)argv;

    OK(api.get_server_prop(server, &props));
    OK(api.get_server_prop_byname(&s, server_name, &by_name));
    CHECK(!memcmp(props.srv_cap, by_name.srv_cap, sizeof props.srv_cap) && props.flags == by_name.flags);
    for (unsigned i = 0; i < 32 * STS_SRV_CAP_WORDS; i++)
        if (has(&props, i))
            printf("capability=%u\n", i);
    CHECK(!has(&props, STS_SRVC_WRITE_IMAGE_RANDOM));
    CHECK(!(props.flags & STS_SRV_STORED_EV) == !has(&props, STS_SRVC_EVENTS));
    CHECK(!(props.flags & STS_SRV_EVSYNC) == !has(&props, STS_SRVC_EVENTS));
    CHECK(!(props.flags & STS_SRV_IMAGE_COPY) == !has(&props, STS_SRVC_COPY_IMAGE));

    OK(api.create_image(&lsu, &def, 0, &image));
    AGREES(has(&props, STS_SRVC_FLUSH), api.flush_image(image));
    AGREES(has(&props, STS_SRVC_IMAGE_META), api.write_image_meta(image, NULL, 1, 0, &n));
    AGREES(has(&props, STS_SRVC_IMAGE_META), api.read_image_meta(image, NULL, 1, 0, &n));
    AGREES(has(&props, STS_SRVC_INCLUDE_IN_IMAGE), api.include_in_image(image, &lsu, NULL, 0, 512, 0, &n));
    AGREES(has(&props, STS_SRVC_COPY_EXTENT), api.copy_extent(image, 0, 512, NULL, 0, &n));
    OK(api.close_image(image, 0));
    AGREES(has(&props, STS_SRVC_CHECKPOINT), api.open_image(&lsu, &def, STS_O_WRITE, &image));
    if (has(&props, STS_SRVC_CHECKPOINT))
        OK(api.close_image(image, 0));

    AGREES(has(&props, STS_SRVC_LABEL_LSU), api.label_lsu(&lsu, NULL));
    AGREES(has(&props, STS_SRVC_LSU_REPLICATION_PROP), api.get_lsu_replication_prop(&lsu, NULL));
    AGREES(has(&props, STS_SRVC_COPY_IMAGE), api.copy_image(&lsu, NULL, &lsu, NULL));
    AGREES(has(&props, STS_SRVC_COPY_IMAGE), api.begin_copy_image(&lsu, NULL, &lsu, NULL, &copy));
    AGREES(has(&props, STS_SRVC_COPY_IMAGE) || has(&props, STS_SRVC_COPY_EXTENT),
           api.open_target_server(server, NULL, NULL, NULL, &target));
    AGREES(has(&props, STS_SRVC_ASYNC_COPY), api.async_copy_image(&lsu, NULL, NULL, NULL, NULL, 0, &n));
    AGREES(has(&props, STS_SRVC_NAMED_ASYNC_COPY),
           api.named_async_copy_image("n", &lsu, NULL, NULL, NULL, NULL, 0, &n));
    AGREES(has(&props, STS_SRVC_ASYNC_COPY) || has(&props, STS_SRVC_NAMED_ASYNC_COPY), api.async_wait(server, 0));
    AGREES(has(&props, STS_SRVC_ASYNC_COPY) || has(&props, STS_SRVC_NAMED_ASYNC_COPY), api.async_cancel(server, 0));
    AGREES(has(&props, STS_SRVC_EVENTS), api.open_evchannel(&lsu, NULL, NULL, 0, NULL));
    AGREES(has(&props, STS_SRVC_WORM), api.set_image_lock(&lsu, NULL, 1));
    AGREES(has(&props, STS_SRVC_WORM), api.extend_image_lock(&lsu, NULL, 1));
    AGREES(has(&props, STS_SRVC_WORM), api.get_image_lock(&lsu, NULL, NULL));
    CHECK(target == NULL && copy == NULL);
    /* Handles that only those calls could have given: there are none, whatever the capability. */
    CODE(STS_EINVAL, api.end_copy_image(copy, 0));
    CODE(STS_EINVAL, api.get_event(channel, NULL));
    CODE(STS_EINVAL, api.get_event_payload(channel, 1, NULL, 0, NULL));
    CODE(STS_EINVAL, api.delete_event(channel, 1));
    CODE(STS_EINVAL, api.close_evchannel(channel));

    OK(api.delete_image(&lsu, &def, 0));
    OK(api.close_server(server));
}

/* replication: prints the partners of the LSU. */
void mode_replication(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server), unknown = lsu_of(server);
    sts_lsu_replication_t partners = { .size = sizeof partners };
    sts_lsu_info_t info = { .size = sizeof info };
    (void)argc;
    (void)argv;
    put(unknown.sl_name, sizeof unknown.sl_name, "no-such-lsu");
    CODE(STS_ENOENT, api.get_lsu_replication_prop(&unknown, &partners));
    CODE(STS_EINVAL, api.get_lsu_replication_prop(&lsu, NULL));
    OK(api.get_lsu_replication_prop(&lsu, &partners));
    OK(api.get_lsu_prop_byname(&lsu, &info));
    CHECK((info.media & (STS_LSUF_REP_ENABLED | STS_LSUF_REP_SOURCE | STS_LSUF_REP_TARGET)) == partners.sld_flags);
    printf("flags=%llu\nworm_min=%llu\nworm_max=%llu\n", (unsigned long long)partners.sld_flags,
           (unsigned long long)info.worm_min, (unsigned long long)info.worm_max);
    for (uint32_t i = 0; i < partners.sld_rep_target_count; i++)
        printf("target=%s:%s\n", partners.sld_rep_targets[i].server, partners.sld_rep_targets[i].lsu);
    for (uint32_t i = 0; i < partners.sld_rep_source_count; i++)
        printf("source=%s:%s\n", partners.sld_rep_sources[i].server, partners.sld_rep_sources[i].lsu);
    OK(api.close_server(server));
}
