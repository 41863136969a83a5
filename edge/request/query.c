/* query: what stands in the key is a SHA-256: who could make two bodies with one digest could give others the
 * answer to a question of his own. */
#include "edge/request/query.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/memory/budget.h"
#include "edge/semantics/key.h"
#include "edge/site/target.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

#define MARK "#query:"
#define DIGEST_SIZE 32

bool edge_query_collects(const struct edge_txn *t)
{
    const struct http_request *req = t->http;
    const uint64_t most = t->tuning->query_body;
    return req->method == HTTP_QUERY && req->has_body && most > 0 &&
           (req->body_length < 0 || (uint64_t)req->body_length <= most) && edge_budget_has((size_t)most);
}

bool edge_query_take(struct edge_txn *t, const char *data, size_t n)
{
    const size_t before = t->upload.room;
    if (t->upload.n + n > t->tuning->query_body) {
        return false;
    }
    cdn_buf_add(&t->upload, data, n);
    edge_budget_add(t->upload.room - before);
    return true;
}

struct describing {
    struct cdn_buf text;
    struct cdn_str name;
};

static bool describe(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct describing *d = arg;
    if (cdn_str_eq_nocase(name, d->name)) {
        cdn_buf_add_str(&d->text, d->name);
        cdn_buf_add_char(&d->text, ':');
        cdn_buf_add_str(&d->text, cdn_str_trim(value));
        cdn_buf_add_char(&d->text, '\n'); /* stands in no value */
    }
    return true;
}

/* The digest in hex; false: there is none to be had. */
static bool digest(struct edge_txn *t, char hex[static 2 * DIGEST_SIZE + 1])
{
    static const struct cdn_str about[] = {
        {"Content-Type", 12}, {"Content-Encoding", 16}, {"Content-Language", 16}};
    static const char digits[] = "0123456789abcdef";
    struct describing d = {0};
    unsigned char raw[DIGEST_SIZE];
    for (size_t i = 0; i < CDN_ARRAY_LEN(about); i++) {
        d.name = about[i];
        http_request_each_field(t->http, describe, &d);
    }
    cdn_buf_add_char(&d.text, '\n');
    cdn_buf_add_str(&d.text, cdn_buf_str(&t->upload));
    const bool well = gnutls_hash_fast(GNUTLS_DIG_SHA256, d.text.p, d.text.n, raw) == 0;
    cdn_buf_free(&d.text);
    for (size_t i = 0; well && i < DIGEST_SIZE; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    hex[2 * (size_t)DIGEST_SIZE] = '\0';
    return well;
}

void edge_query_begin(struct edge_txn *t)
{
    char hex[2 * DIGEST_SIZE + 1];
    const struct cdn_str asked = t->target.path;
    t->collecting = false;
    t->query_body = edge_blob_create(t->upload.n);
    if (t->upload.n) {
        memcpy(t->query_body->data, t->upload.p, t->upload.n);
    }
    t->query_keyed = t->key.n + sizeof(MARK) + sizeof(hex) <= EDGE_KEY_MAX && digest(t, hex);
    edge_budget_sub(t->upload.room);
    cdn_buf_free(&t->upload);
    if (t->query_keyed) {
        const size_t at = (size_t)(asked.p - t->key.p);
        cdn_buf_printf(&t->key, MARK "%s", hex);
        edge_target_moved(&t->target, t->key.p);
        t->target.key = cdn_buf_str(&t->key);
        t->target.path = (struct cdn_str){t->key.p + at, asked.n};
        t->hashed = false;
    }
}

static ssize_t read_body(void *arg, char *into, size_t max)
{
    struct edge_fetch *f = arg;
    const size_t left = f->request.body->n - f->request.body_at;
    const size_t n = left < max ? left : max;
    memcpy(into, f->request.body->data + f->request.body_at, n);
    f->request.body_at += n;
    return (ssize_t)n;
}

void edge_query_ask(const struct edge_txn *t, struct edge_fetch_request *r)
{
    r->method = "QUERY";
    r->has_body = true;
    r->body = edge_blob_ref(t->query_body);
    r->body_length = (int64_t)t->query_body->n;
    r->read_body = read_body;
}
