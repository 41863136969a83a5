/* mime: rows are sorted once at start and found by binary search, the system's table before the
 * built-in one. The extension is folded into a small buffer; longer ones mean nothing. */
#include "origin/mime.h"

#include "common/http/syntax/http_field.h"
#include "common/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FILE_MAX_BYTES (4u << 20)
#define EXTENSION_MAX 24

/* what web sites are made of, for systems without the table and for what it does not know */
static const char builtin[] = "application/gzip gz\n"
                              "application/json json map\n"
                              "application/manifest+json webmanifest\n"
                              "application/pdf pdf\n"
                              "application/rss+xml rss\n"
                              "application/atom+xml atom\n"
                              "application/vnd.ms-fontobject eot\n"
                              "application/wasm wasm\n"
                              "application/xml xml\n"
                              "application/zip zip\n"
                              "audio/mpeg mp3\n"
                              "audio/ogg ogg opus\n"
                              "audio/wav wav\n"
                              "font/otf otf\n"
                              "font/ttf ttf\n"
                              "font/woff woff\n"
                              "font/woff2 woff2\n"
                              "image/avif avif\n"
                              "image/gif gif\n"
                              "image/jpeg jpg jpeg\n"
                              "image/png png\n"
                              "image/svg+xml svg\n"
                              "image/vnd.microsoft.icon ico\n"
                              "image/webp webp\n"
                              "text/css css\n"
                              "text/csv csv\n"
                              "text/html html htm\n"
                              "text/javascript js mjs\n"
                              "text/markdown md\n"
                              "text/plain txt text log\n"
                              "video/mp4 mp4\n"
                              "video/webm webm\n";

struct row {
    char extension[EXTENSION_MAX]; /* lower case */
    size_t type;                   /* offset into text */
    unsigned order;                /* the first of equals counts */
};

struct origin_mime {
    struct row *rows; /* sorted by extension */
    size_t n;
    size_t room;
    struct cdn_buf text; /* the Content-Type values, NUL-ended */
};

static bool is_text(struct cdn_str type)
{
    return cdn_str_starts(type, CDN_STR("text/")) || cdn_str_eq(type, CDN_STR("application/javascript"));
}

static bool copy_lower(char *dst, struct cdn_str s)
{
    if (!cdn_str_copy(dst, EXTENSION_MAX, s)) {
        return false;
    }
    for (char *c = dst; *c; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
    }
    return true;
}

static void add_row(struct origin_mime *mime, struct cdn_str extension, size_t type)
{
    if (mime->n == mime->room) {
        mime->room = mime->room ? 2 * mime->room : 512;
        mime->rows = cdn_realloc(mime->rows, mime->room, sizeof(*mime->rows));
    }
    struct row *row = &mime->rows[mime->n];
    *row = (struct row){.type = type, .order = (unsigned)mime->n};
    if (extension.n && copy_lower(row->extension, extension)) {
        mime->n++;
    }
}

static struct cdn_str next_word(struct cdn_str *line)
{
    size_t from = 0, to;
    while (from < line->n && strchr(" \t\r", line->p[from])) {
        from++;
    }
    for (to = from; to < line->n && !strchr(" \t\r", line->p[to]);) {
        to++;
    }
    struct cdn_str word = {line->p + from, to - from};
    *line = cdn_str_sub(*line, to);
    return word;
}

static void add_line(struct origin_mime *mime, struct cdn_str line)
{
    struct cdn_str type = next_word(&line);
    struct cdn_str media = http_media_type(type);
    if (type.n == 0 || type.p[0] == '#' || media.n != type.n) {
        return;
    }
    size_t at = mime->text.n;
    bool used = false;
    for (struct cdn_str word; (word = next_word(&line)).n; used = true) {
        if (!used) {
            cdn_buf_add_str(&mime->text, type);
            if (is_text(type)) {
                cdn_buf_add_str(&mime->text, CDN_STR("; charset=utf-8"));
            }
            cdn_buf_add_char(&mime->text, '\0');
        }
        add_row(mime, word, at);
    }
}

static void add_table(struct origin_mime *mime, struct cdn_str text)
{
    while (text.p) {
        add_line(mime, cdn_str_cut(&text, '\n'));
    }
}

static enum cdn_status add_file(struct origin_mime *mime, const char *path, struct cdn_error *err)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return errno == ENOENT
                   ? CDN_OK
                   : cdn_error_set(err, CDN_IO, "mime_types: cannot read %s: %s", path, strerror(errno));
    }
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_reserve(&text, FILE_MAX_BYTES + 1);
    text.n = fread(text.p, 1, FILE_MAX_BYTES + 1, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed) {
        return cdn_error_set(err, CDN_IO, "mime_types: cannot read %s", path);
    }
    if (text.n > FILE_MAX_BYTES) {
        return cdn_error_set(err, CDN_TOO_LARGE, "mime_types: %s is larger than 4 MiB", path);
    }
    add_table(mime, cdn_buf_str(&text));
    return CDN_OK;
}

static int compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = strcmp(x->extension, y->extension);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static void sort_and_unify(struct origin_mime *mime)
{
    qsort(mime->rows, mime->n, sizeof(*mime->rows), compare);
    size_t kept = 0;
    for (size_t i = 0; i < mime->n; i++) {
        if (kept == 0 || strcmp(mime->rows[kept - 1].extension, mime->rows[i].extension) != 0) {
            mime->rows[kept++] = mime->rows[i];
        }
    }
    mime->n = kept;
}

enum cdn_status origin_mime_load(const char *path, struct origin_mime **ret, struct cdn_error *err)
{
    struct origin_mime *mime = cdn_calloc(1, sizeof(*mime));
    if (path[0]) {
        enum cdn_status s = add_file(mime, path, err);
        if (s != CDN_OK) {
            origin_mime_destroy(mime);
            return s;
        }
    }
    add_table(mime, cdn_str(builtin));
    sort_and_unify(mime);
    *ret = mime;
    return CDN_OK;
}

void origin_mime_destroy(struct origin_mime *mime)
{
    if (mime) {
        free(mime->rows);
        cdn_buf_free(&mime->text);
        free(mime);
    }
}

static int compare_key(const void *key, const void *row)
{
    return strcmp(key, ((const struct row *)row)->extension);
}

const char *origin_mime_find(const struct origin_mime *mime, struct cdn_str name)
{
    char extension[EXTENSION_MAX];
    const char *dot = memrchr(name.p, '.', name.n);
    const char *slash = memrchr(name.p, '/', name.n);
    if (dot && (!slash || slash < dot) && dot != name.p &&
        copy_lower(extension, (struct cdn_str){dot + 1, (size_t)(name.p + name.n - dot - 1)})) {
        const struct row *row = bsearch(extension, mime->rows, mime->n, sizeof(*mime->rows), compare_key);
        if (row) {
            return mime->text.p + row->type;
        }
    }
    return "application/octet-stream";
}
