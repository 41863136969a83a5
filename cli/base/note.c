/* note: what is out of the ordinary at a node, found in its own report. Read leniently: a report of
 * another version, or half of one, gives fewer words and no error. */
#include "cli/base/note.h"

#include "common/mem.h"
#include "common/parse.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_on(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void add(struct cdn_buf *out, const char *between, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void add(struct cdn_buf *out, const char *between, const char *fmt, ...)
{
    char text[256];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    cdn_buf_printf(out, "%s%s", out->n ? between : "", text);
}

static void add_rate(struct cdn_buf *out, double rate, const char *what)
{
    if (rate > 0) {
        add(out, ", ", "%.3g %% %s", rate * 100, what);
    }
}

void note_faults(const json_t *faults, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    CDN_AUTOFREE char *errors =
        cdn_asprintf("errors (%d)", (int)json_integer_value(json_object_get(faults, "status")));
    const char *delay = text_of(faults, "delay"), *paths = text_of(faults, "paths");
    if (!faults || is_on(faults, "off")) {
        return;
    }
    if (delay[0] && strcmp(delay, "0s") != 0 && strcmp(delay, "0ms") != 0) {
        add(&text, ", ", "delay %s", delay);
    }
    add_rate(&text, json_number_value(json_object_get(faults, "error_rate")), errors);
    add_rate(&text, json_number_value(json_object_get(faults, "drop_rate")), "dropped");
    add_rate(&text, json_number_value(json_object_get(faults, "truncate_rate")), "truncated");
    add_rate(&text, json_number_value(json_object_get(faults, "corrupt_rate")), "corrupt");
    if (text_of(faults, "slow")[0]) {
        add(&text, ", ", "%s/s", text_of(faults, "slow"));
    }
    if (text.n && paths[0]) {
        cdn_buf_printf(&text, " on %s", paths);
    }
    if (is_on(faults, "down") || is_on(faults, "refuse")) { /* whatever the path */
        add(&text, ", ", "%s", is_on(faults, "down") ? "down" : "connections refused");
    }
    cdn_buf_add_str(out, cdn_buf_str(&text));
}

static void add_clock(const json_t *status, struct cdn_buf *out)
{
    int64_t ms = json_integer_value(json_object_get(json_object_get(status, "clock"), "offset_ms"));
    char text[24];
    if (ms == 0) {
        return;
    }
    cdn_format_duration_ms(ms < 0 ? -ms : ms, text);
    add(out, "; ", "clock %s%s", ms < 0 ? "-" : "+", text);
}

#define DAY_S 86400
#define SOON_S (14 * DAY_S) /* who renews by a program does so earlier */

/* Of the certificate that ends first. */
static void add_certificates(const json_t *certificates, struct cdn_buf *out)
{
    const json_t *one, *first = NULL;
    json_int_t left = SOON_S;
    size_t i;
    json_array_foreach(certificates, i, one)
    {
        const json_t *in = json_object_get(one, "expires_in_s");
        if (json_is_integer(in) && json_integer_value(in) < left) {
            left = json_integer_value(in);
            first = one;
        }
    }
    const char *name = json_string_value(json_array_get(json_object_get(first, "names"), 0));
    if (first && left < 0) {
        add(out, "; ", "certificate of %s has expired", name ? name : "no name");
    } else if (first) {
        add(out, "; ", "certificate of %s ends in %d d", name ? name : "no name", (int)(left / DAY_S));
    }
}

void note_node(const json_t *status, unsigned restarts, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf faults = {0};
    const char *why = text_of(status, "why"), *reload = text_of(status, "reload_error");
    if (why[0]) {
        add(out, "; ", "%s", why);
    }
    if (json_integer_value(json_object_get(status, "origin_failures")) > 0) {
        add(out, "; ", "its origin fails");
    }
    if (is_on(status, "loading")) {
        add(out, "; ", "loading its cache");
    }
    if (is_on(status, "unsynced")) {
        add(out, "; ", "unsynced: checks every reuse");
    }
    if (is_on(json_object_get(status, "store"), "full")) {
        add(out, "; ", "disk full");
    }
    add_certificates(json_object_get(status, "certificates"), out);
    if (reload[0]) {
        add(out, "; ", "reload failed: %s", reload);
    }
    const size_t links = json_array_size(json_object_get(status, "faults")); /* of the network: by link */
    if (links) {
        add(out, "; ", "%zu link%s with faults", links, links == 1 ? "" : "s");
    }
    note_faults(json_object_get(status, "faults"), &faults);
    if (faults.n) {
        add(out, "; ", "faults: %s", faults.p);
    }
    add_clock(status, out);
    if (restarts) {
        add(out, "; ", "restarted %u x", restarts);
    }
}
