/* What a client says to the router: its place in query or cookie, and the target it is sent on to.
 * Lines: path, query, cookie. */
#include "common/status.h"
#include "common/str.h"
#include "fuzz.h"
#include "router/base/edges.h"
#include "router/base/target.h"
#include "router/decide/pin.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), path, query, cookie;
    FUZZ_OWNER char *a = fuzz_line(&rest, &path);
    FUZZ_OWNER char *b = fuzz_line(&rest, &query);
    FUZZ_OWNER char *c = fuzz_line(&rest, &cookie);
    struct cdn_buf out = {0};
    if (router_pin_find(query, cookie, &out)) {
        MUST(out.n <= 200);
    }
    static char url[] = "http://127.0.1.1:8088";
    struct router_edge edge = {.url = url, .url_n = sizeof(url) - 1};
    if (router_target_build(&edge, path, query, &out) == CDN_OK) {
        MUST(cdn_str_starts(cdn_buf_str(&out), CDN_STR("http://127.0.1.1:8088/")));
        for (size_t i = 0; i < out.n; i++) {
            MUST(out.p[i] > ' ' && out.p[i] < 0x7f && out.p[i] != '"' && out.p[i] != '#');
        }
    }
    cdn_buf_free(&out);
    return 0;
}
