/* Stored heads: bytes from disk, and heads built from lines, which must read back. The first byte chooses. */
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/object.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void walk(const struct edge_head *head)
{
    struct cdn_buf joined = {0};
    struct edge_head_line line;
    struct cdn_str value;
    size_t at = 0, lines = 0;
    while (edge_head_next(head, &at, &line)) {
        MUST(strlen(line.name.p) == line.name.n && line.value.p[line.value.n] == '\0');
        MUST(edge_head_get_named(head, line.name, &value));
        lines++;
    }
    MUST(lines == edge_head_lines(head));
    for (unsigned f = 0; f < EDGE_HEAD_FIELD_COUNT; f++) {
        unsigned count = 0;
        for (at = 0; edge_head_next_of(head, f, &at, &value); count++) {
        }
        MUST(count == edge_head_count(head, f) && (count > 0) == (edge_head_get(head, f).p != NULL));
        MUST(edge_head_join(head, f, &joined) == (count > 0));
    }
    cdn_buf_free(&joined);
}

static void same_after_a_trip(const struct edge_head *head)
{
    size_t n, m;
    const void *bytes = edge_head_bytes(head, &n);
    struct edge_head *copy;
    MUST(edge_head_parse(bytes, n, &copy, NULL) == CDN_OK);
    const void *others = edge_head_bytes(copy, &m);
    MUST(n == m && memcmp(bytes, others, n) == 0);
    edge_head_destroy(copy);
}

static void ages(const struct edge_head *head)
{
    struct edge_rules rules;
    struct edge_control control;
    struct edge_freshness f;
    struct cdn_buf scratch = {0};
    const int64_t now = INT64_C(1700000000000);
    edge_rules_init(&rules);
    edge_control_read(&rules, head, &scratch, &control);
    edge_freshness_compute(&rules, head, &control, now, now + 1000, 0, &f);
    MUST(f.lifetime_s >= 0 && f.initial_age_s >= 0 && f.swr_s >= 0 && f.sie_s >= 0);
    MUST(edge_freshness_age(&f, now - 5000) >= 0);
    MUST(edge_freshness_age(&f, now + 9000) <= edge_freshness_age(&f, now + 99000));
    for (unsigned origin = EDGE_ORIGIN_UP; origin <= EDGE_ORIGIN_DISCONNECTED; origin++) {
        enum edge_reuse r = edge_reuse_decide(&rules, &f, NULL, origin, false, now + 2000);
        MUST(r != EDGE_REUSE_FRESH || (!f.no_cache && edge_freshness_left(&f, now + 2000) > 0));
    }
    cdn_buf_free(&scratch);
}

static void from_lines(struct cdn_str text)
{
    struct http_field fields[FUZZ_FIELDS_MAX];
    size_t count = fuzz_fields(text, fields);
    struct edge_head *head, *updated;
    struct cdn_error err = {0};
    if (edge_head_build(200, fields, count, NULL, 0, &head, &err) != CDN_OK) {
        fuzz_check_error(&err);
        return;
    }
    walk(head);
    same_after_a_trip(head);
    ages(head);
    if (edge_head_update(head, fields, count / 2, &updated, &err) == CDN_OK) {
        same_after_a_trip(updated);
        edge_head_destroy(updated);
    }
    edge_head_destroy(head);
}

static void from_bytes(struct cdn_str bytes)
{
    struct edge_head *head;
    struct edge_rep *rep;
    struct cdn_error err = {0};
    if (edge_head_parse(bytes.p, bytes.n, &head, &err) == CDN_OK) {
        walk(head);
        ages(head);
        edge_head_destroy(head);
    } else {
        fuzz_check_error(&err);
    }
    if (edge_rep_parse(bytes, &rep, &err) == CDN_OK) {
        struct cdn_buf again = {0};
        walk(rep->head);
        edge_rep_format(rep, &again);
        MUST(again.n == bytes.n);
        edge_rep_unref(rep);
        cdn_buf_free(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n);
    if (fuzz_byte(&rest) == 'b') {
        from_bytes(rest);
    } else {
        from_lines(rest);
    }
    return 0;
}
