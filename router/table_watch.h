/* table_watch: notices that a database file has been replaced, by looking at it once a second.
 *
 * It tells once the file has looked the same twice, so that a copy under way is left to finish; and once for
 * each change, so that a broken file is not tried again and again. Called on the control loop's thread.
 */
#ifndef CDN_ROUTER_TABLE_WATCH_H
#define CDN_ROUTER_TABLE_WATCH_H

#include "common/config.h"
#include "common/loop.h"

struct router_watch;

struct router_watch *router_watch_create(struct loop *loop, void (*changed)(void *self), void *self);
void router_watch_destroy(struct router_watch *watch); /* NULL is fine */
/* These files from now on (copied); as they are now, they are not changed. */
void router_watch_files(struct router_watch *watch, const struct cdn_config_list *files);

#endif
