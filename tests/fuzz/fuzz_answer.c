/* The head of an origin's answer, line by line as libcurl hands it over. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_MAX 4096u

static void check_head(const struct http_fetch_head *head, bool interim)
{
    MUST(head->status >= 100 && head->status <= 999 && interim == (head->status < 200));
    MUST(head->content_length >= -1);
    for (size_t i = 0; i < head->field_count; i++) {
        MUST(http_is_token(head->fields[i].name) && http_is_field_value(head->fields[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n);
    struct http_answer answer = {0};
    struct http_fetch_head head;
    enum http_fetch_error error = HTTP_FETCH_NONE;
    const char *why = NULL;
    enum http_answer_step step = HTTP_ANSWER_MORE;
    while (rest.n && (step == HTTP_ANSWER_MORE || step == HTTP_ANSWER_INTERIM)) {
        ptrdiff_t end = cdn_str_find(rest, '\n');
        struct cdn_str line = {rest.p, end < 0 ? rest.n : (size_t)end + 1};
        rest = cdn_str_sub(rest, line.n);
        step = http_answer_line(&answer, line, HEAD_MAX, true, &head, &error, &why);
        if (step == HTTP_ANSWER_BAD) {
            MUST(error != HTTP_FETCH_NONE && why && why[0]);
        } else if (step != HTTP_ANSWER_MORE) {
            check_head(&head, step == HTTP_ANSWER_INTERIM);
        }
    }
    http_answer_free(&answer);
    return 0;
}
