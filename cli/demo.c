#include "cli/command.h"
#include "common/banned.h"
static enum cdn_status run(const void *o, const struct cli_args *a, struct cdn_error *err) { (void)o; (void)a; (void)err; return CDN_OK; }
const struct cli_command cli_command_demo = {.name="demo", .summary="x", .usage="", .run=run};
