/* geo_summary: counts by value, found by hash. The number of values is limited, because a field
 * such as `ip` has as many as there are lines; what comes after is counted together. */
#include "cli/geo/geo_summary.h"

#include "cli/base/print.h"
#include "cli/base/table.h"
#include "common/index.h"
#include "common/mem.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define VALUES_MAX (1u << 20) /* of a field; what comes after is counted as "others" */

struct value {
    char *text;
    size_t n;
    uint64_t count;
};

struct tally { /* of one field */
    enum geo_field field;
    struct value *values;
    size_t count, room;
    struct cdn_index index; /* of the values, by text */
    uint64_t others;
};

struct geo_summary {
    struct tally tallies[GEO_FIELD_COUNT];
    size_t tally_count;
    uint64_t addresses;
    struct cdn_buf text;
};

enum cdn_status geo_summary_create(const char *fields, struct geo_summary **ret, struct cdn_error *err)
{
    struct geo_summary *s = cdn_calloc(1, sizeof(*s));
    struct cdn_str rest = cdn_str(fields ? fields : "country,asn,edge");
    while (rest.p && s->tally_count < GEO_FIELD_COUNT) {
        struct cdn_str name = cdn_str_trim(cdn_str_cut(&rest, ','));
        struct tally *t = &s->tallies[s->tally_count++];
        if (!geo_field_find(name, &t->field)) {
            geo_summary_destroy(s);
            return cdn_error_set(err, CDN_USAGE, "--summary: no field '" CDN_STR_FMT "'", CDN_STR_ARG(name));
        }
    }
    *ret = s;
    return CDN_OK;
}

void geo_summary_destroy(struct geo_summary *s)
{
    for (size_t i = 0; s && i < s->tally_count; i++) {
        for (size_t k = 0; k < s->tallies[i].count; k++) {
            free(s->tallies[i].values[k].text);
        }
        free(s->tallies[i].values);
        cdn_index_free(&s->tallies[i].index);
    }
    if (s) {
        cdn_buf_free(&s->text);
    }
    free(s);
}

struct asked {
    const struct value *values;
    struct cdn_str text;
};

static bool is_same(const void *ctx, uint32_t number)
{
    const struct asked *a = ctx;
    const struct value *v = &a->values[number];
    return cdn_str_eq((struct cdn_str){v->text, v->n}, a->text);
}

static void count_text(struct tally *t, struct cdn_str text)
{
    const uint64_t hash = XXH3_64bits(text.p, text.n);
    const struct asked asked = {t->values, text};
    uint32_t number = cdn_index_find(&t->index, hash, is_same, &asked);
    if (number == CDN_INDEX_NONE) {
        if (t->count == VALUES_MAX) {
            t->others++;
            return;
        }
        if (t->count == t->room) {
            t->room = t->room ? 2 * t->room : 512;
            t->values = cdn_realloc(t->values, t->room, sizeof(*t->values));
        }
        number = (uint32_t)t->count++;
        t->values[number] = (struct value){.text = cdn_strndup(text.p, text.n), .n = text.n};
        cdn_index_put(&t->index, hash, number);
    }
    t->values[number].count++;
}

void geo_summary_count(struct geo_summary *s, const struct geo_row *row)
{
    s->addresses++;
    for (size_t i = 0; i < s->tally_count; i++) {
        cdn_buf_clear(&s->text);
        geo_field_put(row, s->tallies[i].field, &s->text);
        count_text(&s->tallies[i], s->text.n ? cdn_buf_str(&s->text) : CDN_STR("unknown"));
    }
}

static int by_count(const void *left, const void *right)
{
    const struct value *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : strcmp(a->text, b->text);
}

/* The values in order, t->count of them; the caller frees the array. */
static struct value *ordered(const struct tally *t)
{
    struct value *all = cdn_calloc(t->count + 1, sizeof(*all));
    if (t->count > 0) {
        memcpy(all, t->values, t->count * sizeof(*all));
    }
    qsort(all, t->count, sizeof(*all), by_count);
    return all;
}

static void print_json(const struct geo_summary *s, struct cdn_buf *out)
{
    json_t *o = json_object();
    json_object_set_new(o, "addresses", json_integer((json_int_t)s->addresses));
    for (size_t i = 0; i < s->tally_count; i++) {
        const struct tally *t = &s->tallies[i];
        CDN_AUTOFREE struct value *all = ordered(t);
        json_t *counts = json_object();
        for (size_t k = 0; k < t->count; k++) {
            json_object_setn_new(counts, all[k].text, all[k].n, json_integer((json_int_t)all[k].count));
        }
        if (t->others) {
            json_object_set_new(counts, "others", json_integer((json_int_t)t->others));
        }
        json_object_set_new(o, geo_field_name(t->field), counts);
    }
    cli_add_json(out, o, JSON_COMPACT);
    cdn_buf_add_char(out, '\n');
    json_decref(o);
}

static void add_row(struct table *table, const char *field, const char *text, uint64_t count, uint64_t all)
{
    table_add(table, "%s", field);
    table_add(table, "%s", text);
    table_add(table, "%llu", (unsigned long long)count);
    table_add(table, "%.1f", all ? 100.0 * (double)count / (double)all : 0);
}

void geo_summary_print(const struct geo_summary *s, bool json, struct cdn_buf *out)
{
    if (json) {
        print_json(s, out);
        return;
    }
    struct table table;
    table_init(&table, "FIELD|VALUE|>ADDRESSES|>%");
    for (size_t i = 0; i < s->tally_count; i++) {
        const struct tally *t = &s->tallies[i];
        const char *name = geo_field_name(t->field);
        CDN_AUTOFREE struct value *all = ordered(t);
        for (size_t k = 0; k < t->count; k++) {
            add_row(&table, name, all[k].text, all[k].count, s->addresses);
        }
        if (t->others) {
            add_row(&table, name, "others", t->others, s->addresses);
        }
    }
    table_print(&table, out);
    table_fini(&table);
}
