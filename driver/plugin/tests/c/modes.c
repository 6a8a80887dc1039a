/* What a well-behaved host does: one thread, many threads, life cycle, lists, and expected failures. */
#define _GNU_SOURCE
#include "host.h"

#define MIB 1048576u

static uint64_t megabytes(int argc, char **argv, uint64_t fallback)
{
    return (argc > 0 ? strtoull(argv[0], NULL, 10) : fallback) * MIB;
}

/* backup [MIB [keep]]: one thread backs up and restores. */
void mode_backup(int argc, char **argv)
{
    backup_restore("client_1588173008_C1_F1", megabytes(argc, argv, 12), argc > 1);
}

static void *one_of_eight(void *argument)
{
    char base[64];
    snprintf(base, sizeof base, "client_1588173008_C1_F%d", (int)(intptr_t)argument);
    backup_restore(base, (4 + (uintptr_t)argument) * MIB, 0);
    return NULL;
}

/* threads: 8 threads at once, each with its own handles. */
void mode_threads(int argc, char **argv)
{
    pthread_t threads[8];
    (void)argc;
    (void)argv;
    for (intptr_t i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, one_of_eight, (void *)(i + 1)) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* lifecycle: pending, incomplete close, continue, complete, never writable again; abort leaves nothing. */
void mode_lifecycle(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("client_1588173008_C1_F1");
    sts_image_info_t info = { .size = sizeof info };
    bstsp_image_handle_s *image = NULL, *other = NULL;
    unsigned char *buffer = malloc(8 * MIB);
    uint64_t written = 77;
    (void)argc;
    (void)argv;
    CHECK(buffer != NULL);

    OK(api.create_image(&lsu, &def, 0, &image));
    CODE(STS_EBUSY, api.create_image(&lsu, &def, 0, &other));
    CODE(STS_EBUSY, api.open_image(&lsu, &def, STS_O_WRITE, &other));
    CODE(STS_EBUSY, api.close_server(server));
    fill(buffer, 5, 0, 8 * MIB);
    OK(api.write_image(image, NULL, buffer, 5 * MIB, 0, &written));
    CHECK(written == 5 * MIB);
    written = 77;
    CODE(STS_EOFFSET, api.write_image(image, NULL, buffer, 512, 4 * MIB, &written));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, 511, 5 * MIB, &written));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, 0, 5 * MIB, &written));
    CHECK(written == 77);
    OK(api.flush_image(image));
    OK(api.get_image_prop(image, &info));
    CHECK(info.imo_size == 5 * MIB && info.status == (STS_II_IMAGE_PENDING | STS_II_BUSY_WRITE));
    OK(api.close_image(image, 0));

    OK(api.get_image_prop_byname(&lsu, &def, &info));
    CHECK(info.imo_size == 5 * MIB && info.status == STS_II_IMAGE_PENDING);
    OK(api.open_image(&lsu, &def, STS_O_WRITE, &image));
    OK(api.write_image(image, NULL, buffer + 5 * MIB, 3 * MIB, 5 * MIB, &written));
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));

    CODE(STS_EACCESS, api.open_image(&lsu, &def, STS_O_WRITE, &image));
    CODE(STS_EEXIST, api.create_image(&lsu, &def, 0, &image));
    OK(api.open_image(&lsu, &def, STS_O_READ, &image));
    CODE(STS_EACCESS, api.write_image(image, NULL, buffer, 512, 8 * MIB, &written));
    read_all(image, 5, 8 * MIB, 42496);
    OK(api.close_image(image, 0));
    OK(api.delete_image(&lsu, &def, 0));

    /* An orderly abort: incomplete close, then delete. */
    OK(api.create_image(&lsu, &def, 0, &image));
    OK(api.write_image(image, NULL, buffer, 8 * MIB, 0, &written));
    OK(api.close_image(image, 0));
    OK(api.delete_image(&lsu, &def, 0));
    CODE(STS_ENOENT, api.open_image(&lsu, &def, STS_O_READ, &image));

    /* Deleting an image under its writer: the writer is told and leaves nothing. */
    OK(api.create_image(&lsu, &def, 0, &image));
    OK(api.write_image(image, NULL, buffer, 8 * MIB, 0, &written));
    OK(api.delete_image(&lsu, &def, 0));
    CODE(STS_EFENCED, api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    OK(api.close_server(server));
    free(buffer);
}

/* lists EXPECTED: LSUs, their properties, and that the LSU has EXPECTED images. */
void mode_lists(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    bstsp_lsu_list_handle_s *lsus = NULL;
    bstsp_image_list_handle_s *images = NULL;
    sts_lsu_name_t name = { .size = sizeof name };
    sts_lsu_info_t info = { .size = sizeof info };
    sts_server_info_t props = { .size = sizeof props };
    sts_image_def_t def = { .size = sizeof def };
    sts_session_def_v7_t s = session();
    int found = 0, count = 0, code;
    (void)argc;

    OK(api.get_server_prop(server, &props));
    printf("server=%s\ndescription=%s\n", props.name, props.description);
    CHECK(props.flags & STS_SRV_IMAGELIST);
    CHECK(props.srv_cap[STS_SRVC_FLUSH / 32] >> (STS_SRVC_FLUSH % 32) & 1);
    memset(&props, 0, sizeof props);
    props.size = sizeof props;
    OK(api.get_server_prop_byname(&s, server_name, &props));
    CHECK(!strcmp(props.name, server_name));

    OK(api.open_lsu_list(server, NULL, &lsus));
    while ((code = api.list_lsu(lsus, &name)) == STS_EOK) {
        printf("lsu=%s\n", name.name);
        found += !strcmp(name.name, lsu_name);
    }
    CHECK(code == STS_ENOENT && found == 1);
    OK(api.close_lsu_list(lsus));
    OK(api.get_lsu_prop_byname(&lsu, &info));
    printf("capacity=%llu\nused=%llu\n", (unsigned long long)info.lsu_capacity, (unsigned long long)info.lsu_used);

    OK(api.open_image_list(&lsu, &images));
    while ((code = api.list_image(images, &def)) == STS_EOK) {
        printf("image=%s\n", def.img_basename);
        count++;
    }
    CHECK(code == STS_ENOENT);
    OK(api.close_image_list(images));
    CHECK(count == atoi(argv[0]));
    OK(api.close_server(server));
}

/* expect CODE open|create|write: the named step fails with CODE, and everything can be closed after it. */
void mode_expect(int argc, char **argv)
{
    sts_session_def_v7_t s = session();
    sts_cred_v7_t c = credentials();
    bstsp_server_handle_s *server = NULL;
    bstsp_image_handle_s *image = NULL;
    CHECK(argc == 2);
    int want = atoi(argv[0]);
    if (!strcmp(argv[1], "open")) {
        CODE(want, api.open_server(&s, server_name, &c, "", &server));
        CHECK(server == NULL);
        return;
    }
    server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("client_1588173008_C1_F1");
    if (!strcmp(argv[1], "create")) {
        CODE(want, api.create_image(&lsu, &def, 0, &image));
        CHECK(image == NULL);
    } else {
        unsigned char *buffer = calloc(1, MIB);
        uint64_t written = 0, at = 0;
        int code = STS_EOK;
        CHECK(buffer != NULL);
        OK(api.create_image(&lsu, &def, 0, &image));
        for (; code == STS_EOK && at < 256ull * MIB; at += MIB)
            code = api.write_image(image, NULL, buffer, MIB, at, &written);
        if (code == STS_EOK)
            code = api.close_image(image, STS_CLOSEF_IH_COMPLETE);
        else
            api.close_image(image, 0);
        CODE(want, code);
        code = api.delete_image(&lsu, &def, 0);
        CHECK(code == STS_EOK || code == STS_ENOENT);
        free(buffer);
    }
    OK(api.close_server(server));
}

/* read CODE: reads the kept image of "backup"; every byte that comes is right, and CODE comes (or, with 0, the end). */
void mode_read(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("client_1588173008_C1_F1");
    sts_image_info_t info = { .size = sizeof info };
    bstsp_image_handle_s *image = NULL;
    unsigned char *buffer = malloc(MIB);
    uint64_t at = 0, got = 1;
    int code = STS_EOK;
    CHECK(argc == 1 && buffer != NULL);
    OK(api.open_image(&lsu, &def, STS_O_READ, &image));
    OK(api.get_image_prop(image, &info));
    while (got > 0) {
        got = 0;
        code = api.read_image(image, buffer, MIB, at, &got);
        if (code != STS_EOK) {
            CHECK(got == 0);
            break;
        }
        compare(buffer, info.imo_size, at, got);
        at += got;
    }
    CODE(atoi(argv[0]), code);
    if (code == STS_EOK)
        CHECK(at == info.imo_size);
    OK(api.close_image(image, 0));
    OK(api.close_server(server));
    free(buffer);
}
