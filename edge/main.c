/* pocketcdn-edge: reads the settings, starts the edge and runs it until SIGTERM. All that can
 * fail is in edge.c or common/daemon, so that here is only the order and the exit status. */
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/log.h"
#include "common/process.h"
#include "common/status.h"
#include "edge/base/settings.h"
#include "edge/edge.h"

#include <stddef.h>

#include "common/banned.h"

int main(int argc, char **argv)
{
    struct edge_settings settings = {0};
    enum cdn_config_outcome outcome;
    struct cdn_error err = {0};
    struct edge *edge;
    cdn_process_init();
    if (cdn_config_load(&edge_program, argc, argv, &settings, &outcome, NULL, NULL, &err) != CDN_OK) {
        return daemon_fail(edge_program.name, &err);
    }
    if (outcome == CDN_CONFIG_DONE) {
        return 0;
    }
    if (outcome == CDN_CONFIG_CHECK) {
        const enum cdn_status good = edge_check(&settings, argc, argv, &err);
        cdn_config_free(&edge_program, &settings);
        return good == CDN_OK ? 0 : daemon_fail(edge_program.name, &err);
    }
    cdn_log_init(edge_program.name, settings.name, (enum cdn_log_level)settings.log_level, settings.log_json);
    if (edge_create(&settings, argc, argv, &edge, &err) != CDN_OK) {
        cdn_config_free(&edge_program, &settings);
        return daemon_fail(edge_program.name, &err);
    }
    const enum cdn_status status = edge_run(edge, &err);
    edge_destroy(edge);
    return status == CDN_OK ? 0 : daemon_fail(edge_program.name, &err);
}
