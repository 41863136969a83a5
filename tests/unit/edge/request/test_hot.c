/* The table of ready answers: only the very same plain request gets one, only while it is the one to give. A
 * small server in front of it stands for the edge; the time is a number. */
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/memory/budget.h"
#include "edge/request/hot.h"
#include "edge/request/serve.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define SLOTS 64u /* of a table for a few entries: one round of the sweep */

static struct loop *loop;
static struct http_server *server;
static struct edge_cache *cache;
static struct edge_hot *hot;
static struct wire wire;
static int64_t now_ms;
static unsigned plain, hits, answers; /* requests so far */
static unsigned status;               /* of the last hit */
static uint64_t body_bytes;

/* ---- the server ---- */

static void add_fields(struct MHD_Response *response, const struct edge_rep *rep)
{
    struct http_head head = {0};
    const struct edge_marks marks = {
        .status = {.name = CDN_STR("e"),
                   .hit = true,
                   .has_ttl = true,
                   .ttl_s = edge_freshness_left(&rep->fresh, now_ms)},
        .verdict = EDGE_VERDICT_HIT,
        .age_s = edge_freshness_age(&rep->fresh, now_ms),
        .origin_us = -1,
    };
    edge_serve_fields(&head, rep->head, edge_head_status(rep->head), NULL,
                      &(struct edge_serve_choice){.personal = EDGE_SERVE_SHARED});
    edge_serve_marks(&head, &marks);
    http_head_seal(&head, response);
    http_head_free(&head);
}

/* As the edge does it: the stored answer of the path, ready for the next one if the request is plain. */
static void long_way(struct http_request *req, bool is_plain)
{
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    edge_cache_look(cache, req->path, &e, ask(&a, ""), now_ms, &stored);
    if (!stored.hold.object) {
        http_respond_text(req, 404, "text/plain", CDN_STR(""), NULL);
    } else {
        struct edge_blob *blob = stored.hold.ram->blob;
        struct MHD_Response *response = edge_serve_blob(blob, 0, blob->n);
        add_fields(response, stored.hold.rep);
        http_respond(req, edge_head_status(stored.hold.rep->head), response);
        if (is_plain) {
            edge_hot_add(hot, req, &stored.hold, blob, response, &(struct edge_hot_terms){0}, now_ms);
        } else {
            MHD_destroy_response(response);
        }
    }
    edge_cache_release(cache, &stored.hold);
    edge_rep_unref(stored.newest);
    edge_cache_leave(cache, e);
}

static void ready(void *self, struct http_request *req)
{
    (void)self;
    const bool is_plain = edge_hot_is_plain(req);
    plain += is_plain;
    if (is_plain && edge_hot_answer(hot, req, now_ms, &body_bytes, &status)) {
        hits++;
        return;
    }
    long_way(req, is_plain);
}

static void head(void *self, struct http_request *req)
{
    (void)self, (void)req;
}

static const struct http_handler handler = {.head = head, .ready = ready};

static void start_with(unsigned limit)
{
    const struct http_server_config config = {.listen = loopback(0), .handler = &handler, .max_body = 100};
    struct cdn_addr address;
    loop = loop_new();
    cache = make_cache((uint64_t)1 << 20, "sieve");
    hot = edge_hot_create(cache, limit, CDN_STR("e"));
    ck_assert_int_eq(http_server_start(loop, &config, &server, NULL), CDN_OK);
    http_server_address(server, &address);
    wire = wire_open(&address);
    now_ms = CACHE_NOW_MS;
    plain = hits = answers = 0;
}

static void set_up(void)
{
    start_with(32);
}

static void tear_down(void)
{
    struct edge_cache_stats stats;
    struct edge_budget_stats budget;
    wire_close(&wire);
    edge_hot_destroy(hot);
    http_server_stop(server);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    edge_cache_stats(cache, &stats);
    edge_budget_stats(&budget);
    ck_assert_uint_eq(stats.entries, 0); /* nothing is held any more */
    ck_assert_uint_eq(budget.on_the_way, 0);
    edge_cache_destroy(cache);
    loop_destroy(loop);
}

/* Sends one and waits for its answer; whether the table gave it. `body`: as sent after the head. */
static bool send_text(const char *line, const char *fields, const char *body)
{
    const unsigned before = hits;
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "%s HTTP/1.1\r\nHost: ", line);
    struct cdn_str rest = cdn_str(fields); /* "host\nName: value\n..." */
    while (rest.p) {
        cdn_buf_add_str(&text, cdn_str_cut(&rest, '\n'));
        cdn_buf_add_str(&text, CDN_STR("\r\n"));
    }
    cdn_buf_printf(&text, "\r\n%s", body);
    cdn_buf_clear(&wire.in);
    wire_send(&wire, text.p);
    wire_wait_count(loop, &wire, "\r\n\r\n", 1);
    turn_times(loop, 2);
    answers++;
    return hits > before;
}

static bool get(const char *path)
{
    CDN_AUTOFREE char *line = cdn_asprintf("GET %s", path);
    return send_text(line, "h", "");
}

static void make_hot(const char *path)
{
    for (unsigned i = 0; !get(path); i++) {
        ck_assert_uint_lt(i, 2); /* the second on the long way makes it ready */
    }
}

/* ---- which requests ---- */

#define FIRST "h\nAccept-Encoding: gzip"

static const struct {
    const char *line, *fields, *body;
    bool plain, hit;
    unsigned status;
    uint64_t bytes;
} requests[] = {
    {"GET /a?x", FIRST, "", true, true, 200, 10},
    {"GET /a?x", FIRST "\nUser-Agent: other\nCookie: a=b\nAccept-Language: de\nReferer: /", "", true, true,
     200, 10},
    {"GET /a?x", "h\naccept-encoding:   gzip  ", "", true, true, 200, 10},
    {"HEAD /a?x", FIRST, "", true, true, 200, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"1\"", "", true, true, 304, 0},
    {"HEAD /a?x", FIRST "\nIf-None-Match: \"1\"", "", true, true, 304, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"1\"\nIf-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", "", true,
     true, 304, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"2\"", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"12\"", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: W/\"1\"", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: *", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"1\", \"2\"", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match:", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-None-Match: \"1\"\nIf-None-Match: \"1\"", "", false, false, 0, 0},
    {"GET /a?x", "h", "", true, false, 0, 0},
    {"GET /a?x", "h\nAccept-Encoding:", "", true, false, 0, 0},
    {"GET /a?x", "h\nAccept-Encoding: gzip, br", "", true, false, 0, 0},
    {"GET /a?x", "h\nAccept-Encoding: GZIP", "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nAccept-Encoding: br", "", false, false, 0, 0},
    {"GET /a?x", "H\nAccept-Encoding: gzip", "", true, false, 0, 0},
    {"GET /a?x", "h:80\nAccept-Encoding: gzip", "", true, false, 0, 0},
    {"GET /a?X", FIRST, "", true, false, 0, 0},
    {"GET /a", FIRST, "", true, false, 0, 0},
    {"GET /a?x&", FIRST, "", true, false, 0, 0},
    {"GET /%61?x", FIRST, "", true, false, 0, 0},
    {"GET http://h/a?x", FIRST, "", true, false, 0, 0},
    {"GET /a?x", FIRST "\nRange: bytes=0-1", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nCache-Control: max-age=9", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nCache-Control:", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nPragma: no-cache", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nAuthorization: Basic x", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-Match: \"1\"", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-Unmodified-Since: Tue, 14 Nov 2023 22:13:20 GMT", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nIf-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nCDN-Loop: other", "", false, false, 0, 0},
    {"GET /a?x", FIRST "\nContent-Length: 2", "ab", false, false, 0, 0},
    {"GET /a?x", FIRST "\nTransfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n", false, false, 0, 0},
    {"POST /a?x", FIRST "\nContent-Length: 0", "", false, false, 0, 0},
    {"OPTIONS /a?x", FIRST, "", false, false, 0, 0},
    {"DELETE /a?x", FIRST, "", false, false, 0, 0},
};

START_TEST(which_requests)
{
    publish(cache, "/a", "", "ETag: \"1\"\nCache-Control: max-age=60", 10);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(!send_text("GET /a?x", FIRST, ""));
    }
    ck_assert_uint_eq(edge_hot_count(hot), 1);
    ck_assert(send_text("GET /a?x", FIRST, ""));
    const unsigned before = plain;
    const bool hit = send_text(requests[_i].line, requests[_i].fields, requests[_i].body);
    ck_assert_msg(hit == requests[_i].hit, "%s %s", requests[_i].line, requests[_i].fields);
    ck_assert_msg((plain > before) == requests[_i].plain, "%s %s", requests[_i].line, requests[_i].fields);
    if (hit) {
        ck_assert_uint_eq(status, requests[_i].status);
        ck_assert_uint_eq(body_bytes, requests[_i].bytes);
        CDN_AUTOFREE char *line = cdn_asprintf("HTTP/1.1 %u", status);
        ck_assert(wire_has(&wire, line) && wire_has(&wire, "\r\nETag: \"1\"\r\n"));
        ck_assert(wire_has(&wire, "xxxxxxxxxx") == (body_bytes == 10));
    }
}
END_TEST

/* Without the field anything goes, with an empty one the plain form alone (RFC 9110 12.5.3). */
START_TEST(absent_is_not_empty)
{
    publish(cache, "/a", "", "", 10);
    make_hot("/a");
    ck_assert(!send_text("GET /a", "h\nAccept-Encoding:", ""));
    ck_assert(!send_text("GET /a", "h\nAccept-Encoding:", ""));
    ck_assert(send_text("GET /a", "h\nAccept-Encoding:", ""));
    ck_assert(get("/a"));
    ck_assert_uint_eq(edge_hot_count(hot), 2);
}
END_TEST

/* One hit makes nobody ready. */
START_TEST(once_in_a_while_is_not_hot)
{
    publish(cache, "/a", "", "", 10);
    ck_assert(!get("/a"));
    ck_assert_uint_eq(edge_hot_count(hot), 0);
    ck_assert(!get("/a"));
    ck_assert_uint_eq(edge_hot_count(hot), 1);
    ck_assert(get("/a"));
}
END_TEST

/* Of an answer with another status, If-None-Match says nothing. */
START_TEST(other_statuses_are_hot_too)
{
    publish_at(cache, "/a", rep_for("", 404, "ETag: \"1\""), 10, 0);
    make_hot("/a");
    ck_assert_uint_eq(status, 404);
    ck_assert(!send_text("GET /a", "h\nIf-None-Match: \"1\"", ""));
}
END_TEST

/* ---- while it is the one to give ---- */

enum change { NOTHING, HARD, SOFT, TAG, OTHER, ALL, REFRESH, REPLACE, EVICT };

static const struct {
    const char *what;
    enum change change;
    bool hit;
} changes[] = {
    {"nothing", NOTHING, true},    {"purged", HARD, false},         {"soft purged", SOFT, false},
    {"by tag", TAG, false},        {"another purged", OTHER, true}, {"all", ALL, false},
    {"confirmed", REFRESH, false}, {"replaced", REPLACE, false},    {"evicted", EVICT, false},
};

static void change(enum change what, struct edge_object *o)
{
    switch (what) {
    case NOTHING:
        return;
    case HARD:
    case SOFT:
        edge_cache_purge_key(cache, CDN_STR("/a"), what == SOFT, now_ms);
        return;
    case TAG:
        edge_cache_purge_tag(cache, CDN_STR("red"), false, now_ms);
        return;
    case OTHER:
        edge_cache_purge_key(cache, CDN_STR("/b"), false, now_ms);
        return;
    case ALL:
        edge_cache_purge_all(cache, false, now_ms);
        return;
    case REFRESH:
        ck_assert(edge_cache_refresh(cache, o, rep_for("", 200, "ETag: \"1\""), 0));
        return;
    case REPLACE:
        publish(cache, "/a", "", "ETag: \"1\"", 10);
        return;
    case EVICT:
        edge_cache_remove(cache, o, EDGE_GHOST_EVICTED);
        return;
    }
}

START_TEST(void_answers_are_not_given)
{
    struct edge_object *o = publish(cache, "/a", "", "ETag: \"1\"\nSurrogate-Key: red", 10);
    publish(cache, "/b", "", "", 10);
    make_hot("/a");
    make_hot("/b");
    change(changes[_i].change, o);
    ck_assert_msg(get("/a") == changes[_i].hit, "%s", changes[_i].what);
    ck_assert(get("/b") == (changes[_i].change != OTHER && changes[_i].change != ALL));
}
END_TEST

/* The sweep finds void ones in its first round. */
START_TEST(void_answers_are_swept)
{
    struct edge_object *o = publish(cache, "/a", "", "ETag: \"1\"\nSurrogate-Key: red", 10);
    publish(cache, "/b", "", "", 10);
    make_hot("/b");
    make_hot("/a");
    change(changes[_i].change, o);
    edge_hot_sweep(hot, SLOTS + 2);
    ck_assert_uint_eq(edge_hot_count(hot), changes[_i].change == ALL                        ? 0
                                           : changes[_i].hit && changes[_i].change != OTHER ? 2
                                                                                            : 1);
}
END_TEST

static const struct {
    const char *what;
    int64_t later_ms;
    bool hit;
} times[] = {
    {"at once", 0, true},
    {"the last moment", 60000 - 1, true},
    {"the end", 60000, false},
    {"long after", 1000000, false},
    {"the clock was set back a little", -EDGE_CLOCK_SLACK_MS, true},
    {"and more", -EDGE_CLOCK_SLACK_MS - 1, false},
    {"and far", INT64_C(-1000000000), false},
};

START_TEST(while_it_is_fresh)
{
    publish(cache, "/a", "", "ETag: \"1\"", 10);
    make_hot("/a");
    now_ms += times[_i].later_ms;
    ck_assert_msg(get("/a") == times[_i].hit, "%s", times[_i].what);
    if (times[_i].hit) {
        const int64_t age_s = times[_i].later_ms > 0 ? times[_i].later_ms / 1000 : 0;
        CDN_AUTOFREE char *age = cdn_asprintf("\r\nAge: %ld\r\n", (long)age_s);
        ck_assert_msg(wire_has(&wire, age), "%s", wire.in.p);
        ck_assert(wire_has(&wire, "Cache-Status: e; hit; ttl="));
    }
}
END_TEST

/* Age and the rest of the lifetime follow the seconds, also of a 304 that was made ready before. */
START_TEST(seconds_are_counted)
{
    publish(cache, "/a", "", "ETag: \"1\"", 10);
    make_hot("/a");
    for (int second = 0; second < 60; second += 7) {
        CDN_AUTOFREE char *age = cdn_asprintf("\r\nAge: %d\r\n", second);
        CDN_AUTOFREE char *left = cdn_asprintf("hit; ttl=%d\r\n", 60 - second);
        now_ms = CACHE_NOW_MS + second * 1000;
        ck_assert(send_text("GET /a", "h\nIf-None-Match: \"1\"", ""));
        ck_assert_msg(wire_has(&wire, age) && wire_has(&wire, left), "%s", wire.in.p);
        ck_assert(get("/a"));
        ck_assert_msg(wire_has(&wire, age) && wire_has(&wire, left), "%s", wire.in.p);
    }
}
END_TEST

/* ---- room ---- */

START_TEST(who_was_asked_for_stays)
{
    tear_down();
    start_with(4);
    for (const char *at = "abcdefgh"; *at; at++) {
        CDN_AUTOFREE char *path = cdn_asprintf("/%c", *at);
        publish(cache, path, "", "", 10);
        get(path);
        get(path); /* is ready, and was never hit since */
        ck_assert_uint_le(edge_hot_count(hot), 4);
        ck_assert_msg(get("/a") == (*at != 'a') || *at == 'a', "at %c", *at); /* but for this one */
    }
    ck_assert_uint_eq(edge_hot_count(hot), 4);
    ck_assert(get("/a"));
}
END_TEST

START_TEST(what_nobody_asks_for_is_swept)
{
    publish(cache, "/a", "", "", 10);
    publish(cache, "/b", "", "", 10);
    get("/a");
    get("/a"); /* ready, not hit */
    make_hot("/b");
    edge_hot_sweep(hot, 2 * SLOTS);
    ck_assert_uint_eq(edge_hot_count(hot), 2);
    edge_hot_sweep(hot, SLOTS + 1);
    ck_assert_uint_eq(edge_hot_count(hot), 1);
    ck_assert(get("/b")); /* begins anew */
    edge_hot_sweep(hot, 3 * SLOTS);
    ck_assert_uint_eq(edge_hot_count(hot), 1);
    edge_hot_sweep(hot, SLOTS);
    ck_assert_uint_eq(edge_hot_count(hot), 0);
    edge_hot_sweep(hot, SLOTS); /* of nothing */
}
END_TEST

/* Those that stand after a removed one are still found, each with its own answer. */
START_TEST(removal_leaves_the_others)
{
    enum { KEYS = 60 };
    tear_down();
    start_with(KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        CDN_AUTOFREE char *path = cdn_asprintf("/%u", i);
        CDN_AUTOFREE char *fields = cdn_asprintf("ETag: \"%u\"", i);
        publish(cache, path, "", fields, 10);
        make_hot(path);
    }
    ck_assert_uint_eq(edge_hot_count(hot), KEYS);
    for (unsigned i = 0; i < KEYS; i += 3) {
        CDN_AUTOFREE char *path = cdn_asprintf("/%u", i);
        edge_cache_purge_key(cache, cdn_str(path), false, now_ms);
        ck_assert(!get(path));
    }
    for (unsigned i = 0; i < KEYS; i++) {
        CDN_AUTOFREE char *path = cdn_asprintf("/%u", i);
        CDN_AUTOFREE char *tag = cdn_asprintf("ETag: \"%u\"\r\n", i);
        ck_assert(get(path) == (i % 3 != 0));
        ck_assert(i % 3 == 0 || wire_has(&wire, tag));
    }
}
END_TEST

/* Hits count for the object when the table lets go. */
START_TEST(hits_are_counted)
{
    struct edge_object *o = publish(cache, "/a", "", "", 10);
    make_hot("/a");
    for (unsigned i = 1; i < 10; i++) {
        ck_assert(get("/a"));
    }
    edge_hot_destroy(hot);
    ck_assert_uint_eq(atomic_load(&o->hits), 10);
    hot = edge_hot_create(cache, 4, CDN_STR("e"));
}
END_TEST

static void add(TCase *tc)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, which_requests, 0, CDN_ARRAY_LEN(requests));
    tcase_add_test(tc, absent_is_not_empty);
    tcase_add_test(tc, once_in_a_while_is_not_hot);
    tcase_add_test(tc, other_statuses_are_hot_too);
    tcase_add_loop_test(tc, void_answers_are_not_given, 0, CDN_ARRAY_LEN(changes));
    tcase_add_loop_test(tc, void_answers_are_swept, 0, CDN_ARRAY_LEN(changes));
    tcase_add_loop_test(tc, while_it_is_fresh, 0, CDN_ARRAY_LEN(times));
    tcase_add_test(tc, seconds_are_counted);
    tcase_add_test(tc, who_was_asked_for_stays);
    tcase_add_test(tc, what_nobody_asks_for_is_swept);
    tcase_add_test(tc, removal_leaves_the_others);
    tcase_add_test(tc, hits_are_counted);
}

int main(void)
{
    return run_case("hot", add);
}
