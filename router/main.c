/* main: pocketcdn-router: settings, then the daemon until it is told to end. All else is a library,
 * which the command and the tests link too. */
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/log.h"
#include "common/process.h"
#include "common/status.h"
#include "router/base/settings.h"
#include "router/router.h"

#include <stddef.h>

#include "common/banned.h"

static enum cdn_status serve(struct router_config *config, int argc, char **argv, struct cdn_error *err)
{
    struct router *router = NULL;
    cdn_log_init(router_program.name, NULL, (enum cdn_log_level)config->settings.log_level,
                 config->settings.log_json);
    enum cdn_status status = router_create(config, argc, argv, &router, err);
    if (status == CDN_OK) {
        status = router_run(router, err);
    }
    router_destroy(router);
    return status;
}

int main(int argc, char **argv)
{
    struct router_config config = {0};
    enum cdn_config_outcome outcome;
    struct cdn_error err = {0};
    cdn_process_init();
    enum cdn_status status = router_config_load(argc, argv, &config, &outcome, &err);
    if (status == CDN_OK && outcome == CDN_CONFIG_RUN) {
        status = serve(&config, argc, argv, &err);
    }
    router_config_free(&config);
    return status == CDN_OK ? 0 : daemon_fail(router_program.name, &err);
}
