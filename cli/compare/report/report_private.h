/* report_private: the parts of the report, each of which adds a section. */
#ifndef CDN_CLI_COMPARE_REPORT_PRIVATE_H
#define CDN_CLI_COMPARE_REPORT_PRIVATE_H
#include "cli/compare/model/comparison.h"
#include "cli/compare/output/output.h"
#include "common/str.h"

#include <stddef.h>

struct report_phases { /* ms, one after another */
    double router, connect, wait, body;
};

struct cdn_str report_css(void);
struct cdn_str report_js(void);

void report_map(const struct comparison *c, struct cdn_buf *out);
void report_page(const struct comparison *c, struct cdn_buf *out);
void report_places(const struct comparison *c, struct cdn_buf *out);
void report_matrix(const struct comparison *c, struct cdn_buf *out);
void report_series(const struct comparison *c, struct cdn_buf *out);
void report_percentiles(const struct comparison *c, struct cdn_buf *out);
void report_waterfalls(const struct comparison *c, struct cdn_buf *out);
void report_sizes(const struct comparison *c, struct cdn_buf *out);
void report_enough(const struct comparison *c, struct cdn_buf *out);
void report_no_help(const struct comparison *c, struct cdn_buf *out);
void report_warmup(const struct comparison *c, struct cdn_buf *out);
void report_outages(const struct comparison *c, struct cdn_buf *out);
void report_changes(const struct output_changes *changes, struct cdn_buf *out);

/* The medians of the samples, else what the model says. */
struct report_phases report_phases_of(const struct comparison *c, size_t city, unsigned series);
/* "12", "3.4", "-". */
void report_ms(double ms, struct cdn_buf *out);

#endif
