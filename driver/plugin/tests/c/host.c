/*
 * A host in plain C: loads a plug-in with dlopen and drives it as NetBackup's processes do.
 *
 *   host MODE LIBRARY SERVER USER PASSWORD LSU [ARGUMENT...]
 *
 * Prints "name=value" lines for the test that started it and exits 0 when everything held; otherwise one line on
 * standard error says what did not, and where.
 */
#define _GNU_SOURCE
#include "host.h"

struct api api;
const char *server_name, *user, *password, *lsu_name;
int log_lines;
static int quiet_log;

/* Where there is a sanitizer, threads are started by way of it. */
extern __typeof__(pthread_create) __interceptor_pthread_create __attribute__((weak));

/* Every thread that this process starts, by whoever, passes here: the executable's symbol comes first. */
static atomic_int threads_started;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    __typeof__(pthread_create) *real = __interceptor_pthread_create;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    atomic_fetch_add(&threads_started, 1);
    return real(thread, attr, start, arg);
}

/* A sanitizer asks whether to look for leaks. A forked child forgets what it inherited, on purpose. */
static pid_t first_process;

int __lsan_is_turned_off(void)
{
    return getpid() != first_process;
}

/* Host names of the test's cluster: "vipN.cluster.test" is 127.0.0.N wherever this runs. */
static atomic_int names_resolved;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    char address[64];
    int n;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    atomic_fetch_add(&names_resolved, 1);
    if (node && sscanf(node, "vip%d.cluster.test", &n) == 1 && n > 0 && n < 255) {
        snprintf(address, sizeof address, "127.0.0.%d", n);
        node = address;
    }
    return real(node, service, hints, result);
}

int threads_now(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 2;
}

void host_log(void *context, int32_t severity, const char *text)
{
    (void)context;
    log_lines++;
    if (!quiet_log)
        fprintf(stderr, "<%d> %s\n", severity, text);
}

void put(char *field, size_t size, const char *text)
{
    CHECK(strlen(text) < size);
    memset(field, 0, size);
    memcpy(field, text, strlen(text));
}

sts_session_def_v7_t session(void)
{
    sts_session_def_v7_t s;
    memset(&s, 0, sizeof s);
    s.size = sizeof s;
    s.log_level = STS_LOG_INFO;
    s.log = host_log;
    put(s.application, sizeof s.application, "bptm");
    put(s.job_id, sizeof s.job_id, "1");
    return s;
}

sts_cred_v7_t credentials(void)
{
    sts_cred_v7_t c;
    memset(&c, 0, sizeof c);
    c.size = sizeof c;
    put(c.user, sizeof c.user, user);
    put(c.password, sizeof c.password, password);
    return c;
}

bstsp_server_handle_s *open_server(void)
{
    sts_session_def_v7_t s = session();
    sts_cred_v7_t c = credentials();
    bstsp_server_handle_s *h = NULL;
    OK(api.open_server(&s, server_name, &c, NULL, &h));
    CHECK(h != NULL);
    return h;
}

sts_lsu_t lsu_of(bstsp_server_handle_s *server)
{
    sts_lsu_t l;
    memset(&l, 0, sizeof l);
    l.sl_server = server;
    put(l.sl_name, sizeof l.sl_name, lsu_name);
    return l;
}

sts_image_def_t image_named(const char *base)
{
    sts_image_def_t d;
    memset(&d, 0, sizeof d);
    d.size = sizeof d;
    d.img_date = 1588173008;
    put(d.img_basename, sizeof d.img_basename, base);
    put(d.img_policy, sizeof d.img_policy, "policy one");
    return d;
}

/* Byte `at` of stream `seed`. */
static unsigned char pattern(uint64_t seed, uint64_t at)
{
    uint64_t x = (at / 8 + seed * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return (unsigned char)(x >> (8 * (at % 8)));
}

void fill(unsigned char *buffer, uint64_t seed, uint64_t at, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        buffer[i] = pattern(seed, at + i);
}

void compare(const unsigned char *buffer, uint64_t seed, uint64_t at, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        if (buffer[i] != pattern(seed, at + i))
            die(__FILE__, __LINE__, "byte differs from what was written");
}

void write_all(bstsp_image_handle_s *image, uint64_t seed, uint64_t size, uint64_t step)
{
    unsigned char *buffer = malloc(step);
    sts_stat_t stat = { .size = sizeof stat, .content = 0 };
    CHECK(buffer != NULL);
    for (uint64_t at = 0; at < size; at += step) {
        uint64_t length = size - at < step ? size - at : step, written = 0;
        fill(buffer, seed, at, length);
        OK(api.write_image(image, &stat, buffer, length, at, &written));
        CHECK(written == length);
    }
    free(buffer);
}

void read_all(bstsp_image_handle_s *image, uint64_t seed, uint64_t size, uint64_t step)
{
    unsigned char *buffer = malloc(step);
    uint64_t at = 0, got = 1;
    CHECK(buffer != NULL);
    while (got > 0) {
        OK(api.read_image(image, buffer, step, at, &got));
        compare(buffer, seed, at, got);
        at += got;
    }
    CHECK(at == size);
    free(buffer);
}

/* The whole of a backup and restore: create, write, close, properties, list, read back, delete. */
void backup_restore(const char *base, uint64_t size, int keep)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named(base);
    sts_image_info_t info = { .size = sizeof info };
    bstsp_image_handle_s *image = NULL;

    sts_lsu_info_t space = { .size = sizeof space };
    OK(api.get_lsu_prop_byname(&lsu, &space));
    CHECK(space.lsu_capacity - space.lsu_used >= size);
    OK(api.create_image(&lsu, &def, 1, &image));
    OK(api.get_image_prop_byname(&lsu, &def, &info));
    CHECK(info.status == (STS_II_IMAGE_PENDING | STS_II_BUSY_WRITE));
    write_all(image, size, size, 262144);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));

    OK(api.get_image_prop_byname(&lsu, &def, &info));
    CHECK(info.status == STS_II_IMAGE_CREATED);
    CHECK(info.imo_size == size);

    OK(api.open_image(&lsu, &def, STS_O_READ, &image));
    read_all(image, size, size, 262144);
    unsigned char some[1000];
    uint64_t got = 0, at = size / 3;
    OK(api.read_image(image, some, sizeof some, at, &got));
    CHECK(got == sizeof some);
    compare(some, size, at, got);
    OK(api.close_image(image, 0));

    if (!keep) {
        OK(api.delete_image(&lsu, &def, 0));
        CODE(STS_ENOENT, api.get_image_prop_byname(&lsu, &def, &info));
        CODE(STS_ENOENT, api.delete_image(&lsu, &def, 0));
    }
    OK(api.close_server(server));
}

void die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    exit(1);
}

void check_code(const char *file, int line, const char *call, int want, int got)
{
    char text[512];
    if (want == got)
        return;
    snprintf(text, sizeof text, "%s gave %d, not %d", call, got, want);
    die(file, line, text);
}

void load(const char *library)
{
    void *h = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    stspi_plugin_info_t info = { .size = sizeof info };
    if (!h)
        die(__FILE__, __LINE__, dlerror());
#define FIND(name) \
    *(void **)&api.name = dlsym(h, "stspi_" #name); \
    CHECK(api.name != NULL);
    EACH_ENTRY(FIND)
    api.library = h;
    OK(api.init(STSPI_INTERFACE_VERSION, "/usr/openv/lib/ost-plugins", &info));
    OK(api.claim(server_name));
    CODE(STS_ECLAIM, api.claim("PureDisk:server.local"));
    printf("name=%s\nmodel=%u\n", info.name, info.thread_model);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(int argc, char **argv);
    } modes[] = {
        { "backup", mode_backup },     { "threads", mode_threads }, { "hostile", mode_hostile },
        { "fork", mode_fork },         { "signals", mode_signals }, { "reload", mode_reload },
        { "lifecycle", mode_lifecycle }, { "expect", mode_expect },  { "lists", mode_lists }, { "read", mode_read },
        { "capabilities", mode_capabilities }, { "replication", mode_replication },
        { "steps", mode_steps }, { "behaviours", mode_behaviours }, { "siblings", mode_siblings },
        { "careless", mode_careless },
    };
    if (argc < 7) {
        fprintf(stderr, "usage: host MODE LIBRARY SERVER USER PASSWORD LSU [ARGUMENT...]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    first_process = getpid();
    server_name = argv[3];
    user = argv[4];
    password = argv[5];
    lsu_name = argv[6];
    const char *quiet = getenv("HOST_QUIET");
    quiet_log = quiet && *quiet;
    load(argv[2]);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run(argc - 7, argv + 7);
            printf("threads_started=%d\nthreads_now=%d\nnames_resolved=%d\nlog_lines=%d\n",
                   atomic_load(&threads_started), threads_now(), atomic_load(&names_resolved), log_lines);
            printf("done=1\n");
            return 0;
        }
    fprintf(stderr, "unknown mode %s\n", argv[1]);
    return 2;
}
