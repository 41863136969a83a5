/* cache_search: answers with No-Vary-Search, found and purged by the spellings of a query that they call
 * the same.
 *
 * What rules a path's answers have is counted by path (edge_search): as many as there are objects with
 * them, so they are bounded as these are. The objects themselves stand in the index of tags, under their
 * normal forms by their own rule (semantics/search.h). A look-up asks each rule of the path for the
 * request's normal form; what the index then finds is compared byte by byte, since a digest alone could be
 * made to meet another's.
 *
 * Under the cache's lock. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/search.h"

#include <bsd/sys/tree.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define RULES_MAX 4u       /* of one path that a look-up asks */
#define CANDIDATES_MAX 64u /* of one normal form that it compares */

static int compare(struct edge_search *a, struct edge_search *b)
{
    return a->path != b->path ? (a->path < b->path ? -1 : 1) : strcmp(a->rule, b->rule);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wpedantic"
RB_GENERATE_INTERNAL(edge_search_tree, edge_search, by_path, compare, static)
#pragma GCC diagnostic pop

static uint64_t path_hash(struct cdn_str key)
{
    const struct cdn_str path = cdn_str_cut(&key, '?');
    return XXH3_64bits(path.p, path.n);
}

struct edge_search *edge_search_take(struct edge_cache *c, struct cdn_str key, const char *rule)
{
    struct edge_search probe = {.path = path_hash(key), .rule = (char *)(uintptr_t)rule};
    struct edge_search *s = RB_FIND(edge_search_tree, &c->searches, &probe);
    if (!s) {
        s = cdn_calloc(1, sizeof(*s));
        s->path = probe.path;
        s->rule = cdn_strdup(rule);
        RB_INSERT(edge_search_tree, &c->searches, s);
        atomic_fetch_add(&c->search_count, 1);
    }
    s->objects++;
    return s;
}

void edge_search_drop(struct edge_cache *c, struct edge_search *s)
{
    if (s && --s->objects == 0) {
        RB_REMOVE(edge_search_tree, &c->searches, s);
        atomic_fetch_sub(&c->search_count, 1);
        free(s->rule);
        free(s);
    }
}

bool edge_search_form(const char *rule, struct cdn_str key, struct cdn_buf *into)
{
    struct edge_search_rule read;
    cdn_buf_clear(into);
    return edge_search_rule_read(cdn_str(rule), &read) && edge_search_normalize(&read, key, into);
}

uint64_t edge_search_tag(const char *rule, struct cdn_str form)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_char(&text, '\0'); /* as no tag of a field begins */
    cdn_buf_add_str(&text, cdn_str(rule));
    cdn_buf_add_char(&text, '\0');
    cdn_buf_add_str(&text, form);
    return XXH3_64bits(text.p, text.n);
}

static struct edge_search *first_of(struct edge_cache *c, struct cdn_str key)
{
    static char none[] = "";
    struct edge_search probe = {.path = path_hash(key), .rule = none};
    struct edge_search *s = RB_NFIND(edge_search_tree, &c->searches, &probe);
    return s && s->path == probe.path ? s : NULL;
}

static struct edge_search *next_of(struct edge_search *s)
{
    struct edge_search *next = RB_NEXT(edge_search_tree, NULL, s);
    return next && next->path == s->path ? next : NULL;
}

static int64_t stored_ms(const struct edge_object *o)
{
    const struct edge_rep *rep = atomic_load(&o->rep);
    return rep ? rep->stored_ms : 0; /* it sleeps: older than any that does not */
}

struct found {
    struct cdn_str key;
    int64_t stored_ms;
};

/* The keys of other objects with that normal form, the newest first. */
static unsigned find(struct edge_cache *c, const char *rule, struct cdn_str form, struct cdn_str key,
                     struct found *ret)
{
    CDN_AUTOBUF struct cdn_buf its = {0};
    unsigned count = 0;
    struct edge_tag_link *link = edge_tags_first(c, edge_search_tag(rule, form));
    for (; link && count < CANDIDATES_MAX; link = edge_tags_next(link)) {
        const struct found f = {edge_entry_key(link->object->entry), stored_ms(link->object)};
        if (cdn_str_eq(f.key, key) || !edge_search_form(rule, f.key, &its) ||
            !cdn_str_eq(cdn_buf_str(&its), form)) {
            continue;
        }
        unsigned at = count++;
        for (; at > 0 && ret[at - 1].stored_ms < f.stored_ms; at--) {
            ret[at] = ret[at - 1];
        }
        ret[at] = f;
    }
    return count;
}

bool edge_cache_search(struct edge_cache *c, struct cdn_str key, unsigned skip, struct cdn_buf *ret)
{
    CDN_AUTOBUF struct cdn_buf form = {0};
    struct found others[CANDIDATES_MAX];
    unsigned rules = 0;
    cdn_buf_clear(ret);
    if (!atomic_load_explicit(&c->search_count, memory_order_relaxed)) {
        return false;
    }
    edge_cache_lock(c);
    for (struct edge_search *s = first_of(c, key); s && !ret->n && rules++ < RULES_MAX; s = next_of(s)) {
        const unsigned n =
            edge_search_form(s->rule, key, &form) ? find(c, s->rule, cdn_buf_str(&form), key, others) : 0;
        if (skip < n) {
            cdn_buf_add_str(ret, others[skip].key);
        }
        skip -= skip < n ? skip : n;
    }
    edge_cache_unlock(c);
    return ret->n > 0;
}

unsigned edge_search_tags(struct edge_cache *c, struct cdn_str key, uint64_t *tags, unsigned max)
{
    CDN_AUTOBUF struct cdn_buf form = {0};
    unsigned n = 0;
    edge_cache_lock(c);
    for (struct edge_search *s = first_of(c, key); s && n < max; s = next_of(s)) {
        if (edge_search_form(s->rule, key, &form)) {
            tags[n++] = edge_search_tag(s->rule, cdn_buf_str(&form));
        }
    }
    edge_cache_unlock(c);
    return n;
}
