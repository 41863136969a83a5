/* access_format: one request as the access log remembers it, and its line in each format. Pure.
 *
 * Whatever came from the network is escaped, so nothing in it can forge a line or a field: in JSON as \u00XX,
 * in the older formats as \xXX (controls, quotes, backslashes, and every byte from 0x7f on).
 */
#ifndef CDN_EDGE_ACCESS_FORMAT_H
#define CDN_EDGE_ACCESS_FORMAT_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_ACCESS_FORMATS(X) X(CLF) X(COMBINED) X(JSON) /* in the order of the setting's choices */
enum edge_access_format {
#define X(name) EDGE_ACCESS_##name,
    EDGE_ACCESS_FORMATS(X)
#undef X
};

#define EDGE_ACCESS_TEXTS(X) /* name, bytes kept of it at most */ \
    X(method, 32)                                                 \
    X(host, 255)                                                  \
    X(target, 2048)                                               \
    X(referer, 1024)                                              \
    X(agent, 512)                                                 \
    X(range, 128)                                                 \
    X(trace, 128)                                                 \
    X(request_id, 128)

enum edge_access_text {
#define X(name, max) EDGE_ACCESS_TEXT_##name,
    EDGE_ACCESS_TEXTS(X)
#undef X
        EDGE_ACCESS_TEXT_COUNT
};
size_t edge_access_text_max(enum edge_access_text text);

struct edge_access_record {
    uint32_t size;       /* of the record in its ring */
    uint16_t status;     /* 0: the client left before there was an answer */
    uint16_t fwd_status; /* the origin's; 0: it was not asked, or did not answer */
    int64_t time_ms;     /* wall clock, when the answer was given */
    uint64_t bytes;      /* of the body */
    uint64_t duration_us;
    int64_t origin_us; /* negative: the origin was not asked */
    struct cdn_addr client;
    uint8_t verdict; /* enum edge_verdict; EDGE_VERDICT_COUNT: refused by the edge itself */
    uint8_t cause;   /* enum edge_cause */
    bool stored : 1;
    bool collapsed : 1;
    bool aborted : 1; /* the client did not get all of it */
    bool secure : 1;
    bool http10 : 1;
    uint16_t text_n[EDGE_ACCESS_TEXT_COUNT];
    char text[]; /* one after another */
};

/* Appends the line with its newline. `edge`: this edge's name, for JSON. */
void edge_access_line(const struct edge_access_record *record, enum edge_access_format format,
                      struct cdn_str edge, struct cdn_buf *into);

#endif
