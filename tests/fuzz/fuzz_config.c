/* cdn.yaml, as each daemon reads it: any file is read, or refused with a sentence. What was read
 * must be the same after it was written and read again. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "fuzz.h"
#include "origin/settings.h"
#include "router/base/settings.h"
#include "wan/relay/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void load(const struct cdn_config_program *program, const char *path)
{
    void *settings = cdn_calloc(1, program->settings_size);
    struct cdn_error err = {0};
    enum cdn_status status = cdn_config_load_item(program, path, 0, settings, &err);
    if (status != CDN_OK) {
        fuzz_check_error(&err);
        free(settings);
        return;
    }
    void *again = cdn_calloc(1, program->settings_size);
    MUST(cdn_config_load_item(program, NULL, 0, again, &err) == CDN_OK);
    for (size_t i = 0; i < program->row_count; i++) { /* what was read can be written and read */
        CDN_AUTOFREE char *text = cdn_config_text(&program->rows[i], settings);
        MUST(cdn_config_set(&program->rows[i], again, "again", cdn_str(text), &err) == CDN_OK);
        CDN_AUTOFREE char *twice = cdn_config_text(&program->rows[i], again);
        MUST(strcmp(text, twice) == 0);
    }
    cdn_config_free(program, again);
    cdn_config_free(program, settings);
    free(again);
    free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[32];
    int fd = fuzz_file(data, n, path);
    load(&edge_program, path);
    load(&router_program, path);
    load(&origin_program, path);
    load(&wan_program, path);
    close(fd);
    return 0;
}
