/* reason: the words of the table as arrays. Its own file, since answers, log, metrics and DNS print
 * them and none of these knows another. */
#include "router/base/reason.h"

#include "common/banned.h"

static const struct {
    const char *word, *text;
} reasons[] = {
#define X(name, word, text) {word, text},
    ROUTER_REASON_TABLE(X)
#undef X
};

const char *router_reason_word(enum router_reason reason)
{
    return reasons[reason].word;
}

const char *router_reason_text(enum router_reason reason)
{
    return reasons[reason].text;
}
