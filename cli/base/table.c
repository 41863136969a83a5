/* table: see the header. Cells are kept as text until all are known: the widest one of a column sets its
 * width. */
#include "cli/base/table.h"

#include "common/mem.h"
#include "common/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

#define GAP 2    /* between columns */
#define INDENT 4 /* of a last cell on lines of its own */

static size_t letters_of(struct cdn_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static size_t letters(const char *text)
{
    return letters_of(cdn_str(text));
}

static void add_cell(struct table *table, char *take)
{
    table->cells = cdn_realloc(table->cells, table->n + 1, sizeof(*table->cells));
    table->cells[table->n++] = (struct table_cell){.text = take};
}

void table_init(struct table *table, const char *heads)
{
    *table = (struct table){0};
    struct cdn_str rest = cdn_str(heads);
    while (rest.p && table->columns < TABLE_COLUMNS_MAX) {
        struct cdn_str head = cdn_str_cut(&rest, '|');
        size_t column = table->columns++;
        if (head.n > 0 && head.p[0] >= '1' && head.p[0] <= '9') {
            table->leave[column] = (unsigned)(head.p[0] - '0');
            head = cdn_str_sub(head, 1);
        }
        table->right[column] = head.n > 0 && head.p[0] == '>';
        add_cell(table, cdn_str_dup(cdn_str_sub(head, table->right[column] ? 1 : 0)));
    }
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->cells[i].text);
    }
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
    if (n < 0) {
        abort();
    }
    char *shown = cdn_visible(text); /* names and errors come from elsewhere */
    free(text);
    add_cell(table, shown);
}

void table_style(struct table *table, enum terminal_style style)
{
    table->cells[table->n - 1].style = style;
}

static void pad(struct cdn_buf *out, size_t n)
{
    while (n-- > 0) {
        cdn_buf_add_char(out, ' ');
    }
}

/* Which columns are shown, and how wide. */
struct layout {
    size_t width[TABLE_COLUMNS_MAX];
    bool left_out[TABLE_COLUMNS_MAX];
    struct terminal terminal;
};

/* Of all columns but the last, with the gap before that. */
static size_t room_taken(const struct table *table, const struct layout *layout)
{
    size_t sum = 0;
    for (size_t c = 0; c + 1 < table->columns; c++) {
        sum += layout->left_out[c] ? 0 : layout->width[c] + GAP;
    }
    return sum;
}

static bool leave_one_out(const struct table *table, struct layout *layout)
{
    size_t best = table->columns;
    for (size_t c = 0; c < table->columns; c++) {
        bool may = table->leave[c] && !layout->left_out[c];
        if (may && (best == table->columns || table->leave[c] < table->leave[best])) {
            best = c;
        }
    }
    if (best == table->columns) {
        return false;
    }
    layout->left_out[best] = true;
    return true;
}

static void lay_out(const struct table *table, struct layout *layout)
{
    for (size_t i = 0; i < table->n; i++) {
        size_t *width = &layout->width[i % table->columns], n = letters(table->cells[i].text);
        *width = n > *width ? n : *width;
    }
    size_t last = table->columns - 1,
           number = table->right[last] ? layout->width[last] : 0; /* stays in its row */
    while (layout->terminal.width &&
           room_taken(table, layout) + number > layout->terminal.width + (number ? 0 : GAP)) {
        if (!leave_one_out(table, layout)) {
            return;
        }
    }
}

static void trim(struct cdn_buf *out)
{
    while (out->n && out->p[out->n - 1] == ' ') {
        out->n--;
    }
}

static void add_styled(struct cdn_buf *out, struct terminal terminal, const struct table_cell *cell)
{
    cdn_buf_printf(out, "%s%s%s", terminal_begin(terminal, cell->style), cell->text,
                   terminal_end(terminal, cell->style));
}

/* Word by word on indented lines. */
static void add_below(struct cdn_buf *out, struct terminal terminal, const struct table_cell *cell)
{
    struct cdn_str rest = cdn_str(cell->text);
    size_t at = 0;
    trim(out);
    while (rest.p) {
        struct cdn_str word = cdn_str_cut(&rest, ' ');
        size_t n = letters_of(word);
        if (at == 0 || at + 1 + n > terminal.width) {
            cdn_buf_add_char(out, '\n');
            pad(out, INDENT);
            at = INDENT;
        } else {
            cdn_buf_add_char(out, ' ');
            at++;
        }
        cdn_buf_printf(out, "%s" CDN_STR_FMT "%s", terminal_begin(terminal, cell->style), CDN_STR_ARG(word),
                       terminal_end(terminal, cell->style));
        at += n;
    }
}

static void add_row(const struct table *table, const struct layout *layout, size_t first, struct cdn_buf *out)
{
    size_t taken = room_taken(table, layout), last = table->columns - 1;
    for (size_t c = 0; c <= last && first + c < table->n; c++) {
        const struct table_cell *cell = &table->cells[first + c];
        size_t n = letters(cell->text), gap = layout->width[c] - n;
        if (layout->left_out[c]) {
            continue;
        }
        if (table->right[c]) {
            pad(out, gap);
        }
        if (c == last && c > 0 && layout->terminal.width && taken + n > layout->terminal.width) {
            if (first > 0) { /* a head that does not fit goes without saying */
                add_below(out, layout->terminal, cell);
            }
            continue;
        }
        add_styled(out, layout->terminal, cell);
        pad(out, c == last ? 0 : table->right[c] ? GAP : gap + GAP);
    }
    trim(out);
    cdn_buf_add_char(out, '\n');
}

void table_print_to(const struct table *table, struct terminal terminal, struct cdn_buf *out)
{
    struct layout layout = {.terminal = terminal};
    lay_out(table, &layout);
    for (size_t i = 0; i < table->n; i += table->columns) {
        add_row(table, &layout, i, out);
    }
}

void table_print(const struct table *table, struct cdn_buf *out)
{
    table_print_to(table, (struct terminal){0}, out);
}
