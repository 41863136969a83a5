/* head: packing and reading records in one block. A line's first word has field number and
 * length, so a search for a known field skips from word to word and compares no names.
 * check_block judges each byte of a block that was on disk; everything after it may trust the
 * block. */
#include "edge/semantics/head.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define MAGIC UINT32_C(0x35444845) /* "EHD5" */

/* How a line is written: a word of three things; the length of the name (16 bits) and the name with a NUL,
 * if it is spelled out; the value with a NUL. A well-known field that is spelled as in our table has no
 * name. */
struct record {
    uint32_t value_n;
    uint16_t name_n; /* 0: as in the table */
    uint8_t field;   /* enum edge_head_field */
};
#define WORD_FIELD 24                    /* bits below are the length of the value */
#define WORD_SPELLED (UINT32_C(1) << 31) /* the name follows */
_Static_assert(EDGE_HEAD_MAX_BYTES < 1u << WORD_FIELD && EDGE_HEAD_OTHER < 128, "a word has room for both");

struct lines { /* what a new head is made of */
    size_t count;
    struct http_field item[EDGE_HEAD_MAX_LINES];
    struct record record[EDGE_HEAD_MAX_LINES]; /* of each, once it is packed */
};

static const struct cdn_str field_names[EDGE_HEAD_FIELD_COUNT] = {
#define X(name, text) {text, sizeof(text) - 1},
    EDGE_HEAD_FIELDS(X)
#undef X
};

const char *edge_head_field_name(enum edge_head_field f)
{
    return f < EDGE_HEAD_FIELD_COUNT ? field_names[f].p : "";
}

enum edge_head_field edge_head_field_find(struct cdn_str name)
{
    unsigned f = 0;
    while (f < EDGE_HEAD_FIELD_COUNT &&
           !(name.n == field_names[f].n && cdn_str_eq_nocase(name, field_names[f]))) {
        f++;
    }
    return (enum edge_head_field)f;
}

/* Bytes before the value. */
static size_t value_at(const struct record *r)
{
    return sizeof(uint32_t) + (r->name_n ? sizeof(uint16_t) + r->name_n + 1u : 0);
}

static size_t record_size(const struct record *r)
{
    return value_at(r) + r->value_n + 1;
}

/* Its number in the table and the length of the name that is kept. */
static struct record record_of(const struct http_field *line)
{
    enum edge_head_field f = edge_head_field_find(line->name);
    bool as_in_table = f < EDGE_HEAD_FIELD_COUNT && cdn_str_eq(line->name, field_names[f]);
    return (struct record){(uint32_t)line->value.n, as_in_table ? 0 : (uint16_t)line->name.n, (uint8_t)f};
}

static void copy_value(char *into, struct cdn_str value)
{
    if (!value.n) {
        return;
    }
    if (http_check_field_value(value) && !memchr(value.p, '\t', value.n)) { /* nearly always */
        memcpy(into, value.p, value.n);
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        into[i] = c == '\r' || c == '\n' || c == '\0' || c == '\t' ? ' ' : c;
    }
}

/* Returns the size of the record. The NULs are there already. */
static size_t write_record(struct edge_head *head, size_t at, const struct http_field *line,
                           const struct record *r)
{
    char *p = (char *)head + at;
    const uint32_t word = r->value_n | (uint32_t)r->field << WORD_FIELD | (r->name_n ? WORD_SPELLED : 0);
    memcpy(p, &word, sizeof(word));
    if (r->name_n) {
        memcpy(p + sizeof(word), &r->name_n, sizeof(r->name_n));
        memcpy(p + sizeof(word) + sizeof(r->name_n), line->name.p, r->name_n);
    }
    copy_value(p + value_at(r), line->value);
    return record_size(r);
}

/* Of a record, of which `left` bytes are there; false when that is not the whole. */
static bool read_record(const char *p, size_t left, struct record *ret)
{
    uint32_t word;
    if (left < sizeof(word)) {
        return false;
    }
    memcpy(&word, p, sizeof(word));
    const bool spelled = (word & WORD_SPELLED) != 0;
    *ret = (struct record){.value_n = word & ((UINT32_C(1) << WORD_FIELD) - 1),
                           .field = (uint8_t)((word & ~WORD_SPELLED) >> WORD_FIELD)};
    if (spelled && left >= sizeof(word) + sizeof(ret->name_n)) {
        memcpy(&ret->name_n, p + sizeof(word), sizeof(ret->name_n));
    }
    return spelled == (ret->name_n != 0) && record_size(ret) <= left;
}

/* As it is in a record: a name that is not spelled out is that of the table. */
static struct edge_head_line line_at(const char *p, const struct record *r)
{
    const char *name = p + sizeof(uint32_t) + sizeof(r->name_n);
    return (struct edge_head_line){.field = (enum edge_head_field)r->field,
                                   .name =
                                       r->name_n ? (struct cdn_str){name, r->name_n} : field_names[r->field],
                                   .value = {p + value_at(r), r->value_n}};
}

/* The block of `lines`; names have been checked. */
static enum cdn_status pack(unsigned status, struct lines *lines, struct edge_head **ret,
                            struct cdn_error *err)
{
    size_t size = sizeof(struct edge_head), at = sizeof(struct edge_head);
    if (status < 100 || status > 999) {
        return cdn_error_set(err, CDN_INVALID, "response status %u is out of 100-999", status);
    }
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->item[i].value.n > EDGE_HEAD_MAX_BYTES || lines->item[i].name.n > UINT16_MAX) {
            return cdn_error_set(err, CDN_TOO_LARGE, "response field is longer than %u bytes",
                                 EDGE_HEAD_MAX_BYTES);
        }
        lines->record[i] = record_of(&lines->item[i]);
        size += record_size(&lines->record[i]);
        if (size > EDGE_HEAD_MAX_BYTES) {
            return cdn_error_set(err, CDN_TOO_LARGE, "response head is larger than %u bytes",
                                 EDGE_HEAD_MAX_BYTES);
        }
    }
    struct edge_head *head = cdn_calloc(1, size);
    head->magic = MAGIC;
    head->size = (uint32_t)size;
    head->status = (uint16_t)status;
    head->lines = (uint16_t)lines->count;
    for (size_t i = 0; i < lines->count; i++) {
        at += write_record(head, at, &lines->item[i], &lines->record[i]);
    }
    *ret = head;
    return CDN_OK;
}

static enum cdn_status add_line(struct lines *lines, struct cdn_str name, struct cdn_str value,
                                struct cdn_error *err)
{
    if (!http_is_token(name)) {
        return cdn_error_set(err, CDN_INVALID, "response field name '" CDN_STR_FMT "' is no token",
                             (int)(name.n < 80 ? name.n : 80), name.p);
    }
    if (lines->count == EDGE_HEAD_MAX_LINES) {
        return cdn_error_set(err, CDN_TOO_LARGE, "response head has more than %u lines", EDGE_HEAD_MAX_LINES);
    }
    lines->item[lines->count++] = (struct http_field){name, cdn_str_trim(value)};
    return CDN_OK;
}

static bool listed(struct cdn_str name, const struct cdn_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

enum cdn_status edge_head_build(unsigned status, const struct http_field *fields, size_t count,
                                const struct cdn_str *drop, size_t drop_count, struct edge_head **ret,
                                struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct lines lines;
    lines.count = 0;
    (void)http_fields_join(fields, count, CDN_STR("Connection"), &connection);
    for (size_t i = 0; i < count; i++) {
        if (http_is_hop_by_hop(fields[i].name, cdn_buf_str(&connection)) ||
            listed(fields[i].name, drop, drop_count)) {
            continue;
        }
        enum cdn_status st = add_line(&lines, fields[i].name, fields[i].value, err);
        if (st != CDN_OK) {
            return st;
        }
    }
    return pack(status, &lines, ret, err);
}

/* One record at `at`, checked against the end of the block; false when it does not fit or is not as we write
 * it. */
static bool check_record(const struct edge_head *head, size_t at, struct record *ret)
{
    const char *p = (const char *)head + at;
    if (!read_record(p, head->size - at, ret) ||
        (ret->name_n ? ret->field > EDGE_HEAD_OTHER : ret->field >= EDGE_HEAD_FIELD_COUNT)) {
        return false;
    }
    const struct edge_head_line line = line_at(p, ret);
    if (line.value.p[line.value.n] || line.name.p[line.name.n] ||
        (ret->name_n && (!http_is_token(line.name) || edge_head_field_find(line.name) != line.field))) {
        return false;
    }
    for (size_t i = 0; i < line.value.n; i++) {
        if (line.value.p[i] == '\r' || line.value.p[i] == '\n' || line.value.p[i] == '\0') {
            return false;
        }
    }
    return true;
}

static bool check_block(const struct edge_head *head)
{
    size_t at = sizeof(*head);
    unsigned lines = 0;
    if (head->magic != MAGIC || head->status < 100 || head->status > 999 ||
        head->lines > EDGE_HEAD_MAX_LINES) {
        return false;
    }
    for (; at < head->size; lines++) {
        struct record r;
        if (!check_record(head, at, &r)) {
            return false;
        }
        at += record_size(&r);
    }
    return lines == head->lines;
}

enum cdn_status edge_head_parse(const void *bytes, size_t n, struct edge_head **ret, struct cdn_error *err)
{
    struct edge_head *head;
    if (n < sizeof(*head) || n > EDGE_HEAD_MAX_BYTES) {
        return cdn_error_set(err, CDN_CORRUPT, "stored head of %zu bytes has an impossible size", n);
    }
    head = cdn_malloc(n);
    memcpy(head, bytes, n);
    if (head->size != n || !check_block(head)) {
        free(head);
        return cdn_error_set(err, CDN_CORRUPT, "stored head of %zu bytes is damaged", n);
    }
    *ret = head;
    return CDN_OK;
}

void edge_head_destroy(struct edge_head *head)
{
    free(head);
}

const void *edge_head_bytes(const struct edge_head *head, size_t *ret_n)
{
    *ret_n = head->size;
    return head;
}

size_t edge_head_size(const struct edge_head *head)
{
    return head->size;
}

unsigned edge_head_status(const struct edge_head *head)
{
    return head->status;
}

unsigned edge_head_lines(const struct edge_head *head)
{
    return head->lines;
}

/* Of the record at `p` in a block that is whole: a dozen fields are looked for in each head, most in vain. */
static unsigned field_at(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return (word & ~WORD_SPELLED) >> WORD_FIELD;
}

static size_t size_at(const char *p)
{
    uint32_t word;
    uint16_t name_n;
    memcpy(&word, p, sizeof(word));
    const size_t size = sizeof(word) + (word & ((UINT32_C(1) << WORD_FIELD) - 1)) + 1;
    if (!(word & WORD_SPELLED)) {
        return size;
    }
    memcpy(&name_n, p + sizeof(word), sizeof(name_n));
    return size + sizeof(name_n) + name_n + 1;
}

bool edge_head_next(const struct edge_head *head, size_t *at, struct edge_head_line *ret)
{
    const size_t from = *at ? *at : sizeof(*head);
    const char *p = (const char *)head + from;
    struct record r;
    if (!read_record(p, head->size - from, &r)) {
        return false;
    }
    *ret = line_at(p, &r);
    *at = from + record_size(&r);
    return true;
}

bool edge_head_next_of(const struct edge_head *head, enum edge_head_field f, size_t *at,
                       struct cdn_str *ret_value)
{
    size_t from = *at ? *at : sizeof(*head);
    struct edge_head_line line;
    while (f < EDGE_HEAD_FIELD_COUNT && from < head->size) {
        const char *p = (const char *)head + from;
        if (field_at(p) == (unsigned)f && edge_head_next(head, &from, &line)) {
            *at = from;
            *ret_value = line.value;
            return true;
        }
        from += size_at(p);
    }
    *at = head->size;
    return false;
}

struct cdn_str edge_head_get(const struct edge_head *head, enum edge_head_field f)
{
    struct cdn_str value = {NULL, 0};
    size_t at = 0;
    (void)edge_head_next_of(head, f, &at, &value);
    return value;
}

unsigned edge_head_count(const struct edge_head *head, enum edge_head_field f)
{
    struct cdn_str value;
    size_t at = 0;
    unsigned n = 0;
    while (edge_head_next_of(head, f, &at, &value)) {
        n++;
    }
    return n;
}

bool edge_head_get_named(const struct edge_head *head, struct cdn_str name, struct cdn_str *ret_first)
{
    struct edge_head_line line;
    size_t at = 0;
    while (edge_head_next(head, &at, &line)) {
        if (cdn_str_eq_nocase(line.name, name)) {
            *ret_first = line.value;
            return true;
        }
    }
    return false;
}

static void join(struct cdn_buf *into, struct cdn_str value, bool first)
{
    if (!first) {
        cdn_buf_add(into, ", ", 2);
    }
    cdn_buf_add_str(into, value);
}

bool edge_head_join_named(const struct edge_head *head, struct cdn_str name, struct cdn_buf *into)
{
    const enum edge_head_field f = edge_head_field_find(name);
    struct edge_head_line line;
    size_t at = 0;
    bool found = false;
    if (f < EDGE_HEAD_FIELD_COUNT) {
        return edge_head_join(head, f, into);
    }
    while (edge_head_next(head, &at, &line)) {
        if (line.field == EDGE_HEAD_OTHER && cdn_str_eq_nocase(line.name, name)) {
            join(into, line.value, !found);
            found = true;
        }
    }
    return found;
}

bool edge_head_join(const struct edge_head *head, enum edge_head_field f, struct cdn_buf *into)
{
    struct cdn_str value;
    size_t at = 0;
    bool found = false;
    while (edge_head_next_of(head, f, &at, &value)) {
        join(into, value, !found);
        found = true;
    }
    return found;
}

/* Lines of `head` but those for which `fields` hold a line of the same name; Age and Warning too when
 * `age_goes`. */
static enum cdn_status keep_others(const struct edge_head *head, const struct http_field *fields,
                                   size_t count, bool age_goes, struct lines *lines, struct cdn_error *err)
{
    struct edge_head_line line;
    struct cdn_str unused;
    size_t at = 0;
    while (edge_head_next(head, &at, &line)) {
        if ((age_goes && (line.field == EDGE_HEAD_AGE || line.field == EDGE_HEAD_WARNING)) ||
            http_fields_find(fields, count, line.name, &unused) > 0) {
            continue;
        }
        enum cdn_status st = add_line(lines, line.name, line.value, err);
        if (st != CDN_OK) {
            return st;
        }
    }
    return CDN_OK;
}

/* May an update change this field of the stored head? */
static bool updates(const struct edge_head *head, struct cdn_str name)
{
    static const struct cdn_str never[] = {
        {"Content-Length", 14}, {"Content-Encoding", 16}, {"Content-Range", 13}};
    static const struct cdn_str bound[] = {
        {"ETag", 4}, {"Content-MD5", 11}, {"Content-Digest", 14}, {"Repr-Digest", 11}, {"Digest", 6}};
    struct cdn_str unused;
    return !listed(name, never, CDN_ARRAY_LEN(never)) &&
           !(listed(name, bound, CDN_ARRAY_LEN(bound)) && edge_head_get_named(head, name, &unused));
}

enum cdn_status edge_head_update(const struct edge_head *head, const struct http_field *fields, size_t count,
                                 struct edge_head **ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct lines fresh, lines;
    enum cdn_status st = CDN_OK;
    fresh.count = lines.count = 0;
    (void)http_fields_join(fields, count, CDN_STR("Connection"), &connection);
    for (size_t i = 0; i < count && st == CDN_OK; i++) {
        if (!http_is_hop_by_hop(fields[i].name, cdn_buf_str(&connection)) && updates(head, fields[i].name)) {
            st = add_line(&fresh, fields[i].name, fields[i].value, err);
        }
    }
    if (st == CDN_OK) {
        st = keep_others(head, fresh.item, fresh.count, true, &lines, err);
    }
    for (size_t i = 0; i < fresh.count && st == CDN_OK; i++) {
        st = add_line(&lines, fresh.item[i].name, fresh.item[i].value, err);
    }
    return st == CDN_OK ? pack(head->status, &lines, ret, err) : st;
}

enum cdn_status edge_head_with(const struct edge_head *head, unsigned status,
                               const struct http_field *changes, size_t count, struct edge_head **ret,
                               struct cdn_error *err)
{
    struct lines lines;
    lines.count = 0;
    enum cdn_status st = keep_others(head, changes, count, false, &lines, err);
    for (size_t i = 0; i < count && st == CDN_OK; i++) {
        if (changes[i].value.p) {
            st = add_line(&lines, changes[i].name, changes[i].value, err);
        }
    }
    return st == CDN_OK ? pack(status, &lines, ret, err) : st;
}
