/* config_load_private: one load, as config.c (the order of strength) and config_flags.c (the command line)
 * share it; nobody else includes it. */
#ifndef CDN_COMMON_CONFIG_LOAD_PRIVATE_H
#define CDN_COMMON_CONFIG_LOAD_PRIVATE_H
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/status.h"

#include <stddef.h>

/* What a flag means. The first ones are the same in every program. */
enum config_flag_kind {
    FLAG_CONFIG,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_HELP_CONFIG,
    FLAG_PRINT_CONFIG,
    FLAG_CHECK, /* of programs that have it */
    FLAG_ROW,
    FLAG_NO_ROW
};

struct config_flag {
    enum config_flag_kind kind;
    const struct cdn_config_row *row;
};

struct config_given { /* a flag on the command line, in its order */
    const struct config_flag *flag;
    const char *text; /* borrowed from argv; NULL: without */
};

struct config_load {
    struct config_target target;
    struct option *options;    /* NULL-ended, names owned */
    struct config_flag *flags; /* one per option */
    size_t flag_count;
    struct config_given *given;
    size_t given_count;
    const char *path;
    enum config_flag_kind answer; /* FLAG_ROW: run */
};

/* What the command line says, into load: `given`, `path` and `answer`. */
enum cdn_status config_flags_read(struct config_load *load, int argc, char **argv,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* The given ones into the settings. */
enum cdn_status config_flags_apply(struct config_load *load, struct cdn_error *err) CDN_MUST_CHECK;
/* The last text that is given for a row; NULL: none. */
const char *config_flags_text(const struct config_load *load, const struct cdn_config_row *row);
void config_flags_free(struct config_load *load);

#endif
