/* What a host that forks does: before, during and after use. */
#define _GNU_SOURCE
#include "host.h"

#define MIB 1048576u

int ended_well(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        CHECK(errno == EINTR);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void wait_for(pid_t child)
{
    CHECK(ended_well(child));
}

/* In a child: what was inherited is refused with one code; what the child opens itself works. */
static void child(bstsp_server_handle_s *server, bstsp_image_handle_s *image, const char *base)
{
    sts_server_info_t info = { .size = sizeof info };
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named(base);
    bstsp_image_handle_s *none = NULL;
    char buffer[512] = { 0 };
    uint64_t n = 0;
    alarm(60);
    CODE(STS_EFORKED, api.get_server_prop(server, &info));
    CODE(STS_EFORKED, api.create_image(&lsu, &def, 0, &none));
    CODE(STS_EFORKED, api.write_image(image, NULL, buffer, 512, 0, &n));
    CODE(STS_EFORKED, api.close_image(image, 0));
    CODE(STS_EFORKED, api.close_server(server));
    backup_restore(base, 6 * MIB, 0);
    exit(0);
}

static void *busy_thread(void *argument)
{
    (void)argument;
    backup_restore("busy thread", 24 * MIB, 0);
    return NULL;
}

/* Forks while another thread is inside the plug-in, holding whatever locks it holds. */
static void fork_under_load(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, busy_thread, NULL) == 0);
    for (int i = 0; i < 4; i++) {
        char base[32];
        snprintf(base, sizeof base, "under load %d", i);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            backup_restore(base, 2 * MIB, 0);
            exit(0);
        }
        wait_for(pid);
    }
    CHECK(pthread_join(thread, NULL) == 0);
}

/* fork [threads]: before use, during a backup (two children at once), after it; parent and children all work. */
void mode_fork(int argc, char **argv)
{
    (void)argv;
    pid_t before = fork();
    if (before == 0) {
        alarm(60);
        backup_restore("before", 2 * MIB, 0);
        exit(0);
    }
    wait_for(before);

    bstsp_server_handle_s *server = open_server();
    sts_lsu_t lsu = lsu_of(server);
    sts_image_def_t def = image_named("parent");
    bstsp_image_handle_s *image = NULL;
    unsigned char *buffer = malloc(9 * MIB);
    uint64_t n = 0;
    CHECK(buffer != NULL);
    fill(buffer, 3, 0, 9 * MIB);
    OK(api.create_image(&lsu, &def, 0, &image));
    OK(api.write_image(image, NULL, buffer, 5 * MIB, 0, &n));
    pid_t one = fork();
    if (one == 0)
        child(server, image, "child one");
    pid_t two = fork();
    if (two == 0)
        child(server, image, "child two");
    OK(api.write_image(image, NULL, buffer + 5 * MIB, 4 * MIB, 5 * MIB, &n));
    wait_for(one);
    wait_for(two);
    OK(api.close_image(image, STS_CLOSEF_IH_COMPLETE));
    OK(api.open_image(&lsu, &def, STS_O_READ, &image));
    read_all(image, 3, 9 * MIB, 262144);
    OK(api.close_image(image, 0));
    OK(api.delete_image(&lsu, &def, 0));
    OK(api.close_server(server));

    if (argc > 0)
        fork_under_load();
    OK(api.terminate());
    pid_t after = fork();
    if (after == 0) {
        stspi_plugin_info_t info = { .size = sizeof info };
        alarm(60);
        OK(api.init(STSPI_INTERFACE_VERSION, NULL, &info));
        backup_restore("after", 2 * MIB, 0);
        exit(0);
    }
    wait_for(after);
    free(buffer);
}
