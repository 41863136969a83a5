/* report: a comparison as one HTML file that needs nothing else: no network, no fonts, no library. Drawings
 * are SVG made here; style and script are report.css and report.js, linked into the program. It reads well
 * without the script, on paper, in the dark, on a telephone, by keyboard and by a screen reader.
 *
 *     report.c           the document and its order
 *     report_map.c       world map: clients, edges, the ways between them
 *     report_charts.c    percentiles, phases, waterfalls, sizes, warm-up
 *     report_tables.c    places, matrix, series, edges, outages, changes
 *     report_page.c      one page load, side by side
 *     html.c             text as HTML
 *
 * Pure: a comparison in, bytes out. Whatever comes from elsewhere (names, URLs) goes through html_text().
 */
#ifndef CDN_CLI_COMPARE_REPORT_H
#define CDN_CLI_COMPARE_REPORT_H
#include "cli/compare/model/comparison.h"
#include "cli/compare/output/output.h"
#include "common/str.h"

/* `changes` may be NULL. */
void report_print(const struct comparison *c, const char *command, const struct output_changes *changes,
                  struct cdn_buf *out);

#endif
