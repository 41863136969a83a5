/* rule_private: what the files that make a rule share. */
#ifndef CDN_EDGE_RULE_PRIVATE_H
#define CDN_EDGE_RULE_PRIVATE_H
#include "common/status.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>

struct making {
    struct edge_rule *rule;
    char *const *from;
    const bool *inherited;
    const char *name;
    const struct edge_rule_defaults *defaults;
    struct cdn_error *err;
};

/* "cdn.yaml:12: sites.shop.rules[1].KEY: ..." */
#define WRONG(m, row, ...) edge_rule_wrong(m, EDGE_RULE_ROW_##row, #row, __VA_ARGS__)

enum cdn_status edge_rule_wrong(const struct making *m, enum edge_rule_row row, const char *key,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* rule_fields.c: each reads a part of the settings, or says what is wrong with it. */
enum cdn_status edge_rule_read_cors(const struct making *m);
enum cdn_status edge_rule_read_methods(const struct making *m);
enum cdn_status edge_rule_read_fields(const struct making *m);
enum cdn_status edge_rule_read_cookies(const struct making *m);

#endif
