/* tuning: settings turned into what the request path reads, for the start and for reloads. */
#ifndef CDN_EDGE_TUNING_H
#define CDN_EDGE_TUNING_H
#include "common/config/config.h"
#include "common/status.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/site/origin.h"

/* Borrows strings of `settings`, which must live as long as the result. `path`: the cdn.yaml whose `sites:`
 * count; NULL: none. Origins are found in `origins`, or made. `before`: the tuning in use, or NULL. */
enum cdn_status edge_tuning_create(const struct edge_settings *settings, const char *path,
                                   struct edge_origins *origins, const struct edge_tuning *before,
                                   struct edge_tuning **ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_tuning_destroy(struct edge_tuning *tuning); /* that nobody else saw yet; NULL is fine */
struct edge_tuning *edge_tuning_ref(const struct edge_tuning *tuning);
void edge_tuning_unref(struct edge_tuning *tuning); /* NULL is fine */
/* Takes the edge's reference of one that is not in force any more, once each worker has begun another turn;
 * `each` is run on every worker on the way. */
void edge_tuning_retire(struct edge *edge, struct edge_tuning *tuning,
                        void (*each)(struct edge_worker *worker));
enum cdn_status edge_tuning_networks(const struct cdn_config_list *list, const char *what,
                                     struct edge_networks *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* The slices borrow from the list. The array is the caller's. */
struct cdn_str *edge_tuning_names(const struct cdn_config_list *list);

#endif
