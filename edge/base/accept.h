/* accept: Accept-Encoding and Accept-Language as the origin is asked, and as Vary keys them. Pure.
 *
 * Browsers and libraries spell the same wish in dozens of ways. What differs in a way that no answer can show
 * is made one: of codings those remain that are listed, in the list's order; of languages the one listed that
 * the request wants most. What a request refuses is never asked for.
 */
#ifndef CDN_EDGE_ACCEPT_H
#define CDN_EDGE_ACCEPT_H
#include "common/http/syntax/http_field_accept.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"

#include <stdbool.h>

struct edge_accept {
    bool encoding_as_sent;
    enum http_coding coding[HTTP_CODING_COUNT]; /* in the list's order */
    unsigned coding_count;
    const struct cdn_config_list *languages; /* borrowed; empty: as sent */
};
/* The lists are borrowed. CDN_INVALID: an unknown coding, or a language that is not one. */
enum cdn_status edge_accept_read(const struct edge_settings *settings, struct edge_accept *ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;

/* `value` joined, p NULL when absent. Appends what is sent, "identity" when no listed coding is accepted; a
 * refused identity is said ("br, identity;q=0"). Codings that are wanted less than identity are left out. */
void edge_accept_encoding_write(const struct edge_accept *a, struct cdn_str value, struct cdn_buf *into);
/* The listed language of the greatest weight, at equal weight the one named first by the request, or then by
 * the list. A range stands for what begins with it ("de" for "de-AT") and, weaker, for what it begins with
 * (RFC 4647 3.4: "de-AT" falls back to "de"). false: none is wanted, nothing is sent. */
bool edge_accept_language_write(const struct edge_accept *a, struct cdn_str value, struct cdn_buf *into);

#endif
