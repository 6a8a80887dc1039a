/* What a careless or unlucky host does: bad arguments, foreign handles, signals, reload. */
#define _GNU_SOURCE
#include "host.h"

#define MIB 1048576u

static bstsp_image_handle_s *foreign_image;
static bstsp_server_handle_s *foreign_server;

static void *other_thread(void *argument)
{
    sts_server_info_t info = { .size = sizeof info };
    uint64_t n = 0;
    char buffer[512] = { 0 };
    (void)argument;
    CODE(STS_EHANDLE, api.write_image(foreign_image, NULL, buffer, 512, 0, &n));
    CODE(STS_EHANDLE, api.close_image(foreign_image, 0));
    CODE(STS_EHANDLE, api.get_server_prop(foreign_server, &info));
    CODE(STS_EHANDLE, api.close_server(foreign_server));
    return NULL;
}

static void bad_open_arguments(void)
{
    sts_session_def_v7_t s = session(), wrong_size = session();
    sts_cred_v7_t c = credentials(), endless = credentials();
    bstsp_server_handle_s *h = (bstsp_server_handle_s *)77;
    char long_name[4096];
    char *unaligned = (char *)&s + 1;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    memset(endless.password, 'x', sizeof endless.password);
    wrong_size.size--;

    CODE(STS_EINVAL, api.open_server(NULL, server_name, &c, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, NULL, &c, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, NULL, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, &c, NULL, NULL));
    CODE(STS_EINVAL, api.open_server((void *)unaligned, server_name, &c, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, (void *)((char *)&c + 1), NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, &c, NULL, (void *)((char *)&h + 1)));
    CODE(STS_EINVAL, api.open_server(&wrong_size, server_name, &c, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, long_name, &c, NULL, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, &c, long_name, &h));
    CODE(STS_EINVAL, api.open_server(&s, server_name, &endless, NULL, &h));
    CODE(STS_ECLAIM, api.open_server(&s, "PureDisk:x", &c, NULL, &h));
    CODE(STS_ENOENT, api.open_server(&s, "VastData:unconfigured", &c, NULL, &h));
    CODE(STS_EINVAL, api.claim(NULL));
    CODE(STS_EINVAL, api.claim(long_name));
    CODE(STS_EINVAL, api.init(STSPI_INTERFACE_VERSION, NULL, NULL));
    stspi_plugin_info_t info = { .size = sizeof info };
    CODE(STS_ENOTSUP, api.init(0, NULL, &info));
    CHECK(info.name[0] == 0);
    CHECK(h == (bstsp_server_handle_s *)77);
}

static void bad_image_arguments(bstsp_server_handle_s *server)
{
    sts_lsu_t lsu = lsu_of(server), nameless = lsu_of(server), endless = lsu_of(server), unknown = lsu_of(server);
    sts_image_def_t def = image_named("hostile"), baseless = image_named("x"), unending = image_named("x");
    sts_image_info_t info = { .size = sizeof info }, short_info = { .size = 8 };
    bstsp_image_handle_s *image = (bstsp_image_handle_s *)77, *reader = NULL;
    char buffer[1024] = { 0 };
    uint64_t n = 77;
    memset(nameless.sl_name, 0, sizeof nameless.sl_name);
    memset(endless.sl_name, 'x', sizeof endless.sl_name);
    put(unknown.sl_name, sizeof unknown.sl_name, "no-such-lsu");
    memset(baseless.img_basename, 0, sizeof baseless.img_basename);
    memset(unending.img_policy, 'x', sizeof unending.img_policy);

    CODE(STS_EINVAL, api.create_image(NULL, &def, 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, NULL, 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, &def, 0, NULL));
    CODE(STS_EINVAL, api.create_image((void *)((char *)&lsu + 1), &def, 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, (void *)((char *)&def + 1), 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, &def, 0, (void *)((char *)&image + 1)));
    CODE(STS_EINVAL, api.create_image(&nameless, &def, 0, &image));
    CODE(STS_EINVAL, api.create_image(&endless, &def, 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, &baseless, 0, &image));
    CODE(STS_EINVAL, api.create_image(&lsu, &unending, 0, &image));
    CODE(STS_ENOENT, api.create_image(&unknown, &def, 0, &image));
    CODE(STS_EINVAL, api.open_image(&lsu, &def, 9, &image));
    CODE(STS_ENOENT, api.open_image(&lsu, &def, STS_O_READ, &image));
    CHECK(image == (bstsp_image_handle_s *)77);

    OK(api.create_image(&lsu, &def, 0, &image));
    CODE(STS_EINVAL, api.write_image(NULL, NULL, buffer, 512, 0, &n));
    CODE(STS_EINVAL, api.write_image(image, NULL, NULL, 512, 0, &n));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, 512, 0, NULL));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, UINT64_MAX, 0, &n));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, STS_MAX_IO + 512, 0, &n));
    CODE(STS_EOFFSET, api.write_image(image, NULL, buffer, 512, UINT64_MAX - 100, &n));
    CODE(STS_EACCESS, api.read_image(image, buffer, 512, 0, &n));
    CODE(STS_EINVAL, api.get_image_prop(image, &short_info));
    CODE(STS_EINVAL, api.get_image_prop(image, NULL));
    CODE(STS_EINVAL, api.get_image_prop(image, (void *)((char *)&info + 1)));
    CODE(STS_EINVAL, api.write_image(image, NULL, buffer, 512, 0, (void *)((char *)&n + 1)));
    CODE(STS_EINVAL, api.write_image(image, (void *)(buffer + 1), buffer, 512, 0, &n));
    CODE(STS_EINVAL, api.close_image(image, 0xffffffff));
    CODE(STS_EINVAL, api.write_image_meta(NULL, buffer, 1, 0, &n));
    CODE(STS_EINVAL, api.write_image_meta(image, NULL, 1, 0, &n));
    CODE(STS_EINVAL, api.write_image_meta(image, buffer, 1, 0, NULL));
    CODE(STS_EINVAL, api.write_image_meta(image, buffer, UINT64_MAX, 0, &n));
    CODE(STS_EOFFSET, api.write_image_meta(image, buffer, 1, UINT64_MAX, &n));
    CODE(STS_EINVAL, api.read_image_meta(image, NULL, 1, 0, &n));
    CODE(STS_EINVAL, api.read_image_meta(image, buffer, 1, 0, (void *)((char *)&n + 1)));
    CODE(STS_EINVAL, api.include_in_image(NULL, &lsu, &def, 0, 1, 0, &n));
    CODE(STS_EINVAL, api.include_in_image(image, NULL, &def, 0, 1, 0, &n));
    CODE(STS_EINVAL, api.include_in_image(image, &lsu, NULL, 0, 1, 0, &n));
    CODE(STS_EINVAL, api.include_in_image(image, &lsu, &baseless, 0, 1, 0, &n));
    CODE(STS_EINVAL, api.include_in_image(image, &lsu, &def, 0, 1, 0, NULL));
    CODE(STS_EINVAL, api.include_in_image(image, &lsu, &def, 0, 0, 0, &n));
    CODE(STS_ENOTSUP, api.include_in_image(image, &unknown, &def, 0, 1, 0, &n));
    CHECK(n == 77);

    /* Handles: foreign kind, forged, one bit off, of another thread, closed. */
    CODE(STS_EHANDLE, api.close_server((bstsp_server_handle_s *)image));
    CODE(STS_EHANDLE, api.close_image((bstsp_image_handle_s *)server, 0));
    CODE(STS_EHANDLE, api.close_image((bstsp_image_handle_s *)buffer, 0));
    for (int bit = 0; bit < 64; bit++) {
        int code = api.flush_image((bstsp_image_handle_s *)((uintptr_t)image ^ (uintptr_t)1 << bit));
        CHECK(code == STS_EHANDLE || code == STS_EFORKED);
    }
    foreign_image = image;
    foreign_server = server;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    OK(api.write_image(image, NULL, buffer, 1024, 0, &n));
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    CODE(STS_EHANDLE, api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    CODE(STS_EHANDLE, api.write_image(image, NULL, buffer, 512, 0, &n));

    /* Reads past the end and of nothing. */
    OK(api.open_image(&lsu, &def, STS_O_READ, &reader));
    OK(api.read_image(reader, buffer, 1024, 512, &n));
    CHECK(n == 512);
    OK(api.read_image(reader, buffer, 1024, 1024, &n));
    CHECK(n == 0);
    OK(api.read_image(reader, buffer, 512, UINT64_MAX - 10, &n));
    CHECK(n == 0);
    CODE(STS_EINVAL, api.read_image(reader, NULL, 512, 0, &n));
    OK(api.close_image(reader, 0));
    OK(api.delete_image(&lsu, &def, 0));
    CODE(STS_EINVAL, api.delete_image(&lsu, &def, 7));
}

void mode_hostile(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    bad_open_arguments();
    bstsp_server_handle_s *server = open_server();
    bad_image_arguments(server);
    OK(api.close_server(server));
    CODE(STS_EHANDLE, api.close_server(server));
    CHECK(log_lines > 20);
}

/*
 * careless WHAT: what no plug-in can defend itself against. With a sanitizer the process ends with a report, which shows
 * that there would be one if the plug-in did the like.
 */
void mode_careless(int argc, char **argv)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("careless");
    bstsp_image_handle_s *image = NULL;
    char enough[1024] = { 0 };
    uint64_t n = 0;
    CHECK(argc == 1);
    OK(api.create_image(&lsu, &def, 0, &image));
    if (!strcmp(argv[0], "short_buffer"))
        OK(api.write_image(image, NULL, malloc(1023), 1024, 0, &n));
    else if (!strcmp(argv[0], "short_result"))
        OK(api.write_image(image, NULL, enough, 1024, 0, malloc(sizeof n / 2)));
    else if (!strcmp(argv[0], "lost"))
        for (int i = 0; i < 100; i++) {
            char *volatile memory = malloc(100);
            memory[0] = 1;
        }
    OK(api.close_image(image, 0));
    OK(api.delete_image(&lsu, &def, 0));
    OK(api.close_server(server));
}

static atomic_int ticks;
static pthread_t main_thread;
static atomic_int elsewhere;

static void on_tick(int signal)
{
    (void)signal;
    atomic_fetch_add(&ticks, 1);
    if (!pthread_equal(pthread_self(), main_thread))
        atomic_fetch_add(&elsewhere, 1);
}

/* signals: a timer interrupts everything every millisecond, without SA_RESTART; SIGPIPE keeps its default action. */
void mode_signals(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = on_tick }, now;
    struct itimerval timer = { .it_interval = { 0, 1000 }, .it_value = { 0, 1000 } };
    sigset_t before, after;
    (void)argc;
    (void)argv;
    main_thread = pthread_self();
    signal(SIGPIPE, SIG_DFL);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &before) == 0);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    backup_restore("client_1588173008_C1_F1", 24 * MIB, 0);
    memset(&timer, 0, sizeof timer);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
    /* The system writes the signals that there are, and not the rest of the set. */
    for (int number = 1; number < NSIG; number++)
        CHECK(sigismember(&before, number) == sigismember(&after, number));
    CHECK(sigaction(SIGALRM, NULL, &now) == 0 && now.sa_handler == on_tick);
    CHECK(sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    CHECK(atomic_load(&elsewhere) == 0);
    printf("ticks=%d\n", atomic_load(&ticks));
}

/* reload PATH: terminate, dlclose, load again and work; handles of before stay invalid. */
void mode_reload(int argc, char **argv)
{
    CHECK(argc == 1);
    for (int round = 0; round < 3; round++) {
        bstsp_server_handle_s *server = open_server();
        sts_server_info_t info = { .size = sizeof info };
        backup_restore("reload", 6 * MIB, 0);
        OK(api.terminate());
        CODE(STS_ENOINIT, api.terminate());
        CODE(STS_EHANDLE, api.get_server_prop(server, &info));
        sts_session_def_v7_t s = session();
        sts_cred_v7_t c = credentials();
        CODE(STS_ENOINIT, api.open_server(&s, server_name, &c, NULL, &server));
        CHECK(threads_now() == 1);
        CHECK(dlclose(api.library) == 0);
        void *h = dlopen(argv[0], RTLD_NOW | RTLD_LOCAL);
        CHECK(h != NULL);
        api.library = h;
        stspi_plugin_info_t plugin = { .size = sizeof plugin };
        OK(api.init(STSPI_INTERFACE_VERSION, NULL, &plugin));
    }
    /* Ends with everything open: process exit must not hang. */
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("left open");
    bstsp_image_handle_s *image = NULL;
    OK(api.create_image(&lsu, &def, 0, &image));
}
