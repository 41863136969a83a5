/* series: what is compared, one row for each: on which way, in which state of the cache, on a new or a kept
 * connection. They are never mixed: a cold request and a warm one, a first request and a second one of a
 * connection differ by more than most CDNs do.
 *
 * "new" and "kept" are two requests of one visit: the first opens the connection, the second follows at once,
 * so that its window is as the first has left it.
 */
#ifndef CDN_CLI_COMPARE_SERIES_H
#define CDN_CLI_COMPARE_SERIES_H
#include <stdbool.h>

#define SERIES_WAY_TABLE(X) /* name, word, text */        \
    X(DIRECT, "direct", "straight to the origin, no CDN") \
    X(DNS, "dns", "to the edge that GeoDNS answers")      \
    X(REDIRECT, "redirect", "first to the router, which redirects to the edge")

#define SERIES_STATE_TABLE(X) /* name, word, expected X-Cache, text */                                \
    X(ORIGIN, "", "", "of the origin itself")                                                         \
    X(COLD, "cold", "MISS", "the edge does not have it and fetches it")                               \
    X(WARM, "warm", "HIT", "the edge has it")                                                         \
    X(REVALIDATED, "revalidated", "REVALIDATED", "the edge asks the origin whether it is still good") \
    X(UNCACHEABLE, "uncacheable", "BYPASS", "it may not be stored, so every request goes to the origin")

enum series_way {
#define X(name, word, text) SERIES_##name,
    SERIES_WAY_TABLE(X)
#undef X
        SERIES_WAY_COUNT
};
enum series_state {
#define X(name, word, verdict, text) SERIES_##name,
    SERIES_STATE_TABLE(X)
#undef X
        SERIES_STATE_COUNT
};

/* A visit: two requests, the first of which makes the series NEW and the second KEPT. */
#define SERIES_VISIT_TABLE(X) /* name, word, way, state */                 \
    X(DIRECT, "direct", DIRECT, ORIGIN)                                    \
    X(DNS_COLD, "dns-cold", DNS, COLD)                                     \
    X(DNS_WARM, "dns-warm", DNS, WARM)                                     \
    X(DNS_REVALIDATED, "dns-revalidated", DNS, REVALIDATED)                \
    X(DNS_UNCACHEABLE, "dns-uncacheable", DNS, UNCACHEABLE)                \
    X(REDIRECT_COLD, "redirect-cold", REDIRECT, COLD)                      \
    X(REDIRECT_WARM, "redirect-warm", REDIRECT, WARM)                      \
    X(REDIRECT_REVALIDATED, "redirect-revalidated", REDIRECT, REVALIDATED) \
    X(REDIRECT_UNCACHEABLE, "redirect-uncacheable", REDIRECT, UNCACHEABLE)

enum visit_kind {
#define X(name, word, way, state) VISIT_##name,
    SERIES_VISIT_TABLE(X)
#undef X
        VISIT_COUNT
};
#define SERIES_COUNT (VISIT_COUNT * 2)

static inline unsigned series_of(enum visit_kind visit, bool kept)
{
    return (unsigned)visit * 2 + kept;
}
static inline enum visit_kind series_visit(unsigned series)
{
    return (enum visit_kind)(series / 2);
}
static inline bool series_kept(unsigned series)
{
    return series % 2;
}
enum series_way series_visit_way(enum visit_kind visit);
enum series_state series_visit_state(enum visit_kind visit);
const char *series_visit_word(enum visit_kind visit);      /* "dns-warm" */
const char *series_word(unsigned series);                  /* "dns-warm-new" */
const char *const *series_words(void);                     /* all, ended by NULL */
const char *series_state_verdict(enum series_state state); /* the X-Cache that belongs to it; "" for ORIGIN */
const char *series_state_text(enum series_state state);
const char *series_way_text(enum series_way way);
const char *series_way_word(enum series_way way);       /* "dns" */
const char *series_state_word(enum series_state state); /* "warm"; "" for ORIGIN */

#endif
