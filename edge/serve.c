#include "edge/serve.h"

#include "common/http_server.h"
#include "common/mem.h"
#include "edge/validate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define NUMBER_SIZE 24
#define MARK_SIZE 256

static bool is_left_out(const struct edge_head_line *line, unsigned status,
                        const struct edge_range_plan *plan)
{
    const enum edge_head_field f = line->field;
    if (f == EDGE_HEAD_CONTENT_LENGTH || f == EDGE_HEAD_AGE || (f == EDGE_HEAD_CONTENT_RANGE && plan)) {
        return true;
    }
    if (f == EDGE_HEAD_CONTENT_TYPE && plan && plan->kind == EDGE_RANGE_MULTIPLE) {
        return true;
    }
    return status == 304 && !edge_field_in_not_modified(f, line->name);
}

void edge_serve_fields(struct MHD_Response *response, const struct edge_head *head, unsigned status,
                       const struct edge_range_plan *plan)
{
    struct edge_head_line line;
    for (size_t at = 0; edge_head_next(head, &at, &line);) {
        if (!is_left_out(&line, status, plan)) {
            http_response_add(response, line.name.p, line.value.p);
        }
    }
    char text[HTTP_CONTENT_RANGE_SIZE];
    if (plan && plan->kind == EDGE_RANGE_MULTIPLE) {
        edge_range_content_type(plan, text);
        http_response_add(response, "Content-Type", text);
    } else if (plan && plan->kind != EDGE_RANGE_WHOLE) {
        edge_range_content_range(plan, text);
        http_response_add(response, "Content-Range", text);
    }
}

static void add_timing(struct MHD_Response *response, const struct edge_marks *marks)
{
    char text[MARK_SIZE];
    if (marks->origin_us < 0) {
        snprintf(text, sizeof text, "cache;desc=%s", edge_verdict_text(marks->verdict));
    } else {
        snprintf(text, sizeof text, "cache;desc=%s, origin;dur=%" PRId64 ".%03" PRId64,
                 edge_verdict_text(marks->verdict), marks->origin_us / 1000, marks->origin_us % 1000);
    }
    http_response_add(response, "Server-Timing", text);
}

void edge_serve_marks(struct MHD_Response *response, const struct edge_marks *marks)
{
    char text[MARK_SIZE];
    if (marks->age_s >= 0) {
        snprintf(text, sizeof text, "%" PRId64, marks->age_s);
        http_response_add(response, "Age", text);
    }
    snprintf(text, sizeof text, "1.1 %.*s", (int)(marks->status.name.n < 64 ? marks->status.name.n : 64),
             marks->status.name.p);
    http_response_add(response, "Via", text);
    CDN_AUTOBUF struct cdn_buf status = {0};
    edge_cache_status_build(&marks->status, &status);
    http_response_add(response, "Cache-Status", status.p);
    http_response_add(response, "X-Cache", edge_verdict_text(marks->verdict));
    add_timing(response, marks);
}

struct MHD_Response *edge_serve_blob(struct edge_blob *blob, size_t from, size_t n)
{
    return MHD_create_response_from_buffer_with_free_callback_cls(n, blob->data + from, edge_blob_unref,
                                                                  edge_blob_ref(blob));
}

static enum MHD_Result copy_unchanged(void *into, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    (void)kind;
    if (edge_field_in_not_modified(EDGE_HEAD_OTHER, cdn_str(name)) ||
        cdn_str_eq_nocase(cdn_str(name), CDN_STR("Content-Location"))) {
        http_response_add(into, name, value);
    }
    return MHD_YES;
}

struct MHD_Response *edge_serve_unchanged(struct MHD_Response *full, struct edge_blob *body)
{
    struct MHD_Response *response = edge_serve_blob(body, 0, body->n);
    MHD_get_response_headers(full, copy_unchanged, response);
    return response;
}

/* The value is libmicrohttpd's copy, made for this response alone, and read on this thread only. */
static void replace(struct MHD_Response *response, const char *name, const char *value)
{
    const char *old = MHD_get_response_header(response, name);
    const size_t n = strlen(value);
    if (old && strlen(old) == n) { /* nearly always, and a tenth of the work */
        memcpy((char *)(uintptr_t)old, value, n);
        return;
    }
    if (old) {
        MHD_del_response_header(response, name, old);
    }
    http_response_add(response, name, value);
}

void edge_serve_renew_hit(struct MHD_Response *response, struct cdn_str name,
                          const struct edge_freshness *fresh, int64_t now_ms)
{
    char text[MARK_SIZE];
    snprintf(text, sizeof text, "%" PRId64, edge_current_age(fresh, now_ms));
    replace(response, "Age", text);
    if (edge_cache_status_hit(name, edge_freshness_left(fresh, now_ms), text, sizeof text)) {
        replace(response, "Cache-Status", text);
    }
}
