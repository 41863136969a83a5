/* receipts: the router's answer to a purge, for people and as an exit code: one table, whoever purges. */
#include "cli/run/receipts.h"

#include "cli/base/table.h"
#include "cli/run/control.h"
#include "common/str.h"

#include <stdio.h>

#include "common/banned.h"

static const char *receipt_text(const json_t *edge, bool soft)
{
    bool healthy = json_is_true(json_object_get(edge, "healthy"));
    bool follows = !json_is_false(json_object_get(edge, "follows"));
    if (json_is_true(json_object_get(edge, "acknowledged"))) {
        return soft ? "marked stale" : "purged";
    }
    if (healthy) {
        return follows ? "has not acknowledged"
                       : "does not follow the purge log (its setting `control`): nothing is purged there";
    }
    return follows ? "away: will replay this before it serves"
                   : "away, and has not asked for the log since the router started";
}

void receipts_print(const json_t *answer, bool soft)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    const json_t *edge;
    size_t i;
    table_init(&table, "edge|>ms|");
    json_array_foreach(json_object_get(answer, "edges"), i, edge)
    {
        const json_t *ms = json_object_get(edge, "ms");
        table_add(&table, "%s", control_text(edge, "edge"));
        table_add(&table, json_is_number(ms) ? "%.1f" : "", json_number_value(ms));
        table_add(&table, "%s", receipt_text(edge, soft));
    }
    table_print(&table, &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

enum cdn_status receipts_judge(const json_t *answer, struct cdn_error *err)
{
    const json_t *edges = json_object_get(answer, "edges"), *edge;
    size_t i, done = 0;
    json_array_foreach(edges, i, edge) done += json_is_true(json_object_get(edge, "acknowledged"));
    if (json_is_true(json_object_get(answer, "acknowledged")) && done > 0) {
        return CDN_OK;
    }
    return cdn_error_set(
        err, CDN_NOT_FOUND, "purge %lld: %zu of %zu edges have acknowledged; it stays in the log",
        (long long)json_integer_value(json_object_get(answer, "id")), done, json_array_size(edges));
}
