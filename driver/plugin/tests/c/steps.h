/* What the steps of a host that is told what to do work on. */
#ifndef STEPS_H
#define STEPS_H

#include "host.h"

#define SLOTS 16

struct steps {
    bstsp_server_handle_s *server, *target;
    /* Of the server, of the target, and the one of the two that steps by name are about. */
    sts_lsu_t near, far, lsu;
    bstsp_image_handle_s *images[SLOTS];
    bstsp_copy_handle_s *copies[SLOTS];
    bstsp_evchannel_handle_s *channels[SLOTS];
};

extern struct steps here;

int is(const char *word, const char *name);
void answer(int code, uint64_t count);
uint64_t digest(const void *bytes, uint64_t length);
int replication_step(const char *step, int slot, const char *text, const uint64_t n[3]);

#endif
