/* fold: names reduced to what a person would type on any keyboard. */
#ifndef CDN_GEO_DATA_FOLD_H
#define CDN_GEO_DATA_FOLD_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 to lower case without accents (Latin letters; others stay as they are), blanks and ASCII signs left
 * out: "São Paulo" and "sao-paulo" give "saopaulo". Always ends dst; false when it had to be cut. */
bool geo_fold(struct cdn_str name, char *dst, size_t size);
/* Edits between two folded names (insert, delete, replace, swap of neighbours); limit + 1 when there are
 * more. */
unsigned geo_fold_distance(const char *a, const char *b, unsigned limit);

#endif
