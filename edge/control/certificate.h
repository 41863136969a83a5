/* certificate: the files that the public listener speaks TLS with, at the start and at a reload. Main thread.
 *
 * A reload reads both files again, judges them, and hands the pair to every worker, whose listener gives it
 * to new connections; old ones keep theirs. Whatever is wrong with the files is found before anything
 * changes.
 */
#ifndef CDN_EDGE_CERTIFICATE_H
#define CDN_EDGE_CERTIFICATE_H
#include "common/http/server/tls_pair.h"
#include "common/status.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"

/* A zeroed pair when the settings name no files. Warns in the log about a certificate that is out of its
 * time. */
enum cdn_status edge_certificate_read(const struct edge_settings *settings, struct cdn_tls_pair *ret,
                                      struct cdn_error *err) CDN_MUST_CHECK;
/* For a reload: the pair of the new settings. CDN_CONFLICT when it would turn TLS on or off. */
enum cdn_status edge_certificate_reread(const struct edge *edge, const struct edge_settings *next,
                                        struct cdn_tls_pair *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Takes the pair over; harmless with a zeroed one. The workers run. */
void edge_certificate_use(struct edge *edge, struct cdn_tls_pair *pair);

#endif
