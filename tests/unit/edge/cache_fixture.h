/* cache_fixture: a cache of the RAM tier alone, filled from rows of text: what was asked, what came. */
#ifndef CDN_TESTS_CACHE_FIXTURE_H
#define CDN_TESTS_CACHE_FIXTURE_H
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/vary.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CACHE_NOW_MS (RESPONSE_S * 1000)

static inline struct edge_cache *make_cache(uint64_t memory, const char *policy)
{
    struct edge_cache *cache = NULL;
    const struct edge_cache_config config = {.memory = memory,
                                             .memory_object = memory,
                                             .memory_policy = policy,
                                             .disk_policy = "sieve",
                                             .variants = 4};
    ck_assert_int_eq(edge_cache_create(&config, &cache, NULL), CDN_OK);
    return cache;
}

/* The main of a test program with one case. */
static inline int run_case(const char *name, void (*add)(TCase *tc))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    add(tc);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* The fields of a request, "Name: value" lines; the text must live as long. */
struct asked {
    struct http_field field[FIELDS_MAX];
    struct edge_vary_fields fields;
    struct edge_vary_source source;
};

static inline const struct edge_vary_source *ask(struct asked *a, const char *text)
{
    a->fields = (struct edge_vary_fields){a->field, fields_of(text ? text : "", a->field)};
    a->source = (struct edge_vary_source){.get = edge_vary_fields_get, .arg = &a->fields};
    return &a->source;
}

/* What an answer with these fields says that was got by that request. */
static inline struct edge_rep *rep_for(const char *request, unsigned status, const char *fields)
{
    struct asked a;
    CDN_AUTOBUF struct cdn_buf spec = {0};
    CDN_AUTOBUF struct cdn_buf variant = {0};
    CDN_AUTOFREE char *text = cdn_asprintf(DATE "%s", fields ? fields : "");
    struct edge_head *head = head_of(status, text);
    const struct edge_freshness fresh = {
        .response_ms = CACHE_NOW_MS, .lifetime_s = 60, .source = EDGE_LIFETIME_MAX_AGE};
    ck_assert(edge_vary_spec(head, CDN_STR(""), &spec));
    edge_vary_key(cdn_buf_str(&spec), ask(&a, request), &variant);
    return edge_rep_create(head, &fresh, CACHE_NOW_MS, cdn_buf_str(&spec), cdn_buf_str(&variant));
}

static inline struct edge_blob *blob_of(size_t n)
{
    struct edge_blob *blob = edge_blob_create(n);
    memset(blob->data, 'x', n);
    return blob;
}

/* Publishes what a fetch that began at purge number `number` brought; the object is borrowed. NULL: no tier
 * keeps it. */
static inline struct edge_object *publish_at(struct edge_cache *c, const char *key, struct edge_rep *rep,
                                             size_t body, uint64_t number)
{
    struct edge_hold hold = {0};
    bool kept;
    struct edge_entry *e = edge_cache_enter(c, cdn_str(key));
    edge_cache_publish(c, e, number, rep, blob_of(body), NULL, 0, &hold, &kept);
    struct edge_object *object = hold.object;
    ck_assert_ptr_nonnull(object);
    edge_cache_release(c, &hold);
    edge_cache_leave(c, e);
    return kept ? object : NULL;
}

static inline struct edge_object *publish(struct edge_cache *c, const char *key, const char *request,
                                          const char *fields, size_t body)
{
    return publish_at(c, key, rep_for(request, 200, fields), body, edge_cache_purge_number(c));
}

/* The ETag of what the request selects, "-": nothing; in a buffer of the caller's. */
static inline const char *selected(struct edge_cache *c, const char *key, const char *request,
                                   char into[static 64])
{
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    edge_cache_look(c, cdn_str(key), &e, ask(&a, request), CACHE_NOW_MS, &stored);
    const struct cdn_str etag =
        stored.hold.object ? edge_head_get(stored.hold.rep->head, EDGE_HEAD_ETAG) : CDN_STR("-");
    ck_assert(cdn_str_copy(into, 64, etag.p ? etag : CDN_STR("without")));
    edge_cache_release(c, &stored.hold);
    edge_rep_unref(stored.newest);
    edge_cache_leave(c, e);
    return into;
}

static inline enum edge_cause missing(struct edge_cache *c, const char *key)
{
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    edge_cache_look(c, cdn_str(key), &e, ask(&a, ""), CACHE_NOW_MS, &stored);
    const enum edge_cause cause = stored.missing;
    ck_assert_msg(!stored.hold.object, "%s is stored", key);
    edge_rep_unref(stored.newest);
    edge_cache_leave(c, e);
    return cause;
}

/* Those of the keys (a list with spaces) for which something is stored, in the same order, with spaces. */
static inline void stored_of(struct edge_cache *c, const char *keys, struct cdn_buf *into)
{
    struct cdn_str rest = cdn_str(keys);
    while (rest.p && rest.n) {
        const struct cdn_str key = cdn_str_cut(&rest, ' ');
        edge_cache_lock(c);
        const struct edge_entry *e = edge_cache_find_locked(c, key);
        if (e && e->objects) {
            cdn_buf_printf(into, "%s%.*s", into->n ? " " : "", (int)key.n, key.p);
        }
        edge_cache_unlock(c);
    }
}

static inline void check_stored(struct edge_cache *c, const char *keys, const char *expected,
                                const char *what)
{
    CDN_AUTOBUF struct cdn_buf left = {0};
    stored_of(c, keys, &left);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&left), cdn_str(expected)), "%s: stored are \"%s\", not \"%s\"",
                  what, left.p ? left.p : "", expected);
}

#endif
