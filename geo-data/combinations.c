/* combinations: an array of combinations with an index by hash, behind a mutex. Taken by look-ups
 * in several files only; with one file nobody comes here. */
#include "geo-data/combinations.h"

#include "common/index.h"
#include "common/mem.h"
#include "common/mix.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct geo_combinations {
    pthread_mutex_t mutex; /* guards what is below */
    uint32_t *entries;     /* n for each number */
    size_t count, room;
    struct cdn_index index;
};

struct geo_combinations *geo_combinations_create(void)
{
    struct geo_combinations *c = cdn_calloc(1, sizeof(*c));
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void geo_combinations_destroy(struct geo_combinations *c)
{
    if (!c) {
        return;
    }
    pthread_mutex_destroy(&c->mutex);
    free(c->entries);
    cdn_index_free(&c->index);
    free(c);
}

struct asked {
    const struct geo_combinations *of;
    const uint32_t *entries;
    size_t n;
};

static bool is_same(const void *ctx, uint32_t number)
{
    const struct asked *a = ctx;
    return memcmp(a->of->entries + number * a->n, a->entries, a->n * sizeof(*a->entries)) == 0;
}

uint32_t geo_combinations_number(struct geo_combinations *c, const uint32_t entries[], size_t n)
{
    const struct asked asked = {c, entries, n};
    uint64_t hash = 0;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ entries[i]) * CDN_MIX_STEP;
    }
    pthread_mutex_lock(&c->mutex);
    uint32_t number = cdn_index_find(&c->index, hash, is_same, &asked);
    if (number == CDN_INDEX_NONE) {
        if (c->count == c->room) {
            c->room = c->room ? 2 * c->room : 512;
            c->entries = cdn_realloc(c->entries, c->room * n, sizeof(*c->entries));
        }
        number = (uint32_t)c->count++;
        memcpy(c->entries + number * n, entries, n * sizeof(*entries));
        cdn_index_put(&c->index, hash, number);
    }
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
