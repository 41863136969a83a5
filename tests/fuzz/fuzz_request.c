/* A request's head: method and target on the first line, then the fields. */
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static void target(struct cdn_str line)
{
    struct http_target t;
    enum http_method method = http_method_parse(cdn_str_cut(&line, ' '));
    struct cdn_str raw = line.p ? line : CDN_STR("");
    enum http_refusal r = http_check_target(method, raw, &t);
    MUST(r < HTTP_REFUSAL_COUNT);
    if (r == HTTP_REFUSE_NONE) {
        MUST(t.path.n == 0 || t.path.p[0] == '/' || cdn_str_eq(t.path, CDN_STR("*")));
        MUST(cdn_str_find(t.path, '?') < 0 && cdn_str_find(t.path, '#') < 0);
        for (size_t i = 0; i < raw.n; i++) {
            MUST(raw.p[i] > ' ' && raw.p[i] < 0x7f);
        }
    } else {
        MUST(http_refusal_status(r) >= 400 && http_refusal_detail(r)[0]);
    }
}

static void fields_of(struct cdn_str rest)
{
    struct http_field fields[FUZZ_FIELDS_MAX];
    struct http_framing framing = {0};
    size_t count = fuzz_fields(rest, fields);
    for (size_t i = 0; i < count; i++) {
        MUST(http_check_token(fields[i].name) == http_is_token(fields[i].name));
        MUST(http_check_field_value(fields[i].value) == http_is_field_value(fields[i].value));
        (void)http_check_host(fields[i].value);
    }
    framing.length_lines =
        (unsigned)http_fields_find(fields, count, CDN_STR("Content-Length"), &framing.length);
    framing.coding_lines =
        (unsigned)http_fields_find(fields, count, CDN_STR("Transfer-Encoding"), &framing.coding);
    for (int http10 = 0; http10 < 2; http10++) {
        int64_t length = -2;
        bool chunked = false;
        framing.http10 = http10;
        if (http_check_framing(&framing, &length, &chunked) == HTTP_REFUSE_NONE) {
            MUST(length >= -1 && !(chunked && length >= 0) && !(chunked && http10));
            MUST(!(framing.length_lines && framing.coding_lines));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), line;
    FUZZ_OWNER char *own = fuzz_line(&rest, &line);
    target(line.p ? line : CDN_STR(""));
    fields_of(rest.p ? rest : CDN_STR(""));
    return 0;
}
