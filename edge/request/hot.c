/* hot: linear probing without tombstones, so a table that changes all day stays as fast as a new
 * one. Each worker has its own; shared are only the objects that entries point to. Nothing that
 * allocates, locks or calls the system may be added to edge_hot_answer. */
#include "edge/request/hot.h"

#include "common/http/server/http_head.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/secret.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/cache/policy.h"
#include "edge/request/serve.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define MARKS_A_SECOND 3
#define PREFETCH_MAX 1024 /* bytes of the fields */

#define LINE 64

#define ROUNDS_UNUSED 3 /* of the clock hand or the sweep; then an entry goes */

/* A plain hit reads the second cache line and the key after it. */
struct hot_entry {
    struct edge_hold hold;           /* counted; ram is not NULL */
    struct edge_blob *body;          /* counted */
    struct MHD_Response *unchanged;  /* 304, made on first use; NULL */
    int64_t begins_ms;               /* the clock was set back when it shows less (freshness.h) */
    const struct edge_guard *guard;  /* whose rate counts its hits; NULL: none */
    alignas(LINE) uint64_t valid_at; /* edge_cache_changes() when `hold` was last compared with the object */
    struct MHD_Response *full;       /* the stored status and the body */
    const char *fields;              /* of `full`: where they lie, for the prefetch only */
    const char *body_data;           /* likewise */
    int64_t expires_ms;              /* end of freshness */
    uint32_t shown_s;                /* the second for which Age and Cache-Status are right */
    uint32_t hits;
    uint16_t host_n, target_n, encoding_n;
    uint16_t etag_n; /* 0: If-None-Match goes the long way */
    uint16_t status;
    uint16_t fields_n;
    uint8_t unused; /* how often the clock hand or the sweep passed since the last hit */
    uint8_t marks;  /* hits of this second that the policy was told of */
    bool secure : 1;
    bool without_cookie : 1; /* only for requests that have none */
    bool guarded : 1;        /* `guard` is there */
    uint64_t body_n;
    char key[]; /* host, target, Accept-Encoding; then the ETag */
};

struct hot_slot {
    uint64_t hash;
    struct hot_entry *entry; /* NULL: empty */
};

struct edge_hot {
    struct edge_cache *cache;
    struct cdn_str name;
    struct hot_slot *slot;
    size_t mask;
    uint32_t *asked; /* for each entry there may be, half the hash of a request that had none */
    uint64_t seed;   /* nobody outside knows it: so nobody can fill one place of the table */
    unsigned count;
    unsigned limit;
    size_t hand;  /* of the clock */
    size_t sweep; /* next slot to look at */
    bool (*allows)(void *self, struct http_request *req, const struct edge_guard *guard);
    void *allows_self;
};

struct edge_hot *edge_hot_create(struct edge_cache *cache, unsigned limit, struct cdn_str name)
{
    struct edge_hot *h = cdn_calloc(1, sizeof(*h));
    size_t slots = 64;
    while (slots < (size_t)limit * 2) {
        slots *= 2;
    }
    h->cache = cache;
    h->name = name;
    h->limit = limit;
    h->seed = cdn_secret64();
    h->mask = slots - 1;
    h->slot = cdn_calloc(slots, sizeof(*h->slot));
    h->asked = cdn_calloc(slots / 2, sizeof(*h->asked));
    return h;
}

static void drop_entry(struct edge_hot *h, struct hot_entry *e)
{
    atomic_fetch_add_explicit(&e->hold.object->hits, e->hits, memory_order_relaxed);
    MHD_destroy_response(e->full);
    if (e->unchanged) {
        MHD_destroy_response(e->unchanged);
    }
    edge_blob_unref(e->body);
    edge_cache_release(h->cache, &e->hold);
    free(e);
}

/* Linear probing without tombstones: what comes after moves up (Knuth 6.4, algorithm R). */
static void remove_slot(struct edge_hot *h, size_t i)
{
    drop_entry(h, h->slot[i].entry);
    h->count--;
    for (size_t j = (i + 1) & h->mask; h->slot[j].entry; j = (j + 1) & h->mask) {
        size_t home = h->slot[j].hash & h->mask;
        if (((j - home) & h->mask) >= ((j - i) & h->mask)) {
            h->slot[i] = h->slot[j];
            i = j;
        }
    }
    h->slot[i] = (struct hot_slot){0};
}

void edge_hot_clear(struct edge_hot *h)
{
    for (size_t i = 0; i <= h->mask; i++) {
        if (h->slot[i].entry) {
            drop_entry(h, h->slot[i].entry);
            h->slot[i] = (struct hot_slot){0};
        }
    }
    h->count = 0;
}

void edge_hot_destroy(struct edge_hot *h)
{
    if (!h) {
        return;
    }
    edge_hot_clear(h);
    free(h->asked);
    free(h->slot);
    free(h);
}

unsigned edge_hot_count(const struct edge_hot *h)
{
    return h->count;
}

void edge_hot_ask(struct edge_hot *h,
                  bool (*allows)(void *self, struct http_request *req, const struct edge_guard *guard),
                  void *self)
{
    h->allows = allows;
    h->allows_self = self;
}

bool edge_hot_is_plain(const struct http_request *req)
{
    const struct cdn_str *f = req->field;
    return (req->method == HTTP_GET || req->method == HTTP_HEAD) && !req->has_body && !f[HTTP_REQ_RANGE].p &&
           !f[HTTP_REQ_CACHE_CONTROL].p && !f[HTTP_REQ_PRAGMA].p && !f[HTTP_REQ_IF_MATCH].p &&
           !f[HTTP_REQ_IF_UNMODIFIED_SINCE].p && !f[HTTP_REQ_AUTHORIZATION].p && !f[HTTP_REQ_CDN_LOOP].p &&
           req->field_lines[HTTP_REQ_ACCEPT_ENCODING] <= 1 && req->field_lines[HTTP_REQ_IF_NONE_MATCH] <= 1 &&
           (!f[HTTP_REQ_IF_MODIFIED_SINCE].p || f[HTTP_REQ_IF_NONE_MATCH].p);
}

static uint64_t request_hash(const struct edge_hot *h, const struct http_request *req)
{
    struct cdn_str encoding = req->field[HTTP_REQ_ACCEPT_ENCODING];
    uint64_t seed = XXH3_64bits_withSeed(req->asked_host.p, req->asked_host.n, h->seed) +
                    (encoding.p ? XXH3_64bits_withSeed(encoding.p, encoding.n, h->seed) : 1);
    return XXH3_64bits_withSeed(req->target.p, req->target.n, seed + req->asked_secure);
}

static bool same_request(const struct hot_entry *e, const struct http_request *req)
{
    struct cdn_str encoding = req->field[HTTP_REQ_ACCEPT_ENCODING];
    return e->host_n == req->asked_host.n && e->target_n == req->target.n && e->encoding_n == encoding.n &&
           e->secure == req->asked_secure && memcmp(e->key, req->asked_host.p, e->host_n) == 0 &&
           memcmp(e->key + e->host_n, req->target.p, e->target_n) == 0 &&
           (!encoding.n || memcmp(e->key + e->host_n + e->target_n, encoding.p, encoding.n) == 0);
}

static size_t find(const struct edge_hot *h, const struct http_request *req, uint64_t hash)
{
    size_t i = hash & h->mask;
    while (h->slot[i].entry && !(h->slot[i].hash == hash && same_request(h->slot[i].entry, req))) {
        i = (i + 1) & h->mask;
    }
    return i;
}

/* Most of the time nothing at all has changed, and then the object need not be looked at. */
static bool is_void(const struct edge_hot *h, struct hot_entry *e)
{
    const uint64_t changes = edge_cache_changes(h->cache);
    if (e->valid_at == changes) {
        return false;
    }
    e->valid_at = changes;
    return atomic_load_explicit(&e->hold.object->rep, memory_order_acquire) != e->hold.rep ||
           atomic_load_explicit(&e->hold.object->ram, memory_order_relaxed) != e->hold.ram;
}

static bool note_extent(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct hot_entry *e = arg;
    (void)name;
    e->fields = e->fields ? e->fields : value.p;
    size_t n = (size_t)((uintptr_t)value.p - (uintptr_t)e->fields) + value.n;
    e->fields_n = n < PREFETCH_MAX ? (uint16_t)n : PREFETCH_MAX;
    return true;
}

static void note_fields(struct hot_entry *e)
{
    e->fields = NULL;
    http_head_each(e->full, note_extent, e);
}

static void renew(const struct edge_hot *h, struct hot_entry *e, int64_t now_ms)
{
    if (edge_serve_renew_hit(e->full, h->name, &e->hold.rep->fresh, now_ms)) {
        note_fields(e);
    }
    if (e->unchanged) {
        edge_serve_renew_hit(e->unchanged, h->name, &e->hold.rep->fresh, now_ms);
    }
    e->shown_s = (uint32_t)(now_ms / 1000);
    e->marks = 0;
}

/* The policy counts to 3 at most, so more than that a second would only touch memory. */
static void mark(const struct edge_hot *h, struct hot_entry *e)
{
    e->unused = 0;
    e->hits++;
    if (e->marks < MARKS_A_SECOND) {
        e->marks++;
        if (edge_policy_hit(&e->hold.ram->item)) { /* a policy whose list moves (LRU) */
            edge_cache_hit(h->cache, &e->hold);
        }
    }
}

static char *etag_of(struct hot_entry *e)
{
    return e->key + e->host_n + e->target_n + e->encoding_n;
}

/* If-None-Match with exactly the stored tag is the usual case; anything else goes the long way. */
static bool is_own_tag(struct hot_entry *e, struct cdn_str value)
{
    return e->etag_n && value.n == e->etag_n && memcmp(value.p, etag_of(e), e->etag_n) == 0;
}

static struct MHD_Response *unchanged_response(struct hot_entry *e)
{
    if (!e->unchanged) {
        e->unchanged = edge_serve_unchanged(e->full, e->body);
    }
    return e->unchanged;
}

/* What libmicrohttpd is about to read, one thing after another; so it all comes at once. */
static void prefetch(const struct hot_entry *e)
{
    const char *response = (const char *)e->full;
    __builtin_prefetch(response);
    __builtin_prefetch(response + LINE);
    __builtin_prefetch(response + (size_t)2 * LINE);
    for (unsigned at = 0; at < e->fields_n; at += LINE) {
        __builtin_prefetch(e->fields + at);
    }
    __builtin_prefetch(e->body_data);
    __builtin_prefetch(e->body_data + LINE);
}

static bool is_over(const struct edge_hot *h, struct hot_entry *e, int64_t now_ms)
{
    return is_void(h, e) || now_ms >= e->expires_ms ||
           ((uint32_t)(now_ms / 1000) != e->shown_s && now_ms < e->begins_ms);
}

bool edge_hot_answer(struct edge_hot *h, struct http_request *req, int64_t now_ms, uint64_t *ret_body_bytes,
                     unsigned *ret_status)
{
    size_t i = find(h, req, request_hash(h, req));
    struct hot_entry *e = h->slot[i].entry;
    if (!e) {
        return false;
    }
    prefetch(e);
    if (is_over(h, e, now_ms)) {
        remove_slot(h, i);
        return false;
    }
    struct cdn_str none_match = req->field[HTTP_REQ_IF_NONE_MATCH];
    if ((none_match.p && !is_own_tag(e, none_match)) ||
        (e->without_cookie && req->field[HTTP_REQ_COOKIE].p) ||
        (e->guarded && !h->allows(h->allows_self, req, e->guard))) {
        return false;
    }
    if ((uint32_t)(now_ms / 1000) != e->shown_s) {
        renew(h, e, now_ms);
    }
    mark(h, e);
    *ret_status = none_match.p ? 304 : e->status;
    *ret_body_bytes = none_match.p || req->method == HTTP_HEAD ? 0 : e->body_n;
    http_respond(req, *ret_status, none_match.p ? unchanged_response(e) : e->full);
    return true;
}

static void make_room(struct edge_hot *h)
{
    while (h->count >= h->limit) {
        struct hot_entry *e = h->slot[h->hand].entry;
        if (e && e->unused) {
            remove_slot(h, h->hand); /* another entry may have moved here: look again */
            continue;
        }
        if (e) {
            e->unused = 1;
        }
        h->hand = (h->hand + 1) & h->mask;
    }
}

/* For `req`, with the key filled in. NULL when a part of the key is too long. */
static struct hot_entry *entry_create(const struct http_request *req, struct cdn_str etag)
{
    const struct cdn_str part[] = {req->asked_host, req->target, req->field[HTTP_REQ_ACCEPT_ENCODING], etag};
    size_t n = sizeof(struct hot_entry);
    for (size_t i = 0; i < CDN_ARRAY_LEN(part); i++) {
        if (part[i].n > UINT16_MAX) {
            return NULL;
        }
        n += part[i].n;
    }
    struct hot_entry *e = cdn_aligned_calloc(LINE, n);
    e->unused = 1;
    e->secure = req->asked_secure;
    char *at = e->key;
    for (size_t i = 0; i < CDN_ARRAY_LEN(part); i++) {
        memcpy(at, part[i].n ? part[i].p : "", part[i].n);
        at += part[i].n;
    }
    e->host_n = (uint16_t)part[0].n;
    e->target_n = (uint16_t)part[1].n;
    e->encoding_n = (uint16_t)part[2].n;
    e->etag_n = (uint16_t)part[3].n;
    return e;
}

/* What is asked for once in a while only is not worth a kilobyte: the second hit counts when not many others
 * came in between, which is when an entry would have stayed until the third. */
static bool asked_before(struct edge_hot *h, uint64_t hash)
{
    uint32_t *asked = &h->asked[hash & h->mask / 2];
    const uint32_t half = (uint32_t)(hash >> 32);
    const bool before = *asked == half;
    *asked = half;
    return before;
}

static void insert(struct edge_hot *h, uint64_t hash, const struct http_request *req, struct hot_entry *e)
{
    size_t i = find(h, req, hash);
    if (h->slot[i].entry) {
        remove_slot(h, i);
    }
    make_room(h);
    h->slot[find(h, req, hash)] = (struct hot_slot){.hash = hash, .entry = e};
    h->count++;
}

void edge_hot_add(struct edge_hot *h, const struct http_request *req, const struct edge_hold *hold,
                  struct edge_blob *body, struct MHD_Response *full, const struct edge_hot_terms *terms,
                  int64_t now_ms)
{
    const uint64_t hash = request_hash(h, req);
    if (!asked_before(h, hash)) {
        MHD_destroy_response(full);
        return;
    }
    const unsigned status = edge_head_status(hold->rep->head);
    struct cdn_str etag = status == 200 ? http_head_find(full, CDN_STR("ETag")) : (struct cdn_str){0};
    struct hot_entry *e = entry_create(req, etag);
    if (!e) {
        MHD_destroy_response(full);
        return;
    }
    atomic_fetch_add_explicit(&hold->object->refs, 1, memory_order_relaxed);
    e->hold = (struct edge_hold){
        .object = hold->object, .rep = edge_rep_ref(hold->rep), .ram = edge_ram_ref(hold->ram)};
    e->body = edge_blob_ref(body);
    e->body_data = body->data;
    e->body_n = body->n;
    e->status = (uint16_t)status;
    e->begins_ms = hold->rep->fresh.response_ms - EDGE_CLOCK_SLACK_MS;
    e->expires_ms = edge_freshness_expires_ms(&hold->rep->fresh);
    e->shown_s = (uint32_t)(now_ms / 1000);
    e->full = full;
    e->without_cookie = terms->without_cookie;
    e->guard = terms->guard;
    e->guarded = terms->guard != NULL;
    note_fields(e);
    insert(h, hash, req, e);
}

void edge_hot_sweep(struct edge_hot *h, unsigned steps)
{
    for (; steps && h->count; steps--) {
        struct hot_entry *e = h->slot[h->sweep].entry;
        if (e && (e->unused++ >= ROUNDS_UNUSED || is_void(h, e))) {
            remove_slot(h, h->sweep);
        } else {
            h->sweep = (h->sweep + 1) & h->mask;
        }
    }
}
