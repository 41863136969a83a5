/* long: whether all of a test that takes long is wanted (CDN_LONG=yes, which `make test-long` sets), or a
 * sample of it. */
#ifndef CDN_TESTS_UNIT_LONG_H
#define CDN_TESTS_UNIT_LONG_H
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool is_long_test(void)
{
    const char *value = getenv("CDN_LONG");
    return value && strcmp(value, "yes") == 0;
}

#endif
