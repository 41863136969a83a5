/* No-Vary-Search: a value, then a query. A normal form is printable, and stays as it is when it is made
 * again by a rule that says nothing but the order. */
#include "common/str.h"
#include "edge/semantics/search.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), value, query;
    FUZZ_OWNER char *a = fuzz_line(&rest, &value);
    FUZZ_OWNER char *b = fuzz_line(&rest, &query);
    CDN_AUTOBUF struct cdn_buf key = {0};
    CDN_AUTOBUF struct cdn_buf form = {0};
    CDN_AUTOBUF struct cdn_buf again = {0};
    struct edge_search_rule rule;
    if (!a || !b || cdn_str_find(query, '\0') >= 0 /* in no key */ || !edge_search_rule_read(value, &rule)) {
        return 0;
    }
    cdn_buf_add_str(&key, CDN_STR("http://h/p?"));
    cdn_buf_add_str(&key, query);
    if (!edge_search_normalize(&rule, cdn_buf_str(&key), &form)) {
        return 0;
    }
    for (size_t i = 0; i < form.n; i++) {
        MUST(form.p[i] > ' ' && form.p[i] <= '~');
    }
    MUST(edge_search_normalize(&rule, cdn_buf_str(&form), &again));
    MUST(cdn_str_eq(cdn_buf_str(&again), cdn_buf_str(&form)));
    return 0;
}
