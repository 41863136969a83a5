/* Cache-Groups and other lists of Strings: a valid one is walked to its end, an invalid one never. */
#include "common/http/syntax/http_structured.h"
#include "common/str.h"
#include "edge/semantics/groups.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), value;
    FUZZ_OWNER char *own = fuzz_line(&rest, &value);
    struct cdn_buf name = {0};
    if (!value.p) {
        return 0;
    }
    const bool valid = edge_groups_valid(value);
    struct http_structured_value member;
    size_t members = 0, names = 0;
    for (struct cdn_str walk = value; http_structured_list_next(&walk, &member) > 0; members++) {
        MUST(member.text.n <= value.n);
    }
    for (struct cdn_str walk = value; valid && edge_groups_next(&walk, &name); names++) {
        MUST(name.n <= value.n);
    }
    MUST(!valid || names == members);
    cdn_buf_free(&name);
    return 0;
}
