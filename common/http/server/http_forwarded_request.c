/* http_forwarded_request: http_forwarded on a request of the server: joins the lines of the one
 * field that is believed. Apart from the grammar, which knows no request and is tested on texts. */
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/parse.h"
#include "common/str.h"

#include <stdint.h>

#include "common/banned.h"

void http_forwarded_text_free(struct http_forwarded_text *text)
{
    cdn_buf_free(&text->x_for);
    cdn_buf_free(&text->x_proto);
    cdn_buf_free(&text->x_host);
    cdn_buf_free(&text->forwarded);
}

/* One line is used where it is; several are joined (RFC 9110 5.3). */
static struct cdn_str value_of(struct http_request *req, enum http_request_field field, struct cdn_buf *text)
{
    if (req->field_lines[field] < 2) {
        return req->field[field];
    }
    cdn_buf_clear(text);
    return http_request_joined(req, field, text) ? cdn_buf_str(text) : (struct cdn_str){0};
}

void http_forwarded_of_request(struct http_request *req, const struct http_trust *trust,
                               struct http_forwarded_text *text, struct http_forwarded *ret)
{
    struct cdn_addr peer;
    http_request_client(req, &peer);
    const struct http_forwarded_in in = {
        .peer = &peer,
        .trust = trust,
        .secure = req->client_secure,
        .host = req->host,
        .x_forwarded_for = value_of(req, HTTP_REQ_X_FORWARDED_FOR, &text->x_for),
        .x_forwarded_proto = value_of(req, HTTP_REQ_X_FORWARDED_PROTO, &text->x_proto),
        .x_forwarded_host = value_of(req, HTTP_REQ_X_FORWARDED_HOST, &text->x_host),
        .forwarded = value_of(req, HTTP_REQ_FORWARDED, &text->forwarded),
    };
    http_forwarded_read(&in, ret);
}

void http_forwarded_client(struct http_request *req, const struct http_trust *trust, struct cdn_addr *ret)
{
    http_request_client(req, ret);
    if (trust->field == HTTP_CLIENT_NONE || !http_is_trusted(trust, ret) ||
        !(req->field[HTTP_REQ_X_FORWARDED_FOR].p || req->field[HTTP_REQ_FORWARDED].p)) {
        return;
    }
    __attribute__((cleanup(http_forwarded_text_free))) struct http_forwarded_text text = {0};
    struct http_forwarded f;
    http_forwarded_of_request(req, trust, &text, &f);
    *ret = f.client;
}
