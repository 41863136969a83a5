/* policy_replay: the objects are in a table of its own and not in the cache, so that nothing but
 * the policy decides, and millions of requests are replayed without a server. */
#include "tests/bench/replay/policy_replay.h"

#include "common/mem.h"
#include "common/mix.h"
#include "edge/cache/policy.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct object {
    struct edge_policy_item item; /* first: an item is its object */
    uint64_t id;
    struct object *next;
};

struct replay {
    struct edge_policy *policy;
    struct object **buckets; /* every id asked so far; an object that is not resident waits for its return */
    uint64_t mask;
    uint64_t objects;
    struct replay_result result;
};

static uint64_t item_hash(const struct edge_policy_item *item)
{
    return cdn_mix64(((const struct object *)(const void *)item)->id);
}

enum cdn_status replay_create(const char *policy, uint64_t capacity, struct replay **ret,
                              struct cdn_error *err)
{
    struct edge_policy *p = NULL;
    enum cdn_status status = edge_policy_create(policy, capacity, item_hash, &p, err);
    if (status == CDN_OK) {
        struct replay *r = cdn_calloc(1, sizeof(*r));
        r->policy = p;
        r->mask = (1u << 16) - 1;
        r->buckets = cdn_calloc(r->mask + 1, sizeof(*r->buckets));
        *ret = r;
    }
    return status;
}

static void grow(struct replay *r)
{
    uint64_t mask = r->mask * 2 + 1;
    struct object **buckets = cdn_calloc(mask + 1, sizeof(*buckets));
    for (uint64_t i = 0; i <= r->mask; i++) {
        for (struct object *o = r->buckets[i], *next; o; o = next) {
            struct object **bucket = &buckets[cdn_mix64(o->id) & mask];
            next = o->next;
            o->next = *bucket;
            *bucket = o;
        }
    }
    free(r->buckets);
    r->buckets = buckets;
    r->mask = mask;
}

static struct object *object_of(struct replay *r, uint64_t id)
{
    struct object *o = r->buckets[cdn_mix64(id) & r->mask];
    while (o && o->id != id) {
        o = o->next;
    }
    if (!o) {
        if (r->objects++ > r->mask) {
            grow(r);
        }
        struct object **bucket = &r->buckets[cdn_mix64(id) & r->mask];
        o = cdn_calloc(1, sizeof(*o));
        o->id = id;
        o->next = *bucket;
        *bucket = o;
    }
    return o;
}

static void miss(struct replay *r, struct object *o, uint64_t size)
{
    uint64_t hash = cdn_mix64(o->id);
    enum edge_policy_admission admission = edge_policy_admit(r->policy, hash, size);
    if (admission != EDGE_POLICY_REFUSED) {
        while (edge_policy_short(r->policy, size)) {
            edge_policy_evict_next(r->policy, NULL);
        }
        edge_policy_insert(r->policy, &o->item, size, admission);
    }
}

bool replay_ask(struct replay *r, struct replay_request request)
{
    struct object *o = object_of(r, request.id);
    r->result.requests++;
    r->result.bytes += request.size;
    if (edge_policy_has(&o->item)) {
        if (edge_policy_hit(&o->item)) {
            edge_policy_touch(r->policy, &o->item);
        }
        return true;
    }
    r->result.misses++;
    r->result.missed_bytes += request.size;
    miss(r, o, request.size);
    return false;
}

const struct replay_result *replay_result(const struct replay *r)
{
    return &r->result;
}

void replay_destroy(struct replay *r)
{
    if (!r) {
        return;
    }
    for (uint64_t i = 0; i <= r->mask; i++) {
        for (struct object *o = r->buckets[i], *next; o; o = next) {
            next = o->next;
            free(o);
        }
    }
    free(r->buckets);
    edge_policy_destroy(r->policy);
    free(r);
}

struct replay_request replay_parse(const unsigned char record[static REPLAY_RECORD])
{
    uint64_t id;
    uint32_t size;
    memcpy(&id, record + 4, sizeof(id));
    memcpy(&size, record + 12, sizeof(size));
    return (struct replay_request){.id = le64toh(id), .size = le32toh(size)};
}
