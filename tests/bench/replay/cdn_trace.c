/* cdn_trace: Python's generator written again (its seeding, its 53-bit numbers), since golden
 * miss counts are known for the very trace that a Python program made. Its SHA-256 says whether
 * it still is that trace. */
#include "tests/bench/replay/cdn_trace.h"

#include "common/mem.h"

#include <endian.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define OBJECTS 200000u
#define RELEASE_EVERY 200u
#define RATE 500u
#define SEED 20240u
#define ONEHIT_OBJECTS 0.30
#define MT_N 624
#define MT_M 397
#define PI 3.141592653589793

/* ---- Mersenne Twister (Matsumoto, Nishimura 1998), seeded as Python does: init_by_array of one word ---- */

struct twister {
    uint32_t state[MT_N];
    int at;
};

static void seed(struct twister *t, uint32_t key)
{
    uint32_t *s = t->state;
    s[0] = 19650218u;
    for (uint32_t i = 1; i < MT_N; i++) {
        s[i] = 1812433253u * (s[i - 1] ^ s[i - 1] >> 30) + i;
    }
    uint32_t i = 1;
    for (int k = 0; k < MT_N; k++) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525u) + key;
        if (++i == MT_N) {
            s[0] = s[MT_N - 1];
            i = 1;
        }
    }
    for (int k = 0; k < MT_N - 1; k++) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941u) - i;
        if (++i == MT_N) {
            s[0] = s[MT_N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
    t->at = MT_N;
}

static uint32_t next_word(struct twister *t)
{
    if (t->at == MT_N) {
        for (int i = 0; i < MT_N; i++) {
            uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % MT_N] & 0x7fffffffu);
            t->state[i] = t->state[(i + MT_M) % MT_N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static double draw(struct twister *t)
{
    uint32_t a = next_word(t) >> 5;
    uint32_t b = next_word(t) >> 6;
    return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

/* ---- Zipf by an alias table (Walker 1977) ---- */

struct alias {
    double *prob;
    uint32_t *alias;
};

static struct alias alias_make(void)
{
    struct alias t = {cdn_calloc(OBJECTS, sizeof(double)), cdn_calloc(OBJECTS, sizeof(uint32_t))};
    CDN_AUTOFREE uint32_t *small = cdn_calloc(OBJECTS, sizeof(uint32_t));
    CDN_AUTOFREE uint32_t *large = cdn_calloc(OBJECTS, sizeof(uint32_t));
    size_t n_small = 0;
    size_t n_large = 0;
    long double total = 0; /* wide enough to round to the exact sum */
    for (uint32_t i = OBJECTS; i-- > 0;) {
        total += (long double)(1.0 / (i + 1));
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        t.prob[i] = 1.0 / (i + 1) * OBJECTS / (double)total;
        t.alias[i] = i;
        if (t.prob[i] < 1.0) {
            small[n_small++] = i;
        } else {
            large[n_large++] = i;
        }
    }
    while (n_small > 0 && n_large > 0) {
        uint32_t s = small[--n_small];
        uint32_t g = large[--n_large];
        t.alias[s] = g;
        t.prob[g] -= 1.0 - t.prob[s];
        if (t.prob[g] < 1.0) {
            small[n_small++] = g;
        } else {
            large[n_large++] = g;
        }
    }
    while (n_small > 0) {
        t.prob[small[--n_small]] = 1.0;
    }
    while (n_large > 0) {
        t.prob[large[--n_large]] = 1.0;
    }
    return t;
}

/* ---- the trace ---- */

struct catalogue {
    struct twister random;
    uint64_t *at_rank; /* object of each rank */
    uint32_t *sizes;   /* by id, from 1 */
    uint64_t next_id;
};

static uint32_t draw_size(struct twister *t)
{
    double s;
    if (draw(t) < 0.02) {
        s = 262144.0 / (1.0 - draw(t));
    } else {
        double u1 = 1.0 - draw(t);
        double u2 = draw(t);
        double g = sqrt(-2.0 * log(u1)) * cos(2.0 * PI * u2);
        s = exp(log(12288.0) + 1.4 * g);
    }
    return s < 128 ? 128 : s > 50000000 ? 50000000 : (uint32_t)s;
}

static void release(struct catalogue *c)
{
    double log_rank = draw(&c->random) * log((double)OBJECTS);
    uint32_t r = (uint32_t)exp(log_rank) - 1;
    r = r < OBJECTS - 1 ? r : OBJECTS - 1;
    uint32_t low = r + (uint32_t)(draw(&c->random) * (OBJECTS - r));
    c->at_rank[low] = c->at_rank[r];
    c->at_rank[r] = c->next_id;
    c->sizes[c->next_id++] = draw_size(&c->random);
}

static uint64_t ask(struct catalogue *c, const struct alias *zipf)
{
    double base = OBJECTS + CDN_TRACE_REQUESTS / RELEASE_EVERY;
    double once = base * ONEHIT_OBJECTS / (1.0 - ONEHIT_OBJECTS) / CDN_TRACE_REQUESTS;
    if (draw(&c->random) < once) {
        c->sizes[c->next_id] = draw_size(&c->random);
        return c->next_id++;
    }
    double x = draw(&c->random) * OBJECTS;
    uint32_t k = (uint32_t)x;
    return c->at_rank[x - k >= zipf->prob[k] ? zipf->alias[k] : k];
}

void cdn_trace_make(struct replay_request *ret, uint32_t n)
{
    struct catalogue c = {.next_id = OBJECTS + 1};
    CDN_AUTOFREE uint64_t *at_rank = c.at_rank = cdn_calloc(OBJECTS, sizeof(uint64_t));
    CDN_AUTOFREE uint32_t *sizes = c.sizes =
        cdn_calloc(OBJECTS + CDN_TRACE_REQUESTS + CDN_TRACE_REQUESTS / RELEASE_EVERY, sizeof(uint32_t));
    struct alias zipf = alias_make();
    CDN_AUTOFREE double *prob = zipf.prob;
    CDN_AUTOFREE uint32_t *alias = zipf.alias;
    seed(&c.random, SEED);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        at_rank[i] = i + 1;
        sizes[i + 1] = draw_size(&c.random);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && i % RELEASE_EVERY == 0) {
            release(&c);
        }
        ret[i].id = ask(&c, &zipf);
        ret[i].size = sizes[ret[i].id];
    }
    (void)prob, (void)alias;
}

void cdn_trace_sha256(const struct replay_request *requests, size_t n, unsigned char ret[static 32])
{
    gnutls_hash_hd_t hash;
    uint64_t max = 0;
    for (size_t i = 0; i < n; i++) {
        max = requests[i].id > max ? requests[i].id : max;
    }
    CDN_AUTOFREE int64_t *next = cdn_calloc(n, sizeof(int64_t));
    CDN_AUTOFREE int64_t *last = cdn_malloc((max + 1) * sizeof(int64_t));
    memset(last, 0xff, (max + 1) * sizeof(int64_t));
    for (size_t i = n; i-- > 0;) {
        next[i] = last[requests[i].id];
        last[requests[i].id] = (int64_t)i;
    }
    gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);
    for (size_t i = 0; i < n; i++) {
        unsigned char record[REPLAY_RECORD];
        uint32_t time = htole32((uint32_t)(1 + i / RATE));
        uint64_t id = htole64(requests[i].id);
        uint32_t size = htole32((uint32_t)requests[i].size);
        uint64_t again = htole64((uint64_t)next[i]);
        memcpy(record, &time, 4);
        memcpy(record + 4, &id, 8);
        memcpy(record + 12, &size, 4);
        memcpy(record + 16, &again, 8);
        gnutls_hash(hash, record, sizeof(record));
    }
    gnutls_hash_deinit(hash, ret);
}
