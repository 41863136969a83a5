/* main: pocketcdn-origin: flags, then the daemon until it is told to end. All else is a library, so
 * that tests and the command can use the same code. */
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/log.h"
#include "common/process.h"
#include "common/status.h"
#include "origin/origin.h"
#include "origin/settings.h"

#include <stddef.h>

#include "common/banned.h"

int main(int argc, char **argv)
{
    struct origin_settings settings = {0};
    enum cdn_config_outcome outcome;
    struct cdn_error err = {0};
    struct origin *origin;
    cdn_process_init();
    enum cdn_status status =
        cdn_config_load(&origin_program, argc, argv, &settings, &outcome, NULL, NULL, &err);
    if (status != CDN_OK) {
        return daemon_fail(origin_program.name, &err);
    }
    if (outcome == CDN_CONFIG_DONE) {
        return 0;
    }
    cdn_log_init(origin_program.name, NULL, (enum cdn_log_level)settings.log_level, settings.log_json);
    if (origin_create(&settings, argc, argv, &origin, &err) != CDN_OK) {
        return daemon_fail(origin_program.name, &err);
    }
    status = origin_run(origin, &err);
    origin_destroy(origin);
    return status == CDN_OK ? 0 : daemon_fail(origin_program.name, &err);
}
