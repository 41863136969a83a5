/* series: the tables as functions; the names of the series are put together by the preprocessor, so
 * that no list can fall behind the table of visits. */
#include "cli/compare/model/series.h"

#include "common/banned.h"

static const struct {
    const char *word;
    enum series_way way;
    enum series_state state;
} visits[VISIT_COUNT] = {
#define X(name, word, way, state) {word, SERIES_##way, SERIES_##state},
    SERIES_VISIT_TABLE(X)
#undef X
};

static const char *const words[SERIES_COUNT + 1] = {
#define X(name, word, way, state) word "-new", word "-kept",
    SERIES_VISIT_TABLE(X)
#undef X
};

enum series_way series_visit_way(enum visit_kind visit)
{
    return visits[visit].way;
}

enum series_state series_visit_state(enum visit_kind visit)
{
    return visits[visit].state;
}

const char *series_visit_word(enum visit_kind visit)
{
    return visits[visit].word;
}

const char *series_word(unsigned series)
{
    return words[series];
}

const char *const *series_words(void)
{
    return words;
}

const char *series_state_verdict(enum series_state state)
{
    static const char *const verdicts[] = {
#define X(name, word, verdict, text) verdict,
        SERIES_STATE_TABLE(X)
#undef X
    };
    return verdicts[state];
}

const char *series_state_text(enum series_state state)
{
    static const char *const texts[] = {
#define X(name, word, verdict, text) text,
        SERIES_STATE_TABLE(X)
#undef X
    };
    return texts[state];
}

const char *series_way_text(enum series_way way)
{
    static const char *const texts[] = {
#define X(name, word, text) text,
        SERIES_WAY_TABLE(X)
#undef X
    };
    return texts[way];
}

const char *series_way_word(enum series_way way)
{
    static const char *const way_words[] = {
#define X(name, word, text) word,
        SERIES_WAY_TABLE(X)
#undef X
    };
    return way_words[way];
}

const char *series_state_word(enum series_state state)
{
    static const char *const state_words[] = {
#define X(name, word, verdict, text) word,
        SERIES_STATE_TABLE(X)
#undef X
    };
    return state_words[state];
}
