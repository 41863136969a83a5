/* get_har: HAR 1.2 (w3c.github.io/web-performance/specs/HAR): one entry a hop. `ssl` is a part of
 * `connect` there, -1 says that a phase did not happen, and names that begin with an underscore are
 * ours: what the model says of the way, and that the times are over a modelled network. */
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "common/banned.h"

static json_t *pair(struct cdn_str name, struct cdn_str value)
{
    json_t *object = json_object(), *text = json_stringn(value.p, value.n);
    json_object_set_new(object, "name", json_stringn(name.p, name.n));
    json_object_set_new(object, "value", text ? text : json_string("(not UTF-8)"));
    return object;
}

static json_t *sent_fields(const struct get_visit *visit)
{
    json_t *all = json_array();
    for (size_t i = 0; i < visit->field_count; i++) {
        json_array_append_new(all, pair(visit->fields[i].name, visit->fields[i].value));
    }
    return all;
}

static json_t *answer_fields(const struct exchange *e)
{
    json_t *all = json_array();
    for (struct cdn_str rest = cdn_buf_str(&e->head); rest.p && rest.n;) {
        struct cdn_str value = cdn_str_cut(&rest, '\n'), name = cdn_str_cut(&value, ':');
        json_array_append_new(all, pair(name, cdn_str_trim(value)));
    }
    return all;
}

static void add_decoded(struct cdn_str s, struct cdn_buf *out)
{
    if (!http_percent_decode(s, true, out)) {
        cdn_buf_clear(out);
        cdn_buf_add_str(out, s);
    }
}

static json_t *query(const char *url)
{
    json_t *all = json_array();
    const char *mark = strchr(url, '?');
    struct cdn_str rest = cdn_str(mark ? mark + 1 : "");
    rest.n = strcspn(rest.p, "#");
    while (rest.n) {
        struct cdn_str value = cdn_str_cut(&rest, '&'), name = cdn_str_cut(&value, '=');
        CDN_AUTOBUF struct cdn_buf plain_name = {0}, plain_value = {0};
        add_decoded(name, &plain_name);
        add_decoded(value.p ? value : CDN_STR(""), &plain_value);
        json_array_append_new(all, pair(cdn_buf_str(&plain_name), cdn_buf_str(&plain_value)));
    }
    return all;
}

static json_t *timings(const struct exchange *e)
{
    const struct exchange_times *t = &e->times;
    const struct get_phases p = get_phases_of(e);
    const double total = (double)t->total_us / 1000, connect = t->reused ? 0 : p.connect + p.tls;
    const double send = total - connect - p.wait - p.receive; /* what was left between the phases */
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "blocked", -1, "dns", -1, "connect",
                     t->reused ? -1.0 : connect, "ssl", t->tls_us ? p.tls : -1.0, "send", send > 0 ? send : 0,
                     "wait", p.wait, "receive", p.receive);
}

static json_t *began(int64_t ms)
{
    const time_t s = (time_t)(ms / 1000);
    struct tm day = {0};
    char text[40] = "";
    (void)gmtime_r(&s, &day);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &day);
    return json_sprintf("%s.%03dZ", text, (int)(ms % 1000));
}

static json_t *entry(const struct get_visit *visit, const struct get_hop *hop)
{
    const struct exchange *e = &hop->exchange;
    const char *version = e->version == 10 ? "HTTP/1.0" : "HTTP/1.1";
    CDN_AUTOFREE char *type = exchange_field(e, "Content-Type"), *location = exchange_field(e, "Location");
    json_t *request =
        json_pack("{s:s, s:s, s:s, s:[], s:o, s:o, s:i, s:I}", "method", visit->method, "url", hop->url,
                  "httpVersion", version, "cookies", "headers", sent_fields(visit), "queryString",
                  query(hop->url), "headersSize", -1, "bodySize", (json_int_t)visit->body.n);
    json_t *response =
        json_pack("{s:i, s:s, s:s, s:[], s:o, s:{s:I, s:s}, s:s, s:i, s:I}", "status", (int)e->status,
                  "statusText", "", "httpVersion", version, "cookies", "headers", answer_fields(e), "content",
                  "size", (json_int_t)e->body.n, "mimeType", type[0] ? type : "application/octet-stream",
                  "redirectURL", location, "headersSize", -1, "bodySize", (json_int_t)e->body.n);
    json_t *all = json_pack("{s:o, s:f, s:o, s:o, s:{}, s:o}", "startedDateTime", began(e->began_ms), "time",
                            (double)e->times.total_us / 1000, "request", request, "response", response,
                            "cache", "timings", timings(e));
    if (visit->wan) {
        json_object_set_new(all, "comment",
                            json_string("over the network between the places: the way's time is modelled"));
        json_object_set_new(all, "_node", json_string(hop->node));
        json_object_set_new(all, "_model", hop->model ? json_incref(hop->model) : json_null());
    }
    return all;
}

json_t *get_har(const struct get_visit *visit)
{
    json_t *entries = json_array();
    for (size_t i = 0; i < visit->hop_count; i++) {
        json_array_append_new(entries, entry(visit, &visit->hops[i]));
    }
    return json_pack("{s:{s:s, s:{s:s, s:s}, s:[], s:o}}", "log", "version", "1.2", "creator", "name",
                     "pocketcdn", "version", CDN_VERSION, "pages", "entries", entries);
}
