/* sync_text: what sync.c reads and writes, as pure functions, so that it can be tested without a
 * router: the mark with its checksum, the router's answer, the pause between polls (doubled, and
 * drawn, so that many edges do not come back at once). */
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/control/sync.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <xxhash.h>

#include "common/banned.h"

#define FIRST_PAUSE_MS 25
#define LAST_PAUSE_MS 250

void edge_sync_place_format(const struct edge_sync_place *place, struct cdn_buf *into)
{
    size_t from = into->n;
    cdn_buf_printf(into, "%s %" PRIu64, place->log, place->id);
    cdn_buf_printf(into, " %016" PRIx64, (uint64_t)XXH3_64bits(into->p + from, into->n - from));
}

static bool is_identity(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!digit && !(s.p[i] >= 'a' && s.p[i] <= 'f')) {
            return false;
        }
    }
    return s.n > 0 && s.n < EDGE_SYNC_LOG_SIZE;
}

bool edge_sync_place_parse(struct cdn_str text, struct edge_sync_place *ret)
{
    struct cdn_str rest = text;
    struct cdn_str log = cdn_str_cut(&rest, ' ');
    struct cdn_str number = rest.p ? cdn_str_cut(&rest, ' ') : (struct cdn_str){0};
    struct edge_sync_place place = {0};
    if (!is_identity(log) || !cdn_parse_u64(number, &place.id)) {
        return false;
    }
    cdn_str_copy(place.log, sizeof(place.log), log);
    CDN_AUTOBUF struct cdn_buf again = {0};
    edge_sync_place_format(&place, &again);
    if (!cdn_str_eq(cdn_buf_str(&again), text)) {
        return false;
    }
    *ret = place;
    return true;
}

int64_t edge_sync_pause_ms(unsigned failures, double draw)
{
    int64_t most = FIRST_PAUSE_MS;
    for (unsigned i = 1; i < failures && most < LAST_PAUSE_MS; i++) {
        most *= 2;
    }
    most = most < LAST_PAUSE_MS ? most : LAST_PAUSE_MS;
    return most / 2 + (int64_t)((double)(most - most / 2) * draw);
}

static bool is_growing(const json_t *list)
{
    json_int_t before = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_object_get(json_array_get(list, i), "id");
        if (!json_is_integer(id) || json_integer_value(id) <= before) {
            return false;
        }
        before = json_integer_value(id);
    }
    return true;
}

static enum cdn_status take_answer(const json_t *all, struct edge_sync_answer *ret, struct cdn_error *err)
{
    const json_t *last = json_object_get(all, "last");
    const json_t *log = json_object_get(all, "log");
    json_t *purges = json_object_get(all, "purges");
    struct cdn_str identity = {json_string_value(log), json_string_length(log)};
    bool reset = json_is_true(json_object_get(all, "reset"));
    if (!identity.p || !is_identity(identity)) {
        return cdn_error_set(err, CDN_INVALID, "the router's answer names no log");
    }
    if (!json_is_integer(last) || json_integer_value(last) < 0) {
        return cdn_error_set(err, CDN_INVALID, "the router's answer names no last purge");
    }
    if (!reset && (!json_is_array(purges) || !is_growing(purges))) {
        return cdn_error_set(err, CDN_INVALID, "the router's answer has no purges with growing numbers");
    }
    *ret = (struct edge_sync_answer){.last = (uint64_t)json_integer_value(last),
                                     .reset = reset,
                                     .purges = reset ? NULL : json_incref(purges)};
    cdn_str_copy(ret->log, sizeof(ret->log), identity);
    return CDN_OK;
}

enum cdn_status edge_sync_answer_parse(struct cdn_str body, struct edge_sync_answer *ret,
                                       struct cdn_error *err)
{
    json_error_t at;
    json_t *all = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &at);
    enum cdn_status status = all ? take_answer(all, ret, err)
                                 : cdn_error_set(err, CDN_INVALID, "the router's answer: %s", at.text);
    json_decref(all);
    return status;
}
