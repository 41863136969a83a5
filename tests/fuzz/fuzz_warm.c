/* Lists, manifests and sitemaps from elsewhere: whatever they say, each URL that comes out is one that can be
 * put into a request, and an error is one clean line. */
#include "cli/warm/warm_list.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void check_url(const struct warm_url *url)
{
    MUST(url->target[0] == '/');
    for (const char *p = url->target; *p; p++) {
        MUST(*p > ' ' && *p < 0x7f && *p != '#');
    }
    for (const char *p = url->host; *p; p++) {
        MUST(*p > ' ' && *p < 0x7f && !strchr("/?#@", *p));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct warm_list list = {0};
    struct cdn_error err;
    struct cdn_str text = fuzz_text(data, n);
    const struct warm_base base = {fuzz_byte(&text) & 1 ? "https://x.example/static/" : NULL};
    FUZZ_OWNER char *own = cdn_malloc(text.n + 1);
    memcpy(own, text.p, text.n);
    if (warm_list_add(&list, "list", (struct cdn_str){own, text.n}, &base, &err) != CDN_OK) {
        fuzz_check_error(&err);
    }
    for (size_t i = 0; i < list.n; i++) {
        check_url(&list.urls[i]);
    }
    warm_list_free(&list);
    return 0;
}
