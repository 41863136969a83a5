/* daemon_purge: purges on the admin listeners in the forms that other caches' clients send (http_purge.h),
 * where Fastly's keys may be in the body and its answers are JSON. */
#ifndef CDN_COMMON_DAEMON_PURGE_H
#define CDN_COMMON_DAEMON_PURGE_H
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_purge.h"
#include "common/status.h"

#include <jansson.h>
#include <stdint.h>

/* `body` NULL: none. The caller frees *ret with http_purge_free(), whatever is returned. */
enum cdn_status daemon_purge_read(struct http_request *req, const json_t *body, struct http_purge *ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* As Fastly answers: {"status": "ok", "id": "7"}, or for keys in a field or body {"a": "7", "b": "7"}. */
json_t *daemon_purge_answer(const struct http_purge *purge, uint64_t id);

#endif
