/* What becomes of the origin's answer, of who waits for it, and of purges meanwhile. */
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/storable.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/cache_fixture.h"
#include "tests/unit/edge/fetch_fixture.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static void start(struct waiting *w, const char *fields, struct edge_fetch_request request)
{
    struct http_field field[FIELDS_MAX];
    const struct edge_request_control none = {0};
    const size_t count = fields_of(fields, field);
    for (size_t i = 0; i < count; i++) {
        edge_fields_add(&request.fields, field[i].name, field[i].value);
    }
    edge_fields_seal(&request.fields);
    request.method = "GET";
    origin[0]->base = net.url;
    request.rule = &rule;
    request.path = cdn_strdup("");
    request.about.method = HTTP_GET;
    request.leader = &w->waiter;
    request.body_length = -1;
    edge_fetch_start(w->fetch, &none, &request);
}

static void begin_at(struct waiting *w, unsigned worker, const char *request, struct edge_fetch_scope scope)
{
    wait_for(w, worker, request);
    struct edge_fetch_wish wish = wish_of(w);
    wish.scope = scope;
    ck_assert(join_or_make(w, &wish));
    start(w, request, (struct edge_fetch_request){0});
}

static void join_it(struct waiting *w, unsigned worker, const char *request)
{
    wait_for(w, worker, request);
    const struct edge_fetch_wish wish = wish_of(w);
    ck_assert(!join_or_make(w, &wish));
    ck_assert_ptr_nonnull(w->fetch);
}

static bool is_finished(void *arg)
{
    const struct waiting *w = arg;
    return atomic_load(&w->fetch->finished);
}

static bool is_answered(void *arg)
{
    const struct waiting *w = arg;
    return edge_fetch_phase_now(w->fetch) != EDGE_FETCH_ASKING;
}

static bool is_asked(void *arg)
{
    return net.origin.requests == *(unsigned *)arg;
}

static void wait_asked(unsigned requests)
{
    turn_until(net.loop, is_asked, &requests);
}

/* The origin says more, or ends the connection. */
static void origin_says(const char *text)
{
    ck_assert_int_eq(send(peers->watch.fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static const struct {
    const char *what, *answer;
    bool closes;
    struct edge_fetch_scope scope;
    enum edge_fetch_phase phase;
    enum http_fetch_error error;
    unsigned stored; /* status of what is in the cache then; 0: nothing */
    int64_t part_of; /* its whole */
    bool parallel;   /* others do not wait any more */
    enum edge_whole whole;
} answers[] = {
    {"fresh",
     "200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {0},
     EDGE_FETCH_STORING,
     0,
     200,
     -1,
     false,
     0},
    {"chunked",
     "200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     false,
     {0},
     EDGE_FETCH_STORING,
     0,
     200,
     -1,
     false,
     0},
    {"empty",
     "200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n",
     false,
     {0},
     EDGE_FETCH_STORING,
     0,
     200,
     -1,
     false,
     0},
    {"an error with a lifetime",
     "404 No\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nno",
     false,
     {0},
     EDGE_FETCH_STORING,
     0,
     404,
     -1,
     false,
     0},
    {"no-store",
     "200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {0},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     true,
     0},
    {"private",
     "200 OK\r\nCache-Control: private, max-age=9\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {0},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     true,
     0},
    {"a 304 that nobody asked for",
     "304 Not Modified\r\nETag: \"1\"\r\n\r\n",
     false,
     {0},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     false,
     0},
    {"a part that nobody asked for",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {0},
     EDGE_FETCH_FAILED,
     HTTP_FETCH_PROTOCOL,
     0,
     0,
     false,
     0},
    {"breaks off",
     "200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhel",
     true,
     {0},
     EDGE_FETCH_STORING,
     0,
     0,
     0,
     false,
     0},
    {"no answer", "", true, {0}, EDGE_FETCH_FAILED, HTTP_FETCH_CLOSED, 0, 0, false, 0},
    {"no HTTP",
     "and what is this?\r\n\r\n",
     true,
     {0},
     EDGE_FETCH_FAILED,
     HTTP_FETCH_PROTOCOL,
     0,
     0,
     false,
     0},
    {"the part",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_STORING,
     0,
     206,
     10,
     false,
     0},
    {"another part than asked for",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 1-5/10\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     false,
     0},
    {"a shorter part",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 5},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     false,
     0},
    {"the last part, of unknown length",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/*\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     false,
     0},
    {"the part that is the whole",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 99},
     EDGE_FETCH_STORING,
     0,
     200,
     -1,
     false,
     0},
    {"the whole for a part",
     "200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_STORING,
     0,
     200,
     -1,
     false,
     EDGE_WHOLE_KEEPABLE},
    {"a part that ends too early",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes "
     "0-4/10\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_STORING,
     0,
     0,
     0,
     false,
     0},
    {"a part shorter than it says",
     "206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 3\r\n\r\nhel",
     false,
     {.ranged = true, .range_first = 0, .range_last = 4},
     EDGE_FETCH_PASSING,
     0,
     0,
     0,
     false,
     0},
};

static void check_cache(unsigned status, int64_t part_of, const char *what)
{
    const struct edge_object *o = entry->objects;
    ck_assert_msg((o ? edge_head_status(atomic_load(&o->rep)->head) : 0) == status, "%s: %s", what,
                  o ? "stored" : "not stored");
    ck_assert(!o || (atomic_load(&o->rep)->whole == part_of && !o->next));
}

START_TEST(answers_are_taken)
{
    struct waiting a, b;
    struct edge_stored stored;
    CDN_AUTOFREE char *answer =
        cdn_asprintf("%s%s", *answers[_i].answer >= '1' && *answers[_i].answer <= '9' ? "HTTP/1.1 " : "",
                     answers[_i].answer);
    net.origin.answer = cdn_str(answer);
    net.origin.close_after = answers[_i].closes;
    begin_at(&a, 0, answers[_i].scope.ranged ? "Range: bytes=0-4" : "", answers[_i].scope);
    wait_for(&b, 1, "");
    if (!answers[_i].scope.ranged) {
        join_it(&b, 1, "");
    }
    turn_until(net.loop, is_finished, &a);
    turn_times(net.loop, 2);
    ck_assert_msg(edge_fetch_phase_now(a.fetch) == answers[_i].phase, "%s: phase %d", answers[_i].what,
                  (int)edge_fetch_phase_now(a.fetch));
    ck_assert_int_eq(a.fetch->error, answers[_i].error);
    ck_assert_msg(a.moved && (!b.fetch || b.moved), "%s: told", answers[_i].what);
    ck_assert(atomic_load(&a.fetch->kept) == (answers[_i].stored != 0));
    check_cache(answers[_i].stored, answers[_i].part_of, answers[_i].what);
    ck_assert_uint_eq(net.origin.requests, 1);
    edge_cache_look(edge.cache, CDN_STR(KEY), &entry, &b.asked.source, loop_now_ms(net.loop), &stored);
    ck_assert_msg(stored.parallel == answers[_i].parallel, "%s: parallel", answers[_i].what);
    ck_assert_msg(stored.whole == answers[_i].whole, "%s: whole", answers[_i].what);
    edge_cache_release(edge.cache, &stored.hold);
    edge_rep_unref(stored.newest);
    if (b.fetch) {
        leave(&b);
    }
    leave(&a);
}
END_TEST

#define HALF                                                                                            \
    "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nVary: Accept-Language\r\nContent-Length: " \
    "10\r\n\r\nhello"

/* With the head, it is known whom the answer is for. */
START_TEST(joined_while_it_is_stored)
{
    struct waiting a, b, c;
    net.origin.answer = ANSWER(HALF);
    begin_at(&a, 0, DE, (struct edge_fetch_scope){.authorized = true, .parallel = true});
    turn_until(net.loop, is_answered, &a);
    wait_for(&b, 1, DE);
    struct edge_fetch_wish wish = wish_of(&b);
    wish.sure = true;
    ck_assert(!join_or_make(&b, &wish)); /* though authorized and parallel: it may be stored */
    ck_assert_ptr_eq(b.fetch, a.fetch);
    wait_for(&c, 1, EN);
    wish.source = &c.asked.source;
    ck_assert(join_or_make(&c, &wish));
    forget(&c);
    origin_says("world");
    turn_until(net.loop, is_finished, &b);
    ck_assert(atomic_load(&b.fetch->kept));
    ck_assert(!edge_fetch_is_running(entry));
    leave(&a);
    leave(&b);
}
END_TEST

START_TEST(near_is_what_comes_soon)
{
    struct waiting a;
    net.origin.answer = (struct cdn_str){0};
    begin_at(&a, 0, DE, (struct edge_fetch_scope){0});
    const struct edge_vary_source *source = &a.asked.source;
    wait_asked(1);
    ck_assert(edge_fetch_is_near(entry, source, 1000000, 0)); /* who knows */
    origin_says(HALF);
    turn_until(net.loop, is_answered, &a);
    while (edge_body_length(a.fetch->body) < 5) {
        loop_turn(net.loop, 1);
    }
    ck_assert(edge_fetch_is_near(entry, source, 5, 0));
    ck_assert(!edge_fetch_is_near(entry, source, 6, 0));
    ck_assert(edge_fetch_is_near(entry, source, 8, 3));
    ck_assert(!edge_fetch_is_near(entry, source, 9, 3));
    origin_says("world");
    turn_until(net.loop, is_finished, &a);
    ck_assert(!edge_fetch_is_near(entry, source, 0, 100));
    leave(&a);
}
END_TEST

/* ---- who leaves ---- */

START_TEST(the_leader_leaves_and_others_wait)
{
    struct waiting a, b;
    net.origin.answer = (struct cdn_str){0};
    begin_at(&a, 0, "", (struct edge_fetch_scope){0});
    join_it(&b, 1, "");
    leave(&a);
    wait_asked(1);
    origin_says("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello");
    turn_until(net.loop, is_finished, &b);
    ck_assert(atomic_load(&b.fetch->kept));
    leave(&b);
}
END_TEST

/* An answer that only the leader could use is not read without it. */
START_TEST(the_leader_leaves_what_is_its_own)
{
    struct waiting a;
    wait_for(&a, 0, "");
    a.fetch = edge_fetch_make_alone(&workers[0], NULL, 0, &a.waiter);
    struct edge_fetch *f = edge_fetch_ref(a.fetch);
    start(&a, "", (struct edge_fetch_request){.pass = true});
    wait_asked(1);
    leave(&a);
    ck_assert_int_eq(edge_fetch_phase_now(f), EDGE_FETCH_FAILED);
    ck_assert_int_eq(f->error, HTTP_FETCH_ABORTED);
    turn_times(net.loop, 2);
    ck_assert_uint_eq(http_client_running(net.client), 0); /* the message about it */
    edge_fetch_unref(f);
}
END_TEST

START_TEST(the_leader_leaves_what_is_passed_on)
{
    struct waiting a;
    net.origin.answer =
        ANSWER("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 10\r\n\r\nhello");
    begin_at(&a, 0, "", (struct edge_fetch_scope){0});
    struct edge_fetch *f = edge_fetch_ref(a.fetch);
    turn_until(net.loop, is_answered, &a);
    ck_assert(!edge_fetch_is_running(entry));
    leave(&a);
    ck_assert(atomic_load(&f->finished));
    turn_times(net.loop, 2);
    ck_assert_uint_eq(http_client_running(net.client), 0);
    edge_fetch_unref(f);
}
END_TEST

static const struct {
    const char *what;
    unsigned length;
    bool goes_on;
} deserted[] = {
    {"small", 1000, true},
    {"large, nearly nothing is there", 1001, false},
    {"large, half is there", 10, true},
};

/* Nobody waits any more for what may be stored: it goes on if it is small, or half of it is there. */
START_TEST(everybody_leaves)
{
    struct waiting a;
    CDN_AUTOFREE char *answer =
        cdn_asprintf("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %u\r\n\r\nhello",
                     deserted[_i].length);
    edge.settings.abandon_size = deserted[_i].length == 10 ? 0 : 1000;
    net.origin.answer = cdn_str(answer);
    begin_at(&a, 0, "", (struct edge_fetch_scope){0});
    struct edge_fetch *f = edge_fetch_ref(a.fetch);
    turn_until(net.loop, is_answered, &a);
    while (edge_body_length(f->body) < 5) {
        loop_turn(net.loop, 1);
    }
    leave(&a);
    CDN_AUTOFREE char *rest = cdn_calloc(1, deserted[_i].length);
    memset(rest, 'x', deserted[_i].length - 5);
    origin_says(rest);
    struct waiting last = {.fetch = f};
    turn_until(net.loop, is_finished, &last);
    ck_assert_msg(atomic_load(&f->kept) == deserted[_i].goes_on, "%s", deserted[_i].what);
    check_cache(deserted[_i].goes_on ? 200 : 0, -1, deserted[_i].what);
    turn_times(net.loop, 2);
    edge_fetch_unref(f);
}
END_TEST

/* ---- purges, failures, confirmations ---- */

START_TEST(purged_while_it_runs)
{
    struct waiting a;
    net.origin.answer = ANSWER(HALF);
    begin_at(&a, 0, DE, (struct edge_fetch_scope){0});
    turn_until(net.loop, is_answered, &a);
    edge_cache_purge_key(edge.cache, CDN_STR(KEY), false, CACHE_NOW_MS);
    origin_says("world");
    turn_until(net.loop, is_finished, &a);
    ck_assert(!atomic_load(&a.fetch->kept));
    ck_assert_ptr_nonnull(a.fetch->result.object); /* it serves who waits */
    check_cache(0, 0, "purged");
    leave(&a);
}
END_TEST

START_TEST(a_dead_origin)
{
    for (unsigned i = 0; i < 3; i++) {
        struct waiting a;
        ck_assert_int_eq(edge_breaker_state(&origin[0]->breaker), EDGE_ORIGIN_UP);
        snprintf(net.url, sizeof(net.url), "http://127.0.0.1:1/");
        begin_at(&a, 0, "", (struct edge_fetch_scope){0});
        turn_until(net.loop, is_finished, &a);
        ck_assert_int_eq(edge_fetch_phase_now(a.fetch), EDGE_FETCH_FAILED);
        ck_assert_int_eq(a.fetch->error, HTTP_FETCH_CONNECT);
        leave(&a);
    }
    ck_assert_int_eq(edge_breaker_state(&origin[0]->breaker), EDGE_ORIGIN_DISCONNECTED);
}
END_TEST

static const struct {
    const char *what, *answer, *tag; /* purged while it is asked; NULL: none */
    bool confirmed;
} confirmations[] = {
    {"the same", "304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=90\r\n\r\n", NULL, true},
    {"without a tag", "304 Not Modified\r\nCache-Control: max-age=90\r\n\r\n", NULL, true},
    {"of another version", "304 Not Modified\r\nETag: \"2\"\r\n\r\n", NULL, false},
    {"purged", "304 Not Modified\r\nETag: \"1\"\r\n\r\n", "red", false},
    {"another was purged", "304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=90\r\n\r\n", "blue",
     true},
    {"the tag it brings was purged", "304 Not Modified\r\nETag: \"1\"\r\nCache-Tag: blue\r\n\r\n", "blue",
     false},
};

/* What cannot be confirmed is asked for again, without conditions. */
START_TEST(confirmed_or_asked_again)
{
    struct waiting a;
    struct edge_fetch_request request = {.candidate_count = 1};
    CDN_AUTOFREE char *answer = cdn_asprintf("HTTP/1.1 %s", confirmations[_i].answer);
    net.origin.answer = ANSWER("HTTP/1.1 200 OK\r\nSurrogate-Key: red blue\r\nCache-Control: "
                               "max-age=60\r\nContent-Length: 5\r\n\r\nother");
    struct edge_object *o = publish(edge.cache, KEY, "", "ETag: \"1\"\nSurrogate-Key: red", 5);
    ck_assert(edge_cache_hold(edge.cache, o, &request.candidate[0]));
    wait_for(&a, 0, "");
    const struct edge_fetch_wish wish = wish_of(&a);
    ck_assert(join_or_make(&a, &wish));
    start(&a, "If-None-Match: \"1\"\nX-Other: 1", request);
    if (confirmations[_i].tag) {
        edge_cache_purge_tag(edge.cache, cdn_str(confirmations[_i].tag), true, CACHE_NOW_MS);
    }
    net.origin.once = cdn_str(answer);
    turn_until(net.loop, is_finished, &a);
    ck_assert_msg((edge_fetch_phase_now(a.fetch) == EDGE_FETCH_CONFIRMED) == confirmations[_i].confirmed,
                  "%s", confirmations[_i].what);
    ck_assert_uint_eq(net.origin.requests, confirmations[_i].confirmed ? 1 : 2);
    ck_assert(atomic_load(&a.fetch->kept) == !confirmations[_i].confirmed);
    const char *second = strstr(net.origin.seen.p, "\r\n\r\n") + 4;
    ck_assert(strstr(net.origin.seen.p, "If-None-Match: \"1\"") && !strstr(second, "If-None-Match"));
    ck_assert(confirmations[_i].confirmed || strstr(second, "X-Other: 1"));
    if (confirmations[_i].confirmed) {
        ck_assert_int_eq(a.fetch->result.rep->fresh.lifetime_s, 90);
        ck_assert_ptr_eq(atomic_load(&entry->objects->rep), a.fetch->result.rep);
    }
    leave(&a);
}
END_TEST

static void add(TCase *tc)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, answers_are_taken, 0, CDN_ARRAY_LEN(answers));
    tcase_add_test(tc, joined_while_it_is_stored);
    tcase_add_test(tc, near_is_what_comes_soon);
    tcase_add_test(tc, the_leader_leaves_and_others_wait);
    tcase_add_test(tc, the_leader_leaves_what_is_its_own);
    tcase_add_test(tc, the_leader_leaves_what_is_passed_on);
    tcase_add_loop_test(tc, everybody_leaves, 0, CDN_ARRAY_LEN(deserted));
    tcase_add_test(tc, purged_while_it_runs);
    tcase_add_test(tc, a_dead_origin);
    tcase_add_loop_test(tc, confirmed_or_asked_again, 0, CDN_ARRAY_LEN(confirmations));
}

int main(void)
{
    return run_case("fetch_answer", add);
}
