/* What the parts of the C host share. */
#ifndef HOST_H
#define HOST_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stspi.h"

#define EACH_ENTRY(X) \
    X(init) X(claim) X(terminate) X(open_server) X(close_server) X(get_server_prop) X(get_server_prop_byname) \
    X(open_lsu_list) X(list_lsu) X(close_lsu_list) X(get_lsu_prop_byname) X(create_image) X(open_image) \
    X(write_image) X(read_image) X(flush_image) X(close_image) X(get_image_prop) X(get_image_prop_byname) \
    X(delete_image) X(open_image_list) X(list_image) X(close_image_list) \
    X(label_lsu) X(get_lsu_replication_prop) X(write_image_meta) X(read_image_meta) X(include_in_image) \
    X(open_target_server) X(copy_image) X(begin_copy_image) X(end_copy_image) X(copy_extent) X(async_copy_image) \
    X(named_async_copy_image) X(async_wait) X(async_cancel) X(open_evchannel) X(get_event) X(get_event_payload) \
    X(delete_event) X(close_evchannel) X(set_image_lock) X(extend_image_lock) X(get_image_lock)

struct api {
    void *library;
#define MEMBER(name) __typeof__(stspi_##name) *name;
    EACH_ENTRY(MEMBER)
#undef MEMBER
};

extern struct api api;
extern const char *server_name, *user, *password, *lsu_name;
extern int log_lines;

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            die(__FILE__, __LINE__, #condition); \
    } while (0)
#define CODE(want, call) check_code(__FILE__, __LINE__, #call, (want), (call))
#define OK(call) CODE(STS_EOK, call)

void die(const char *file, int line, const char *what);
void check_code(const char *file, int line, const char *call, int want, int got);
int threads_now(void);
void put(char *field, size_t size, const char *text);
sts_session_def_v7_t session(void);
sts_cred_v7_t credentials(void);
bstsp_server_handle_s *open_server(void);
sts_lsu_t lsu_of(bstsp_server_handle_s *server);
sts_image_def_t image_named(const char *base);
void fill(unsigned char *buffer, uint64_t seed, uint64_t at, uint64_t length);
void compare(const unsigned char *buffer, uint64_t seed, uint64_t at, uint64_t length);
void write_all(bstsp_image_handle_s *image, uint64_t seed, uint64_t size, uint64_t step);
void read_all(bstsp_image_handle_s *image, uint64_t seed, uint64_t size, uint64_t step);
void backup_restore(const char *base, uint64_t size, int keep);
int ended_well(pid_t child);

void mode_backup(int argc, char **argv);
void mode_threads(int argc, char **argv);
void mode_hostile(int argc, char **argv);
void mode_careless(int argc, char **argv);
void mode_fork(int argc, char **argv);
void mode_siblings(int argc, char **argv);
void mode_signals(int argc, char **argv);
void mode_reload(int argc, char **argv);
void mode_lifecycle(int argc, char **argv);
void mode_expect(int argc, char **argv);
void mode_lists(int argc, char **argv);
void mode_read(int argc, char **argv);
void mode_capabilities(int argc, char **argv);
void mode_replication(int argc, char **argv);
void mode_steps(int argc, char **argv);
void mode_behaviours(int argc, char **argv);

#endif
