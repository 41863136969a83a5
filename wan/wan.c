/* wan: everything runs on the main thread's loop: a relay waits far more than it works, and one clock that
 * all connections share is what keeps their times true. */
#include "wan/wan.h"

#include "common/admin_address.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "wan/relay/metrics.h"
#include "wan/relay/relay.h"
#include "wan/relay/world.h"
#include "wan/wan_private.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/banned.h"

#define NICE (-10)

static void give_metrics(void *self, struct cdn_buf *out)
{
    struct wan *wan = self;
    uint64_t values[WAN_METRIC_COUNT] = {0};
    const struct cdn_histogram *late = wan_relay_lateness(wan->relay);
    cdn_metrics_sum(wan_relay_metrics(wan->relay), values, WAN_METRIC_COUNT);
    cdn_metrics_prometheus("pocketcdn_wan_", wan_metric_rows, values, WAN_METRIC_COUNT, out);
    cdn_histogram_prometheus("pocketcdn_wan_", "late_seconds",
                             "How much later than their time bytes were handed over", &late, 1, out);
}

static void give_status(void *self, json_t *into)
{
    struct wan *wan = self;
    uint64_t values[WAN_METRIC_COUNT] = {0};
    json_t *metrics = json_object(), *relay = wan_relay_status_json(wan->relay);
    json_object_update(into, relay);
    json_decref(relay);
    cdn_metrics_sum(wan_relay_metrics(wan->relay), values, WAN_METRIC_COUNT);
    cdn_metrics_json(wan_metric_rows, values, WAN_METRIC_COUNT, metrics);
    json_object_set_new(into, "metrics", metrics);
}

static enum cdn_status set_faults(void *self, json_t *body, struct cdn_error *err)
{
    struct wan *wan = self;
    return wan_relay_set_faults(wan->relay, body, err);
}

/* The nodes as cdn.yaml has them now; of its own settings nothing may differ but the log's level. */
static enum cdn_status reload(void *self, struct cdn_error *err)
{
    struct wan *wan = self;
    struct wan_settings next = {0};
    struct wan_world world = {0};
    enum cdn_config_outcome outcome;
    enum cdn_status status =
        cdn_config_load(&wan_program, wan->argc, wan->argv, &next, &outcome, NULL, NULL, err);
    if (status != CDN_OK) {
        return status;
    }
    status = cdn_config_can_reload(&wan_program, &wan->settings, &next, err);
    if (status == CDN_OK) {
        CDN_AUTOFREE char *path = cdn_config_path(&wan_program, wan->argc, wan->argv);
        status = wan_world_read(path, &next, &world, err);
    }
    if (status == CDN_OK) {
        status = wan_relay_reload(wan->relay, &world, err);
    }
    if (status == CDN_OK) {
        cdn_log_set_level((enum cdn_log_level)next.log_level);
    }
    wan_world_free(&world);
    cdn_config_free(&wan_program, &next);
    return status;
}

static void drain(void *self)
{
    struct wan *wan = self;
    wan_relay_drain(wan->relay);
}

static bool drained(void *self)
{
    const struct wan *wan = self;
    return wan_relay_is_drained(wan->relay);
}

static enum cdn_status open_daemon(struct wan *wan, struct cdn_error *err)
{
    char admin[CDN_ADDR_TEXT_SIZE];
    cdn_admin_address(wan->settings.admin, wan->settings.listen, admin);
    const struct daemon_config config = {
        .program = wan_program.name,
        .admin_listen = admin,
        .admin_token = wan->settings.admin_token,
        .simulate = true, /* there is nothing else here */
        .routes = wan_admin_routes,
        .self = wan,
        .metrics = give_metrics,
        .status = give_status,
        .faults = set_faults,
        .reload = reload,
        .drain = drain,
        .drained = drained,
    };
    return daemon_create(&config, &wan->daemon, err);
}

/* The kernel's usual slack of timers would make every byte late by 50 us; and a network that waits for a
 * processor behind those who use it is slower than it says. Without the right to it nothing changes. */
static void be_punctual(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
}

enum cdn_status wan_create(struct wan_settings *take, int argc, char **argv, struct wan **ret,
                           struct cdn_error *err)
{
    struct wan *wan = cdn_calloc(1, sizeof(*wan));
    wan->settings = *take;
    memset(take, 0, sizeof(*take));
    wan->argc = argc;
    wan->argv = argv;
    be_punctual();
    struct wan_world world = {0};
    CDN_AUTOFREE char *path = cdn_config_path(&wan_program, argc, argv);
    enum cdn_status status = wan_world_read(path, &wan->settings, &world, err);
    if (status == CDN_OK) {
        status = open_daemon(wan, err);
    }
    if (status == CDN_OK) {
        status = wan_relay_create(daemon_loop(wan->daemon), &wan->settings, &world, &wan->relay, err);
    }
    wan_world_free(&world);
    if (status != CDN_OK) {
        wan_destroy(wan);
        return status;
    }
    *ret = wan;
    return CDN_OK;
}

void wan_run(struct wan *wan)
{
    struct cdn_addr address = {0};
    wan_relay_address(wan->relay, &address);
    daemon_run(wan->daemon, &address);
}

void wan_destroy(struct wan *wan)
{
    if (!wan) {
        return;
    }
    wan_relay_destroy(wan->relay);
    daemon_destroy(wan->daemon);
    cdn_config_free(&wan_program, &wan->settings);
    free(wan);
}
