/* config_value: one value from text to a field and back, with its bounds. Here alone a type is
 * known by its kind, so a new kind of setting is a case in these functions and nowhere else. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/proxy_url.h"
#include "common/status.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static bool is_list(const struct cdn_config_row *row)
{
    return row->type == CDN_CONFIG_LIST || row->type == CDN_CONFIG_MAP;
}

bool config_is_marked(const struct cdn_config_row *row, const char *mark)
{
    return row->type != CDN_CONFIG_CHOICE && row->choices && strcmp(row->choices, mark) == 0;
}

const char *config_looks(enum cdn_config_type type)
{
    static const char *const looks[] = {
#define X(name, ctype, text) text,
        CDN_CONFIG_TYPES(X)
#undef X
    };
    assert(type < CDN_CONFIG_TYPE_COUNT);
    return looks[type];
}

const char *config_shown(const struct cdn_config_row *row, struct cdn_str text, char out[static 84])
{
    if (config_is_marked(row, CDN_CONFIG_SECRET)) {
        cdn_str_copy(out, 84, CDN_STR("(the secret)"));
        return out;
    }
    CDN_AUTOBUF struct cdn_buf masked = {0};
    if (config_is_marked(row, CDN_CONFIG_PROXY)) {
        proxy_url_show(text, &masked);
        text = cdn_buf_str(&masked);
    }
    size_t n = text.n > 72 ? 72 : text.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : text.p[i];
    }
    cdn_str_copy(out + n, 4, text.n > n ? CDN_STR("...") : CDN_STR(""));
    return out;
}

static void add_bound(enum cdn_config_type type, double v, struct cdn_buf *out)
{
    char text[24];
    if (type == CDN_CONFIG_SIZE) {
        cdn_format_size((uint64_t)v, text);
    } else if (type == CDN_CONFIG_DURATION) {
        cdn_format_duration_ms((int64_t)v, text);
    } else {
        snprintf(text, sizeof(text), "%.15g", v);
    }
    cdn_buf_add_str(out, cdn_str(text));
}

static bool has_bounds(const struct cdn_config_row *row)
{
    return row->min < 0 || row->min > 0 || row->max < 0 || row->max > 0;
}

void config_bounds_text(const struct cdn_config_row *row, struct cdn_buf *out)
{
    if (row->type == CDN_CONFIG_CHOICE) {
        struct cdn_str rest = cdn_str(row->choices);
        for (const char *comma = ""; rest.p; comma = ", ") {
            struct cdn_str name = cdn_str_cut(&rest, '|');
            cdn_buf_printf(out, "%s" CDN_STR_FMT, comma, CDN_STR_ARG(name));
        }
    } else if (has_bounds(row) && row->max < row->min) {
        cdn_buf_add_str(out, CDN_STR("at least "));
        add_bound(row->type, row->min, out);
    } else if (has_bounds(row)) {
        add_bound(row->type, row->min, out);
        cdn_buf_add_str(out, CDN_STR(" to "));
        add_bound(row->type, row->max, out);
    }
}

static bool in_bounds(const struct cdn_config_row *row, double v)
{
    return !has_bounds(row) || (v >= row->min && (row->max < row->min || v <= row->max));
}

static enum cdn_status refuse(const struct cdn_config_row *row, const char *where, struct cdn_str text,
                              struct cdn_error *err)
{
    char value[84];
    CDN_AUTOBUF struct cdn_buf names = {0};
    if (row->type == CDN_CONFIG_CHOICE) {
        config_bounds_text(row, &names);
        return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" is not one of %s", where,
                             config_shown(row, text, value), names.p);
    }
    return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" is not %s", where, config_shown(row, text, value),
                         config_looks(row->type));
}

enum cdn_status config_check_bounds(const struct cdn_config_row *row, const char *where, struct cdn_str text,
                                    double v, const char *unit, struct cdn_error *err)
{
    if (in_bounds(row, v)) {
        return CDN_OK;
    }
    char value[84];
    CDN_AUTOBUF struct cdn_buf bounds = {0};
    config_bounds_text(row, &bounds);
    if (unit) {
        return cdn_error_set(err, CDN_INVALID, "%s: %.15g %s, allowed: %s", where, v, unit, bounds.p);
    }
    return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" is out of range, allowed: %s", where,
                         config_shown(row, text, value), bounds.p);
}

bool config_has_control(struct cdn_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool parse_choice(const struct cdn_config_row *row, struct cdn_str text, int *ret)
{
    struct cdn_str rest = cdn_str(row->choices);
    for (int i = 0; rest.p; i++) {
        if (cdn_str_eq(cdn_str_cut(&rest, '|'), text)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool parse_address(const struct cdn_config_row *row, struct cdn_str text)
{
    struct cdn_addr ignored;
    return (text.n == 0 && row->fallback[0] == '\0') || cdn_parse_host_port(text, &ignored);
}

/* A scalar in any of its C types. */
union scalar {
    bool b;
    uint64_t u;
    double d;
    int64_t i;
    int choice;
};

/* Parses `text` into *v and gives the number that the bounds are about. */
static bool parse_scalar(const struct cdn_config_row *row, struct cdn_str text, union scalar *v,
                         double *ret_measure)
{
    bool ok = false;
    *ret_measure = row->min; /* what has no bounds is within them */
    switch (row->type) {
    case CDN_CONFIG_BOOL:
        return cdn_parse_bool(text, &v->b);
    case CDN_CONFIG_UINT:
    case CDN_CONFIG_SIZE:
        ok = row->type == CDN_CONFIG_UINT ? cdn_parse_u64(text, &v->u) : cdn_parse_size(text, &v->u);
        *ret_measure = ok ? (double)v->u : 0;
        return ok;
    case CDN_CONFIG_REAL:
        ok = cdn_parse_real(text, &v->d);
        *ret_measure = ok ? v->d : 0;
        return ok;
    case CDN_CONFIG_DURATION:
        ok = cdn_parse_duration_ms(text, &v->i);
        *ret_measure = ok ? (double)v->i : 0;
        return ok;
    case CDN_CONFIG_CHOICE:
        return parse_choice(row, text, &v->choice);
    case CDN_CONFIG_ADDRESS:
        return parse_address(row, text);
    case CDN_CONFIG_STRING:
        *ret_measure = (double)text.n;
        return true;
    case CDN_CONFIG_LIST:
    case CDN_CONFIG_MAP:
    case CDN_CONFIG_TYPE_COUNT:
        break;
    }
    return false;
}

static void store_scalar(const struct cdn_config_row *row, void *settings, struct cdn_str text,
                         const union scalar *v)
{
    void *field = config_field(row, settings);
    if (row->type == CDN_CONFIG_BOOL) {
        *(bool *)field = v->b;
    } else if (row->type == CDN_CONFIG_CHOICE) {
        *(int *)field = v->choice;
    } else if (row->type == CDN_CONFIG_STRING || row->type == CDN_CONFIG_ADDRESS) {
        free(*(char **)field);
        *(char **)field = cdn_str_dup(text);
    } else {
        _Static_assert(sizeof(double) == sizeof(v->u) && sizeof(int64_t) == sizeof(v->u),
                       "one size of number");
        memcpy(field, &v->u, sizeof(v->u));
    }
}

static enum cdn_status set_scalar(const struct cdn_config_row *row, void *settings,
                                  const struct config_place *place, struct cdn_str text,
                                  struct cdn_error *err)
{
    union scalar v = {0};
    double measure;
    bool is_text = row->type == CDN_CONFIG_STRING;
    struct proxy_url proxy;
    const char *why;
    if (text.n && config_is_marked(row, CDN_CONFIG_PROXY) && !proxy_url_read(text, &proxy, &why)) {
        char value[84];
        return cdn_error_set(err, CDN_INVALID,
                             "%s: \"%s\" is not a proxy such as socks5h://USER:PASSWORD@127.0.0.1:1080: %s",
                             place->where, config_shown(row, text, value), why);
    }
    if (!parse_scalar(row, text, &v, &measure)) {
        return refuse(row, place->where, text, err);
    }
    enum cdn_status status =
        config_check_bounds(row, place->where, text, measure, is_text ? "characters long" : NULL, err);
    if (status == CDN_OK) {
        store_scalar(row, settings, text, &v);
    }
    return status;
}

enum cdn_status config_value_set(const struct cdn_config_row *row, void *settings,
                                 const struct config_place *place, struct cdn_str text, struct cdn_error *err)
{
    if (config_has_control(text)) {
        char value[84];
        return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" has a control character in it", place->where,
                             config_shown(row, text, value));
    }
    if (!is_list(row)) {
        return set_scalar(row, settings, place, text, err);
    }
    struct cdn_config_list *list = config_field(row, settings);
    struct cdn_config_list old = *list;
    *list = (struct cdn_config_list){0};
    enum cdn_status status = config_list_set(row, settings, place, text, err);
    if (status != CDN_OK) { /* a failure leaves the old value */
        config_list_free(list);
        *list = old;
        return status;
    }
    config_list_free(&old);
    return CDN_OK;
}

void config_value_clear(const struct cdn_config_row *row, void *settings)
{
    char **text = config_field(row, settings);
    if (is_list(row)) {
        config_list_free(config_field(row, settings));
    } else if (row->type == CDN_CONFIG_STRING || row->type == CDN_CONFIG_ADDRESS) {
        free(*text);
        *text = NULL;
    }
}

/* The shortest text that reads back as the same number. */
static void add_real(struct cdn_buf *out, double v)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        double back = 0;
        snprintf(text, sizeof(text), "%.*g", digits, v);
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): -0 and 0 are two
        if (cdn_parse_real(cdn_str(text), &back) && memcmp(&back, &v, sizeof(v)) == 0) {
            break;
        }
    }
    cdn_buf_add_str(out, cdn_str(text));
}

static struct cdn_str choice_name(const struct cdn_config_row *row, int number)
{
    struct cdn_str rest = cdn_str(row->choices);
    struct cdn_str name = cdn_str_cut(&rest, '|');
    while (number-- > 0 && rest.p) {
        name = cdn_str_cut(&rest, '|');
    }
    return name;
}

char *cdn_config_text(const struct cdn_config_row *row, const void *settings)
{
    const void *field = config_field_const(row, settings);
    struct cdn_buf out = {0};
    char text[24];
    switch (row->type) {
    case CDN_CONFIG_BOOL:
        return cdn_strdup(*(const bool *)field ? "yes" : "no");
    case CDN_CONFIG_UINT:
        return cdn_asprintf("%" PRIu64, *(const uint64_t *)field);
    case CDN_CONFIG_REAL:
        add_real(&out, *(const double *)field);
        return cdn_buf_take(&out);
    case CDN_CONFIG_SIZE:
        cdn_format_size(*(const uint64_t *)field, text);
        return cdn_strdup(text);
    case CDN_CONFIG_DURATION:
        cdn_format_duration_ms(*(const int64_t *)field, text);
        return cdn_strdup(text);
    case CDN_CONFIG_CHOICE:
        return cdn_str_dup(choice_name(row, *(const int *)field));
    case CDN_CONFIG_STRING:
    case CDN_CONFIG_ADDRESS:
        return cdn_str_dup(cdn_str(*(char *const *)field));
    case CDN_CONFIG_LIST:
    case CDN_CONFIG_MAP:
        config_list_text(row, field, &out);
        return cdn_buf_take(&out);
    case CDN_CONFIG_TYPE_COUNT:
        break;
    }
    return cdn_strdup("");
}
