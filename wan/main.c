/* main: pocketcdn-wan: flags, then the daemon until it is told to end. All else is a library, so that tests
 * and the command can use the same code. */
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/log.h"
#include "common/process.h"
#include "common/status.h"
#include "wan/relay/settings.h"
#include "wan/wan.h"

#include <stddef.h>

#include "common/banned.h"

int main(int argc, char **argv)
{
    struct wan_settings settings = {0};
    enum cdn_config_outcome outcome;
    struct cdn_error err = {0};
    struct wan *wan;
    cdn_process_init();
    enum cdn_status status = cdn_config_load(&wan_program, argc, argv, &settings, &outcome, NULL, NULL, &err);
    if (status != CDN_OK) {
        return daemon_fail(wan_program.name, &err);
    }
    if (outcome == CDN_CONFIG_DONE) {
        return 0;
    }
    cdn_log_init(wan_program.name, NULL, (enum cdn_log_level)settings.log_level, settings.log_json);
    if (wan_create(&settings, argc, argv, &wan, &err) != CDN_OK) {
        return daemon_fail(wan_program.name, &err);
    }
    wan_run(wan);
    wan_destroy(wan);
    return 0;
}
