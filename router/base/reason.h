/* reason: why an edge was chosen. One table; the same words in answers, log, metrics and documents. */
#ifndef CDN_ROUTER_REASON_H
#define CDN_ROUTER_REASON_H

#define ROUTER_REASON_TABLE(X) /* name, word, text */                                                      \
    X(OVERRIDE, "override", "an override of the configuration names the place or the edge")                \
    X(GEO, "geo", "the database knows where the address is")                                               \
    X(GEO_COUNTRY, "geo-country", "only the country or continent is known; its usual point stands for it") \
    X(SPECIAL, "special", "the address is nobody's place on Earth; the default place stands for it")       \
    X(DEFAULT, "default", "nothing is known about the address; the default place stands for it")           \
    X(HEALTH, "health", "the edge that comes first is down or draining")                                   \
    X(LOAD, "load", "the edge that comes first is at its capacity")                                        \
    X(PINNED, "pinned", "the client, the operator or the policy names the place or the edge")

enum router_reason {
#define X(name, word, text) ROUTER_REASON_##name,
    ROUTER_REASON_TABLE(X)
#undef X
        ROUTER_REASON_COUNT
};

const char *router_reason_word(enum router_reason reason); /* "geo-country" */
const char *router_reason_text(enum router_reason reason);

#endif
