/* cache_tags: objects by surrogate key and cache group, in a tree: a purge by tag walks only what it hits.
 * The latest purges by tag are remembered for the fetches that ran while they came. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/groups.h"
#include "edge/semantics/head.h"
#include "edge/semantics/key.h"

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/banned.h"

#define TAGS_MAX \
    256u /* of one object; more are left out, as the large CDNs do (16 KiB of them, or 50 to 1000) */

static int compare_tags(struct edge_tag_link *a, struct edge_tag_link *b)
{
    if (a->tag != b->tag) {
        return a->tag < b->tag ? -1 : 1;
    }
    return ((uintptr_t)a->object > (uintptr_t)b->object) - ((uintptr_t)a->object < (uintptr_t)b->object);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wpedantic"
RB_GENERATE_INTERNAL(edge_tag_tree, edge_tag_link, by_tag, compare_tags, static)
#pragma GCC diagnostic pop

/* ---- tags ---- */

static bool is_separator(char ch, bool spaces)
{
    return ch == ',' || (spaces && (ch == ' ' || ch == '\t'));
}

/* The next tag of a list; Surrogate-Key and xkey are separated by spaces, Cache-Tag and those of
 * FOSHttpCache and Magento by commas. */
static bool next_tag(struct cdn_str *rest, bool spaces, struct cdn_str *ret)
{
    for (;;) {
        size_t i = 0;
        while (i < rest->n && is_separator(rest->p[i], spaces)) {
            i++;
        }
        *rest = cdn_str_sub(*rest, i);
        i = 0;
        while (i < rest->n && !is_separator(rest->p[i], spaces)) {
            i++;
        }
        *ret = cdn_str_trim((struct cdn_str){rest->p, i});
        *rest = cdn_str_sub(*rest, i);
        if (ret->n || !rest->n) {
            return ret->n > 0;
        }
    }
}

static unsigned add_tag(uint64_t *tags, unsigned n, uint64_t hash)
{
    unsigned i = 0;
    while (i < n && tags[i] != hash) {
        i++;
    }
    if (i == n && n < TAGS_MAX) {
        tags[n++] = hash;
    }
    return n;
}

static unsigned collect(const struct edge_head *head, enum edge_head_field field, bool spaces, uint64_t *tags,
                        unsigned n)
{
    size_t at = 0;
    struct cdn_str value;
    while (edge_head_next_of(head, field, &at, &value)) {
        struct cdn_str tag;
        while (n < TAGS_MAX && next_tag(&value, spaces, &tag)) {
            n = add_tag(tags, n, XXH3_64bits(tag.p, tag.n));
        }
    }
    return n;
}

/* A tag that no field can spell: a NUL between the origin and the name. */
static uint64_t group_hash(struct cdn_str key, struct cdn_str name)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add(&text, key.p, (size_t)(edge_key_path(key).p - key.p));
    cdn_buf_add_char(&text, '\0');
    cdn_buf_add_str(&text, name);
    return XXH3_64bits(text.p, text.n);
}

static unsigned collect_groups(struct cdn_str key, const struct edge_head *head, uint64_t *tags, unsigned n)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    CDN_AUTOBUF struct cdn_buf name = {0};
    if (!edge_head_join(head, EDGE_HEAD_CACHE_GROUPS, &value) || !edge_groups_valid(cdn_buf_str(&value))) {
        return n;
    }
    for (struct cdn_str rest = cdn_buf_str(&value); n < TAGS_MAX && edge_groups_next(&rest, &name);) {
        n = add_tag(tags, n, group_hash(key, cdn_buf_str(&name)));
    }
    return n;
}

/* The value of No-Vary-Search, if the key has a normal form by it. */
static bool search_of(struct cdn_str key, const struct edge_head *head, struct cdn_buf *rule,
                      struct cdn_buf *form)
{
    return edge_head_join(head, EDGE_HEAD_NO_VARY_SEARCH, rule) && edge_search_form(rule->p, key, form);
}

static unsigned tags_of(struct cdn_str key, const struct edge_head *head, uint64_t *tags)
{
    CDN_AUTOBUF struct cdn_buf rule = {0};
    CDN_AUTOBUF struct cdn_buf form = {0};
    unsigned n = 0;
    if (search_of(key, head, &rule, &form)) { /* the first: it must not be left out */
        n = add_tag(tags, n, edge_search_tag(rule.p, cdn_buf_str(&form)));
    }
    n = collect(head, EDGE_HEAD_SURROGATE_KEY, true, tags, n);
    n = collect(head, EDGE_HEAD_XKEY, true, tags, n);
    n = collect(head, EDGE_HEAD_CACHE_TAG, false, tags, n);
    n = collect(head, EDGE_HEAD_X_CACHE_TAGS, false, tags, n);
    n = collect(head, EDGE_HEAD_X_MAGENTO_TAGS, false, tags, n);
    return collect_groups(key, head, tags, n);
}

void edge_tags_link(struct edge_cache *c, struct edge_object *o, const struct edge_head *head)
{
    uint64_t tags[TAGS_MAX];
    const unsigned n = tags_of(edge_entry_key(o->entry), head, tags);
    if (n == 0) {
        return;
    }
    o->tags = cdn_calloc(1, sizeof(*o->tags) + n * sizeof(*o->tags->link));
    o->tags->count = n;
    for (unsigned i = 0; i < n; i++) {
        o->tags->link[i].tag = tags[i];
        o->tags->link[i].object = o;
        RB_INSERT(edge_tag_tree, &c->tags, &o->tags->link[i]);
    }
    CDN_AUTOBUF struct cdn_buf rule = {0};
    CDN_AUTOBUF struct cdn_buf form = {0};
    if (search_of(edge_entry_key(o->entry), head, &rule, &form)) {
        o->tags->search = edge_search_take(c, edge_entry_key(o->entry), rule.p);
    }
}

static size_t tag_count(const struct edge_object *o)
{
    return o->tags ? o->tags->count : 0;
}

size_t edge_tags_size(const struct edge_object *o)
{
    return o->tags ? sizeof(*o->tags) + o->tags->count * sizeof(*o->tags->link) : 0;
}

void edge_tags_unlink(struct edge_cache *c, struct edge_object *o)
{
    for (size_t i = 0; i < tag_count(o); i++) {
        RB_REMOVE(edge_tag_tree, &c->tags, &o->tags->link[i]);
    }
    if (o->tags) {
        edge_search_drop(c, o->tags->search);
    }
    free(CDN_TAKE(o->tags));
}

static bool purged_since(const struct edge_cache *c, const uint64_t *tags, size_t count, uint64_t number)
{
    for (uint64_t i = 1; i <= c->tag_purge_count; i++) {
        uint64_t at = (c->tag_purge_count - i) % EDGE_TAG_PURGES;
        if (i > EDGE_TAG_PURGES || c->tag_purge[at].number <= number) {
            return i > EDGE_TAG_PURGES; /* more came than are remembered: assume the worst */
        }
        for (size_t t = 0; t < count; t++) {
            if (tags[t] == c->tag_purge[at].tag) {
                return true;
            }
        }
    }
    return false;
}

bool edge_tags_purged_since(const struct edge_cache *c, const struct edge_object *o, uint64_t number)
{
    uint64_t tags[TAGS_MAX];
    for (size_t t = 0; t < tag_count(o); t++) {
        tags[t] = o->tags->link[t].tag;
    }
    return purged_since(c, tags, tag_count(o), number);
}

bool edge_tags_head_purged_since(const struct edge_cache *c, const struct edge_object *o,
                                 const struct edge_head *head, uint64_t number)
{
    uint64_t tags[TAGS_MAX];
    return purged_since(c, tags, tags_of(edge_entry_key(o->entry), head, tags), number);
}

/* ---- purges ---- */

uint64_t edge_tags_hash(struct cdn_str tag)
{
    return XXH3_64bits(tag.p, tag.n);
}

uint64_t edge_tags_group_hash(struct cdn_str key, struct cdn_str group)
{
    return group_hash(key, group);
}

void edge_tags_note_purge(struct edge_cache *c, uint64_t tag)
{
    c->tag_purge[c->tag_purge_count % EDGE_TAG_PURGES].number = ++c->purge_number;
    c->tag_purge[c->tag_purge_count++ % EDGE_TAG_PURGES].tag = tag;
}

struct edge_tag_link *edge_tags_first(struct edge_cache *c, uint64_t tag)
{
    struct edge_tag_link probe = {.tag = tag};
    struct edge_tag_link *first = RB_NFIND(edge_tag_tree, &c->tags, &probe);
    return first && first->tag == tag ? first : NULL;
}

struct edge_tag_link *edge_tags_next(struct edge_tag_link *link)
{
    struct edge_tag_link *next = RB_NEXT(edge_tag_tree, NULL, link);
    return next && next->tag == link->tag ? next : NULL; /* else of another tag of the object that goes now */
}
