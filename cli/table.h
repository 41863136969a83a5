/* table: rows of text in aligned columns. Widths count letters (UTF-8), not bytes. */
#ifndef CDN_CLI_TABLE_H
#define CDN_CLI_TABLE_H

#include "common/str.h"

#define TABLE_COLUMNS_MAX 16

struct table {
    size_t columns;
    size_t n;                      /* cells, the heads among them */
    char **cells;                  /* row by row, owned */
    bool right[TABLE_COLUMNS_MAX]; /* numbers stand on the right */
};

/* `heads`: column titles separated by '|'; one that begins with '>' stands on the right. */
void table_init(struct table *table, const char *heads);
void table_fini(struct table *table);
/* One cell more, row by row; an incomplete last row is printed with empty cells. */
void table_add(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, struct cdn_buf *out);

#endif
