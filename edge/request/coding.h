/* coding: which stored answers are worth compressing, with what, and what they say then. Pure.
 *
 * A compressed answer is another representation of the same resource (RFC 9110 8.8.3.3): it has
 * Content-Encoding, a weak validator (W/ before a strong entity tag; the bytes differ, the meaning does not),
 * Vary: Accept-Encoding, and none of the fields that count or digest the bytes, nor Accept-Ranges, since
 * ranges are taken from the plain form.
 */
#ifndef CDN_EDGE_CODING_H
#define CDN_EDGE_CODING_H
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/cache/blob.h"
#include "edge/semantics/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge_coding_rules {
    unsigned offered;      /* bit set of enum http_coding: identity and what is made */
    struct cdn_str *types; /* patterns, borrowed from the settings; the array is owned */
    size_t type_count;
    uint64_t min, max; /* length of the body */
    int gzip_level, br_level, zstd_level;
};
/* CDN_INVALID for a coding that we do not have. The strings are borrowed. */
enum cdn_status edge_coding_rules_read(const struct edge_settings *settings, struct edge_coding_rules *ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;
void edge_coding_rules_free(struct edge_coding_rules *rules);
bool edge_coding_any(const struct edge_coding_rules *rules); /* whether anything is compressed at all */

/* Whether answers with this head are compressed for those who like it: a 200 of a listed type, not encoded
 * already, not `no-transform`, long enough. `length` negative: as Content-Length says; unknown counts as long
 * enough. */
bool edge_coding_eligible(const struct edge_coding_rules *rules, const struct edge_head *head,
                          int64_t length);
/* The form for a joined Accept-Encoding (p NULL: absent, which means as it is stored). */
enum edge_coded_form edge_coding_wanted(const struct edge_coding_rules *rules,
                                        struct cdn_str accept_encoding);
bool edge_coding_varies(const struct edge_head *head); /* Vary names Accept-Encoding, or is "*" */
/* The head of the compressed form; the caller owns *ret. */
enum cdn_status edge_coding_head(const struct edge_head *head, enum edge_coded_form form,
                                 struct edge_head **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* The compressed bytes, or NULL when they are not at least a twentieth fewer. Slow: tens of milliseconds a
 * MiB. */
struct edge_blob *edge_coding_compress(const struct edge_coding_rules *rules, enum edge_coded_form form,
                                       const char *data, size_t n);

#endif
