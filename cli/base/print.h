/* print: how commands write text for people, so that nothing foreign steers a terminal.
 *
 * Names, addresses, paths, field values and log lines come from elsewhere. All of it is made visible (see
 * common/visible.h), whatever the output leads to; cells of tables are (cli/base/table.h), and the sentences
 * of errors. JSON says the same afterwards, its strings being escaped by its own rules.
 */
#ifndef CDN_CLI_PRINT_H
#define CDN_CLI_PRINT_H
#include "cli/base/terminal.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stddef.h>

/* One line or a part of one: a line end counts at the end of `fmt` alone. On standard output; on error. */
void cli_print(const char *fmt, ...) CDN_PRINTF(1, 2);
void cli_complain(const char *fmt, ...) CDN_PRINTF(1, 2);
void cli_print_styled(enum terminal_style style, const char *text);

/* As a shell reads it back: quoted where it has to be; owned by the caller. */
char *cli_quoted(const char *text);

void cli_print_json(json_t *take, size_t flags); /* with a line end */
/* "null" for what cannot be written. */
void cli_add_json(struct cdn_buf *out, const json_t *value, size_t flags);

#endif
