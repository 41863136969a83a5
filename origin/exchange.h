/* exchange: one request and its answer; and the inside of a worker, which it works on. For worker.c and
 * exchange.c. */
#ifndef CDN_ORIGIN_EXCHANGE_H
#define CDN_ORIGIN_EXCHANGE_H
#include "common/loop.h"
#include "origin/base/root.h"
#include "origin/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct exchange { /* from head() to done(); reused */
    struct origin_worker *worker;
    struct http_request *req;
    struct exchange *next_free;
    unsigned status; /* of the answer */
    uint64_t bytes;  /* of its body */

    bool is_waiting; /* suspended until a hash is known */
    unsigned hash_waits;
    struct exchange *wait_next, *wait_previous;

    /* a file that the kernel sends: a descriptor of our own, to see whether it changes meanwhile; -1: none */
    int watch_fd;
    struct origin_file_id watch_id;
    struct exchange *watch_next, *watch_previous;
};

struct origin_worker { /* all but metrics and is_drained: owned by its thread once started */
    _Alignas(64) struct origin_metrics metrics; /* written by its thread, read by all */
    _Alignas(64) struct origin_shared *shared;
    struct loop *loop;
    struct http_server *server;
    struct origin_files *files;
    struct origin_policy *policy;
    struct release_table *table;      /* NULL: no releases */
    _Atomic uint64_t release, newest; /* its numbers */
    struct exchange *free_exchanges, *waiting, *watched;
    struct loop_timer watch_timer, drain_timer;
    atomic_bool is_drained;
    pthread_t thread;
    bool is_running;
};

void exchange_answer(struct exchange *x);  /* answers or suspends */
void exchange_wake(struct exchange *x);    /* ends the suspension */
void exchange_break(struct exchange *x);   /* its file changed: cuts the connection */
void exchange_release(struct exchange *x); /* what it holds */

#endif
