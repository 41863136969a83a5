/* combinations: numbers for what several files say together.
 *
 * With one file, a record's offset stands for it: equal offsets are equal records. With several, each
 * combination of their offsets that is met gets the next number, so that the same holds. Any thread may call;
 * a mutex guards the table.
 */
#ifndef CDN_GEO_DATA_COMBINATIONS_H
#define CDN_GEO_DATA_COMBINATIONS_H
#include <stddef.h>
#include <stdint.h>

struct geo_combinations;

struct geo_combinations *geo_combinations_create(void);
void geo_combinations_destroy(struct geo_combinations *c); /* NULL is fine */
/* The number of `entries`, n of them; n is the same in every call. */
uint32_t geo_combinations_number(struct geo_combinations *c, const uint32_t entries[], size_t n);
/* The entries behind a number that geo_combinations_number gave. */
void geo_combinations_get(struct geo_combinations *c, uint32_t number, uint32_t entries[], size_t n);

#endif
