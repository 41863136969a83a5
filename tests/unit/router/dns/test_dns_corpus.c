/* The packet path on the corpus of the fuzz target, each seed whole and in many mutations with a fixed seed.
 */
#include "common/mem.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// NOLINTNEXTLINE(bugprone-suspicious-include): its static functions are tested
#include "tests/fuzz/fuzz_dns.c" // IWYU pragma: keep

#include "common/banned.h"

#define MUTATIONS 4000
#define SEED_MAX 4096

static uint32_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static size_t mutate(uint8_t *bytes, size_t n)
{
    for (unsigned i = next_random() % 4 + 1; i > 0 && n > 1; i--) {
        size_t at = next_random() % n;
        switch (next_random() % 5) {
        case 0:
            bytes[at] = (uint8_t)next_random();
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 2:
            n = at + 1;
            break;
        case 3: /* a piece once more */
            if (n + 16 <= SEED_MAX) {
                memmove(bytes + at + 16, bytes + at, n - at);
                n += 16;
            }
            break;
        default:
            bytes[at] = next_random() & 1 ? 0xff : 0xc0;
            break;
        }
    }
    return n;
}

static size_t seed_read(const char *folder, const char *name, uint8_t *bytes)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    size_t n = fread(bytes, 1, SEED_MAX, file);
    fclose(file);
    return n;
}

START_TEST(corpus)
{
    static const char folder[] = CDN_SOURCE_DIR "/tests/fuzz/corpus/dns";
    DIR *seeds = opendir(folder);
    ck_assert(seeds != NULL);
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(seeds));) {
        uint8_t seed[SEED_MAX], bytes[SEED_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        size_t n = seed_read(folder, entry->d_name, seed);
        LLVMFuzzerTestOneInput(seed, n);
        for (int i = 0; i < MUTATIONS; i++) {
            memcpy(bytes, seed, n);
            LLVMFuzzerTestOneInput(bytes, mutate(bytes, n));
        }
        count++;
    }
    closedir(seeds);
    ck_assert_uint_ge(count, 20);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {corpus};
    return run_suite("dns_corpus", tests, CDN_ARRAY_LEN(tests));
}
