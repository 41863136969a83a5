/* path: from the raw path to a name below the root, each escape undone exactly once and judged when
 * it is: what would be read differently after a second decoding is refused here. Also which names
 * carry a content hash, by their spelling. */
#include "origin/base/path.h"

#include "common/http/syntax/http_percent.h"
#include "common/parse.h"

#include "common/banned.h"

static const struct {
    unsigned status;
    const char *detail;
} results[] = {
#define X(name, status, detail) {status, detail},
    ORIGIN_PATH_RESULTS(X)
#undef X
};

unsigned origin_path_status(enum origin_path_result r)
{
    return results[r].status;
}

const char *origin_path_detail(enum origin_path_result r)
{
    return results[r].detail;
}

static enum origin_path_result unescape(struct cdn_str raw, struct origin_path *path)
{
    path->n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        bool escaped = c == '%';
        if (escaped) {
            const int byte = http_percent_byte(raw, i);
            if (byte < 0) {
                return ORIGIN_PATH_MALFORMED;
            }
            c = (unsigned char)byte;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            return ORIGIN_PATH_MALFORMED;
        }
        if (c == '\\' || (escaped && c == '/')) {
            return ORIGIN_PATH_ABSENT;
        }
        if (path->n + 1 >= sizeof(path->name)) {
            return ORIGIN_PATH_LONG;
        }
        path->name[path->n++] = (char)c;
    }
    path->name[path->n] = '\0';
    return ORIGIN_PATH_OK;
}

static enum origin_path_result check_segment(struct cdn_str segment, bool is_first)
{
    if (cdn_str_eq(segment, CDN_STR(".")) || cdn_str_eq(segment, CDN_STR(".."))) {
        return ORIGIN_PATH_MALFORMED;
    }
    if (segment.n == 0 || segment.n > ORIGIN_SEGMENT_MAX) {
        return ORIGIN_PATH_ABSENT;
    }
    if (segment.p[0] == '.' && !(is_first && cdn_str_eq(segment, CDN_STR(".well-known")))) {
        return ORIGIN_PATH_HIDDEN;
    }
    return ORIGIN_PATH_OK;
}

static enum origin_path_result check_segments(struct cdn_str name)
{
    bool is_first = true;
    while (name.p) {
        enum origin_path_result r = check_segment(cdn_str_cut(&name, '/'), is_first);
        if (r != ORIGIN_PATH_OK) {
            return r;
        }
        is_first = false;
    }
    return ORIGIN_PATH_OK;
}

enum origin_path_result origin_path_decode(struct cdn_str raw, struct origin_path *ret)
{
    if (raw.n == 0 || raw.p[0] != '/') {
        return ORIGIN_PATH_MALFORMED;
    }
    /* a slash written as such never comes out of an escape, so the last byte tells */
    ret->is_folder = raw.p[raw.n - 1] == '/';
    bool is_root = raw.n == 1;
    enum origin_path_result r =
        unescape((struct cdn_str){raw.p + 1, raw.n - (is_root || !ret->is_folder ? 1 : 2)}, ret);
    return r != ORIGIN_PATH_OK || is_root ? r : check_segments((struct cdn_str){ret->name, ret->n});
}

/* ---- names with a content hash ---- */

#define DJANGO_DIGITS 12u

static bool is_digit_of_hash(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* `n` digits end a UUID (8-4-4-4-12) whose last dash is at `dash`:
 * a random name says nothing of the bytes. */
static bool ends_uuid(struct cdn_str name, size_t dash, size_t n)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx";
    const size_t length = sizeof(form) - 1;
    if (n != 12 || dash < length) {
        return false;
    }
    const char *p = name.p + dash - length;
    for (size_t i = 0; i < length; i++) {
        if (form[i] == '-' ? p[i] != '-' : cdn_hex_digit(p[i]) < 0) {
            return false;
        }
    }
    return true;
}

/* Whether a hash stands between the separator at `at` and the next dot, with something after that. */
static bool has_hash_at(struct cdn_str name, size_t at, uint64_t lengths)
{
    size_t n = 0;
    bool letter = false;
    while (at + 1 + n < name.n && is_digit_of_hash(name.p[at + 1 + n])) {
        letter = letter || name.p[at + 1 + n] >= 'a';
        n++;
    }
    if (n == 0 || n > ORIGIN_HASH_DIGITS_MAX || !(lengths >> (n - 1) & 1) || at + n + 2 >= name.n ||
        name.p[at + 1 + n] != '.') {
        return false;
    }
    const bool is_django = name.p[at] == '.' && n == DJANGO_DIGITS;
    return is_django || (letter && !(name.p[at] == '-' && ends_uuid(name, at, n)));
}

bool origin_path_is_hashed(struct cdn_str name, uint64_t lengths)
{
    for (size_t i = 0; i < name.n; i++) { /* the folders do not count */
        if (name.p[i] == '/') {
            name = cdn_str_sub(name, i + 1);
            i = (size_t)-1;
        }
    }
    for (size_t i = 1; i < name.n; i++) {
        if ((name.p[i] == '.' || name.p[i] == '-') && has_hash_at(name, i, lengths)) {
            return true;
        }
    }
    return false;
}
