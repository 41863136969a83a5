/* table_compile: compiles tables beside the control loop.
 *
 * A new table answers at once, by the chain; a thread compiles it meanwhile (tens of milliseconds for the
 * embedded database, a second or two for the largest ones) and the table then answers from what was made. A
 * failure leaves the table as it is: slower, not wrong.
 *
 * Called on the control loop's thread. Life cycle: create -> submit (after each reload again) -> destroy,
 * before the loop goes.
 */
#ifndef CDN_ROUTER_TABLE_COMPILE_H
#define CDN_ROUTER_TABLE_COMPILE_H
#include "common/loop.h"
#include "common/str.h"
#include "router/table/table.h"

#include <jansson.h>

struct router_compiler;

struct router_compiler *router_compiler_create(struct loop *loop);
void router_compiler_destroy(struct router_compiler *compiler); /* NULL is fine */
/* Takes a reference. An older table that is still being compiled is given up. */
void router_compiler_submit(struct router_compiler *compiler, struct router_table *table);
/* state (compiling, compiled, failed), error, seconds, rows, classes, networks, bytes of the last one. */
json_t *router_compiler_json(const struct router_compiler *compiler);
void router_compiler_metrics(const struct router_compiler *compiler, struct cdn_buf *out);

#endif
