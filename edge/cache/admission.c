/* admission: both filters cost next to nothing: a chance drawn from a hash, and two bitmaps
 * without chains. A key that shares its bit with another is let in one request too early, which
 * does no harm. */
#include "edge/cache/admission.h"

#include "common/mem.h"
#include "common/mix.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/banned.h"

bool edge_admission_by_size(uint64_t seed, uint64_t hash, uint64_t draw, uint64_t size, uint64_t scale)
{
    uint64_t bits = cdn_mix64(cdn_mix64(hash ^ seed) + draw * CDN_MIX_STEP);
    return cdn_mix_unit(bits) < exp(-(double)size / (double)scale);
}

struct edge_doorkeeper {
    uint64_t *young;
    uint64_t *old;
    uint64_t mask;
    uint64_t news; /* keys noted in `young` */
    uint64_t rotate_after;
};

struct edge_doorkeeper *edge_doorkeeper_create(unsigned log2_bits, uint64_t rotate_after)
{
    assert(log2_bits >= 6 && log2_bits <= 32 && rotate_after > 0);
    struct edge_doorkeeper *d = cdn_calloc(1, sizeof(*d));
    d->mask = (UINT64_C(1) << log2_bits) - 1;
    d->young = cdn_calloc((d->mask + 1) / 64, sizeof(uint64_t));
    d->old = cdn_calloc((d->mask + 1) / 64, sizeof(uint64_t));
    d->rotate_after = rotate_after;
    return d;
}

void edge_doorkeeper_destroy(struct edge_doorkeeper *d)
{
    if (d) {
        free(d->young);
        free(d->old);
        free(d);
    }
}

static void rotate(struct edge_doorkeeper *d)
{
    free(d->old);
    d->old = d->young;
    d->young = cdn_calloc((d->mask + 1) / 64, sizeof(uint64_t));
    d->news = 0;
}

bool edge_doorkeeper_seen(struct edge_doorkeeper *d, uint64_t hash)
{
    uint64_t bit = cdn_mix64(hash) & d->mask;
    uint64_t one = UINT64_C(1) << (bit & 63);
    if ((d->young[bit / 64] | d->old[bit / 64]) & one) {
        return true;
    }
    d->young[bit / 64] |= one;
    if (++d->news >= d->rotate_after) {
        rotate(d);
    }
    return false;
}
