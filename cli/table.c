#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/banned.h"

static size_t letters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_cell(struct table *table, char *take)
{
    table->cells = cdn_realloc(table->cells, table->n + 1, sizeof(*table->cells));
    table->cells[table->n++] = take;
}

void table_init(struct table *table, const char *heads)
{
    *table = (struct table){0};
    struct cdn_str rest = cdn_str(heads);
    while (rest.p && table->columns < TABLE_COLUMNS_MAX) {
        struct cdn_str head = cdn_str_cut(&rest, '|');
        bool right = head.n > 0 && head.p[0] == '>';
        table->right[table->columns++] = right;
        add_cell(table, cdn_str_dup(cdn_str_sub(head, right ? 1 : 0)));
    }
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->n; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

void table_add(struct table *table, const char *fmt, ...)
{
    char *text;
    va_list list;
    va_start(list, fmt);
    int n = vasprintf(&text, fmt, list);
    va_end(list);
    if (n < 0)
        abort();
    add_cell(table, text);
}

static void pad(struct cdn_buf *out, size_t n)
{
    while (n-- > 0)
        cdn_buf_add_char(out, ' ');
}

void table_print(const struct table *table, struct cdn_buf *out)
{
    size_t width[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->n; i++)
        if (letters(table->cells[i]) > width[i % table->columns])
            width[i % table->columns] = letters(table->cells[i]);
    for (size_t i = 0; i < table->n; i++) {
        size_t column = i % table->columns, gap = width[column] - letters(table->cells[i]);
        bool last = column + 1 == table->columns || i + 1 == table->n;
        if (table->right[column])
            pad(out, gap);
        cdn_buf_add_str(out, cdn_str(table->cells[i]));
        if (!last) {
            pad(out, table->right[column] ? 2 : gap + 2);
            continue;
        }
        while (out->n && out->p[out->n - 1] == ' ')
            out->n--;
        cdn_buf_add_char(out, '\n');
    }
}
