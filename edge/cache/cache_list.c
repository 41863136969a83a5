/* cache_list: what the index tells about its objects, to `why` and to listings. */
#include "common/http/syntax/http_date.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/store/store.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

static void add_date(json_t *into, const char *name, int64_t ms)
{
    char text[HTTP_DATE_SIZE];
    http_date_format(ms / 1000, text);
    json_object_set_new(into, name, json_string(text));
}

json_t *edge_cache_describe_locked(const struct edge_object *o, int64_t now_ms)
{
    const struct edge_rep *rep = atomic_load(&o->rep);
    struct cdn_str variant = edge_rep_variant(rep);
    struct cdn_str spec = edge_rep_spec(rep);
    struct cdn_str etag = edge_head_get(rep->head, EDGE_HEAD_ETAG);
    json_t *j = json_pack("{s:s%, s:i, s:I}", "key", o->entry->key, (size_t)o->entry->key_length, "status",
                          (int)edge_head_status(rep->head), "bytes", (json_int_t)edge_object_length(o));
    if (!j) { /* a key that is not UTF-8 */
        j = json_pack("{s:i, s:I}", "status", (int)edge_head_status(rep->head), "bytes",
                      (json_int_t)edge_object_length(o));
    }
    json_object_set_new(j, "etag", json_stringn(etag.p ? etag.p : "", etag.n));
    json_object_set_new(j, "vary", json_stringn(spec.p, spec.n));
    json_object_set_new(j, "variant", json_stringn(variant.p, variant.n));
    json_object_set_new(j, "memory", json_boolean(atomic_load(&o->ram) != NULL));
    json_object_set_new(j, "disk", json_boolean(o->location.id != 0));
    json_object_set_new(j, "hits", json_integer((json_int_t)o->hits));
    json_object_set_new(j, "age_s", json_integer((json_int_t)edge_freshness_age(&rep->fresh, now_ms)));
    json_object_set_new(j, "ttl_s", json_integer((json_int_t)edge_freshness_left(&rep->fresh, now_ms)));
    json_object_set_new(j, "lifetime_source", json_string(edge_lifetime_source_word(rep->fresh.source)));
    if (rep->whole >= 0) {
        json_object_set_new(j, "part_of", json_integer((json_int_t)rep->whole));
        json_object_set_new(j, "first_byte", json_integer((json_int_t)rep->first));
    }
    add_date(j, "stored", rep->stored_ms);
    add_date(j, "expires", edge_freshness_expires_ms(&rep->fresh));
    return j;
}

json_t *edge_cache_list(struct edge_cache *c, struct cdn_str prefix, struct cdn_str after, unsigned limit,
                        int64_t now_ms)
{
    json_t *list = json_array();
    edge_cache_lock(c);
    struct edge_entry *e = after.n ? edge_keys_from(c, after, true) : edge_keys_from(c, prefix, false);
    for (struct edge_entry *next;
         e && cdn_str_starts(edge_entry_key(e), prefix) && json_array_size(list) < limit; e = next) {
        edge_cache_ref_locked(e);
        if (edge_cache_asleep_locked(e)) {
            edge_cache_unlock(c);
            edge_cache_wake(c, e, NULL, NULL);
            edge_cache_lock(c);
        }
        for (struct edge_object *o = e->objects; o; o = o->next) {
            json_array_append_new(list, edge_cache_describe_locked(o, now_ms));
        }
        next = edge_keys_from(c, edge_entry_key(e), true);
        edge_cache_leave_locked(c, e);
    }
    edge_cache_unlock(c);
    return list;
}
