/* edge_fixture: a whole edge of one worker whose loop the test turns by hand, without a thread for requests,
 * and an origin of one site that knows ranges and conditions, on the same loop. The body of a version is a
 * text that no other version has at the same place; what the origin is asked is noted in a line. */
#ifndef CDN_TESTS_EDGE_FIXTURE_H
#define CDN_TESTS_EDGE_FIXTURE_H
#include "common/config/config.h"
#include "common/http/syntax/http_field_range.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/edge.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/range.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIFETIME_S 60
#define EDGE_ARGS_MAX 32u

static struct edge *edge;
static struct edge_worker *worker;

static struct {
    struct origin origin;
    struct cdn_buf asked; /* "0-9 10-19? -": ranges; ?: with a condition; -: of no range */
    /* what it gives */
    unsigned version;
    uint64_t whole;
    const char *tag;                 /* of the ETag, with its quotes; NULL: none */
    const char *fields;              /* further ones, with CRLF each */
    unsigned status;                 /* in place of 200, 206, 304 and 416; 0: these */
    bool ignores_range, forgets_tag; /* answers 200 and the whole; takes no condition for true */
    bool waits;                      /* answers nothing */
    bool hesitates;                  /* sends the head of an error only */
} site;

/* ---- bodies ---- */

static inline char byte_of(unsigned version, uint64_t at)
{
    return (char)('a' + (at * 7 + at / 26 + version) % 26);
}

static inline void add_bytes(unsigned version, uint64_t first, uint64_t n, struct cdn_buf *into)
{
    for (uint64_t i = 0; i < n; i++) {
        const char c = byte_of(version, first + i);
        cdn_buf_add(into, &c, 1);
    }
}

/* ---- the origin ---- */

static inline struct cdn_str field_in(struct cdn_str request, const char *name)
{
    struct cdn_str value = {0};
    (void)cdn_str_cut(&request, '\n');
    while (request.n) {
        struct cdn_str line = cdn_str_cut(&request, '\r');
        (void)cdn_str_cut(&request, '\n');
        if (cdn_str_eq_nocase(cdn_str_cut(&line, ':'), cdn_str(name))) {
            value = cdn_str_trim(line);
        }
    }
    return value;
}

static inline void add_head(unsigned status, struct cdn_buf *into)
{
    cdn_buf_printf(into, "HTTP/1.1 %u x\r\n", status);
    if (site.tag) {
        cdn_buf_printf(into, "ETag: %s\r\n", site.tag);
    }
    cdn_buf_printf(into, "%s", site.fields);
}

static inline void add_answer(struct cdn_str range, struct cdn_buf *into)
{
    struct http_range_set set;
    struct edge_range r = {0, site.whole - 1};
    const bool ranged = range.p && !site.ignores_range && http_range_parse(range, &set);
    if (ranged && !edge_range_resolve(&set.spec[0], site.whole, &r)) {
        add_head(416, into);
        cdn_buf_printf(into, "Content-Range: bytes */%" PRIu64 "\r\nContent-Length: 0\r\n\r\n", site.whole);
        return;
    }
    add_head(ranged ? 206 : 200, into);
    if (ranged) {
        cdn_buf_printf(into, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", r.first, r.last,
                       site.whole);
    }
    cdn_buf_printf(into, "Content-Length: %" PRIu64 "\r\n\r\n", edge_range_length(&r));
    add_bytes(site.version, r.first, edge_range_length(&r), into);
}

static inline void compose(struct origin *self, struct cdn_str request, struct cdn_buf *into)
{
    (void)self;
    struct cdn_str range = field_in(request, "Range");
    const struct cdn_str condition = field_in(request, "If-Range");
    const struct cdn_str tag = field_in(request, "If-None-Match");
    cdn_buf_printf(&site.asked, "%s%.*s%s", site.asked.n ? " " : "", range.p ? (int)range.n - 6 : 1,
                   range.p ? range.p + 6 : "-", tag.p ? "?" : "");
    if (site.waits) {
        return;
    }
    if (condition.p && !(site.tag && site.tag[0] == '"' && cdn_str_eq(condition, cdn_str(site.tag)))) {
        range = (struct cdn_str){0};
    }
    if (site.status) {
        add_head(site.status, into);
        cdn_buf_printf(into, "Content-Length: 4\r\n\r\n%s", site.hesitates ? "" : "oops");
    } else if (tag.p && site.tag && !site.forgets_tag && cdn_str_eq(tag, cdn_str(site.tag))) {
        add_head(304, into);
        cdn_buf_printf(into, "\r\n");
    } else {
        add_answer(range, into);
    }
}

static inline const char *asked(void)
{
    return site.asked.n ? site.asked.p : "";
}

/* ---- the edge ---- */

/* With further flags; `more` ends with NULL. */
static inline void begin_edge(const char *const *more)
{
    const char *argv[EDGE_ARGS_MAX] = {
        "edge",      "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
        "--threads", "1",        "--memory",           "64MiB"};
    struct edge_settings settings = {0};
    enum cdn_config_outcome outcome;
    struct cdn_error err = {0};
    int argc = 11;
    cdn_log_init("edge", "test", CDN_LOG_ERROR, false);
    for (; *more; more++) {
        argv[argc++] = *more;
    }
    ck_assert_msg(cdn_config_load(&edge_program, argc, (char **)(uintptr_t)argv, &settings, &outcome, NULL,
                                  NULL, &err) == CDN_OK,
                  "%s", err.text);
    ck_assert_msg(edge_create(&settings, argc, (char **)(uintptr_t)argv, &edge, &err) == CDN_OK, "%s",
                  err.text);
    worker = &edge->worker[0];
    memset(&site, 0, sizeof(site));
    site.fields = "Cache-Control: max-age=60\r\n";
    site.tag = "\"1\"";
    site.origin.compose = compose;
    origin_start(&site.origin, worker->loop);
    CDN_AUTOFREE char *url = cdn_asprintf("http://127.0.0.1:%u", cdn_addr_port(&site.origin.address));
    struct edge_tuning *tuning = atomic_load(&edge->tuning); /* the port is known only now */
    ck_assert(edge_origins_get(&edge->origins, cdn_str(url), &tuning->sites.any->rule->origin[0], &err) ==
              CDN_OK);
}

/* Of the edge to the origin. */
static inline void drop_connections(void)
{
    while (peers) {
        struct peer *p = peers;
        peers = p->next;
        peer_gone(p);
        cdn_buf_free(&p->in);
        free(p);
    }
}

static inline bool holds_nothing(void *arg)
{
    struct edge_cache_stats stats;
    (void)arg;
    edge_cache_stats(edge->cache, &stats);
    return stats.entries == 0;
}

/* `purge`: and see that nobody holds anything any more, the disk's writer included. */
static inline void end_edge(bool purge)
{
    turn_times(worker->loop, 3);
    if (purge) {
        edge_cache_purge_all(edge->cache, false, loop_now_ms(worker->loop));
        turn_until(worker->loop, holds_nothing, NULL);
    }
    drop_connections();
    loop_fd_remove(worker->loop, &site.origin.watch);
    close(site.origin.watch.fd);
    cdn_buf_free(&site.origin.seen);
    cdn_buf_free(&site.asked);
    edge_destroy(edge);
}

static inline struct wire wire_to_edge(void)
{
    struct cdn_addr address;
    http_server_address(worker->server, &address);
    return wire_open(&address);
}

/* ---- what is stored ---- */

static inline struct edge_freshness fresh_since(int64_t age_s)
{
    return (struct edge_freshness){.response_ms = loop_now_ms(worker->loop) - age_s * 1000,
                                   .lifetime_s = LIFETIME_S,
                                   .source = EDGE_LIFETIME_MAX_AGE,
                                   .has_validator = true};
}

/* Bytes [first, last] of a whole, in this version; the object is borrowed, NULL: no tier keeps it. */
static inline struct edge_object *store_part(const char *key, uint64_t first, uint64_t last, unsigned version,
                                             const char *tag, const struct edge_freshness *fresh)
{
    CDN_AUTOBUF struct cdn_buf bytes = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_hold hold = {0};
    bool kept;
    cdn_buf_printf(&text, "Cache-Control: max-age=60\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   first, last, site.whole);
    if (tag) {
        cdn_buf_printf(&text, "\nETag: %s", tag);
    }
    struct edge_rep *rep = edge_rep_create(head_of(206, text.p), fresh, fresh->response_ms,
                                           (struct cdn_str){0}, (struct cdn_str){0});
    rep->first = first;
    rep->whole = (int64_t)site.whole;
    add_bytes(version, first, last - first + 1, &bytes);
    struct edge_blob *blob = edge_blob_create(bytes.n);
    memcpy(blob->data, bytes.p, bytes.n);
    struct edge_entry *e = edge_cache_enter(edge->cache, cdn_str(key));
    edge_cache_publish(edge->cache, e, edge_cache_purge_number(edge->cache), rep, blob, NULL, 0, &hold,
                       &kept);
    struct edge_object *object = hold.object;
    edge_cache_release(edge->cache, &hold);
    edge_cache_leave(edge->cache, e);
    return kept ? object : NULL;
}

/* "0-9 10-19~": parts of the site's version and tag; ~: stale since LIFETIME_S. */
static inline void store_parts(const char *key, const char *parts)
{
    struct cdn_str rest = cdn_str(parts);
    while (rest.p && rest.n) {
        CDN_AUTOFREE char *part = cdn_str_dup(cdn_str_cut(&rest, ' '));
        uint64_t first, last;
        char mark = 0;
        ck_assert_int_ge(sscanf(part, "%" SCNu64 "-%" SCNu64 "%c", &first, &last, &mark), 2);
        const struct edge_freshness fresh = fresh_since(mark == '~' ? 2 * LIFETIME_S : 0);
        ck_assert_ptr_nonnull(store_part(key, first, last, site.version, site.tag, &fresh));
    }
}

#endif
