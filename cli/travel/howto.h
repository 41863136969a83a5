/* howto: how programs are told to use a way into the network, with the real address filled in. */
#ifndef CDN_CLI_HOWTO_H
#define CDN_CLI_HOWTO_H
#include "common/status.h"

#include <jansson.h>

/* On standard output. The names that work behind it are those of the CDN's own cdn.yaml. */
enum cdn_status howto_print(const json_t *cdn, const char *place, const char *profile, const char *proxy,
                            struct cdn_error *err) CDN_MUST_CHECK;

#endif
