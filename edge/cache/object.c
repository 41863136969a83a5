/* object: representations, and the form in which they lie on disk. One is a single block
 * (numbers, head, variant), so it is made, copied and freed in one go. What is read back from
 * disk is checked flag by flag: bytes on a disk are not believed. */
#include "edge/cache/object.h"

#include "common/http/syntax/http_message.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* What precedes spec, variant and head in the stored form. */
struct stored_rep {
    uint32_t magic;
    uint32_t spec_length;
    uint32_t variant_length;
    uint32_t head_length;
    struct edge_freshness fresh;
    int64_t stored_ms;
    uint64_t first;
    int64_t whole;
};
#define STORED_MAGIC 0x31504552u /* "REP1" */

/* Bytes of the block. */
static size_t rep_size(size_t head, size_t spec, size_t variant)
{
    return offsetof(struct edge_rep, head) + head + spec + variant;
}

static char *rep_text(const struct edge_rep *rep)
{
    return (char *)(uintptr_t)rep->head + edge_head_size(rep->head);
}

static struct edge_rep *rep_alloc(const struct edge_head *head, const struct edge_freshness *fresh,
                                  int64_t stored_ms, struct cdn_str spec, struct cdn_str variant)
{
    size_t head_length;
    const void *bytes = edge_head_bytes(head, &head_length);
    struct edge_rep *rep = cdn_malloc(rep_size(head_length, spec.n, variant.n));
    atomic_init(&rep->refs, 1);
    rep->variant_length = (unsigned)variant.n;
    rep->fresh = *fresh;
    rep->stored_ms = stored_ms;
    rep->first = 0;
    rep->whole = -1;
    rep->spec_length = (unsigned)spec.n;
    memcpy(rep->head, bytes, head_length);
    memcpy(rep_text(rep), spec.n ? spec.p : "", spec.n);
    memcpy(rep_text(rep) + spec.n, variant.n ? variant.p : "", variant.n);
    return rep;
}

struct edge_rep *edge_rep_create(struct edge_head *head, const struct edge_freshness *fresh,
                                 int64_t stored_ms, struct cdn_str spec, struct cdn_str variant)
{
    struct edge_rep *rep = rep_alloc(head, fresh, stored_ms, spec, variant);
    edge_head_destroy(head);
    return rep;
}

struct edge_rep *edge_rep_with(const struct edge_rep *old, struct edge_head *head,
                               const struct edge_freshness *fresh, int64_t stored_ms)
{
    struct edge_rep *rep =
        rep_alloc(head ? head : old->head, fresh, stored_ms, edge_rep_spec(old), edge_rep_variant(old));
    edge_head_destroy(head);
    rep->first = old->first;
    rep->whole = old->whole;
    return rep;
}

struct edge_rep *edge_rep_as_whole(const struct edge_rep *part)
{
    const struct http_field none[] = {{CDN_STR("Content-Range"), {NULL, 0}},
                                      {CDN_STR("Content-Length"), {NULL, 0}}};
    struct edge_head *head;
    if (edge_head_with(part->head, 200, none, CDN_ARRAY_LEN(none), &head, NULL) != CDN_OK) {
        return NULL;
    }
    struct edge_rep *whole = edge_rep_with(part, head, &part->fresh, part->stored_ms);
    whole->whole = -1;
    return whole;
}

struct edge_rep *edge_rep_ref(struct edge_rep *rep)
{
    atomic_fetch_add_explicit(&rep->refs, 1, memory_order_relaxed);
    return rep;
}

void edge_rep_unref(struct edge_rep *rep)
{
    if (rep && atomic_fetch_sub_explicit(&rep->refs, 1, memory_order_acq_rel) == 1) {
        free(rep);
    }
}

struct cdn_str edge_rep_spec(const struct edge_rep *rep)
{
    return (struct cdn_str){rep_text(rep), rep->spec_length};
}

struct cdn_str edge_rep_variant(const struct edge_rep *rep)
{
    return (struct cdn_str){rep_text(rep) + rep->spec_length, rep->variant_length};
}

size_t edge_rep_size(const struct edge_rep *rep)
{
    return rep_size(edge_head_size(rep->head), rep->spec_length, rep->variant_length);
}

void edge_rep_format(const struct edge_rep *rep, struct cdn_buf *into)
{
    size_t head_length;
    const void *head = edge_head_bytes(rep->head, &head_length);
    struct stored_rep s;
    memset(&s, 0, sizeof(s)); /* padding too: it is written to disk */
    s.magic = STORED_MAGIC;
    s.spec_length = rep->spec_length;
    s.variant_length = rep->variant_length;
    s.head_length = (uint32_t)head_length;
    s.fresh = rep->fresh;
    s.stored_ms = rep->stored_ms;
    s.first = rep->first;
    s.whole = rep->whole;
    cdn_buf_reserve(into, sizeof(s) + rep->spec_length + rep->variant_length + head_length);
    cdn_buf_add(into, &s, sizeof(s));
    cdn_buf_add(into, rep_text(rep), rep->spec_length + rep->variant_length);
    cdn_buf_add(into, head, head_length);
}

enum cdn_status edge_rep_parse(struct cdn_str meta, struct edge_rep **ret, struct cdn_error *err)
{
    struct stored_rep s;
    if (meta.n < sizeof(s)) {
        return cdn_error_set(err, CDN_CORRUPT, "stored head: %zu bytes are too few", meta.n);
    }
    memcpy(&s, meta.p, sizeof(s));
    uint64_t need = sizeof(s) + (uint64_t)s.spec_length + s.variant_length + s.head_length;
    if (s.magic != STORED_MAGIC || need != meta.n || s.fresh.source >= EDGE_LIFETIME_COUNT) {
        return cdn_error_set(err, CDN_CORRUPT, "stored head: not one of ours (%zu bytes)", meta.n);
    }
    const unsigned char *flags = (const unsigned char *)meta.p + offsetof(struct stored_rep, fresh.no_cache);
    for (size_t i = 0;
         i < offsetof(struct edge_freshness, received) - offsetof(struct edge_freshness, no_cache); i++) {
        if (flags[i] > 1) { /* no value of a bool */
            return cdn_error_set(err, CDN_CORRUPT, "stored head: flag %zu is %u", i, flags[i]);
        }
    }
    struct cdn_str rest = cdn_str_sub(meta, sizeof(s));
    struct edge_head *head;
    enum cdn_status status =
        edge_head_parse(rest.p + s.spec_length + s.variant_length, s.head_length, &head, err);
    if (status != CDN_OK) {
        return status;
    }
    struct edge_rep *rep =
        edge_rep_create(head, &s.fresh, s.stored_ms, (struct cdn_str){rest.p, s.spec_length},
                        (struct cdn_str){rest.p + s.spec_length, s.variant_length});
    rep->first = s.first;
    rep->whole = s.whole;
    *ret = rep;
    return CDN_OK;
}

void edge_rep_soften_stored(char *meta, size_t n, int64_t now_ms)
{
    struct stored_rep s;
    if (n >= sizeof(s)) {
        memcpy(&s, meta, sizeof(s));
        edge_freshness_soft_purge(&s.fresh, now_ms);
        memcpy(meta, &s, sizeof(s));
    }
}

struct edge_ram *edge_ram_create(struct edge_object *object, struct edge_blob *blob)
{
    struct edge_ram *ram = cdn_calloc(1, sizeof(*ram));
    atomic_init(&ram->refs, 1);
    ram->object = object;
    ram->blob = edge_blob_ref(blob);
    return ram;
}

struct edge_ram *edge_ram_ref(struct edge_ram *ram)
{
    atomic_fetch_add_explicit(&ram->refs, 1, memory_order_relaxed);
    return ram;
}

void edge_ram_unref(struct edge_ram *ram)
{
    if (ram && atomic_fetch_sub_explicit(&ram->refs, 1, memory_order_acq_rel) == 1) {
        edge_blob_unref(ram->blob);
        free(ram);
    }
}
