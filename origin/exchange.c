/* exchange: the steps of one request, in order, each of which ends it or hands it on:
 * method, path, entry, coding, conditions and range, answer. It waits (for the hash of a large file)
 * by being suspended, never by blocking its thread. */
#include "origin/exchange.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field_accept.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "origin/answer.h"
#include "origin/base/path.h"
#include "origin/files.h"
#include "origin/listing.h"
#include "origin/select.h"
#include "origin/source.h"
#include "origin/worker.h"

#include <microhttpd.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
/* Four variants, three attempts each: a file that is being written all the time. */
#define HASH_WAITS_MAX 12
#define OPEN_ATTEMPTS 3
#define METHODS "GET, HEAD, OPTIONS"

/* ---- suspension ---- */

static void wait(struct exchange *x)
{
    struct origin_worker *worker = x->worker;
    x->is_waiting = true;
    x->wait_previous = NULL;
    x->wait_next = worker->waiting;
    if (x->wait_next) {
        x->wait_next->wait_previous = x;
    }
    worker->waiting = x;
    http_request_suspend(x->req);
}

static void stop_waiting(struct exchange *x)
{
    if (!x->is_waiting) {
        return;
    }
    x->is_waiting = false;
    *(x->wait_previous ? &x->wait_previous->wait_next : &x->worker->waiting) = x->wait_next;
    if (x->wait_next) {
        x->wait_next->wait_previous = x->wait_previous;
    }
}

void exchange_wake(struct exchange *x)
{
    if (x->is_waiting) {
        stop_waiting(x);
        http_request_resume(x->req);
    }
}

/* A hash is there. Exchanges are reused, never freed before their worker; waking one that does not wait for
 * this is harmless: it looks again. */
static void hash_done(void *arg)
{
    struct exchange *x = arg;
    if (x->hash_waits) {
        exchange_wake(x);
    }
}

/* ---- file under way ---- */

static void watch(struct exchange *x, int fd, const struct origin_file_id *id)
{
    struct origin_worker *worker = x->worker;
    x->watch_fd = dup(fd);
    if (x->watch_fd < 0) {
        return;
    }
    x->watch_id = *id;
    x->watch_previous = NULL;
    x->watch_next = worker->watched;
    if (x->watch_next) {
        x->watch_next->watch_previous = x;
    }
    worker->watched = x;
    if (!worker->watch_timer.heap_index) {
        loop_timer_start(worker->loop, &worker->watch_timer, 50 * NS_PER_MS);
    }
}

void exchange_break(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    CDN_AUTOFREE char *target = cdn_str_dup(x->req->target);
    cdn_log(CDN_LOG_WARN, "file_changed_while_sent", "target=%s", target);
    cdn_metric_add(&x->worker->metrics.changed, 1);
    if (info) {
        shutdown(info->connect_fd, SHUT_RDWR);
    }
}

void exchange_release(struct exchange *x)
{
    stop_waiting(x);
    if (x->watch_fd >= 0) {
        *(x->watch_previous ? &x->watch_previous->watch_next : &x->worker->watched) = x->watch_next;
        if (x->watch_next) {
            x->watch_next->watch_previous = x->watch_previous;
        }
        close(x->watch_fd);
        x->watch_fd = -1;
    }
    x->hash_waits = 0;
}

/* ---- answers ---- */

/* The cache clock may have been moved; then libmicrohttpd's own Date would be wrong. */
static int64_t date_to_send(void)
{
    return cdn_clock_offset_ms() ? cdn_clock_now_s() : 0;
}

static void respond(struct exchange *x, unsigned status, struct MHD_Response *response, uint64_t bytes)
{
    x->status = status;
    x->bytes = x->req->method == HTTP_HEAD ? 0 : bytes;
    http_respond(x->req, status, response);
}

static void respond_and_drop(struct exchange *x, unsigned status, struct MHD_Response *response,
                             uint64_t bytes)
{
    respond(x, status, response, bytes);
    MHD_destroy_response(response);
}

static void refuse(struct exchange *x, unsigned status, const char *detail)
{
    uint64_t n;
    struct MHD_Response *response = origin_answer_error(status, detail, date_to_send(), &n);
    respond_and_drop(x, status, response, n);
}

static void refuse_method(struct exchange *x)
{
    uint64_t n;
    struct MHD_Response *response =
        origin_answer_error(405, "Files are read here: " METHODS ".", date_to_send(), &n);
    http_response_add(response, "Allow", METHODS);
    respond_and_drop(x, 405, response, n);
}

static void answer_options(struct exchange *x)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    http_response_add(response, "Allow", METHODS);
    http_response_add(response, "Access-Control-Allow-Origin", "*");
    http_response_add(response, "Access-Control-Allow-Methods", METHODS);
    http_response_add(response, "Access-Control-Allow-Headers", "*");
    http_response_add(response, "Access-Control-Max-Age", "86400");
    origin_answer_add_date(response, date_to_send());
    respond_and_drop(x, 204, response, 0);
}

/* To the same path with a slash: relative links in an index page count from there. */
static void redirect_to_folder(struct exchange *x)
{
    const struct http_request *req = x->req;
    uint64_t n;
    CDN_AUTOBUF struct cdn_buf location = {0};
    cdn_buf_add_str(&location, req->path);
    cdn_buf_add_char(&location, '/');
    if (req->query.p) {
        cdn_buf_printf(&location, "?" CDN_STR_FMT, CDN_STR_ARG(req->query));
    }
    struct MHD_Response *response = origin_answer_error(301, location.p, date_to_send(), &n);
    http_response_add(response, "Location", location.p);
    respond_and_drop(x, 301, response, n);
}

static void answer_listing(struct exchange *x, const struct origin_path *folder)
{
    struct cdn_buf page = {0};
    if (!origin_listing(x->worker->shared->sources.root, folder, &page)) {
        cdn_buf_free(&page);
        refuse(x, 403, "This folder cannot be read.");
        return;
    }
    size_t n = page.n;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(n, cdn_buf_take(&page), MHD_RESPMEM_MUST_FREE);
    http_response_add(response, "Content-Type", "text/html; charset=utf-8");
    http_response_add(response, "Cache-Control", "no-cache");
    http_response_add(response, "Access-Control-Allow-Origin", "*");
    origin_answer_add_date(response, date_to_send());
    respond_and_drop(x, 200, response, n);
}

/* ---- representations ---- */

static struct cdn_str joined(struct http_request *req, enum http_request_field field, struct cdn_buf *into)
{
    if (req->field_lines[field] < 2) {
        return req->field[field];
    }
    cdn_buf_clear(into);
    return http_request_joined(req, field, into) ? cdn_buf_str(into) : req->field[field];
}

static enum origin_variant_kind choose_variant(struct exchange *x, const struct origin_entry *entry)
{
    if (!entry->has_siblings) {
        return ORIGIN_VARIANT_IDENTITY;
    }
    CDN_AUTOBUF struct cdn_buf buf = {0};
    struct http_accept_encoding accept;
    http_accept_encoding_parse(joined(x->req, HTTP_REQ_ACCEPT_ENCODING, &buf), &accept);
    if (x->req->field_lines[HTTP_REQ_ACCEPT_ENCODING] == 0) {
        return ORIGIN_VARIANT_IDENTITY; /* who does not ask may not be able to decode */
    }
    enum http_coding best = http_accept_encoding_best(&accept, entry->codings);
    for (enum origin_variant_kind kind = 1; kind < ORIGIN_VARIANT_COUNT; kind++) {
        if (origin_variant_coding(kind) == best) {
            return kind;
        }
    }
    return ORIGIN_VARIANT_IDENTITY;
}

static bool is_plain(const struct http_request *req)
{
    return !req->field[HTTP_REQ_IF_NONE_MATCH].p && !req->field[HTTP_REQ_IF_MODIFIED_SINCE].p &&
           !req->field[HTTP_REQ_RANGE].p && !req->field[HTTP_REQ_IF_MATCH].p &&
           !req->field[HTTP_REQ_IF_UNMODIFIED_SINCE].p;
}

static void select_part(struct exchange *x, const struct origin_variant *v, struct origin_selection *ret)
{
    struct http_request *req = x->req;
    CDN_AUTOBUF struct cdn_buf match = {0};
    CDN_AUTOBUF struct cdn_buf none_match = {0};
    const struct origin_representation representation = {
        .etag = {.value = cdn_str(v->etag)},
        .modified_s = v->modified_s,
        .size = v->id.size,
        .now_s = cdn_clock_now_s(),
    };
    /* two lines of a field that is no list: as if joined, so neither a date nor a range */
    const struct origin_conditions conditions = {
        .if_match = joined(req, HTTP_REQ_IF_MATCH, &match),
        .if_none_match = joined(req, HTTP_REQ_IF_NONE_MATCH, &none_match),
        .if_modified_since = req->field_lines[HTTP_REQ_IF_MODIFIED_SINCE] > 1
                                 ? (struct cdn_str){0}
                                 : req->field[HTTP_REQ_IF_MODIFIED_SINCE],
        .if_unmodified_since = req->field_lines[HTTP_REQ_IF_UNMODIFIED_SINCE] > 1
                                   ? (struct cdn_str){0}
                                   : req->field[HTTP_REQ_IF_UNMODIFIED_SINCE],
        .range = req->field_lines[HTTP_REQ_RANGE] > 1 ? (struct cdn_str){0} : req->field[HTTP_REQ_RANGE],
        .if_range = req->field[HTTP_REQ_IF_RANGE],
        .is_head = req->method == HTTP_HEAD,
    };
    origin_select(&representation, &conditions, ret);
}

static void answer_unsatisfied(struct exchange *x, const struct origin_variant *v)
{
    uint64_t n;
    char text[HTTP_CONTENT_RANGE_SIZE];
    const struct http_content_range range = {.unsatisfied = true, .complete_length = (int64_t)v->id.size};
    http_content_range_format(&range, text);
    struct MHD_Response *response =
        origin_answer_error(416, "No byte of the file is in the ranges asked for.", date_to_send(), &n);
    http_response_add(response, "Content-Range", text);
    respond_and_drop(x, 416, response, n);
}

/* 200 or 206. False when the file changed since its entry was made: look again. */
static bool answer_bytes(struct exchange *x, const struct origin_resource *r,
                         const struct origin_selection *selection)
{
    struct origin_worker *worker = x->worker;
    const struct origin_variant *v = &r->entry->variant[r->kind];
    struct origin_file_id id = v->id;
    int fd = -1;
    if (!v->body) {
        fd = origin_files_open(worker->files, r->entry, r->kind);
        if (fd < 0) {
            return false;
        }
    }
    if (selection->count > 1) {
        uint64_t n;
        cdn_metric_add(&worker->metrics.range_multi, 1);
        struct MHD_Response *response = origin_answer_parts(x->req, r, fd, selection, &n);
        respond_and_drop(x, 206, response, n);
        return true;
    }
    const struct origin_part *part = selection->count ? &selection->part[0] : NULL;
    if (fd >= 0) {
        cdn_metric_add(&worker->metrics.sent_file, 1);
        watch(x, fd, &id);
    }
    if (part) {
        cdn_metric_add(&worker->metrics.range_single, 1);
    }
    struct MHD_Response *response = origin_answer_part(r, fd, part);
    respond_and_drop(x, selection->status, response, part ? part->last - part->first + 1 : id.size);
    return true;
}

static bool answer_file(struct exchange *x, struct origin_entry *entry)
{
    struct origin_worker *worker = x->worker;
    const struct origin_resource r = {
        .entry = entry,
        .kind = choose_variant(x, entry),
        .policy = worker->policy,
        .date_s = date_to_send(),
    };
    const struct origin_variant *v = &entry->variant[r.kind];
    if (r.kind != ORIGIN_VARIANT_IDENTITY) {
        cdn_metric_add(&worker->metrics.precompressed, 1);
    }
    struct origin_selection selection;
    selection.status = 200;
    selection.count = 0;
    if (!is_plain(x->req)) {
        select_part(x, v, &selection);
    }
    switch (selection.status) {
    case 200:
        if (v->body) {
            respond(x, 200, origin_answer_ok(&r), v->body->n);
            return true;
        }
        return answer_bytes(x, &r, &selection);
    case 206:
        return answer_bytes(x, &r, &selection);
    case 304:
        cdn_metric_add(&worker->metrics.not_modified, 1);
        respond(x, 304, origin_answer_same(&r), 0);
        return true;
    case 416:
        answer_unsatisfied(x, v);
        return true;
    default:
        refuse(x, selection.status, "A precondition of the request does not hold.");
        return true;
    }
}

static void answer_path(struct exchange *x)
{
    struct origin_worker *worker = x->worker;
    struct origin_entry *entry;
    struct origin_path path;
    struct origin_refusal refusal;
    const struct origin_wait until_hashed = {.loop = worker->loop, .done = hash_done, .arg = x};
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        switch (origin_files_find(worker->files, x->req->path, loop_mono_ns(worker->loop),
                                  x->hash_waits < HASH_WAITS_MAX ? &until_hashed : NULL, &entry, &path,
                                  &refusal)) {
        case ORIGIN_FOUND_FILE:
            if (answer_file(x, entry)) {
                return;
            }
            break;
        case ORIGIN_FOUND_FOLDER:
            redirect_to_folder(x);
            return;
        case ORIGIN_FOUND_LISTING:
            answer_listing(x, &path);
            return;
        case ORIGIN_FOUND_NOTHING:
            refuse(x, refusal.status, refusal.detail);
            return;
        case ORIGIN_FOUND_HASHING:
            x->hash_waits++;
            cdn_metric_add(&worker->metrics.hash_wait, 1);
            wait(x);
            return;
        }
    }
    refuse(x, 503, "The file is being changed.");
}

void exchange_answer(struct exchange *x)
{
    switch (x->req->method) {
    case HTTP_GET:
    case HTTP_HEAD:
        answer_path(x);
        return;
    case HTTP_OPTIONS:
        answer_options(x);
        return;
    case HTTP_POST:
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_TRACE:
    case HTTP_PURGE:
    case HTTP_QUERY:
    case HTTP_OTHER:
        refuse_method(x);
        return;
    }
}
