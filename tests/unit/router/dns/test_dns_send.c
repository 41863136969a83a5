/* Answers in a box: each arrives alone, whole, in order, at its asker and from the address that was asked,
 * however they were grouped on their way out. */
#include "common/mem.h"
#include "router/dns/dns_send.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/banned.h"

#define ASKERS 2
#define ANSWER_MAX 1400

struct world {
    int server, askers[ASKERS];
    struct sockaddr_in asked[ASKERS]; /* the server, by two of its addresses */
};

static struct sockaddr_in loopback(const char *ip, in_port_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = port};
    ck_assert_int_eq(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    return a;
}

static void world_open(struct world *w)
{
    static const char *const names[ASKERS] = {"127.0.0.1", "127.0.0.2"};
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t n = sizeof(any);
    int one = 1;
    w->server = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(setsockopt(w->server, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(w->server, (struct sockaddr *)&any, sizeof(any)), 0);
    ck_assert_int_eq(getsockname(w->server, (struct sockaddr *)&any, &n), 0);
    for (size_t i = 0; i < ASKERS; i++) {
        w->asked[i] = loopback(names[i], any.sin_port);
        w->askers[i] = socket(AF_INET, SOCK_DGRAM, 0);
        ck_assert_int_eq(connect(w->askers[i], (struct sockaddr *)&w->asked[i], sizeof(w->asked[i])), 0);
    }
}

static void world_close(struct world *w)
{
    close(w->server);
    for (size_t i = 0; i < ASKERS; i++) {
        close(w->askers[i]);
    }
}

struct slot {
    struct sockaddr_in peer;
    _Alignas(struct cmsghdr) char control[DNS_CONTROL_MAX];
    char answer[ANSWER_MAX];
};

struct one {
    unsigned asker;
    size_t n; /* of its answer */
};

/* Each asks, each is answered with bytes that say which answer it is. */
static void box_fill(struct world *w, struct dns_box *box, struct slot *slots, const struct one *ones,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *s = &slots[i];
        char question[8];
        struct iovec io = {question, sizeof(question)};
        struct msghdr in = {&s->peer, sizeof(s->peer), &io, 1, s->control, DNS_CONTROL_MAX, 0};
        ck_assert_int_eq(send(w->askers[ones[i].asker], "?", 1, 0), 1);
        ck_assert_int_eq(recvmsg(w->server, &in, 0), 1);
        memset(s->answer, (int)i + 1, ones[i].n);
        dns_box_add(box, &in, s->answer, ones[i].n);
    }
}

static void expect(struct world *w, const struct one *ones, size_t count)
{
    char got[ANSWER_MAX + 1];
    for (size_t i = 0; i < count; i++) { /* connected: nothing from another address is taken */
        ssize_t n = recv(w->askers[ones[i].asker], got, sizeof(got), MSG_DONTWAIT);
        ck_assert_int_eq(n, (ssize_t)ones[i].n);
        for (ssize_t k = 0; k < n; k++) {
            ck_assert_int_eq(got[k], (int)i + 1);
        }
    }
    for (size_t i = 0; i < ASKERS; i++) {
        ck_assert_int_lt(recv(w->askers[i], got, sizeof(got), MSG_DONTWAIT), 0);
    }
}

static const struct {
    struct one ones[8];
    unsigned groups; /* where the kernel cuts */
} rows[] = {
    {{{0, 70}}, 1},
    {{{0, 70}, {0, 70}, {0, 70}}, 1},
    {{{0, 70}, {0, 71}, {0, 71}, {0, 70}}, 3},          /* one size a group */
    {{{0, 70}, {1, 70}, {1, 70}, {0, 70}, {0, 70}}, 3}, /* one peer a group, askers' order is kept */
    {{{1, 1400}, {1, 1400}, {1, 1400}, {1, 12}, {0, 12}}, 3},
    {{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, 1},
};

enum hindrance { NONE, NO_CUTS, REFUSED, HINDRANCES };

static void round_trip(enum hindrance hindrance, size_t row)
{
    struct world w;
    struct dns_box box;
    size_t count = 0;
    int one = 1;
    CDN_AUTOFREE struct slot *slots = cdn_calloc(DNS_BATCH, sizeof(*slots));
    world_open(&w);
    dns_box_init(&box, w.server);
    ck_assert(box.cuts);
    while (count < 8 && rows[row].ones[count].n > 0) {
        count++;
    }
    if (hindrance == REFUSED) { /* what has no checksum is not cut */
        ck_assert_int_eq(setsockopt(w.server, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)), 0);
    }
    box.cuts = hindrance != NO_CUTS;
    for (int again = 0; again < 2; again++) {
        box_fill(&w, &box, slots, rows[row].ones, count);
        ck_assert_uint_eq(box.groups, hindrance == NO_CUTS ? count : rows[row].groups);
        ck_assert_uint_eq(dns_box_send(&box), 0);
        expect(&w, rows[row].ones, count);
    }
    world_close(&w);
}

START_TEST(arrives)
{
    for (size_t row = 0; row < CDN_ARRAY_LEN(rows); row++) {
        round_trip((enum hindrance)_i, row);
    }
}
END_TEST

/* 64 answers of 1400 bytes are more than one message may have. */
START_TEST(full_batch)
{
    struct world w;
    struct dns_box box;
    struct one ones[DNS_BATCH];
    CDN_AUTOFREE struct slot *slots = cdn_calloc(DNS_BATCH, sizeof(*slots));
    int room = 1 << 20;
    world_open(&w);
    setsockopt(w.askers[0], SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    dns_box_init(&box, w.server);
    for (size_t i = 0; i < DNS_BATCH; i++) {
        ones[i] = (struct one){0, ANSWER_MAX};
    }
    box_fill(&w, &box, slots, ones, DNS_BATCH);
    ck_assert_uint_eq(box.groups, 2);
    ck_assert_uint_eq(dns_box_send(&box), 0);
    expect(&w, ones, DNS_BATCH);
    world_close(&w);
}
END_TEST

/* What cannot be sent is counted, and the next is sent all the same. */
START_TEST(unsent)
{
    struct world w;
    struct dns_box box;
    const struct one ones[] = {{0, 20}, {0, 20}, {1, 20}};
    CDN_AUTOFREE struct slot *slots = cdn_calloc(DNS_BATCH, sizeof(*slots));
    world_open(&w);
    dns_box_init(&box, w.server);
    box_fill(&w, &box, slots, ones, CDN_ARRAY_LEN(ones));
    slots[0].peer.sin_port = 0;
    ck_assert_uint_eq(dns_box_send(&box), 2);
    char got[32];
    ck_assert_int_eq(recv(w.askers[1], got, sizeof(got), MSG_DONTWAIT), 20);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dns_send");
    TCase *t = tcase_create("box");
    tcase_add_loop_test(t, arrives, 0, HINDRANCES);
    tcase_add_test(t, full_batch);
    tcase_add_test(t, unsent);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
