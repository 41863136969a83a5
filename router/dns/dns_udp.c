/* dns_udp: the loop of a thread: receive a batch, answer it, send it. The zone is changed between
 * two batches only, so the way of a message reads one pointer and no lock. */
#include "router/dns/dns_udp.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/mem.h"
#include "common/parse.h"
#include "router/dns/dns_feed.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_send.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "common/banned.h"

#define BATCH DNS_BATCH
#define QUERY_MAX 2048  /* what is longer is cut, and malformed then */
#define ANSWER_MAX 1400 /* the largest dns_udp_size */

/* Under load a thread that has answered waits a moment, so that the next messages come as a batch: the system
 * calls and the wake-up then cost each of them a part. It begins where a message comes every 20 us, and costs
 * an answer at most 100 us. */
#define BUSY_NS 20000
#define GATHER_NS 100000
#define BATCH_ENOUGH 32

struct slot { /* of one message */
    struct cdn_addr peer;
    _Alignas(struct cmsghdr) uint8_t control[DNS_CONTROL_MAX];
    struct iovec query_io;
    uint8_t query[QUERY_MAX], answer[ANSWER_MAX];
};

struct dns_udp {
    _Alignas(64) struct dns_metrics metrics;
    struct dns_feed feed;
    struct dns_responder responder;
    int fd;
    bool any_address;
    bool running;
    _Atomic bool stopping;
    pthread_t thread;
    int64_t last_ns;    /* when the last batch came */
    int64_t between_ns; /* a message and the next, on average */
    struct mmsghdr in[BATCH];
    struct dns_box box;
    struct slot slots[BATCH];
};

/* recvmmsg writes over the lengths. */
static void arm(struct dns_udp *u, size_t i)
{
    struct msghdr *m = &u->in[i].msg_hdr;
    m->msg_namelen = sizeof(u->slots[i].peer);
    m->msg_controllen = u->any_address ? DNS_CONTROL_MAX : 0;
}

static void slot_init(struct dns_udp *u, size_t i)
{
    struct slot *s = &u->slots[i];
    s->query_io = (struct iovec){s->query, QUERY_MAX};
    u->in[i].msg_hdr = (struct msghdr){
        .msg_name = &s->peer, .msg_iov = &s->query_io, .msg_iovlen = 1, .msg_control = s->control};
    arm(u, i);
}

/* Puts the answers of this batch into the box. */
static void answer_all(struct dns_udp *u, size_t received)
{
    struct dns_asker asker = {.now_s = cdn_clock_real_ms() / 1000, .now_us = u->last_ns / 1000};
    u->responder.zone = dns_feed_zone(&u->feed);
    for (size_t i = 0; i < received; i++) {
        struct slot *s = &u->slots[i];
        asker.client = s->peer;
        cdn_addr_unmap(&asker.client);
        size_t n = dns_answer(&u->responder, &asker, s->query, u->in[i].msg_len, s->answer, ANSWER_MAX);
        if (n > 0) {
            dns_box_add(&u->box, &u->in[i].msg_hdr, s->answer, n);
        }
    }
}

static void note_arrival(struct dns_udp *u, int64_t received)
{
    int64_t now_ns = cdn_clock_mono_ns(), each_ns = (now_ns - u->last_ns) / received;
    each_ns =
        each_ns < 16 * BUSY_NS ? each_ns : 16 * BUSY_NS; /* a long silence counts no more than a short one */
    u->between_ns += (each_ns - u->between_ns) / 8;
    u->last_ns = now_ns;
}

static void gather(const struct dns_udp *u, int64_t received)
{
    static const struct timespec moment = {0, GATHER_NS};
    if (u->between_ns < BUSY_NS && received < BATCH_ENOUGH) {
        nanosleep(&moment, NULL);
    }
}

static void *run(void *arg)
{
    struct dns_udp *u = arg;
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (!atomic_load_explicit(&u->stopping, memory_order_relaxed)) {
        int n = recvmmsg(u->fd, u->in, BATCH, MSG_WAITFORONE, NULL);
        if (n <= 0) {
            continue;
        }
        note_arrival(u, n);
        answer_all(u, (size_t)n);
        cdn_metric_add(&u->metrics.dns_unsent_total, dns_box_send(&u->box));
        for (size_t i = 0; i < (size_t)n; i++) {
            arm(u, i);
        }
        gather(u, n);
    }
    return NULL;
}

struct dns_udp *dns_udp_create(int fd, bool any_address, const struct dns_responder *responder)
{
    struct dns_udp *u = cdn_aligned_calloc(_Alignof(struct dns_udp), sizeof(*u));
    u->fd = fd;
    dns_box_init(&u->box, fd);
    u->any_address = any_address;
    u->between_ns = 16 * BUSY_NS;
    u->responder = *responder;
    u->responder.metrics = &u->metrics;
    for (size_t i = 0; i < BATCH; i++) {
        slot_init(u, i);
    }
    return u;
}

enum cdn_status dns_udp_start(struct dns_udp *udp, struct cdn_error *err)
{
    int failed = pthread_create(&udp->thread, NULL, run, udp);
    udp->running = !failed;
    return failed ? cdn_error_set(err, CDN_UNAVAILABLE, "cannot start a thread: %s", strerror(failed))
                  : CDN_OK;
}

struct dns_feed *dns_udp_feed(struct dns_udp *udp)
{
    return &udp->feed;
}

const struct dns_metrics *dns_udp_metrics(const struct dns_udp *udp)
{
    return &udp->metrics;
}

/* shutdown(2) fails on a socket that is not connected, but wakes who waits for it all the same. */
void dns_udp_destroy(struct dns_udp *udp)
{
    if (!udp) {
        return;
    }
    if (udp->running) {
        atomic_store(&udp->stopping, true);
        shutdown(udp->fd, SHUT_RDWR);
        pthread_join(udp->thread, NULL);
    }
    dns_feed_fini(&udp->feed);
    free(udp);
}
