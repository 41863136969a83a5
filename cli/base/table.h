/* table: rows of text in aligned columns. Widths count letters (UTF-8), not bytes.
 *
 * On a terminal that is too narrow, columns that may be left out are, and the last column of a row that does
 * not fit stands on lines of its own below the row.
 */
#ifndef CDN_CLI_TABLE_H
#define CDN_CLI_TABLE_H
#include "cli/base/terminal.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 16

struct table_cell {
    char *text; /* owned */
    enum terminal_style style;
};

struct table {
    size_t columns;
    size_t n; /* cells, the heads among them */
    struct table_cell *cells;
    bool right[TABLE_COLUMNS_MAX];     /* numbers stand on the right */
    unsigned leave[TABLE_COLUMNS_MAX]; /* 1: left out first where there is no room, ...; 0: never */
};

/* `heads`: column titles separated by '|'; one that begins with '>' stands on the right, one that begins with
 * a digit may be left out, the lowest first. */
void table_init(struct table *table, const char *heads);
void table_fini(struct table *table);
/* One cell more, row by row; an incomplete last row is printed with empty cells. */
void table_add(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_style(struct table *table, enum terminal_style style); /* of the last cell */
void table_print(const struct table *table, struct cdn_buf *out);
/* Within the terminal's width and in its colours. */
void table_print_to(const struct table *table, struct terminal terminal, struct cdn_buf *out);

#endif
