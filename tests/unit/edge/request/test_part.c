/* Requests for a stretch of something that is not stored whole, sent to a whole edge: what it answers from
 * the parts that it has, and what it asks the origin for. Rows: what is stored, the request, the answer. */
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/memory/budget.h"
#include "edge/request/queue.h"
#include "edge/semantics/freshness.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/edge_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define KEY "http://h/a"
#define WHOLE 35u /* three slices and a short one */

static struct wire wire;

static void set_up(void)
{
    static const char *const flags[] = {"--disk", "0", "--slice", "10", NULL};
    begin_edge(flags);
    site.whole = WHOLE;
    wire = wire_to_edge();
}

static void tear_down(void)
{
    wire_close(&wire);
    end_edge(true);
}

/* ---- an answer ---- */

static void send_request(const char *method, const char *fields)
{
    CDN_AUTOFREE char *text =
        cdn_asprintf("%s /a HTTP/1.1\r\nHost: h\r\n%s%s\r\n", method, fields, fields[0] ? "\r\n" : "");
    cdn_buf_clear(&wire.in);
    wire_send(&wire, text);
}

/* All of it is here, or the connection has ended. */
static bool is_complete(void *arg)
{
    (void)arg;
    wire_read(&wire);
    const char *end = wire.in.n ? memmem(wire.in.p, wire.in.n, "\r\n\r\n", 4) : NULL;
    if (end && strstr(wire.in.p, "HTTP/1.1 304") == wire.in.p) {
        return true; /* its length is that of a 200 */
    }
    const char *length = end ? strstr(wire.in.p, "Content-Length: ") : NULL;
    return wire.ended || (length && wire.in.n >= (size_t)(end + 4 - wire.in.p) +
                                                     strtoul(length + strlen("Content-Length: "), NULL, 10));
}

static const char *get(const char *fields)
{
    send_request("GET", fields);
    turn_until(worker->loop, is_complete, NULL);
    return wire.in.p;
}

static void check_body(uint64_t from, uint64_t n, const char *what)
{
    CDN_AUTOBUF struct cdn_buf right = {0};
    add_bytes(site.version, from, n, &right);
    const char *end = strstr(wire.in.p, "\r\n\r\n");
    ck_assert_msg(end && cdn_str_eq(cdn_str(end + 4), cdn_buf_str(&right)), "%s: %s", what, wire.in.p);
}

static void check_answer(const char *status_and_fields, const char *what)
{
    struct cdn_str rest = cdn_str(status_and_fields);
    while (rest.n) {
        CDN_AUTOFREE char *part = cdn_str_dup(cdn_str_trim(cdn_str_cut(&rest, '|')));
        ck_assert_msg(wire_has(&wire, part), "%s: no \"%s\" in %s", what, part, wire.in.p);
    }
}

static void check_asked(const char *right, const char *what)
{
    ck_assert_msg(strcmp(asked(), right) == 0, "%s: the origin was asked \"%s\", not \"%s\"", what, asked(),
                  right);
}

/* ---- one request, by what is stored ---- */

#define RANGE(r) "Range: bytes=" r
#define ONLY "\r\nCache-Control: only-if-cached"

static const struct {
    const char *what, *stored, *request, *answer;
    uint64_t from, n; /* of the body; n 0: not looked at */
    const char *asked;
} rows[] = {
    /* stored */
    {"one part", "0-9", RANGE("2-5"), "206| bytes 2-5/35|X-Cache: HIT", 2, 4, ""},
    {"all of one part", "10-19", RANGE("10-19"), "206| bytes 10-19/35|X-Cache: HIT", 10, 10, ""},
    {"to the end", "30-34", RANGE("31-"), "206| bytes 31-34/35|X-Cache: HIT", 31, 4, ""},
    {"beyond the end", "30-34", RANGE("31-99"), "206| bytes 31-34/35|X-Cache: HIT", 31, 4, ""},
    {"the last bytes", "30-34", RANGE("-3"), "206| bytes 32-34/35|X-Cache: HIT", 32, 3, ""},
    {"side by side", "0-9 10-19 20-29", RANGE("5-25"), "206| bytes 5-25/35|X-Cache: HIT", 5, 21, ""},
    {"the last bytes of two parts", "20-29 30-34", RANGE("-10"), "206| bytes 25-34/35|X-Cache: HIT", 25, 10,
     ""},
    {"more of the last than there is", "0-9 10-19 20-29 30-34", RANGE("-99"),
     "206| bytes 0-34/35|X-Cache: HIT", 0, 35, ""},
    {"the whole, of parts", "0-9 10-19 20-29 30-34", "", "200 |X-Cache: HIT|ETag: \"1\"", 0, 35, ""},
    {"the whole, in a range", "0-9 10-19 20-29 30-34", RANGE("0-"), "206| bytes 0-34/35|X-Cache: HIT", 0, 35,
     ""},
    {"not modified, by a part", "0-9", RANGE("2-5") "\r\nIf-None-Match: \"1\"", "304|ETag: \"1\"", 0, 0, ""},
    {"precondition failed, by a part", "0-9", RANGE("2-5") "\r\nIf-Match: \"2\"", "412", 0, 0, ""},
    /* a hole */
    {"nothing", "", RANGE("12-15"), "206| bytes 12-15/35|X-Cache: MISS", 12, 4, "10-19"},
    {"nothing, over slices", "", RANGE("5-25"), "206| bytes 5-25/35|X-Cache: MISS", 5, 21, "0-9 10-19 20-29"},
    {"nothing, the short slice", "", RANGE("28-31"), "206| bytes 28-31/35|X-Cache: MISS", 28, 4, "20-29 30-"},
    {"nothing, the last bytes", "", RANGE("-3"), "206| bytes 32-34/35|X-Cache: MISS", 32, 3, "-3"},
    {"between parts", "0-9 20-29", RANGE("5-25"), "206| bytes 5-25/35|X-Cache: MISS", 5, 21, "10-19"},
    {"at the end", "0-9", RANGE("5-15"), "206| bytes 5-15/35|X-Cache: MISS", 5, 11, "10-19"},
    {"at the beginning", "10-19", RANGE("5-15"), "206| bytes 5-15/35|X-Cache: MISS", 5, 11, "5-9"},
    {"the whole, of one part", "0-9", "", "200 |X-Cache: MISS", 0, 35, "10-19 20-29 30-"},
    {"the whole, without its first", "10-19", "", "200 |X-Cache: MISS", 0, 35, "0-9 20-29 30-"},
    {"the whole, of nothing", "", "", "200 |X-Cache: MISS", 0, 35, "-"},
    {"several ranges are no stretch", "0-9", RANGE("0-1,4-5"), "206| bytes 0-5/35|X-Cache: MISS", 0, 6, "-"},
    {"a unit that nobody knows", "", "Range: lines=1-2", "200 |X-Cache: MISS", 0, 35, "-"},
    /* beyond the end */
    {"behind the end", "0-9", RANGE("35-"), "416|Content-Range: bytes */35", 0, 0, "35-"},
    {"behind the end of what nobody knows", "", RANGE("50-59"), "416|Content-Range: bytes */35", 0, 0,
     "50-59"},
    {"the last no bytes", "0-9", RANGE("-0"), "416|Content-Range: bytes */35", 0, 0, "-0"},
    /* only-if-cached (RFC 9111 5.2.1.7) */
    {"only if cached, there", "0-9", RANGE("2-5") ONLY, "206|X-Cache: HIT", 2, 4, ""},
    {"only if cached, side by side", "0-9 10-19", RANGE("2-15") ONLY, "206|X-Cache: HIT", 2, 14, ""},
    {"only if cached, a hole", "0-9 20-29", RANGE("2-25") ONLY, "504", 0, 0, ""},
    {"only if cached, nothing", "", RANGE("2-5") ONLY, "504", 0, 0, ""},
    {"only if cached, stale", "0-9~", RANGE("2-5") ONLY, "504", 0, 0, ""},
    {"only if cached, the whole", "0-9 10-19 20-29 30-34", "Cache-Control: only-if-cached", "200 ", 0, 35,
     ""},
    {"only if cached, the whole of some", "0-9", "Cache-Control: only-if-cached", "504", 0, 0, ""},
    {"only if cached, another version", "0-9", RANGE("2-5") "\r\nIf-Range: \"2\"" ONLY, "504", 0, 0, ""},
    /* If-Range (RFC 9110 13.1.5) */
    {"if it is this one", "0-9", RANGE("2-5") "\r\nIf-Range: \"1\"", "206| bytes 2-5/35|X-Cache: HIT", 2, 4,
     ""},
    {"if it is another one", "0-9", RANGE("2-5") "\r\nIf-Range: \"2\"", "200 ", 0, 35, "10-19 20-29 30-"},
    {"if it is a weak one", "0-9", RANGE("2-5") "\r\nIf-Range: W/\"1\"", "200 ", 0, 35, "10-19 20-29 30-"},
    {"if it is this one, of nothing", "", RANGE("12-15") "\r\nIf-Range: \"1\"", "206| bytes 12-15/35", 12, 4,
     "10-19"},
    {"if it is another one, of nothing", "", RANGE("12-15") "\r\nIf-Range: \"2\"", "200 ", 0, 35,
     "10-19 0-9 20-29 30-"},
    /* stale */
    {"confirmed", "0-9~", RANGE("2-5"), "206| bytes 2-5/35|X-Cache: REVALIDATED", 2, 4, "0-9?"},
    {"confirmed, and its neighbour, too", "0-9~ 10-19~", RANGE("5-15"),
     "206| bytes 5-15/35|X-Cache: REVALIDATED", 5, 11, "0-9? 10-19?"},
    {"confirmed, and no slice", "3-17~", RANGE("5-15"), "206| bytes 5-15/35|X-Cache: REVALIDATED", 5, 11,
     "3-17?"},
    {"the request wants it confirmed", "0-9", RANGE("2-5") "\r\nCache-Control: no-cache",
     "206|X-Cache: REVALIDATED", 2, 4, "0-9?"},
    {"the request takes stale ones", "0-9~ 10-19~", RANGE("5-15") "\r\nCache-Control: max-stale",
     "206|X-Cache: STALE", 5, 11, ""},
    {"a fresh one, then a stale one", "0-9 10-19~", RANGE("5-15"), "206| bytes 5-15/35", 5, 11, "10-19?"},
};

START_TEST(one_request)
{
    store_parts(KEY, rows[_i].stored);
    get(rows[_i].request);
    check_answer(rows[_i].answer, rows[_i].what);
    if (rows[_i].n) {
        check_body(rows[_i].from, rows[_i].n, rows[_i].what);
    }
    check_asked(rows[_i].asked, rows[_i].what);
}
END_TEST

/* ---- what the origin may say ---- */

enum change { SAME, OTHER_TAG, FORGETS, WEAK, UNTAGGED, WHOLE_INSTEAD, ERROR, NOT_FOUND, UNSTORABLE, GROWN };

static void change_site(enum change change)
{
    site.version = change == OTHER_TAG;
    site.tag = change == OTHER_TAG  ? "\"2\""
               : change == WEAK     ? "W/\"1\""
               : change == UNTAGGED ? NULL
                                    : "\"1\"";
    site.forgets_tag = change == FORGETS;
    site.ignores_range = change == WHOLE_INSTEAD;
    site.status = change == ERROR ? 500 : change == NOT_FOUND ? 404 : 0;
    site.whole += change == GROWN;
    site.fields = change == UNSTORABLE ? "Cache-Control: no-store\r\n" : "Cache-Control: max-age=60\r\n";
}

static const struct {
    const char *what, *stored, *request;
    enum change change;
    const char *answer;
    uint64_t from, n;
    const char *asked;
} changes[] = {
    {"a stale part is another version now", "0-9~", RANGE("2-5"), OTHER_TAG, "206| bytes 2-5/35|ETag: \"2\"",
     2, 4, "0-9?"},
    {"the same part again in place of a 304", "0-9~", RANGE("2-5"), FORGETS, "206| bytes 2-5/35", 2, 4,
     "0-9?"},
    {"a stale part has grown", "0-9~", RANGE("2-5"), GROWN, "206", 0, 0, "0-9?"},
    {"a stale part, and an error", "0-9~", RANGE("2-5"), ERROR, "500", 0, 0, "0-9?"},
    {"a stale part that is gone", "0-9~", RANGE("2-5"), NOT_FOUND, "404", 0, 0, "0-9?"},
    {"one slice is enough, weak", "", RANGE("2-5"), WEAK, "206| bytes 2-5/35|X-Cache: MISS", 2, 4, "0-9"},
    {"one slice is not enough, weak", "", RANGE("5-15"), WEAK, "206| bytes 5-15/35|X-Cache: BYPASS", 5, 11,
     "0-9 5-15"},
    {"one slice is enough, without a tag", "", RANGE("2-5"), UNTAGGED, "206| bytes 2-5/35", 2, 4, "0-9"},
    {"one slice is not enough, without a tag", "", RANGE("5-15"), UNTAGGED, "206|X-Cache: BYPASS", 5, 11,
     "0-9 5-15"},
    {"the whole in place of a slice", "", RANGE("12-15"), WHOLE_INSTEAD, "206| bytes 12-15/35", 12, 4,
     "10-19"},
    {"an error", "", RANGE("12-15"), ERROR, "500", 0, 0, "10-19"},
    {"nothing there", "", RANGE("12-15"), NOT_FOUND, "404", 0, 0, "10-19"},
    {"may not be stored: exactly what is wanted", "", RANGE("12-15"), UNSTORABLE,
     "206| bytes 12-15/35|X-Cache: BYPASS", 12, 4, "10-19 12-15"},
};

START_TEST(what_the_origin_says)
{
    store_parts(KEY, changes[_i].stored);
    change_site(changes[_i].change);
    get(changes[_i].request);
    check_answer(changes[_i].answer, changes[_i].what);
    if (changes[_i].n) {
        check_body(changes[_i].from, changes[_i].n, changes[_i].what);
    }
    check_asked(changes[_i].asked, changes[_i].what);
}
END_TEST

/* Parts without a strong validator are good alone, and for nothing else (RFC 9111 3.4). */
static const struct {
    const char *what, *tag, *request, *answer;
    uint64_t from, n;
    const char *asked;
} alone[] = {
    {"weak", "W/\"1\"", RANGE("12-15"), "206| bytes 12-15/35|X-Cache: HIT", 12, 4, ""},
    {"weak, two of them", "W/\"1\"", RANGE("5-15"), "206| bytes 5-15/35|X-Cache: BYPASS", 5, 11, "5-15"},
    {"weak, the whole", "W/\"1\"", "", "200 ", 0, 35, "-"},
    {"weak, and the request names it", "W/\"1\"", RANGE("12-15") "\r\nIf-Range: W/\"1\"", "200 ", 0, 35,
     "12-15"},
    {"no tag", NULL, RANGE("12-15"), "206| bytes 12-15/35|X-Cache: HIT", 12, 4, ""},
    {"no tag, two of them", NULL, RANGE("5-15"), "206|X-Cache: BYPASS", 5, 11, "5-15"},
    {"no tag, the whole", NULL, "", "200 ", 0, 35, "-"},
};

START_TEST(good_alone)
{
    site.tag = alone[_i].tag;
    store_parts(KEY, "0-9 10-19");
    get(alone[_i].request);
    check_answer(alone[_i].answer, alone[_i].what);
    check_body(alone[_i].from, alone[_i].n, alone[_i].what);
    check_asked(alone[_i].asked, alone[_i].what);
}
END_TEST

/* ---- stale, and served ---- */

static void store_stale(uint64_t first, uint64_t last, int32_t swr_s, int32_t sie_s)
{
    struct edge_freshness fresh = fresh_since(2 * (int64_t)LIFETIME_S);
    fresh.swr_s = swr_s;
    fresh.sie_s = sie_s;
    ck_assert_ptr_nonnull(store_part(KEY, first, last, 0, "\"1\"", &fresh));
}

static bool was_asked(void *arg)
{
    return strcmp(asked(), arg) == 0;
}

/* RFC 5861 3: at once, and each stale part that begins an answer is confirmed behind it, once. */
START_TEST(while_it_is_confirmed)
{
    store_stale(0, 9, 1000, 0);
    store_stale(10, 19, 1000, 0);
    site.waits = true;
    get(RANGE("5-15"));
    check_answer("206| bytes 5-15/35|X-Cache: STALE", "stale");
    check_body(5, 11, "stale");
    char first[] = "0-9?";
    turn_until(worker->loop, was_asked, first);
    get(RANGE("0-3")); /* it is being confirmed */
    check_answer("206|X-Cache: STALE", "still");
    turn_times(worker->loop, 5);
    check_asked("0-9?", "once");
    wire_close(&wire);
    drop_connections(); /* it was not answered */
}
END_TEST

START_TEST(confirmed_behind_the_answer)
{
    store_stale(0, 9, 1000, 0);
    get(RANGE("2-5"));
    check_answer("206|X-Cache: STALE", "stale");
    char first[] = "0-9?";
    turn_until(worker->loop, was_asked, first);
    for (unsigned i = 0; i < 1000 && !wire_has(&wire, "X-Cache: HIT"); i++) {
        get(RANGE("2-5"));
    }
    check_answer("206|X-Cache: HIT", "confirmed");
    check_body(2, 4, "confirmed");
    check_asked("0-9?", "once");
}
END_TEST

/* RFC 5861 4: only when all that is wanted is stored; part of an answer is none. */
#define CACHED "Cache-Control: max-age=60\r\n" /* of the error: it takes the place of the parts */
static const struct {
    const char *what, *request, *fields;
    int32_t sie_s;
    const char *answer;
} errors[] = {
    {"all is stored", RANGE("5-15"), "", 1000, "206| bytes 5-15/35|X-Cache: STALE"},
    {"one part of it", RANGE("5-8"), "", 1000, "206| bytes 5-8/35|X-Cache: STALE"},
    {"some is not", RANGE("5-25"), "", 1000, "500"},
    {"the time is over", RANGE("5-15"), "", 10, "500"},
    {"never", RANGE("5-15"), "", 0, "500"},
    {"one part of it, and the error is stored", RANGE("5-8"), CACHED, 1000,
     "206| bytes 5-8/35|X-Cache: STALE"},
    {"parts, and the error is stored", RANGE("5-15"), CACHED, 1000, "500"},
};

START_TEST(in_place_of_an_error)
{
    store_stale(0, 9, 0, errors[_i].sie_s);
    store_stale(10, 19, 0, errors[_i].sie_s);
    site.status = 500;
    site.fields = errors[_i].fields;
    get(errors[_i].request);
    check_answer(errors[_i].answer, errors[_i].what);
    check_asked("0-9?", errors[_i].what);
}
END_TEST

/* One that is being stored takes the parts' place: it is given unless one part is enough. */
START_TEST(in_place_of_an_error_that_is_being_stored)
{
    store_stale(0, 9, 0, 1000);
    store_stale(10, 19, 0, 1000);
    site.status = 500;
    site.fields = CACHED;
    site.hesitates = true;
    send_request("GET", RANGE("5-15"));
    ck_assert(wire_wait(worker->loop, &wire, "\r\n\r\n"));
    check_answer("HTTP/1.1 500", "its head");
    ck_assert_int_eq(send(peers->watch.fd, "oops", 4, MSG_NOSIGNAL), 4);
    turn_until(worker->loop, is_complete, NULL);
    check_answer("oops", "its body");
}
END_TEST

/* ---- what was fetched ---- */

START_TEST(slices_are_shared)
{
    const char *const next[] = {RANGE("0-9"), RANGE("5-29"), RANGE("31-33"), ""};
    get(RANGE("3-31"));
    check_body(3, 29, "first");
    for (unsigned i = 0; i < CDN_ARRAY_LEN(next); i++) {
        get(next[i]);
        check_answer("X-Cache: HIT", next[i][0] ? next[i] : "the whole");
    }
    check_asked("0-9 10-19 20-29 30-", "once each");
}
END_TEST

START_TEST(others_wait_for_the_slice)
{
    struct wire second = wire_to_edge();
    send_request("GET", RANGE("12-15"));
    wire_send(&second, "GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=17-18\r\n\r\n");
    turn_until(worker->loop, is_complete, NULL);
    check_body(12, 4, "first");
    ck_assert(wire_wait(worker->loop, &second, " bytes 17-18/35"));
    check_asked("10-19", "once");
    wire_close(&second);
}
END_TEST

/* ---- their turn ---- */

#define ALL_TURNS ((int64_t)64 << 20)

static bool is_queued(void *arg)
{
    (void)arg;
    return worker->queue.waiting > 0;
}

START_TEST(waits_for_its_turn)
{
    store_parts(KEY, "0-9");
    edge_budget_others(ALL_TURNS);
    get(RANGE("2-5"));
    check_answer("206|X-Cache: HIT", "what is stored needs no turn");
    send_request("GET", RANGE("12-15"));
    turn_until(worker->loop, is_queued, NULL);
    check_asked("", "not yet");
    edge_budget_others(-ALL_TURNS);
    edge_queue_serve(worker);
    turn_until(worker->loop, is_complete, NULL);
    check_answer("206| bytes 12-15/35|X-Cache: MISS", "its turn");
    check_asked("12-19", "its turn");
}
END_TEST

START_TEST(waits_too_long)
{
    edge_budget_others(ALL_TURNS);
    send_request("GET", RANGE("12-15"));
    turn_until(worker->loop, is_queued, NULL);
    edge->settings.memory_wait = 0;
    turn_times(worker->loop, 1);
    edge_queue_expire(worker);
    turn_until(worker->loop, is_complete, NULL);
    edge_budget_others(-ALL_TURNS);
    check_answer("503|Retry-After: 1", "too long");
    check_asked("", "never");
}
END_TEST

/* ---- without slices ---- */

START_TEST(no_slices)
{
    edge->settings.slice = 0;
    get(RANGE("12-15"));
    check_answer("206| bytes 12-15/35|X-Cache: MISS", "the whole is fetched");
    check_body(12, 4, "the whole is fetched");
    check_asked("-", "the whole is fetched");
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, one_request, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tc, what_the_origin_says, 0, CDN_ARRAY_LEN(changes));
    tcase_add_loop_test(tc, good_alone, 0, CDN_ARRAY_LEN(alone));
    tcase_add_test(tc, while_it_is_confirmed);
    tcase_add_test(tc, confirmed_behind_the_answer);
    tcase_add_loop_test(tc, in_place_of_an_error, 0, CDN_ARRAY_LEN(errors));
    tcase_add_test(tc, in_place_of_an_error_that_is_being_stored);
    tcase_add_test(tc, slices_are_shared);
    tcase_add_test(tc, others_wait_for_the_slice);
    tcase_add_test(tc, waits_for_its_turn);
    tcase_add_test(tc, waits_too_long);
    tcase_add_test(tc, no_slices);
}

int main(void)
{
    return run_suite("part", add);
}
