/* Purges in other caches' forms: a line "METHOD path", then field lines. Whatever comes, what is accepted
 * names something, in items that are whole. */
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_purge.h"
#include "common/status.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void check(const struct http_purge *p)
{
    MUST(p->all || p->own || p->count);
    MUST(!(p->all && p->own) && !((p->all || p->own) && p->count));
    MUST(p->count <= HTTP_PURGE_ITEMS_MAX);
    for (size_t i = 0; i < p->count; i++) {
        const char *text = p->item[i].text;
        MUST(p->item[i].kind == HTTP_PURGE_TAG ? text[0] && strlen(text) <= HTTP_PURGE_TAG_MAX
                                               : strncmp(text, "http://", 7) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), line;
    FUZZ_OWNER char *own = fuzz_line(&rest, &line);
    struct http_field fields[FUZZ_FIELDS_MAX];
    struct http_purge purge;
    struct cdn_error err;
    if (!line.p) {
        return 0;
    }
    const struct cdn_str method = cdn_str_cut(&line, ' ');
    http_purge_begin(&purge, method, line.p ? line : CDN_STR(""));
    const size_t count = rest.p ? fuzz_fields(rest, fields) : 0;
    for (size_t i = 0; i < count; i++) {
        http_purge_field(&purge, fields[i].name, fields[i].value);
    }
    if (http_purge_end(&purge, &err) == CDN_OK) {
        check(&purge);
    } else {
        fuzz_check_error(&err);
    }
    http_purge_free(&purge);
    return 0;
}
