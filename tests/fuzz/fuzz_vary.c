/* Vary: a request selects what was stored for it. First line: the Vary; the others: the request's fields. */
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/head.h"
#include "edge/semantics/vary.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n);
    struct http_field vary = {CDN_STR("Vary"), cdn_str_cut(&rest, '\n')};
    struct http_field fields[FUZZ_FIELDS_MAX];
    size_t count = fuzz_fields(rest, fields);
    struct edge_head *head;
    if (edge_head_build(200, &vary, 1, NULL, 0, &head, NULL) != CDN_OK) {
        return 0;
    }
    struct edge_vary_fields list = {fields, count};
    struct edge_vary_source source = {.get = edge_vary_fields_get, .arg = &list};
    struct cdn_buf spec = {0}, key = {0}, scratch = {0};
    if (edge_vary_spec(head, CDN_STR(""), &spec)) {
        edge_vary_key(cdn_buf_str(&spec), &source, &key);
        MUST(edge_vary_match(cdn_buf_str(&spec), cdn_buf_str(&key), &source, &scratch));
        MUST(edge_vary_match_language(cdn_buf_str(&spec), cdn_buf_str(&key), CDN_STR("de"), &source,
                                      &scratch));
    }
    edge_head_destroy(head);
    cdn_buf_free(&spec);
    cdn_buf_free(&key);
    cdn_buf_free(&scratch);
    return 0;
}
