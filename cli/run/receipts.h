/* receipts: which edge has done a purge, and how fast: what `purge --wait` and `publish --wait` show. */
#ifndef CDN_CLI_RECEIPTS_H
#define CDN_CLI_RECEIPTS_H
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>

/* `answer`: the router's to POST /purge with a wait. */
void receipts_print(const json_t *answer, bool soft);
/* CDN_OK: at least one edge has done it, and every healthy one. */
enum cdn_status receipts_judge(const json_t *answer, struct cdn_error *err) CDN_MUST_CHECK;

#endif
