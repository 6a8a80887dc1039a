/* Two children at once of a parent in the middle of its work: nothing of the parent's is used, or disturbed. */
#define _GNU_SOURCE
#include "host.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MIB 1048576u

/*
 * A gate in front of every write to a socket: whoever comes while it is closed waits in it, in the middle of what the
 * plug-in does. The real functions are found before anything forks: a lookup takes the loader's lock.
 */
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static atomic_int gate_closed;
static int gate_waiting;
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;

__attribute__((constructor)) static void find_real_functions(void)
{
    *(void **)&real_writev = dlsym(RTLD_NEXT, "writev");
    *(void **)&real_send = dlsym(RTLD_NEXT, "send");
}

static int is_socket(int fd)
{
    struct stat what;
    return fstat(fd, &what) == 0 && S_ISSOCK(what.st_mode);
}

static void pass_gate(int fd)
{
    if (!atomic_load(&gate_closed) || !is_socket(fd))
        return;
    pthread_mutex_lock(&gate_lock);
    gate_waiting++;
    pthread_cond_broadcast(&gate_moved);
    while (atomic_load(&gate_closed))
        pthread_cond_wait(&gate_moved, &gate_lock);
    gate_waiting--;
    pthread_mutex_unlock(&gate_lock);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    pass_gate(fd);
    return real_writev(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    pass_gate(fd);
    return real_send(fd, bytes, length, flags);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    atomic_store(&gate_closed, 0);
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

/* What the kernel says of the connections that are open, whichever process uses them. */
struct sockets {
    int count;
    struct {
        int fd, unread;
        uint64_t sent, received;
        uint8_t state;
    } each[64];
};

static void look_at_sockets(struct sockets *found)
{
    DIR *open_files = opendir("/proc/self/fd");
    struct dirent *entry;
    CHECK(open_files != NULL);
    memset(found, 0, sizeof *found);
    while ((entry = readdir(open_files))) {
        int fd = atoi(entry->d_name), unread = 0;
        struct tcp_info info = { 0 };
        socklen_t length = sizeof info;
        if (entry->d_name[0] == '.' || !is_socket(fd) || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
            continue;
        /* Kernels before 4.19 do not count what was sent. */
        CHECK(length >= offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof info.tcpi_bytes_sent);
        CHECK(ioctl(fd, FIONREAD, &unread) == 0);
        CHECK(found->count < 64);
        found->each[found->count].fd = fd;
        found->each[found->count].unread = unread;
        found->each[found->count].sent = info.tcpi_bytes_sent;
        found->each[found->count].received = info.tcpi_bytes_received;
        found->each[found->count].state = info.tcpi_state;
        found->count++;
    }
    closedir(open_files);
}

static void are_untouched(const struct sockets *before, const struct sockets *after)
{
    for (int i = 0; i < before->count; i++) {
        unsigned long long sent = before->each[i].sent, received = before->each[i].received;
        char text[256];
        int j = 0;
        while (j < after->count && after->each[j].fd != before->each[i].fd)
            j++;
        if (j == after->count) {
            snprintf(text, sizeof text, "socket %d of the parent is gone", before->each[i].fd);
            die(__FILE__, __LINE__, text);
        }
        if (!memcmp(&before->each[i], &after->each[j], sizeof before->each[i]))
            continue;
        snprintf(text, sizeof text, "socket %d of the parent was used: %llu bytes more sent, %llu received, state %d, now %d",
                 before->each[i].fd, after->each[j].sent - sent, after->each[j].received - received,
                 before->each[i].state, after->each[j].state);
        die(__FILE__, __LINE__, text);
    }
}

/* One of everything that can be open. */
struct handles {
    bstsp_server_handle_s *server;
    bstsp_image_handle_s *writer, *reader;
    bstsp_lsu_list_handle_s *lsus;
    bstsp_image_list_handle_s *images;
};

/* Every call with an inherited handle has the one code, whatever the handle is of, and changes nothing. */
static void are_refused(const struct handles *of)
{
    sts_lsu_t lsu = lsu_of(of->server);
    sts_image_def_t def = image_named("shared"), listed = { .size = sizeof listed };
    sts_server_info_t server_info = { .size = sizeof server_info };
    sts_lsu_name_t name = { .size = sizeof name };
    sts_lsu_info_t lsu_info = { .size = sizeof lsu_info };
    sts_image_info_t info = { .size = sizeof info };
    sts_image_lock_t lock = { .size = sizeof lock };
    struct handles made = { 0 };
    char buffer[512] = { 0 };
    uint64_t n = 77;
    CODE(STS_EFORKED, api.get_server_prop(of->server, &server_info));
    CODE(STS_EFORKED, api.open_lsu_list(of->server, NULL, &made.lsus));
    CODE(STS_EFORKED, api.list_lsu(of->lsus, &name));
    CODE(STS_EFORKED, api.get_lsu_prop_byname(&lsu, &lsu_info));
    CODE(STS_EFORKED, api.create_image(&lsu, &def, 0, &made.writer));
    CODE(STS_EFORKED, api.open_image(&lsu, &def, STS_O_READ, &made.reader));
    CODE(STS_EFORKED, api.get_image_prop_byname(&lsu, &def, &info));
    CODE(STS_EFORKED, api.delete_image(&lsu, &def, 0));
    CODE(STS_EFORKED, api.get_image_lock(&lsu, &def, &lock));
    CODE(STS_EFORKED, api.write_image(of->writer, NULL, buffer, 512, 5 * MIB, &n));
    CODE(STS_EFORKED, api.write_image_meta(of->writer, buffer, 1, 0, &n));
    CODE(STS_EFORKED, api.include_in_image(of->writer, &lsu, &def, 0, 1, 5 * MIB, &n));
    CODE(STS_EFORKED, api.flush_image(of->writer));
    CODE(STS_EFORKED, api.get_image_prop(of->writer, &info));
    CODE(STS_EFORKED, api.read_image(of->reader, buffer, 512, 0, &n));
    CODE(STS_EFORKED, api.read_image_meta(of->reader, buffer, 1, 0, &n));
    CODE(STS_EFORKED, api.open_image_list(&lsu, &made.images));
    CODE(STS_EFORKED, api.list_image(of->images, &listed));
    CODE(STS_EFORKED, api.close_image_list(of->images));
    CODE(STS_EFORKED, api.close_lsu_list(of->lsus));
    CODE(STS_EFORKED, api.close_image(of->reader, 0));
    CODE(STS_EFORKED, api.close_image(of->writer, STS_CLOSEF_IH_COMPLETE));
    CODE(STS_EFORKED, api.close_server(of->server));
    CHECK(n == 77 && !made.writer && !made.reader && !made.lsus && !made.images);
}

static void meet(pthread_barrier_t *barrier)
{
    int code = pthread_barrier_wait(barrier);
    CHECK(code == 0 || code == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void write_image_of(bstsp_server_handle_s *server, const char *base, uint64_t size, pthread_barrier_t *both)
{
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named(base);
    bstsp_image_handle_s *image = NULL;
    OK(api.create_image(&lsu, &def, 0, &image));
    if (both)
        meet(both);
    write_all(image, size, size, 262144);
    if (both)
        meet(both);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
}

static void read_image_of(bstsp_server_handle_s *server, const char *base, uint64_t size)
{
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named(base);
    bstsp_image_handle_s *image = NULL;
    OK(api.open_image(&lsu, &def, STS_O_READ, &image));
    read_all(image, size, size, 262144);
    OK(api.close_image(image, 0));
}

static pid_t fork_sibling(const struct handles *inherited, const char *base, uint64_t size, pthread_barrier_t *both)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    alarm(60);
    atomic_store(&gate_closed, 0);
    are_refused(inherited);
    bstsp_server_handle_s *server = open_server();
    write_image_of(server, base, size, both);
    read_image_of(server, base, size);
    are_refused(inherited);
    OK(api.close_server(server));
    exit(0);
}

static pthread_barrier_t caller_is_ready;

/* A thread with a server of its own, whose next call is to meet the gate. */
static void *caller(void *unused)
{
    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("shared");
    sts_image_info_t info = { .size = sizeof info };
    meet(&caller_is_ready);
    meet(&caller_is_ready);
    OK(api.get_image_prop_byname(&lsu, &def, &info));
    CHECK(info.imo_size == 512);
    OK(api.close_server(server));
    return unused;
}

/*
 * siblings [threads]: two children of a parent with everything open, and with a call of another thread half done; the
 * children write at the same time, on connections and as writers of their own. Four images with segments stay.
 */
void mode_siblings(int argc, char **argv)
{
    struct handles of = { 0 };
    struct sockets before, after;
    unsigned char *buffer = malloc(9 * MIB);
    pthread_barrier_t *both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t shared;
    pthread_t thread;
    uint64_t n = 0;
    (void)argv;
    CHECK(buffer != NULL && both != MAP_FAILED);
    CHECK(pthread_barrierattr_init(&shared) == 0);
    CHECK(pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_barrier_init(both, &shared, 2) == 0 && pthread_barrier_init(&caller_is_ready, NULL, 2) == 0);

    of.server = open_server();
    sts_lsu_t lsu = lsu_of(of.server);
    sts_image_def_t small = image_named("shared"), def = image_named("parent");
    sts_lsu_name_t name = { .size = sizeof name };
    write_image_of(of.server, "shared", 512, NULL);
    OK(api.open_image(&lsu, &small, STS_O_READ, &of.reader));
    OK(api.open_lsu_list(of.server, NULL, &of.lsus));
    OK(api.open_image_list(&lsu, &of.images));
    OK(api.create_image(&lsu, &def, 0, &of.writer));
    fill(buffer, 9 * MIB, 0, 9 * MIB);
    OK(api.write_image(of.writer, NULL, buffer, 5 * MIB, 0, &n));
    /* Nothing is on its way any more, so that whatever a socket does from here on is a child's doing. */
    OK(api.flush_image(of.writer));
    if (argc > 0) {
        CHECK(pthread_create(&thread, NULL, caller, NULL) == 0);
        meet(&caller_is_ready);
        atomic_store(&gate_closed, 1);
        meet(&caller_is_ready);
        pthread_mutex_lock(&gate_lock);
        while (gate_waiting == 0)
            pthread_cond_wait(&gate_moved, &gate_lock);
        pthread_mutex_unlock(&gate_lock);
    }

    look_at_sockets(&before);
    pid_t one = fork_sibling(&of, "child one", 8 * MIB, both);
    pid_t two = fork_sibling(&of, "child two", 7 * MIB, both);
    int one_is_well = ended_well(one), two_is_well = ended_well(two);
    look_at_sockets(&after);
    are_untouched(&before, &after);
    CHECK(one_is_well && two_is_well);
    printf("sockets=%d\n", before.count);
    if (argc > 0) {
        CHECK(gate_waiting > 0);
        open_gate();
        CHECK(pthread_join(thread, NULL) == 0);
    }

    OK(api.list_lsu(of.lsus, &name));
    OK(api.close_lsu_list(of.lsus));
    OK(api.close_image_list(of.images));
    OK(api.read_image(of.reader, buffer, 512, 0, &n));
    compare(buffer, 512, 0, n);
    OK(api.close_image(of.reader, 0));
    fill(buffer, 9 * MIB, 0, 9 * MIB);
    OK(api.write_image(of.writer, NULL, buffer + 5 * MIB, 4 * MIB, 5 * MIB, &n));
    OK(api.close_image(of.writer, STS_CLOSEF_IH_COMPLETE));
    write_image_of(of.server, "parent again", 6 * MIB, NULL);
    read_image_of(of.server, "parent", 9 * MIB);
    read_image_of(of.server, "parent again", 6 * MIB);
    read_image_of(of.server, "child one", 8 * MIB);
    read_image_of(of.server, "child two", 7 * MIB);
    OK(api.close_server(of.server));
    free(buffer);
}
