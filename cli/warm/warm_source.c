/* warm_source: brings the bytes of lists. Files and standard input are read here; a URL is asked of the
 * first edge in the name of its site, as everything else is, so that a sitemap of a site whose name
 * resolves nowhere yet can be read, and is warm afterwards. Sizes are limited before and after gzip. */
#include "cli/warm/warm_list.h"
#include "cli/warm/warm_private.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "common/banned.h"

#define SOURCE_MAX ((size_t)64 << 20) /* sitemaps.org allows 50 MB */
#define FETCH_MS 60000
#define GZIP_WINDOW (15 + 16) /* bits, and the mark for a gzip head (zlib.h, inflateInit2) */

static enum cdn_status read_stream(FILE *file, struct cdn_buf *into, struct cdn_error *err)
{
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;) {
        if (into->n + n > SOURCE_MAX) {
            return cdn_error_set(err, CDN_TOO_LARGE, "larger than %zu MiB", SOURCE_MAX >> 20);
        }
        cdn_buf_add(into, piece, n);
    }
    return ferror(file) ? cdn_error_set(err, CDN_IO, "%s", strerror(errno)) : CDN_OK;
}

static enum cdn_status read_file(const char *path, struct cdn_buf *into, struct cdn_error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "%s", strerror(errno));
    }
    enum cdn_status status = read_stream(file, into, err);
    if (file != stdin) {
        fclose(file);
    }
    return status;
}

/* A list is wanted plain, whatever the form in which files are warmed. */
static size_t without_coding(struct http_field *fields, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!cdn_str_eq_nocase(fields[i].name, CDN_STR("Accept-Encoding"))) {
            fields[kept++] = fields[i];
        }
    }
    return kept;
}

static enum cdn_status fetch(const struct warm *warm, const char *source, struct cdn_buf *into,
                             struct cdn_error *err)
{
    struct http_field fields[WARM_FIELDS_MAX + 2];
    CDN_AUTOBUF struct cdn_buf url = {0};
    struct http_simple_result result = {0};
    struct warm_url at;
    const struct warm_edge *edge = &warm->edges[0];
    enum cdn_status status = warm_url_read(cdn_str(source), CDN_STR(""), &at, err);
    if (status != CDN_OK) {
        return status;
    }
    size_t n = without_coding(fields, warm_request(warm, edge, &at, &url, fields));
    status = http_simple("GET", url.p, fields, n, CDN_STR(""), FETCH_MS, SOURCE_MAX, &result, err);
    warm_url_free(&at);
    if (status != CDN_OK) {
        return status;
    }
    if (result.status != 200) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "%s answered %u", edge->name, result.status);
    } else {
        cdn_buf_add_str(into, cdn_buf_str(&result.body));
    }
    http_simple_free(&result);
    return status;
}

/* One member, or several (RFC 1952 2.2). */
static enum cdn_status gunzip(struct cdn_buf *bytes, struct cdn_error *err)
{
    char piece[65536];
    struct cdn_buf plain = {0};
    z_stream z = {.next_in = (Bytef *)bytes->p, .avail_in = (uInt)bytes->n};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return cdn_error_set(err, CDN_INTERNAL, "cannot start zlib");
    }
    int r = Z_OK;
    while ((r == Z_OK || (r == Z_STREAM_END && z.avail_in && inflateReset(&z) == Z_OK)) &&
           plain.n <= SOURCE_MAX) {
        z.next_out = (Bytef *)piece;
        z.avail_out = sizeof(piece);
        r = inflate(&z, Z_NO_FLUSH);
        cdn_buf_add(&plain, piece, sizeof(piece) - z.avail_out);
    }
    inflateEnd(&z);
    if (r != Z_STREAM_END) {
        bool large = plain.n > SOURCE_MAX;
        cdn_buf_free(&plain);
        return large ? cdn_error_set(err, CDN_TOO_LARGE, "larger than %zu MiB", SOURCE_MAX >> 20)
                     : cdn_error_set(err, CDN_CORRUPT, "its gzip form is damaged or cut off");
    }
    cdn_buf_free(bytes);
    *bytes = plain;
    return CDN_OK;
}

static enum cdn_status read_one(struct warm *warm, const char *source, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf bytes = {0};
    const struct warm_base base = {warm->options->base};
    bool remote = strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0;
    enum cdn_status status = remote ? fetch(warm, source, &bytes, err) : read_file(source, &bytes, err);
    if (status == CDN_OK && cdn_str_starts(cdn_buf_str(&bytes), CDN_STR("\x1f\x8b"))) {
        status = gunzip(&bytes, err);
    }
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "%s", source);
    }
    return warm_list_add(&warm->list, source, cdn_buf_str(&bytes), &base, err);
}

enum cdn_status warm_source_read(struct warm *warm, const char *source, struct cdn_error *err)
{
    size_t next = warm->list.sitemap_count;
    enum cdn_status status = read_one(warm, source, err);
    while (status == CDN_OK && next < warm->list.sitemap_count) { /* each is listed once, so this ends */
        CDN_AUTOFREE char *url = cdn_strdup(warm->list.sitemaps[next++]);
        status = read_one(warm, url, err);
    }
    return status;
}
