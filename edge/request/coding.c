/* coding: compression goes into room for 95 % of the plain bytes: what does not get at least that
 * much smaller ends by itself and is not kept. The head is changed by one list of fields, those
 * that speak of the bytes. */
#include "edge/request/coding.h"

#include "common/config/config.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_accept.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/parse.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "common/banned.h"

#define GZIP_WINDOW (15 + 16) /* zlib: 32 KiB, with a gzip header */
#define GZIP_MEMORY 8
#define ZSTD_WINDOW 23 /* bits: what any decoder of the web has (RFC 9659 3) */
/* Compressing costs memory and time by the byte, whatever the limit of the RAM tier is. */
#define LENGTH_MAX ((uint64_t)16 << 20)

static const enum http_coding codings[EDGE_CODED_COUNT] = {[EDGE_CODED_BR] = HTTP_CODING_BR,
                                                           [EDGE_CODED_ZSTD] = HTTP_CODING_ZSTD,
                                                           [EDGE_CODED_GZIP] = HTTP_CODING_GZIP};

/* ---- rules ---- */

enum cdn_status edge_coding_rules_read(const struct edge_settings *s, struct edge_coding_rules *ret,
                                       struct cdn_error *err)
{
    struct edge_coding_rules rules = {.offered = 1u << HTTP_CODING_IDENTITY,
                                      .min = s->compress_min,
                                      .max = s->memory_object < LENGTH_MAX ? s->memory_object : LENGTH_MAX,
                                      .gzip_level = (int)s->compress_gzip_level,
                                      .br_level = (int)s->compress_br_level,
                                      .zstd_level = (int)s->compress_zstd_level};
    for (size_t i = 0; i < s->compress.n; i++) {
        const struct cdn_config_entry *e = &s->compress.items[i];
        const enum http_coding c = http_coding_find(cdn_str(e->key));
        if (c == HTTP_CODING_BR || c == HTTP_CODING_ZSTD || c == HTTP_CODING_GZIP) {
            rules.offered |= 1u << c;
        } else if (!cdn_str_eq(cdn_str(e->key), CDN_STR("none")) || s->compress.n > 1) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: compress: \"%s\" is not br, zstd, gzip, or 'none' alone", e->origin,
                                 e->key);
        }
    }
    rules.type_count = s->compress_types.n;
    rules.types = cdn_calloc(rules.type_count, sizeof(*rules.types));
    for (size_t i = 0; i < rules.type_count; i++) {
        rules.types[i] = cdn_str(s->compress_types.items[i].key);
    }
    *ret = rules;
    return CDN_OK;
}

void edge_coding_rules_free(struct edge_coding_rules *rules)
{
    free(rules->types);
    *rules = (struct edge_coding_rules){0};
}

bool edge_coding_any(const struct edge_coding_rules *rules)
{
    return (rules->offered & ~(1u << HTTP_CODING_IDENTITY)) != 0 && rules->type_count > 0;
}

/* ---- which ---- */

static bool is_listed(const struct edge_coding_rules *rules, struct cdn_str type)
{
    type = cdn_str_cut(&type, ';'); /* once, not for each pattern */
    for (size_t i = 0; i < rules->type_count; i++) {
        if (http_media_type_match(type, rules->types[i])) {
            return true;
        }
    }
    return false;
}

static bool may_transform(const struct edge_head *head) /* RFC 9111 5.2.2.6 */
{
    struct http_cache_control cc = {0};
    struct cdn_str line;
    for (size_t at = 0; edge_head_next_of(head, EDGE_HEAD_CACHE_CONTROL, &at, &line);) {
        http_cache_control_add(&cc, line);
    }
    return !http_cc_has(&cc, HTTP_CC_NO_TRANSFORM);
}

bool edge_coding_eligible(const struct edge_coding_rules *rules, const struct edge_head *head, int64_t length)
{
    uint64_t n = (uint64_t)length;
    const struct cdn_str type = edge_head_get(head, EDGE_HEAD_CONTENT_TYPE);
    if (edge_head_status(head) != 200 || !type.p || edge_head_count(head, EDGE_HEAD_CONTENT_ENCODING)) {
        return false;
    }
    const bool known = length >= 0 || cdn_parse_u64(edge_head_get(head, EDGE_HEAD_CONTENT_LENGTH), &n);
    return (!known || (n >= rules->min && n <= rules->max)) && is_listed(rules, type) && may_transform(head);
}

enum edge_coded_form edge_coding_wanted(const struct edge_coding_rules *rules, struct cdn_str accept_encoding)
{
    struct http_accept_encoding accepts;
    if (!accept_encoding.p) {
        return EDGE_CODED_COUNT;
    }
    http_accept_encoding_parse(accept_encoding, &accepts);
    const enum http_coding best = http_accept_encoding_best(&accepts, rules->offered);
    unsigned form = 0;
    while (form < EDGE_CODED_COUNT && codings[form] != best) {
        form++;
    }
    return (enum edge_coded_form)form;
}

/* ---- the head ---- */

bool edge_coding_varies(const struct edge_head *head)
{
    struct cdn_str line;
    for (size_t at = 0; edge_head_next_of(head, EDGE_HEAD_VARY, &at, &line);) {
        if (http_list_has_token(line, CDN_STR("Accept-Encoding")) ||
            http_list_has_token(line, CDN_STR("*"))) {
            return true;
        }
    }
    return false;
}

enum cdn_status edge_coding_head(const struct edge_head *head, enum edge_coded_form form,
                                 struct edge_head **ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf vary = {0};
    CDN_AUTOBUF struct cdn_buf etag = {0};
    const struct cdn_str tag = edge_head_get(head, EDGE_HEAD_ETAG);
    edge_head_join(head, EDGE_HEAD_VARY, &vary);
    if (!edge_coding_varies(head)) {
        cdn_buf_add_str(&vary, vary.n ? CDN_STR(", Accept-Encoding") : CDN_STR("Accept-Encoding"));
    }
    if (tag.p && !cdn_str_starts(tag, CDN_STR("W/"))) {
        cdn_buf_add_str(&etag, CDN_STR("W/"));
    }
    cdn_buf_add_str(&etag, tag.p ? tag : CDN_STR(""));
    const struct http_field changes[] = {
        {CDN_STR("Content-Encoding"), cdn_str(http_coding_text(codings[form]))},
        {CDN_STR("Vary"), cdn_buf_str(&vary)},
        {CDN_STR("ETag"), tag.p ? cdn_buf_str(&etag) : (struct cdn_str){0}},
        {.name = CDN_STR("Content-Length")},
        {.name = CDN_STR("Accept-Ranges")},
        {.name = CDN_STR("Content-MD5")},
        {.name = CDN_STR("Content-Digest")},
        {.name = CDN_STR("Repr-Digest")},
        {.name = CDN_STR("Digest")},
    };
    return edge_head_with(head, edge_head_status(head), changes, CDN_ARRAY_LEN(changes), ret, err);
}

/* ---- the bytes: into room for the plain ones, so that what does not get smaller ends by itself ---- */

static size_t gzip(int level, const char *data, size_t n, char *into, size_t room)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data,
                  .avail_in = (uInt)n,
                  .next_out = (Bytef *)into,
                  .avail_out = (uInt)room};
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    const bool whole = deflate(&z, Z_FINISH) == Z_STREAM_END;
    const size_t made = whole ? z.total_out : 0;
    deflateEnd(&z);
    return made;
}

static size_t brotli(int level, const char *data, size_t n, char *into, size_t room)
{
    size_t made = room;
    return BrotliEncoderCompress(level, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, n, (const uint8_t *)data,
                                 &made, (uint8_t *)into)
               ? made
               : 0;
}

/* The window is bounded by hand: a whole body of up to 16 MiB could get one as large. No checksum: TCP and
 * TLS have theirs, and the other codings have none that anybody looks at. */
static size_t zstandard(int level, const char *data, size_t n, char *into, size_t room)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t made = 0;
    if (z && !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level)) &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, ZSTD_WINDOW))) {
        made = ZSTD_compress2(z, into, room, data, n);
    }
    ZSTD_freeCCtx(z);
    return ZSTD_isError(made) ? 0 : made;
}

struct edge_blob *edge_coding_compress(const struct edge_coding_rules *rules, enum edge_coded_form form,
                                       const char *data, size_t n)
{
    const size_t room = n - n / 20;
    struct edge_blob *blob = edge_blob_create(room);
    const size_t made = form == EDGE_CODED_BR     ? brotli(rules->br_level, data, n, blob->data, room)
                        : form == EDGE_CODED_ZSTD ? zstandard(rules->zstd_level, data, n, blob->data, room)
                                                  : gzip(rules->gzip_level, data, n, blob->data, room);
    if (!made) {
        edge_blob_unref(blob);
        return NULL;
    }
    return edge_blob_resize(blob, made);
}
