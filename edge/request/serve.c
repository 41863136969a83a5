/* serve: which stored lines an answer leaves out follows from its status, in is_left_out; what
 * the edge says of itself (Age, Via, Cache-Status) is added after them. The hot table renews just
 * these in a response that is there already. */
#include "edge/request/serve.h"

#include "common/http/syntax/http_field_range.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/validate.h"
#include "edge/site/rule.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/banned.h"

#define MARK_SIZE 256
#define VIA_NAME_MAX 64

/* Cache-Control, CDN-Cache-Control and the like. */
static bool is_cache_control(struct cdn_str name)
{
    struct cdn_str end = CDN_STR("Cache-Control");
    return name.n >= end.n && cdn_str_eq_nocase(cdn_str_sub(name, name.n - end.n), end);
}

static bool is_tags(enum edge_head_field f)
{
    return f == EDGE_HEAD_SURROGATE_KEY || f == EDGE_HEAD_CACHE_TAG || f == EDGE_HEAD_XKEY ||
           f == EDGE_HEAD_X_CACHE_TAGS || f == EDGE_HEAD_X_MAGENTO_TAGS;
}

static bool is_left_out(const struct edge_head_line *line, unsigned stored_status, unsigned status,
                        const struct edge_range_plan *plan)
{
    const enum edge_head_field f = line->field;
    if (f == EDGE_HEAD_CONTENT_LENGTH || f == EDGE_HEAD_AGE || (f == EDGE_HEAD_CONTENT_RANGE && plan)) {
        return true;
    }
    if (f == EDGE_HEAD_CONTENT_TYPE && plan && plan->kind == EDGE_RANGE_MULTIPLE) {
        return true;
    }
    if ((status == 412 || status == 416) && status != stored_status) { /* ours: not the representation */
        return f == EDGE_HEAD_EXPIRES || f == EDGE_HEAD_LAST_MODIFIED || is_cache_control(line->name) ||
               !edge_validate_field_in_not_modified(f, line->name);
    }
    return status == 304 && !edge_validate_field_in_not_modified(f, line->name);
}

static bool is_chosen(const struct edge_head_line *line, const struct edge_serve_choice *choice)
{
    const enum edge_serve_personal personal = choice->personal;
    return (choice->tags || !is_tags(line->field)) &&
           (personal == EDGE_SERVE_ALL ||
            !edge_storable_field_is_personal(line->field, line->name, personal == EDGE_SERVE_COOKIES)) &&
           !(choice->rule && edge_rule_replaces(choice->rule, line->name));
}

void edge_serve_fields(struct http_head *into, const struct edge_head *head, unsigned status,
                       const struct edge_range_plan *plan, const struct edge_serve_choice *choice)
{
    struct edge_head_line line;
    for (size_t at = 0; edge_head_next(head, &at, &line);) {
        if (!is_left_out(&line, edge_head_status(head), status, plan) && is_chosen(&line, choice)) {
            http_head_add(into, line.name, line.value);
        }
    }
    char text[HTTP_CONTENT_RANGE_SIZE];
    if (plan && plan->kind == EDGE_RANGE_MULTIPLE) {
        edge_range_content_type(plan, text);
        http_head_add(into, CDN_STR("Content-Type"), cdn_str(text));
    } else if (plan && plan->kind != EDGE_RANGE_WHOLE) {
        edge_range_content_range(plan, text);
        http_head_add(into, CDN_STR("Content-Range"), cdn_str(text));
    }
}

static void add_timing(struct http_head *into, const struct edge_marks *marks, struct cdn_buf *text)
{
    cdn_buf_clear(text);
    cdn_buf_add_str(text, CDN_STR("cache;desc="));
    cdn_buf_add_str(text, cdn_str(edge_verdict_text(marks->verdict)));
    if (marks->origin_us >= 0) {
        const int part = (int)(marks->origin_us % 1000);
        const char digits[] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10),
                               (char)('0' + part % 10)};
        cdn_buf_add_str(text, CDN_STR(", origin;dur="));
        cdn_buf_add_int(text, marks->origin_us / 1000);
        cdn_buf_add(text, digits, sizeof(digits));
    }
    http_head_add(into, CDN_STR("Server-Timing"), cdn_buf_str(text));
}

static struct cdn_str received_text(uint8_t received)
{
    return received == 10 ? CDN_STR("1.0 ") : received == 20 ? CDN_STR("2 ") : CDN_STR("1.1 ");
}

void edge_serve_marks(struct http_head *into, const struct edge_marks *marks)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (marks->age_s >= 0) {
        cdn_buf_add_int(&text, marks->age_s);
        http_head_add(into, CDN_STR("Age"), cdn_buf_str(&text));
    }
    const struct cdn_str name = marks->status.name;
    cdn_buf_clear(&text);
    cdn_buf_add_str(&text, received_text(marks->received));
    cdn_buf_add(&text, name.p, name.n < VIA_NAME_MAX ? name.n : VIA_NAME_MAX);
    http_head_add(into, CDN_STR("Via"), cdn_buf_str(&text));
    cdn_buf_clear(&text);
    edge_cache_status_build(&marks->status, &text);
    http_head_add(into, CDN_STR("Cache-Status"), cdn_buf_str(&text));
    http_head_add(into, CDN_STR("X-Cache"), cdn_str(edge_verdict_text(marks->verdict)));
    add_timing(into, marks, &text);
}

struct MHD_Response *edge_serve_blob(struct edge_blob *blob, size_t from, size_t n)
{
    return MHD_create_response_from_buffer_with_free_callback_cls(n, blob->data + from, edge_blob_unref,
                                                                  edge_blob_ref(blob));
}

static bool copy_unchanged(void *arg, struct cdn_str name, struct cdn_str value)
{
    if (edge_validate_field_in_not_modified(EDGE_HEAD_OTHER, name) ||
        cdn_str_eq_nocase(name, CDN_STR("Content-Location"))) {
        http_head_add(arg, name, value);
    }
    return true;
}

struct MHD_Response *edge_serve_unchanged(struct MHD_Response *full, struct edge_blob *body)
{
    struct MHD_Response *response = edge_serve_blob(body, 0, body->n);
    struct http_head head = {0};
    http_head_each(full, copy_unchanged, &head);
    http_head_seal(&head, response);
    http_head_free(&head);
    return response;
}

bool edge_serve_renew_hit(struct MHD_Response *response, struct cdn_str name,
                          const struct edge_freshness *fresh, int64_t now_ms)
{
    char text[MARK_SIZE];
    snprintf(text, sizeof(text), "%" PRId64, edge_freshness_age(fresh, now_ms));
    bool moved = http_head_renew(response, CDN_STR("Age"), cdn_str(text));
    size_t n = edge_cache_status_hit(name, edge_freshness_left(fresh, now_ms), text, sizeof(text));
    if (n && fresh->promise != EDGE_PROMISE_KEPT) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "; detail=%s",
                              edge_cause_word(edge_cause_of_stored(EDGE_REUSE_FRESH, fresh)));
    }
    if (n && n < sizeof(text)) {
        moved |= http_head_renew(response, CDN_STR("Cache-Status"), (struct cdn_str){text, n});
    }
    return moved;
}
