/* Paths of requests as file names: whatever the spelling, a file outside the origin's root is
 * never named. */
#include "common/str.h"
#include "fuzz.h"
#include "origin/base/path.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct origin_path path;
    enum origin_path_result r = origin_path_decode(fuzz_text(data, n), &path);
    if (r != ORIGIN_PATH_OK) {
        MUST(origin_path_status(r) >= 400 && origin_path_detail(r)[0]);
        return 0;
    }
    MUST(path.n < ORIGIN_PATH_MAX && strlen(path.name) == path.n);
    MUST(path.n == 0 || (path.name[0] != '/' && path.name[path.n - 1] != '/'));
    struct cdn_str rest = {path.name, path.n};
    while (path.n && rest.p) {
        struct cdn_str segment = cdn_str_cut(&rest, '/');
        MUST(segment.n > 0 && segment.n <= ORIGIN_SEGMENT_MAX);
        MUST(segment.p[0] != '.' || cdn_str_eq(segment, CDN_STR(".well-known")));
        MUST(cdn_str_find(segment, '\\') < 0);
    }
    (void)origin_path_is_hashed((struct cdn_str){path.name, path.n}, ~UINT64_C(0));
    return 0;
}
