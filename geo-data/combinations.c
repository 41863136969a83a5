#include "geo-data/combinations.h"

#include "common/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct geo_combinations {
    pthread_mutex_t mutex; /* guards what is below */
    uint32_t *entries;     /* n for each number */
    uint32_t *slots;       /* number + 1, 0 is free: open addressing; the room is a power of two */
    size_t count, room;
};

struct geo_combinations *geo_combinations_create(void)
{
    struct geo_combinations *c = cdn_calloc(1, sizeof(*c));
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void geo_combinations_destroy(struct geo_combinations *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    free(c->entries);
    free(c->slots);
    free(c);
}

static uint32_t *slot_of(const struct geo_combinations *c, uint32_t *slots, size_t room,
                         const uint32_t entries[], size_t n)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ entries[i]) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 24) & (room - 1);
    while (slots[at] && memcmp(c->entries + (slots[at] - 1) * n, entries, n * sizeof(*entries)) != 0)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static void grow(struct geo_combinations *c, size_t n)
{
    size_t room = c->room ? 2 * c->room : 1024;
    uint32_t *slots = cdn_calloc(room, sizeof(*slots));
    for (size_t i = 0; i < c->count; i++)
        *slot_of(c, slots, room, c->entries + i * n, n) = (uint32_t)i + 1;
    free(c->slots);
    c->slots = slots;
    c->room = room;
    c->entries = cdn_realloc(c->entries, room / 2 * n, sizeof(*c->entries));
}

uint32_t geo_combinations_number(struct geo_combinations *c, const uint32_t entries[], size_t n)
{
    pthread_mutex_lock(&c->mutex);
    if (2 * c->count >= c->room)
        grow(c, n);
    uint32_t *slot = slot_of(c, c->slots, c->room, entries, n);
    if (!*slot) {
        memcpy(c->entries + c->count * n, entries, n * sizeof(*entries));
        *slot = (uint32_t)++c->count;
    }
    uint32_t number = *slot - 1;
    pthread_mutex_unlock(&c->mutex);
    return number;
}

void geo_combinations_get(struct geo_combinations *c, uint32_t number, uint32_t entries[], size_t n)
{
    pthread_mutex_lock(&c->mutex);
    assert(number < c->count);
    memcpy(entries, c->entries + (size_t)number * n, n * sizeof(*entries));
    pthread_mutex_unlock(&c->mutex);
}
