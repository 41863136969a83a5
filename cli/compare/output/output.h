/* output: a comparison as text for people, as JSON and CSV for programs. All of them read the same figures;
 * every figure stands with its n, its percentiles, and the word modelled or measured. */
#ifndef CDN_CLI_COMPARE_OUTPUT_H
#define CDN_CLI_COMPARE_OUTPUT_H
#include "cli/base/terminal.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/str.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* One series against another time or another CDN: `--baseline`, `--against`. */
struct output_change {
    unsigned series;
    struct ranks_result ranks;
    struct summary before, after;
};
struct output_changes {
    const char *what; /* "the baseline out.json"; borrowed */
    size_t n;
    struct output_change at[SERIES_COUNT];
};

void output_text(const struct comparison *c, struct terminal terminal, struct cdn_buf *out);
void output_changes_text(const struct output_changes *changes, struct terminal terminal, struct cdn_buf *out);
json_t *output_json(const struct comparison *c, const char *command, const struct output_changes *changes);
json_t *output_summary_json(const struct summary *summary);
/* A line for each city and series. */
void output_csv(const struct comparison *c, struct cdn_buf *out);

/* "100 kB" of round numbers, else as cdn_format_size. */
void output_bytes(uint64_t bytes, char out[static 24]);
/* "24 cities, 100 kB, fibre, 10 edges, origin in Frankfurt, router in Frankfurt". */
void output_setting(const struct comparison *c, struct cdn_buf *out);

#endif
