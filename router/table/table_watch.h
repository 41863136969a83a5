/* table_watch: notices that a database file has been replaced, by looking at it once a second.
 *
 * It tells once the file has looked the same twice, so that a copy under way is left to finish; and once for
 * each change, so that a broken file is not tried again and again. Called on the control loop's thread.
 */
#ifndef CDN_ROUTER_TABLE_WATCH_H
#define CDN_ROUTER_TABLE_WATCH_H
#include "common/loop.h"
#include "router/base/settings.h"

struct router_watch;

struct router_watch *router_watch_create(struct loop *loop, void (*changed)(void *self), void *self);
void router_watch_destroy(struct router_watch *watch); /* NULL is fine */
/* The database files of these settings from now on; as they are now, they are not changed. */
void router_watch_files(struct router_watch *watch, const struct router_settings *settings);

#endif
