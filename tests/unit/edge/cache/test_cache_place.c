/* The index of the cache: nobody who chooses keys chooses where they go. */
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/store/store.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <xxhash.h>

#include "common/banned.h"

#define KEYS 1000u
#define SHARED_BITS 9 /* of the hash without a secret: all keys in two buckets of 1,024 */
#define CHAIN_MAX 24u /* by chance 1,000 keys in 1,024 places have a chain of 12 once in a million tables */

/* A key that shares the low bits of XXH3_128 and of XXH3_64 alike is made by trying. */
static size_t craft(uint64_t *counter, char into[static 64])
{
    for (;;) {
        const int n = snprintf(into, 64, "http://a.example/%llx", (unsigned long long)(*counter)++);
        if ((XXH3_128bits(into, (size_t)n).low64 & ((1u << SHARED_BITS) - 1)) == 0) {
            return (size_t)n;
        }
    }
}

static unsigned longest_chain(const struct edge_cache *c)
{
    unsigned longest = 0;
    for (size_t i = 0; i <= c->bucket_mask; i++) {
        unsigned n = 0;
        for (const struct edge_entry *e = c->bucket[i]; e; e = e->chain) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

static void create(struct edge_cache **ret)
{
    const struct edge_cache_config config = {.memory = 1 << 20,
                                             .memory_object = 1 << 16,
                                             .memory_policy = "s3fifo",
                                             .disk_policy = "sieve",
                                             .variants = 8};
    ck_assert_int_eq(edge_cache_create(&config, ret, NULL), CDN_OK);
}

START_TEST(crafted_keys_are_spread)
{
    struct edge_cache *c;
    static struct edge_entry *entry[KEYS];
    uint64_t counter = 0;
    char text[64];
    create(&c);
    edge_cache_lock(c);
    for (unsigned i = 0; i < KEYS; i++) {
        const size_t n = craft(&counter, text);
        entry[i] = edge_cache_enter_locked(c, (struct cdn_str){text, n});
    }
    ck_assert_uint_eq(c->entry_count, KEYS);
    ck_assert_uint_le(longest_chain(c), CHAIN_MAX);
    counter = 0;
    for (unsigned i = 0; i < KEYS; i++) { /* and found again */
        const size_t n = craft(&counter, text);
        ck_assert_ptr_eq(edge_cache_find_locked(c, (struct cdn_str){text, n}), entry[i]);
        edge_cache_leave_locked(c, entry[i]);
    }
    ck_assert_uint_eq(c->entry_count, 0);
    edge_cache_unlock(c);
    edge_cache_destroy(c);
}
END_TEST

START_TEST(every_process_has_its_own_places)
{
    struct edge_cache *a, *b;
    struct edge_store_key key;
    create(&a);
    create(&b);
    edge_cache_hash(CDN_STR("http://a.example/app.css"), &key);
    ck_assert_uint_ne(a->secret, b->secret);
    ck_assert_uint_eq(edge_cache_place(a, &key), edge_cache_place(a, &key));
    edge_cache_destroy(a);
    edge_cache_destroy(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_place");
    TCase *tests = tcase_create("tests");
    tcase_add_test(tests, crafted_keys_are_spread);
    tcase_add_test(tests, every_process_has_its_own_places);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
