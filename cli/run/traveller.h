/* traveller: stands in for clients elsewhere: an address near a place that the command line names, and
 * requests in its name.
 *
 * The requests carry X-Forwarded-For, which a router believes from trusted_proxies only (`up` makes loopback
 * one of them).
 */
#ifndef CDN_CLI_TRAVELLER_H
#define CDN_CLI_TRAVELLER_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <stddef.h>

/* PLACE or IP as the command line gives it: an address, and the name of the place ("" for an address). Owned
 * by the caller. */
enum cdn_status traveller_from_text(const char *text, struct cdn_addr *ret_address, char **ret_name,
                                    struct cdn_error *err) CDN_MUST_CHECK;

struct traveller_answer { /* of one request */
    unsigned status;
    char *location; /* "" when there is none */
    char *x_cache, *cache_status, *age, *type;
    struct cdn_buf body;
    double ms; /* measured */
};
struct traveller_request { /* borrowed; zeroed: a plain GET */
    const char *method;    /* NULL: GET */
    const struct http_field *fields;
    size_t field_count; /* at most TRAVELLER_FIELDS_MAX */
    struct cdn_str body;
};
#define TRAVELLER_FIELDS_MAX 64
enum cdn_status traveller_ask(const char *url, const struct cdn_addr *as,
                              const struct traveller_request *request, struct traveller_answer *ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status traveller_get(const char *url, const struct cdn_addr *as, struct traveller_answer *ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
void traveller_answer_free(struct traveller_answer *answer); /* may be zeroed */

#endif
