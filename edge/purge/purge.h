/* purge: carries out what empties the cache, whoever asks for it: the PURGE method
 * (request/purge_method.h), the admin API and the purge log (control/), and unsafe requests
 * (request/invalidate.h). A URL is purged for http and https: they name one resource here. */
#ifndef CDN_EDGE_PURGE_H
#define CDN_EDGE_PURGE_H
#include "common/http/syntax/http_purge.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* name, what one is called, in JSON and in the log; what several are, in JSON. */
#define EDGE_PURGE_KINDS(X)         \
    X(URL, "url", "urls")           \
    X(PREFIX, "prefix", "prefixes") \
    X(TAG, "tag", "tags")

enum edge_purge_kind {
#define X(name, one, several) EDGE_PURGE_##name,
    EDGE_PURGE_KINDS(X)
#undef X
        EDGE_PURGE_ALL
};

struct edge_purge {
    enum edge_purge_kind kind;
    struct cdn_str text; /* a URL or the beginning of one: absolute (the host "*" is every host), or a path of
                            the one site; a tag */
    bool soft;
};
/* Carries it out; *ret_count: how many objects it hit. CDN_INVALID when the URL is not one. Any thread. */
enum cdn_status edge_purge_apply(struct edge *edge, const struct edge_purge *purge, int64_t now_ms,
                                 uint64_t *ret_count, struct cdn_error *err) CDN_MUST_CHECK;
/* Whether its text can be purged; CDN_INVALID: it is no URL. */
enum cdn_status edge_purge_check(struct edge *edge, const struct edge_purge *purge,
                                 struct cdn_error *err) CDN_MUST_CHECK;
/* From JSON {"url": ...} | {"urls": [...]} | {"prefix": ...} | {"tag": ...} | {"tags": [...]} | {"all":
 * true}, "soft": bool. */
enum cdn_status edge_purge_json(struct edge *edge, json_t *body, int64_t now_ms, uint64_t *ret_count,
                                struct cdn_error *err) CDN_MUST_CHECK;

/* What a request in one of the forms of http_purge.h asks for, once it is checked; `own`: the key of the URL
 * that the request names. How many objects it hit. */
enum cdn_status edge_purge_form_check(struct edge *edge, const struct http_purge *form,
                                      struct cdn_error *err) CDN_MUST_CHECK;
uint64_t edge_purge_form(struct edge *edge, const struct http_purge *form, struct cdn_str own,
                         int64_t now_ms);

/* What is stored under a key of ours, without a log line; how many objects. */
uint64_t edge_purge_key(struct edge *edge, struct cdn_str key, bool soft, int64_t now_ms);

#endif
