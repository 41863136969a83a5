/* resume: an edge that dies in the middle of a large answer. Another one goes on where it stopped, when it
 * surely has the same bytes: a whole GET of known length with a strong validator, asked for the rest by Range
 * and If-Range (RFC 9110 13.1.5), answered 206 for just that rest under the same validator. Otherwise the
 * answer breaks off, as it does without. */
#include "common/http/client/http_client.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "router/proxy/proxy_private.h"
#include "router/proxy/rules.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

/* The one strong ETag of a head; false: there is none. */
static bool strong_tag(const struct http_fetch_head *head, struct cdn_str *ret)
{
    struct http_etag tag;
    return http_fields_find(head->fields, head->field_count, CDN_STR("ETag"), ret) == 1 &&
           http_etag_parse(*ret, &tag) && !tag.weak;
}

void router_resume_note(struct router_exchange *x, const struct http_fetch_head *head)
{
    struct cdn_str tag, coding;
    cdn_buf_clear(&x->etag);
    if (x->http->method == HTTP_GET && head->status == 200 && head->content_length >= 0 && !x->whole &&
        !x->http->field[HTTP_REQ_RANGE].p && strong_tag(head, &tag) &&
        http_fields_find(head->fields, head->field_count, CDN_STR("Content-Encoding"), &coding) == 0) {
        cdn_buf_add_str(&x->etag, tag);
    }
}

bool router_resume_may(const struct router_exchange *x, enum http_fetch_error error)
{
    return x->http && x->etag.n && x->tries < x->table->proxy.tries && x->received < (uint64_t)x->length &&
           router_rule_blames(error);
}

bool router_resume_fits(const struct router_exchange *x, const struct http_fetch_head *head)
{
    struct cdn_str tag, text;
    struct http_content_range range;
    return head->status == 206 && strong_tag(head, &tag) && cdn_str_eq(tag, cdn_buf_str(&x->etag)) &&
           http_fields_find(head->fields, head->field_count, CDN_STR("Content-Range"), &text) == 1 &&
           http_content_range_parse(text, &range) && !range.unsatisfied && range.first == x->received &&
           range.last == (uint64_t)x->length - 1 && range.complete_length == x->length &&
           head->content_length == x->length - (int64_t)x->received;
}
