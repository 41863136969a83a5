/* gate: see the header. Read strictly: a condition that is understood otherwise than it was meant would
 * let a build through that should have failed. */
#include "cli/compare/stats/gate.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"

#include <string.h>

#include "common/banned.h"

static const struct {
    const char *word;
    bool of_series;
    enum gate_kind kind;
} figures[GATE_FIGURE_COUNT] = {
#define X(name, word, of_series, kind, text) {word, of_series, GATE_##kind},
    GATE_FIGURE_TABLE(X)
#undef X
};

const char *gate_figure_word(enum gate_figure figure)
{
    return figures[figure].word;
}

bool gate_figure_of_series(enum gate_figure figure)
{
    return figures[figure].of_series;
}

static enum cdn_status read_figure(struct cdn_str whole, struct cdn_str name, struct gate_condition *ret,
                                   struct cdn_error *err)
{
    const char *words[GATE_FIGURE_COUNT + 1] = {0};
    for (unsigned i = 0; i < GATE_FIGURE_COUNT; i++) {
        words[i] = figures[i].word;
        if (cdn_str_eq(name, cdn_str(words[i]))) {
            ret->figure = (enum gate_figure)i;
            return CDN_OK;
        }
    }
    const char *close = cdn_config_closest(name, words);
    return cdn_error_set(
        err, CDN_USAGE, "--fail-if '" CDN_STR_FMT "': no figure '" CDN_STR_FMT "'%s%s%s", CDN_STR_ARG(whole),
        CDN_STR_ARG(name), close ? "; did you mean '" : "; there are n, ",
        close ? close : "min, p50, p95, p99, max, hit_ratio, offload, offload_bytes, errors, verdict",
        close ? "'?" : "");
}

static enum cdn_status read_series(struct cdn_str whole, struct cdn_str name, const char *const *series,
                                   struct gate_condition *ret, struct cdn_error *err)
{
    for (const char *const *at = series; *at; at++) {
        if (cdn_str_eq(name, cdn_str(*at)) && cdn_str_copy(ret->series, sizeof(ret->series), name)) {
            return CDN_OK;
        }
    }
    const char *close = cdn_config_closest(name, series);
    return cdn_error_set(err, CDN_USAGE, "--fail-if '" CDN_STR_FMT "': no series '" CDN_STR_FMT "'%s%s%s",
                         CDN_STR_ARG(whole), CDN_STR_ARG(name), close ? "; did you mean '" : "",
                         close ? close : "", close ? "'?" : "");
}

static enum cdn_status read_left(struct cdn_str whole, struct cdn_str left, const char *const *series,
                                 struct gate_condition *ret, struct cdn_error *err)
{
    ptrdiff_t dot = cdn_str_find(left, '.');
    enum cdn_status status = CDN_OK;
    if (dot >= 0) {
        status = read_series(whole, (struct cdn_str){left.p, (size_t)dot}, series, ret, err);
        left = cdn_str_sub(left, (size_t)dot + 1);
    }
    if (status == CDN_OK) {
        status = read_figure(whole, left, ret, err);
    }
    if (status == CDN_OK && ret->series[0] && !figures[ret->figure].of_series) {
        return cdn_error_set(err, CDN_USAGE,
                             "--fail-if '" CDN_STR_FMT "': %s is one figure for all, not of %s",
                             CDN_STR_ARG(whole), figures[ret->figure].word, ret->series);
    }
    return status;
}

struct unit {
    const char *end;
    double factor;
};

/* The number before one of the units; the last unit may be "". */
static bool read_number(struct cdn_str text, const struct unit *units, double *ret)
{
    for (const struct unit *unit = units; unit->end; unit++) {
        struct cdn_str end = cdn_str(unit->end);
        if (cdn_str_ends(text, end) &&
            cdn_parse_real(cdn_str_trim((struct cdn_str){text.p, text.n - end.n}), ret)) {
            *ret *= unit->factor;
            return true;
        }
    }
    return false;
}

static bool read_value(struct cdn_str text, struct gate_condition *ret)
{
    static const struct unit times[] = {{"us", 0.001}, {"ms", 1}, {"s", 1000}, {NULL, 0}};
    static const struct unit shares[] = {{"%", 0.01}, {"", 1}, {NULL, 0}};
    static const struct unit counts[] = {{"", 1}, {NULL, 0}}, percents[] = {{"%", 0.01}, {NULL, 0}};
    enum gate_kind kind = figures[ret->figure].kind;
    ret->relative = text.n > 0 && (text.p[0] == '+' || text.p[0] == '-');
    if (ret->relative && kind != GATE_SHARE && read_number(text, percents, &ret->value)) {
        ret->percent = true;
        return true;
    }
    return read_number(text,
                       kind == GATE_TIME    ? times
                       : kind == GATE_SHARE ? shares
                                            : counts,
                       &ret->value) &&
           (ret->relative || ret->value >= 0);
}

static enum cdn_status read_right(struct cdn_str whole, struct cdn_str right, struct gate_condition *ret,
                                  struct cdn_error *err)
{
    static const char *const examples[] = {
        [GATE_TIME] = "a time (120ms, 1.5s) or a change against the baseline (+5%, +20ms)",
        [GATE_SHARE] = "a share (90%, 0.9) or a change against the baseline in points (-2%)",
        [GATE_COUNT] = "a number or a change against the baseline (+5%, +3)",
        [GATE_WORD] = "= and slower, faster or 'no difference'",
    };
    enum gate_kind kind = figures[ret->figure].kind;
    bool good = kind == GATE_WORD ? ret->sign == GATE_IS : ret->sign != GATE_IS && read_value(right, ret);
    if (good && kind == GATE_WORD) {
        good = (cdn_str_eq(right, CDN_STR("slower")) || cdn_str_eq(right, CDN_STR("faster")) ||
                cdn_str_eq(right, CDN_STR("no difference"))) &&
               cdn_str_copy(ret->word, sizeof(ret->word), right);
    }
    return good ? CDN_OK
                : cdn_error_set(err, CDN_USAGE, "--fail-if '" CDN_STR_FMT "': %s wants %s",
                                CDN_STR_ARG(whole), figures[ret->figure].word, examples[kind]);
}

static bool read_sign(struct cdn_str *rest, enum gate_sign *ret)
{
    static const struct {
        const char *text;
        enum gate_sign sign;
    } signs[] = {
        {"<=", GATE_AT_MOST}, {">=", GATE_AT_LEAST}, {"<", GATE_LESS}, {">", GATE_MORE}, {"=", GATE_IS}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(signs); i++) {
        if (cdn_str_starts(*rest, cdn_str(signs[i].text))) {
            *ret = signs[i].sign;
            *rest = cdn_str_sub(*rest, strlen(signs[i].text));
            return true;
        }
    }
    return false;
}

static enum cdn_status read_condition(struct cdn_str whole, const char *const *series,
                                      struct gate_condition *ret, struct cdn_error *err)
{
    size_t n = 0;
    *ret = (struct gate_condition){0};
    while (n < whole.n && !memchr("<>=", whole.p[n], 3)) {
        n++;
    }
    struct cdn_str left = cdn_str_trim((struct cdn_str){whole.p, n}), right = cdn_str_sub(whole, n);
    if (!cdn_str_copy(ret->text, sizeof(ret->text), whole)) {
        return cdn_error_set(err, CDN_USAGE, "--fail-if: a condition of over %zu letters: '%.40s...'",
                             sizeof(ret->text) - 1, whole.p);
    }
    if (left.n == 0 || !read_sign(&right, &ret->sign)) {
        return cdn_error_set(
            err, CDN_USAGE, "--fail-if '" CDN_STR_FMT "': not FIGURE<VALUE or FIGURE>VALUE, as in 'p95>+5%%'",
            CDN_STR_ARG(whole));
    }
    enum cdn_status status = read_left(whole, left, series, ret, err);
    return status != CDN_OK ? status : read_right(whole, cdn_str_trim(right), ret, err);
}

enum cdn_status gate_parse(struct cdn_str text, const char *const *series, struct gate *ret,
                           struct cdn_error *err)
{
    struct gate gate = {0};
    while (text.p) {
        struct cdn_str one = cdn_str_trim(cdn_str_cut(&text, ','));
        if (gate.n == GATE_CONDITIONS_MAX) {
            return cdn_error_set(err, CDN_USAGE, "--fail-if: more than %d conditions", GATE_CONDITIONS_MAX);
        }
        enum cdn_status status = read_condition(one, series, &gate.at[gate.n++], err);
        if (status != CDN_OK) {
            return status;
        }
    }
    *ret = gate;
    return CDN_OK;
}

bool gate_is_relative(const struct gate *gate)
{
    for (size_t i = 0; i < gate->n; i++) {
        if (gate->at[i].relative) {
            return true;
        }
    }
    return false;
}

double gate_limit(const struct gate_condition *condition, double baseline)
{
    if (!condition->relative) {
        return condition->value;
    }
    return condition->percent ? baseline * (1 + condition->value) : baseline + condition->value;
}

bool gate_met(const struct gate_condition *condition, double value, double baseline)
{
    double limit = gate_limit(condition, baseline);
    switch (condition->sign) {
    case GATE_LESS:
        return value < limit;
    case GATE_AT_MOST:
        return value <= limit;
    case GATE_MORE:
        return value > limit;
    case GATE_AT_LEAST:
        return value >= limit;
    case GATE_IS:
        break;
    }
    return false; /* words are compared where they are */
}
