/* http_purge_pattern: a pattern is worked through from the left, over the list of all texts that it can still
 * become; a group multiplies the list. Lists are bounded in number and bytes, and groups do not nest, but for
 * the frames of tags. */
#include "common/http/syntax/http_purge_pattern.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define DEPTH_MAX 8u

void http_purge_texts_free(struct http_purge_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->at[i].p);
    }
    free(texts->at);
    *texts = (struct http_purge_texts){0};
}

static enum cdn_status add(struct http_purge_texts *into, struct cdn_str a, struct cdn_str b, bool open,
                           struct cdn_error *err)
{
    const size_t n = a.n + b.n;
    if (into->count == HTTP_PURGE_TEXTS_MAX || n > HTTP_PURGE_TEXT_BYTES - into->bytes) {
        return cdn_error_set(err, CDN_TOO_LARGE, "a pattern stands for more than %u texts or %zu bytes",
                             HTTP_PURGE_TEXTS_MAX, HTTP_PURGE_TEXT_BYTES);
    }
    if (into->count == into->room) {
        into->room = into->room ? 2 * into->room : 8;
        into->at = cdn_realloc(into->at, into->room, sizeof(*into->at));
    }
    char *p = cdn_malloc(n + 1);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    p[n] = '\0';
    into->bytes += n;
    into->at[into->count++] = (struct http_purge_text){p, n, open};
    return CDN_OK;
}

static struct cdn_str text_of(const struct http_purge_text *t)
{
    return (struct cdn_str){t->p, t->n};
}

static enum cdn_status unsupported(struct cdn_str pattern, const char *why, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_UNSUPPORTED,
                         "the pattern \"%.*s\" is not supported: %s. Supported are \".*\", \"^/a/b$\" (a "
                         "URL), \"^/a/\" or \"^/a/.*\" (a prefix), \"^/(a|b)\" and \"(^|,)(tag1|tag2)(,|$)\"",
                         (int)(pattern.n < 100 ? pattern.n : 100), pattern.p, why);
}

static bool is_sign(char c) /* that has a meaning in a pattern */
{
    return c && strchr("\\^$.|?*+()[]{}", c);
}

/* The end of what begins at `at`: a character, an escape or a group; 0: it is none. */
static size_t piece_end(struct cdn_str p, size_t at)
{
    if (p.p[at] == '\\') {
        return at + 1 < p.n ? at + 2 : 0;
    }
    if (p.p[at] != '(') {
        return at + 1;
    }
    unsigned depth = 0;
    for (size_t i = at; i < p.n; i++) {
        if (p.p[i] == '\\') {
            i++;
        } else if (p.p[i] == '(') {
            depth++;
        } else if (p.p[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* The next alternative at the outermost level; false at the end. Start with *at = 0. */
static bool next_alternative(struct cdn_str p, size_t *at, struct cdn_str *ret)
{
    const size_t from = *at;
    if (from > p.n) {
        return false;
    }
    size_t i = from;
    while (i < p.n && p.p[i] != '|') {
        const size_t end = piece_end(p, i);
        i = end ? end : i + 1;
    }
    *ret = (struct cdn_str){p.p + from, i - from};
    *at = i + 1;
    return true;
}

/* What is between the parentheses of a group; "?:" is left out. */
static struct cdn_str inside(struct cdn_str group)
{
    struct cdn_str s = {group.p + 1, group.n - 2};
    return cdn_str_starts(s, CDN_STR("?:")) ? cdn_str_sub(s, 2) : s;
}

/* An alternative of a group: literal, perhaps with ".*" behind it. */
static enum cdn_status literal(struct cdn_str whole, struct cdn_str p, enum http_purge_dots dots,
                               struct http_purge_texts *into, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    size_t i = 0;
    const bool open = cdn_str_ends(p, CDN_STR(".*")) && !cdn_str_ends(p, CDN_STR("\\.*"));
    p.n -= open ? 2 : 0;
    while (i < p.n) {
        char c = p.p[i++];
        if (c == '\\' && i < p.n && !((p.p[i] | 0x20) >= 'a' && (p.p[i] | 0x20) <= 'z') &&
            !(p.p[i] >= '0' && p.p[i] <= '9')) {
            c = p.p[i++];
        } else if (is_sign(c) && !(c == '.' && dots == HTTP_PURGE_DOTS_LITERAL)) {
            return unsupported(whole,
                               c == '.' ? "a '.' that means a dot is written \"\\.\""
                                        : "it is not a list of texts in other words",
                               err);
        }
        cdn_buf_add_char(&text, c);
    }
    return add(into, cdn_buf_str(&text), CDN_STR(""), open, err);
}

static enum cdn_status piece_texts(struct cdn_str whole, struct cdn_str piece, enum http_purge_dots dots,
                                   struct http_purge_texts *into, struct cdn_error *err)
{
    size_t at = 0;
    struct cdn_str one;
    if (piece.p[0] != '(') {
        return literal(whole, piece, dots, into, err);
    }
    enum cdn_status status = CDN_OK;
    for (const struct cdn_str group = inside(piece);
         status == CDN_OK && next_alternative(group, &at, &one);) {
        status = literal(whole, one, dots, into, err);
    }
    return status;
}

/* Every text of `texts` with every one of `more` behind it. */
static enum cdn_status multiply(struct cdn_str whole, struct http_purge_texts *texts,
                                const struct http_purge_texts *more, struct cdn_error *err)
{
    struct http_purge_texts product = {0};
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < texts->count; i++) {
        for (size_t k = 0; k < more->count && status == CDN_OK; k++) {
            status = texts->at[i].open && more->at[k].n
                         ? unsupported(whole, "something follows \".*\"", err)
                         : add(&product, text_of(&texts->at[i]), text_of(&more->at[k]),
                               texts->at[i].open || more->at[k].open, err);
        }
    }
    http_purge_texts_free(texts);
    *texts = product;
    return status;
}

static bool is_open_end(struct cdn_str p, size_t at)
{
    return cdn_str_eq(cdn_str_sub(p, at), CDN_STR(".*"));
}

/* The piece at *at, with a "?" behind it, is multiplied in. */
static enum cdn_status take_piece(struct cdn_str p, size_t *at, enum http_purge_dots dots,
                                  struct http_purge_texts *texts, struct cdn_error *err)
{
    struct http_purge_texts more = {0};
    const size_t end = piece_end(p, *at);
    if (!end) {
        return cdn_error_set(err, CDN_INVALID, "the pattern \"%.*s\" is not closed",
                             (int)(p.n < 100 ? p.n : 100), p.p);
    }
    enum cdn_status status = piece_texts(p, (struct cdn_str){p.p + *at, end - *at}, dots, &more, err);
    *at = end;
    if (status == CDN_OK && *at < p.n && p.p[*at] == '?') {
        ++*at;
        status = add(&more, CDN_STR(""), CDN_STR(""), false, err);
    }
    if (status == CDN_OK) {
        status = multiply(p, texts, &more, err);
    }
    http_purge_texts_free(&more);
    return status;
}

/* All texts of a pattern without anchors. */
static enum cdn_status expand(struct cdn_str p, enum http_purge_dots dots, struct http_purge_texts *ret,
                              struct cdn_error *err)
{
    size_t at = 0;
    enum cdn_status status = add(ret, CDN_STR(""), CDN_STR(""), false, err);
    while (status == CDN_OK && at < p.n && !is_open_end(p, at)) {
        status = take_piece(p, &at, dots, ret, err);
    }
    for (size_t i = 0; at < p.n && i < ret->count; i++) {
        ret->at[i].open = true;
    }
    return status;
}

static enum cdn_status join(struct http_purge_texts *into, const struct http_purge_texts *from, bool open,
                            struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < from->count && status == CDN_OK; i++) {
        status = add(into, text_of(&from->at[i]), CDN_STR(""), open || from->at[i].open, err);
    }
    return status;
}

bool http_purge_pattern_is_any(struct cdn_str p)
{
    static const char *const spellings[] = {"", "^", "$", ".*", "^.*", ".*$", "^.*$", "(.*)", "^(.*)$"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(spellings); i++) {
        if (cdn_str_eq(p, cdn_str(spellings[i]))) {
            return true;
        }
    }
    return false;
}

static enum cdn_status anchored(struct cdn_str p, enum http_purge_dots dots, struct http_purge_texts *into,
                                struct cdn_error *err)
{
    struct http_purge_texts texts = {0};
    if (!cdn_str_starts(p, CDN_STR("^"))) {
        return unsupported(p, "it does not begin with '^', so it fits in the middle of a text, too", err);
    }
    struct cdn_str rest = cdn_str_sub(p, 1);
    const bool closed = cdn_str_ends(rest, CDN_STR("$")) && !cdn_str_ends(rest, CDN_STR("\\$"));
    rest.n -= closed;
    enum cdn_status status = expand(rest, dots, &texts, err);
    if (status == CDN_OK) {
        status = join(into, &texts, !closed, err);
    }
    http_purge_texts_free(&texts);
    return status;
}

enum cdn_status http_purge_pattern_texts(struct cdn_str pattern, enum http_purge_dots dots,
                                         struct http_purge_texts *into, struct cdn_error *err)
{
    size_t at = 0;
    struct cdn_str one;
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && next_alternative(pattern, &at, &one)) {
        status = anchored(one, dots, into, err);
    }
    return status;
}

/* ---- tags ---- */

/* What stands around a tag in a pattern for a list of them. The last is that of FOSHttpCache 1 and 2, which
 * means whole tags though it would fit their ends. */
static const struct {
    const char *before, *after;
} frames[] = {
    {"(^|,)", "(,|$)"},     {"(?:^|,)", "(?:,|$)"}, {"(^|,\\s*)", "(,|$)"}, {"(^|\\s)", "(\\s|$)"},
    {"(^|\\s)", "($|\\s)"}, {"(^| )", "( |$)"},     {"(^|,)", "($|,)"},     {"", "(,.+)?$"},
};

static bool unframe(struct cdn_str *p)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(frames); i++) {
        const struct cdn_str before = cdn_str(frames[i].before), after = cdn_str(frames[i].after);
        if (p->n > before.n + after.n && cdn_str_starts(*p, before) && cdn_str_ends(*p, after)) {
            *p = (struct cdn_str){p->p + before.n, p->n - before.n - after.n};
            return true;
        }
    }
    return false;
}

static enum cdn_status tags_of(struct cdn_str p, unsigned depth, struct http_purge_texts *into, bool *ret_any,
                               struct cdn_error *err);

static enum cdn_status framed(struct cdn_str whole, struct cdn_str p, struct http_purge_texts *into,
                              struct cdn_error *err)
{
    struct http_purge_texts texts = {0};
    enum cdn_status status = expand(p, HTTP_PURGE_DOTS_ANY, &texts, err);
    for (size_t i = 0; i < texts.count && status == CDN_OK; i++) {
        status = texts.at[i].open || !texts.at[i].n
                     ? unsupported(whole, "a tag is wanted, not what a tag begins with", err)
                     : CDN_OK;
    }
    if (status == CDN_OK) {
        status = join(into, &texts, false, err);
    }
    http_purge_texts_free(&texts);
    return status;
}

static enum cdn_status one_tag(struct cdn_str p, unsigned depth, struct http_purge_texts *into, bool *ret_any,
                               struct cdn_error *err)
{
    struct cdn_str middle = p;
    if (http_purge_pattern_is_any(p)) {
        *ret_any = true;
        return CDN_OK;
    }
    if (unframe(&middle)) {
        return framed(p, middle, into, err);
    }
    if (p.p[0] == '(' && piece_end(p, 0) == p.n && depth < DEPTH_MAX) {
        return tags_of(inside(p), depth + 1, into, ret_any, err);
    }
    return unsupported(p, "it fits parts of tags, too", err);
}

static enum cdn_status tags_of(struct cdn_str p, unsigned depth, struct http_purge_texts *into, bool *ret_any,
                               struct cdn_error *err)
{
    size_t at = 0;
    struct cdn_str one;
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && next_alternative(p, &at, &one)) {
        status = one_tag(one, depth, into, ret_any, err);
    }
    return status;
}

enum cdn_status http_purge_pattern_tags(struct cdn_str pattern, struct http_purge_texts *into, bool *ret_any,
                                        struct cdn_error *err)
{
    *ret_any = false;
    return tags_of(pattern, 0, into, ret_any, err);
}
