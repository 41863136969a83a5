/* Compressed forms beside stored bodies: for whom, when they are ready, and when they are put off. The helper
 * thread is real; the tests wait for what it does, never for a time. */
#include "common/config/config.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/memory/budget.h"
#include "edge/request/compress.h"
#include "edge/request/txn.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "tests/unit/edge/cache_fixture.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define BODY ((size_t)20000)
#define TEXT "Content-Type: text/plain\nETag: \"1\""

static struct edge edge;
static struct edge_worker worker = {.edge = &edge};
static struct http_request request;
static struct edge_txn txn = {.worker = &worker, .http = &request};

static struct cdn_config_entry codings[] = {{.key = (char *)(uintptr_t) "br"},
                                            {.key = (char *)(uintptr_t) "gzip"}};
static struct cdn_config_entry types[] = {{.key = (char *)(uintptr_t) "text/*"}};

static void start(size_t coding_count)
{
    edge.settings.compress = (struct cdn_config_list){codings, coding_count};
    edge.settings.compress_types = (struct cdn_config_list){types, 1};
    edge.settings.compress_min = 1000;
    edge.settings.memory_object = 1 << 20;
    edge.settings.compress_gzip_level = 6;
    edge.settings.compress_br_level = 4;
    edge.cache = make_cache((uint64_t)4 << 20, "lru");
    ck_assert_int_eq(edge_compress_create(&edge, &edge.compress, NULL), CDN_OK);
}

static void set_up(void)
{
    start(2);
}

static void tear_down(void)
{
    edge_cache_release(edge.cache, &txn.hold);
    edge_compress_destroy(edge.compress);
    edge_cache_destroy(edge.cache);
}

/* The transaction holds what was stored. */
static void hold(const char *fields, size_t body)
{
    edge_cache_release(edge.cache, &txn.hold);
    ck_assert(edge_cache_hold(edge.cache, publish(edge.cache, "http://h/a", "", fields, body), &txn.hold));
}

/* Its request's fields, by lines. */
static void asks(const char *fields)
{
    static struct http_field field[FIELDS_MAX];
    memset(&request, 0, sizeof(request));
    txn.control = (struct edge_request_control){0};
    const size_t count = fields_of(fields, field);
    for (size_t i = 0; i < count; i++) {
        const enum http_request_field f =
            cdn_str_eq(field[i].name, CDN_STR("Accept-Encoding")) ? HTTP_REQ_ACCEPT_ENCODING
            : cdn_str_eq(field[i].name, CDN_STR("Range"))         ? HTTP_REQ_RANGE
            : cdn_str_eq(field[i].name, CDN_STR("If-Match"))      ? HTTP_REQ_IF_MATCH
                                                                  : HTTP_REQ_CACHE_CONTROL;
        request.field[f] = field[i].value;
        request.field_lines[f]++;
    }
    edge_request_control_read(request.field[HTTP_REQ_CACHE_CONTROL], (struct cdn_str){0}, &txn.control);
}

/* What it gets: "plain", "wait" (plain for now), "br", "gzip". */
static const char *chosen(void)
{
    struct edge_chosen c;
    edge_compress_choose(&txn, &c);
    const struct cdn_str coding = edge_head_get(c.rep->head, EDGE_HEAD_CONTENT_ENCODING);
    ck_assert((coding.p != NULL) == (c.blob != txn.hold.ram->blob));
    ck_assert(!coding.p || c.blob->n < txn.hold.ram->blob->n);
    const char *what = !c.settled ? "wait" : !coding.p ? "plain" : *coding.p == 'b' ? "br" : "gzip";
    edge_rep_unref(c.rep);
    return what;
}

/* Until the helper has done what was asked of it. */
static const char *settled(void)
{
    const char *what = chosen();
    while (strcmp(what, "wait") == 0) {
        sched_yield();
        what = chosen();
    }
    return what;
}

static const struct {
    const char *fields; /* of the answer */
    size_t body;
    const char *request, *first, *then;
} rows[] = {
    {TEXT, BODY, "Accept-Encoding: gzip", "wait", "gzip"},
    {TEXT, BODY, "Accept-Encoding: br", "wait", "br"},
    {TEXT, BODY, "Accept-Encoding: gzip, br", "wait", "br"},
    {TEXT, BODY, "Accept-Encoding: gzip, br;q=0.5", "wait", "gzip"},
    {TEXT, 1000, "Accept-Encoding: gzip", "wait", "gzip"},
    {TEXT, 999, "Accept-Encoding: gzip", "plain", "plain"},
    {TEXT, BODY, "", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding:", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: identity", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: gzip;q=0", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: zstd", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: gzip\nRange: bytes=0-1", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: gzip\nIf-Match: \"1\"", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: gzip\nCache-Control: no-transform", "plain", "plain"},
    {TEXT, BODY, "Accept-Encoding: gzip\nCache-Control: max-age=9", "wait", "gzip"},
    {TEXT "\nCache-Control: no-transform", BODY, "Accept-Encoding: gzip", "plain", "plain"},
    {TEXT "\nContent-Encoding: br", BODY, "Accept-Encoding: gzip, br", "br", "br"}, /* as it came */
    {"Content-Type: image/png", BODY, "Accept-Encoding: gzip", "plain", "plain"},
    {"ETag: \"1\"", BODY, "Accept-Encoding: gzip", "plain", "plain"},
};

START_TEST(who_gets_which_form)
{
    hold(rows[_i].fields, rows[_i].body);
    asks(rows[_i].request);
    if (strstr(rows[_i].fields, "Content-Encoding")) { /* the body is not looked at: it is what is stored */
        struct edge_chosen c;
        edge_compress_choose(&txn, &c);
        ck_assert(c.settled && c.rep == txn.hold.rep && c.blob == txn.hold.ram->blob);
        edge_rep_unref(c.rep);
        return;
    }
    const char *first = chosen();
    ck_assert_msg(strcmp(first, rows[_i].first) == 0, "%s: %s", rows[_i].request, first);
    ck_assert_str_eq(settled(), rows[_i].then);
    ck_assert_str_eq(chosen(), rows[_i].then);
}
END_TEST

/* Each form is made once, for all who come. */
START_TEST(forms_are_made_once)
{
    hold(TEXT, BODY);
    for (unsigned i = 0; i < 20; i++) {
        asks(i % 2 ? "Accept-Encoding: gzip" : "Accept-Encoding: br");
        settled();
    }
    ck_assert_uint_eq(edge.service.compressed_total, 2);
    ck_assert_uint_eq(edge.service.compress_in_bytes_total, 2 * BODY);
    asks("");
    ck_assert_str_eq(chosen(), "plain");
}
END_TEST

/* What does not get smaller is remembered as such. */
START_TEST(useless_forms)
{
    struct edge_hold mine = {0};
    bool kept;
    uint64_t state = 88172645463325252u;
    struct edge_blob *blob = edge_blob_create(BODY);
    for (size_t i = 0; i < BODY; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        blob->data[i] = (char)state;
    }
    struct edge_entry *e = edge_cache_enter(edge.cache, CDN_STR("http://h/a"));
    edge_cache_publish(edge.cache, e, 0, rep_for("", 200, TEXT), blob, NULL, 0, &mine, &kept);
    edge_cache_leave(edge.cache, e);
    txn.hold = mine;
    asks("Accept-Encoding: gzip");
    ck_assert_str_eq(chosen(), "wait");
    ck_assert_str_eq(settled(), "plain");
    ck_assert_str_eq(chosen(), "plain");
    ck_assert_uint_eq(edge.service.compress_useless_total, 1);
    ck_assert_uint_eq(edge.service.compressed_total, 0);
}
END_TEST

/* Without memory for it now, it is tried again at a later hit. */
START_TEST(put_off_without_memory)
{
    edge_budget_set((uint64_t)1 << 20);
    hold(TEXT, BODY);
    edge_budget_add((size_t)64 << 20);
    asks("Accept-Encoding: gzip");
    ck_assert_str_eq(chosen(), "wait");
    const struct edge_coded *coded = edge_blob_coded(txn.hold.ram->blob);
    while (atomic_load(&coded->state[EDGE_CODED_GZIP]) == EDGE_CODED_WAITING) {
        sched_yield();
    }
    ck_assert_uint_eq(atomic_load(&coded->state[EDGE_CODED_GZIP]), EDGE_CODED_NONE);
    edge_budget_sub((size_t)64 << 20);
    ck_assert_str_eq(settled(), "gzip");
}
END_TEST

/* The form counts in the tier, and goes with its body; a confirmed answer keeps it. */
START_TEST(forms_go_with_their_body)
{
    struct edge_cache_stats before, after;
    hold(TEXT, BODY);
    edge_cache_stats(edge.cache, &before);
    asks("Accept-Encoding: gzip");
    ck_assert_str_eq(settled(), "gzip");
    edge_cache_stats(edge.cache, &after);
    ck_assert_uint_gt(after.memory_bytes, before.memory_bytes);
    ck_assert(edge_cache_refresh(edge.cache, txn.hold.object, rep_for("", 200, TEXT "\nX: 2"), 0));
    struct edge_object *o = txn.hold.object;
    struct edge_hold again = {0};
    ck_assert(edge_cache_hold(edge.cache, o, &again));
    edge_cache_release(edge.cache, &txn.hold);
    txn.hold = again;
    ck_assert_str_eq(chosen(), "gzip");
    hold(TEXT, BODY); /* a newer answer */
    ck_assert_str_eq(chosen(), "wait");
    ck_assert_str_eq(settled(), "gzip");
    edge_cache_purge_all(edge.cache, false, CACHE_NOW_MS);
    edge_cache_stats(edge.cache, &after);
    ck_assert_uint_eq(after.memory_bytes, 0);
}
END_TEST

static const struct {
    const char *head;
    bool adds;
} varies[] = {
    {TEXT, true},
    {TEXT "\nVary: Accept", true},
    {TEXT "\nVary: Accept-Encoding", false},
    {TEXT "\nVary: *", false},
    {"Content-Type: image/png", false},
    {TEXT "\nContent-Encoding: gzip", false},
};

START_TEST(who_says_vary)
{
    struct edge_head *head = head_of(200, varies[_i].head);
    ck_assert(edge_compress_adds_vary(edge.compress, head) == varies[_i].adds);
    ck_assert(!edge_compress_adds_vary(NULL, head));
    edge_head_destroy(head);
}
END_TEST

START_TEST(switched_off)
{
    tear_down();
    start(0);
    ck_assert_ptr_null(edge.compress);
    hold(TEXT, BODY);
    asks("Accept-Encoding: gzip, br");
    ck_assert_str_eq(chosen(), "plain");
}
END_TEST

/* With work left to do. */
START_TEST(ended_in_between)
{
    asks("Accept-Encoding: gzip");
    for (unsigned i = 0; i < 50; i++) {
        hold(TEXT, BODY);
        chosen();
    }
}
END_TEST

static void add(TCase *tc)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, who_gets_which_form, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, forms_are_made_once);
    tcase_add_test(tc, useless_forms);
    tcase_add_test(tc, put_off_without_memory);
    tcase_add_test(tc, forms_go_with_their_body);
    tcase_add_loop_test(tc, who_says_vary, 0, CDN_ARRAY_LEN(varies));
    tcase_add_test(tc, switched_off);
    tcase_add_test(tc, ended_in_between);
}

int main(void)
{
    return run_case("compress", add);
}
