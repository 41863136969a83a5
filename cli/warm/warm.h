/* warm: asking the edges for files, for other commands (`publish --warm`). */
#ifndef CDN_CLI_WARM_H
#define CDN_CLI_WARM_H
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>

/* Asks every edge of the CDN for each path (one a line) and prints what came of it. CDN_NOT_FOUND: some
 * failed. */
enum cdn_status warm_paths(const json_t *cdn, struct cdn_str paths, struct cdn_error *err) CDN_MUST_CHECK;

#endif
