/* The view of a request's head: one walk over the lines as libmicrohttpd keeps them, which shows what it does
 * not report (http_mhd_text.h). Where it keeps them in another way the lines are taken for what it says. */
#include "common/http/server/http_mhd_text.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/parse.h"
#include "common/str.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/banned.h"

static const struct {
    const char *name;
    size_t n;
} fields[HTTP_REQ_FIELD_COUNT] = {
#define X(name, text) [HTTP_REQ_##name] = {text, sizeof(text) - 1},
    HTTP_REQUEST_FIELDS(X)
#undef X
};

static unsigned field_hash(const char *name, size_t n)
{
    unsigned first = (unsigned char)name[0] | 0x20u;
    unsigned last = (unsigned char)name[n - 1] | 0x20u;
    return ((unsigned)n * 11 + first * 3 + last) % HTTP_FIELD_SLOTS;
}

void http_field_slots_fill(uint8_t slots[static HTTP_FIELD_SLOTS])
{
    memset(slots, 0, HTTP_FIELD_SLOTS);
    for (unsigned f = 0; f < HTTP_REQ_FIELD_COUNT; f++) {
        unsigned at = field_hash(fields[f].name, fields[f].n);
        while (slots[at]) {
            at = (at + 1) % HTTP_FIELD_SLOTS;
        }
        slots[at] = (uint8_t)(f + 1);
    }
}

struct walk {
    struct http_request *req;
    const char *at; /* where the next line must start; NULL: anywhere */
    enum http_refusal refusal;
};

/* False: not one of HTTP_REQUEST_FIELDS. */
static bool note_known(struct http_request *req, struct cdn_str name, struct cdn_str value)
{
    const uint8_t *slots = req->server->field_slots;
    for (unsigned at = field_hash(name.p, name.n); slots[at]; at = (at + 1) % HTTP_FIELD_SLOTS) {
        unsigned f = slots[at] - 1u;
        if (fields[f].n == name.n && strncasecmp(fields[f].name, name.p, name.n) == 0) {
            if (req->field_lines[f]++ == 0) {
                req->field[f] = value;
            }
            return true;
        }
    }
    return false;
}

static enum MHD_Result note_line(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                 const char *value, size_t value_size)
{
    (void)kind;
    struct walk *walk = cls;
    struct cdn_str name = {key, key_size};
    struct cdn_str text = {value ? value : "", value_size};
    http_mhd_text_show_cookie(key, key_size);
    if (walk->at && !http_mhd_text_is_line(&walk->at, name, text)) {
        walk->refusal = HTTP_REFUSE_LINES;
    } else if (!key_size) {
        walk->refusal = HTTP_REFUSE_FIELD_NAME;
    } else if (!http_check_field_value(text)) {
        walk->refusal = HTTP_REFUSE_FIELD_VALUE;
    } else if (!note_known(walk->req, name, cdn_str_trim(text)) && !http_check_token(name)) {
        walk->refusal = HTTP_REFUSE_FIELD_NAME;
    }
    return walk->refusal ? MHD_NO : MHD_YES;
}

static enum http_refusal check_method(struct http_request *req)
{
    req->method = http_method_parse(req->method_name);
    if (req->method != HTTP_OTHER) {
        return HTTP_REFUSE_NONE;
    }
    if (!http_check_token(req->method_name)) {
        return HTTP_REFUSE_METHOD;
    }
    return cdn_str_eq(req->method_name, CDN_STR("CONNECT")) ? HTTP_REFUSE_CONNECT : HTTP_REFUSE_NONE;
}

static enum http_refusal read_target(struct http_request *req)
{
    struct http_target target;
    enum http_refusal bad = http_check_target(req->method, req->target, &target);
    req->path = target.path;
    req->query = target.query;
    req->host = target.authority;
    return bad;
}

static enum http_refusal read_lines(struct http_request *req, const char *method, const char *version)
{
    memset(req->field, 0, sizeof(req->field));
    memset(req->field_lines, 0, sizeof(req->field_lines));
    struct walk walk = {.req = req, .at = req->server->in_place ? http_mhd_text_first_line(version) : NULL};
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, note_line, &walk);
    if (!walk.refusal && walk.at && !http_mhd_text_is_end(req->connection, method, walk.at)) {
        walk.refusal = HTTP_REFUSE_LINES;
    }
    return walk.refusal;
}

/* RFC 9112 3.2: exactly one in HTTP/1.1, at most one in 1.0; valid even where an absolute target overrules
 * it. */
static enum http_refusal read_host(struct http_request *req)
{
    struct cdn_str host = req->field[HTTP_REQ_HOST];
    if (req->field_lines[HTTP_REQ_HOST] > 1) {
        return HTTP_REFUSE_HOST_TWICE;
    }
    if (!host.p) {
        return req->http10 ? HTTP_REFUSE_NONE : HTTP_REFUSE_HOST_MISSING;
    }
    if (!http_check_host(host)) {
        return HTTP_REFUSE_HOST_INVALID;
    }
    if (!req->host.p) {
        req->host = host;
    }
    return HTTP_REFUSE_NONE;
}

static enum http_refusal read_framing(struct http_request *req)
{
    struct http_framing framing = {.length_lines = req->field_lines[HTTP_REQ_CONTENT_LENGTH],
                                   .coding_lines = req->field_lines[HTTP_REQ_TRANSFER_ENCODING],
                                   .length = req->field[HTTP_REQ_CONTENT_LENGTH],
                                   .coding = req->field[HTTP_REQ_TRANSFER_ENCODING],
                                   .http10 = req->http10};
    bool chunked;
    enum http_refusal bad = http_check_framing(&framing, &req->body_length, &chunked);
    req->has_body = chunked || req->body_length > 0;
    if (!bad && req->body_length > 0 && (uint64_t)req->body_length > req->server->config.max_body) {
        return HTTP_REFUSE_BODY_TOO_LARGE;
    }
    return bad;
}

enum http_refusal http_request_read(struct http_request *req, const char *method, const char *url,
                                    const char *version)
{
    req->method_name = cdn_str(method);
    req->target = cdn_buf_str(&req->_target);
    req->http10 = strcmp(version, "HTTP/1.0") == 0;
    if (req->server->in_place && !http_mhd_text_is_request_line(method, url, req->target.n, version)) {
        return HTTP_REFUSE_TARGET;
    }
    enum http_refusal bad = check_method(req);
    bad = bad ? bad : read_target(req);
    bad = bad ? bad : read_lines(req, method, version);
    bad = bad ? bad : read_host(req);
    req->asked_host = req->host;
    const struct http_peer *peer = req->_peer;
    req->client_secure = req->secure || (peer && peer->client_secure);
    req->asked_secure = req->client_secure;
    return bad ? bad : read_framing(req);
}

void http_request_client(const struct http_request *req, struct cdn_addr *ret)
{
    http_connection_client(req->connection, ret);
}

void http_connection_client(struct MHD_Connection *connection, struct cdn_addr *ret)
{
    *ret = (struct cdn_addr){.sa.sa_family = AF_UNSPEC};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr) {
        return;
    }
    if (info->client_addr->sa_family == AF_INET6) {
        memcpy(&ret->v6, info->client_addr, sizeof(ret->v6));
        cdn_addr_unmap(ret);
    } else if (info->client_addr->sa_family == AF_INET) {
        memcpy(&ret->v4, info->client_addr, sizeof(ret->v4));
    }
}

struct each {
    bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value);
    void *arg;
};

static enum MHD_Result each_line(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                 const char *value, size_t value_size)
{
    (void)kind;
    const struct each *each = cls;
    struct cdn_str text = {value ? value : "", value_size};
    return each->fn(each->arg, (struct cdn_str){key, key_size}, cdn_str_trim(text)) ? MHD_YES : MHD_NO;
}

void http_request_each_field(struct http_request *req,
                             bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value), void *arg)
{
    struct each each = {fn, arg};
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, each_line, &each);
}

struct join {
    struct cdn_str name;
    struct cdn_buf *into;
    bool any;
};

static bool join_line(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct join *join = arg;
    if (cdn_str_eq_nocase(name, join->name)) {
        cdn_buf_add_str(join->into, join->any ? CDN_STR(", ") : CDN_STR(""));
        cdn_buf_add_str(join->into, value);
        join->any = true;
    }
    return true;
}

bool http_request_joined(struct http_request *req, enum http_request_field field, struct cdn_buf *into)
{
    if (!req->field_lines[field]) {
        return false;
    }
    if (req->field_lines[field] == 1) {
        cdn_buf_add_str(into, req->field[field]);
        return true;
    }
    struct join join = {.name = {fields[field].name, fields[field].n}, .into = into};
    http_request_each_field(req, join_line, &join);
    return true;
}
