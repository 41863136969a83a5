/* answer: responses of libmicrohttpd for a representation. Those for the whole and for "not
 * modified" are made once and shared by all requests of their thread; parts and errors are made for
 * the request at hand. */
#include "origin/answer.h"

#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field_accept.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "origin/base/root.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define YEAR_S 31536000
#define BOUNDARY_SIZE 40

static const struct origin_variant *variant_of(const struct origin_resource *r)
{
    return &r->entry->variant[r->kind];
}

static void add_date(struct MHD_Response *response, const char *name, int64_t s)
{
    char text[HTTP_DATE_SIZE];
    http_date_format(s, text);
    http_response_add(response, name, text);
}

void origin_answer_add_date(struct MHD_Response *response, int64_t date_s)
{
    if (date_s) {
        add_date(response, "Date", date_s);
    }
}

/* What 200, 206 and 304 have in common (RFC 9110 15.4.5). */
static void add_validators(struct MHD_Response *response, const struct origin_resource *r)
{
    char cache_control[64];
    if (r->entry->is_hashed) {
        (void)snprintf(cache_control, sizeof(cache_control), "public, max-age=%d, immutable", YEAR_S);
    } else {
        (void)snprintf(cache_control, sizeof(cache_control), "public, max-age=%" PRId64,
                       r->policy->max_age_s);
    }
    http_response_add(response, "Cache-Control", cache_control);
    http_response_add(response, "ETag", variant_of(r)->etag);
    add_date(response, "Last-Modified", variant_of(r)->modified_s);
    http_response_add(response, "Access-Control-Allow-Origin", "*");
    if (r->entry->has_siblings) {
        http_response_add(response, "Vary", "Accept-Encoding");
    }
    origin_answer_add_date(response, r->date_s);
}

static void add_entity(struct MHD_Response *response, const struct origin_resource *r, const char *type)
{
    add_validators(response, r);
    http_response_add(response, "Accept-Ranges", "bytes");
    http_response_add(response, "Content-Type", type);
    if (r->kind != ORIGIN_VARIANT_IDENTITY) {
        http_response_add(response, "Content-Encoding", http_coding_text(origin_variant_coding(r->kind)));
    }
}

static struct MHD_Response *from_body(struct origin_body *body, uint64_t first, uint64_t n)
{
    body->owners++;
    /* libmicrohttpd frees what it was given: the count, not the bytes */
    return MHD_create_response_from_buffer_with_free_callback_cls(n, body->p + first, origin_body_unref,
                                                                  body);
}

/* Drops kept answers that carry another Date than the one to send. */
static void freshen(struct origin_variant *v, int64_t date_s)
{
    if (v->date_s == date_s) {
        return;
    }
    if (v->ok) {
        MHD_destroy_response(CDN_TAKE(v->ok));
    }
    if (v->same) {
        MHD_destroy_response(CDN_TAKE(v->same));
    }
    v->date_s = date_s;
}

struct MHD_Response *origin_answer_ok(const struct origin_resource *r)
{
    struct origin_variant *v = &r->entry->variant[r->kind];
    freshen(v, r->date_s);
    if (!v->ok) {
        v->ok = from_body(v->body, 0, v->body->n);
        add_entity(v->ok, r, r->entry->type);
    }
    return v->ok;
}

/* The body of a 304 is not sent. */
static ssize_t never_read(void *arg, uint64_t at, char *into, size_t max)
{
    (void)arg;
    (void)at;
    (void)into;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct MHD_Response *origin_answer_same(const struct origin_resource *r)
{
    struct origin_variant *v = &r->entry->variant[r->kind];
    freshen(v, r->date_s);
    if (!v->same) {
        /* of the true length: a 304 may say only the Content-Length that the 200 would have (RFC 9110 8.6) */
        v->same = MHD_create_response_from_callback(v->id.size, 1, never_read, NULL, NULL);
        add_validators(v->same, r);
    }
    return v->same;
}

static void content_range(const struct origin_resource *r, const struct origin_part *part,
                          char out[static HTTP_CONTENT_RANGE_SIZE])
{
    struct http_content_range range = {
        .first = part->first, .last = part->last, .complete_length = (int64_t)variant_of(r)->id.size};
    http_content_range_format(&range, out);
}

struct MHD_Response *origin_answer_part(const struct origin_resource *r, int fd,
                                        const struct origin_part *part)
{
    const struct origin_variant *v = variant_of(r);
    uint64_t first = part ? part->first : 0;
    uint64_t n = part ? part->last - part->first + 1 : v->id.size;
    struct MHD_Response *response =
        fd < 0 ? from_body(v->body, first, n) : MHD_create_response_from_fd_at_offset64(n, fd, first);
    add_entity(response, r, r->entry->type);
    if (part) {
        char text[HTTP_CONTENT_RANGE_SIZE];
        content_range(r, part, text);
        http_response_add(response, "Content-Range", text);
    }
    return response;
}

/* A body of several parts: for each the head of the part, then bytes of the file; at the end the closing
 * boundary. */
struct piece {
    uint64_t start; /* where in the answer's body */
    uint64_t text_at, text_n;
    uint64_t file_at, file_n;
};
struct parts {
    struct origin_body *body; /* or */
    int fd;
    struct origin_file_id id;
    struct cdn_buf text;
    uint64_t length;
    unsigned count;
    struct piece piece[HTTP_RANGE_MAX + 1];
};

static void parts_release(void *arg)
{
    struct parts *parts = arg;
    origin_body_unref(parts->body);
    if (parts->fd >= 0) {
        close(parts->fd);
    }
    cdn_buf_free(&parts->text);
    free(parts);
}

static ssize_t read_file(const struct parts *parts, uint64_t at, char *into, size_t n)
{
    if (parts->body) {
        memcpy(into, parts->body->p + at, n);
        return (ssize_t)n;
    }
    ssize_t got = pread(parts->fd, into, n, (off_t)at);
    return got > 0 && origin_file_id_holds(parts->fd, &parts->id) ? got : HTTP_STREAM_FAIL;
}

static ssize_t parts_read(void *arg, uint64_t at, char *into, size_t max)
{
    const struct parts *parts = arg;
    unsigned i = parts->count - 1;
    while (parts->piece[i].start > at) {
        i--;
    }
    const struct piece *piece = &parts->piece[i];
    uint64_t offset = at - piece->start;
    if (offset < piece->text_n) {
        uint64_t n = piece->text_n - offset < max ? piece->text_n - offset : max;
        memcpy(into, parts->text.p + piece->text_at + offset, n);
        return (ssize_t)n;
    }
    offset -= piece->text_n;
    uint64_t n = piece->file_n - offset < max ? piece->file_n - offset : max;
    return read_file(parts, piece->file_at + offset, into, n);
}

static void add_piece(struct parts *parts, size_t text_at, uint64_t file_at, uint64_t file_n)
{
    uint64_t text_n = parts->text.n - text_at;
    parts->piece[parts->count++] = (struct piece){
        .start = parts->length, .text_at = text_at, .text_n = text_n, .file_at = file_at, .file_n = file_n};
    parts->length += text_n + file_n;
}

static void add_pieces(struct parts *parts, const struct origin_resource *r, const char *boundary,
                       const struct origin_selection *selection)
{
    for (unsigned i = 0; i < selection->count; i++) {
        const struct origin_part *part = &selection->part[i];
        char range[HTTP_CONTENT_RANGE_SIZE];
        size_t at = parts->text.n;
        content_range(r, part, range);
        cdn_buf_printf(&parts->text, "%s--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
                       i ? "\r\n" : "", boundary, r->entry->type, range);
        add_piece(parts, at, part->first, part->last - part->first + 1);
    }
    size_t at = parts->text.n;
    cdn_buf_printf(&parts->text, "\r\n--%s--\r\n", boundary);
    add_piece(parts, at, 0, 0);
}

struct MHD_Response *origin_answer_parts(struct http_request *req, const struct origin_resource *r, int fd,
                                         const struct origin_selection *selection, uint64_t *ret_length)
{
    const struct origin_variant *v = variant_of(r);
    struct parts *parts = cdn_calloc(1, sizeof(*parts));
    parts->fd = fd;
    parts->id = v->id;
    if (fd < 0) {
        parts->body = v->body;
        parts->body->owners++;
    }
    /* 128 bits of the content's hash: no body holds its own by accident, and the answer is the same every
     * time */
    char boundary[BOUNDARY_SIZE], type[BOUNDARY_SIZE + 40];
    (void)snprintf(boundary, sizeof(boundary), "part-%.32s", v->etag + 1);
    (void)snprintf(type, sizeof(type), "multipart/byteranges; boundary=%s", boundary);
    add_pieces(parts, r, boundary, selection);
    struct MHD_Response *response;
    const struct http_stream_source source = {.read = parts_read, .release = parts_release, .arg = parts};
    (void)http_stream_create(req, (int64_t)parts->length, &source, &response);
    add_entity(response, r, type);
    *ret_length = parts->length;
    return response;
}

struct MHD_Response *origin_answer_error(unsigned status, const char *detail, int64_t date_s,
                                         uint64_t *ret_length)
{
    char text[256];
    int n = snprintf(text, sizeof(text), "%u %s\n%s\n", status, http_reason(status), detail);
    struct MHD_Response *response = MHD_create_response_from_buffer((size_t)n, text, MHD_RESPMEM_MUST_COPY);
    http_response_add(response, "Content-Type", "text/plain; charset=utf-8");
    http_response_add(response, "Cache-Control", "no-cache");
    http_response_add(response, "Access-Control-Allow-Origin", "*");
    origin_answer_add_date(response, date_s);
    *ret_length = (uint64_t)n;
    return response;
}
