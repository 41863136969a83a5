/* secret: bytes of getrandom(2), asked for by each table for itself: one secret that got out would
 * be worth one table. */
#include "common/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

#include "common/banned.h"

uint64_t cdn_secret64(void)
{
    uint64_t secret;
    ssize_t got;
    do {
        got = getrandom(&secret, sizeof(secret), 0); /* up to 256 bytes come whole, but for a signal */
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(secret)) {
        abort();
    }
    return secret;
}
