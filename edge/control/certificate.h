/* certificate: the files that the public listener speaks TLS with, by the edge's settings. Main thread. */
#ifndef CDN_EDGE_CERTIFICATE_H
#define CDN_EDGE_CERTIFICATE_H
#include "common/http/server/tls_set.h"
#include "common/status.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"

/* edge->tls, at the start. NULL when the settings name no files. */
enum cdn_status edge_certificate_read(struct edge *edge, struct cdn_error *err) CDN_MUST_CHECK;
/* For a reload: the set of the new settings. CDN_CONFLICT when it would turn TLS on or off. */
enum cdn_status edge_certificate_reread(const struct edge *edge, const struct edge_settings *next,
                                        struct cdn_tls_set **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Takes the set over and gives it to the workers, which run; NULL is fine. */
void edge_certificate_use(struct edge *edge, struct cdn_tls_set *take_set);

#endif
