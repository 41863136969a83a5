/* fold: a table from letters beyond ASCII to what one would type for them, and the edit distance on
 * folded names, so that "Sao Paolo" finds its city and a typing error its suggestion. */
#include "geo-data/fold.h"

#include <assert.h>
#include <string.h>

#include "common/banned.h"

#define NAME_MAX_BYTES 96

/* U+00C0..U+00FF and U+0100..U+017F, '.' for what is not a letter; two letters stand in `double_letters`. */
static const char latin1[] = "aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuyty";
static const char latin_extended[] = "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllll"
                                     "nnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static_assert(sizeof(latin1) == 0x40 + 1 && sizeof(latin_extended) == 0x80 + 1, "one letter a code point");

/* A code point above 0x7f as Latin letters, or NULL. */
static const char *letters_of(unsigned code, char single[2])
{
    switch (code) {
    case 0xdf:
        return "ss";
    case 0xc6:
    case 0xe6:
        return "ae";
    case 0x152:
    case 0x153:
        return "oe";
    default:
        break;
    }
    if (code >= 0xc0 && code <= 0xff) {
        single[0] = latin1[code - 0xc0];
    } else if (code >= 0x100 && code <= 0x17f) {
        single[0] = latin_extended[code - 0x100];
    } else if (code >= 0x218 && code <= 0x21b) { /* Romanian s and t with comma */
        single[0] = code < 0x21a ? 's' : 't';
    } else {
        return NULL;
    }
    return single;
}

static size_t add(char *dst, size_t size, size_t at, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++, at++) {
        if (at + 1 < size) {
            dst[at] = p[i];
        }
    }
    return at;
}

bool geo_fold(struct cdn_str name, char *dst, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        char single[2] = {0};
        const char *letters = NULL;
        if (c >= 0xc3 && c <= 0xc8 && i + 1 < name.n) {
            letters = letters_of((c & 0x1fu) << 6 | ((unsigned char)name.p[i + 1] & 0x3fu), single);
        }
        if (letters) {
            at = add(dst, size, at, letters, strlen(letters));
            i++;
        } else if (c >= 'A' && c <= 'Z') {
            single[0] = (char)(c + 'a' - 'A');
            at = add(dst, size, at, single, 1);
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80) {
            at = add(dst, size, at, &name.p[i], 1);
        }
    }
    dst[at < size ? at : size - 1] = '\0';
    return at < size;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned geo_fold_distance(const char *a, const char *b, unsigned limit)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES || (n > m ? n - m : m - n) > limit) {
        return limit + 1;
    }
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return least(rows[n % 3][m], limit + 1);
}
