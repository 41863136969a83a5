/* geo_memo: lines that were printed before.
 *
 * A database has some thousand records to a hundred million addresses, and all addresses of one record get
 * the same line but for the address, its network and the number of the input line. So a line is kept for each
 * record, with marks in those places (a stencil), and what follows from a record is worked out once.
 */
#ifndef CDN_CLI_GEO_MEMO_H
#define CDN_CLI_GEO_MEMO_H
#include "cli/geo/geo.h"
#include "cli/geo/geo_row.h"
#include "common/str.h"

struct geo_memo;

struct geo_memo *geo_memo_create(const struct geo_printer *printer);
void geo_memo_destroy(struct geo_memo *memo); /* NULL is fine */
/* Prints the row, of which table, question and line are filled in. */
enum geo_found geo_memo_row(struct geo_memo *memo, struct geo_row *row, struct cdn_buf *out);

#endif
