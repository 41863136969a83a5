/* geo_memo: a line is printed once with marks where address, network and line number go, and copied
 * for every further address of the record. Found by the record's number: what overrides or special
 * ranges touch is never taken from here. */
#include "cli/geo/geo_memo.h"

#include "common/index.h"
#include "common/mem.h"
#include "common/parse.h"
#include "geo-data/geo.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define STENCILS_MAX (4u << 20)

struct stencil {
    char *text;
    uint32_t n;
    enum geo_found found;
};

struct geo_memo {
    const struct geo_printer *printer;
    struct stencil *stencils;
    size_t count, room;
    struct cdn_index index; /* by record */
    struct cdn_buf line;
};

struct geo_memo *geo_memo_create(const struct geo_printer *printer)
{
    struct geo_memo *m = cdn_calloc(1, sizeof(*m));
    m->printer = printer;
    return m;
}

void geo_memo_destroy(struct geo_memo *memo)
{
    if (!memo) {
        return;
    }
    for (size_t i = 0; i < memo->count; i++) {
        free(memo->stencils[i].text);
    }
    free(memo->stencils);
    cdn_index_free(&memo->index);
    cdn_buf_free(&memo->line);
    free(memo);
}

static uint32_t make(struct geo_memo *m, struct geo_row *row, uint64_t key)
{
    router_decide_where(row->table, &row->question, NULL, &row->decision);
    row->stencil = true;
    cdn_buf_clear(&m->line);
    geo_printer_row(m->printer, row, NULL, &m->line);
    row->stencil = false;
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 1024;
        m->stencils = cdn_realloc(m->stencils, m->room, sizeof(*m->stencils));
    }
    m->stencils[m->count] =
        (struct stencil){cdn_strndup(m->line.p, m->line.n), (uint32_t)m->line.n, geo_row_found(row)};
    cdn_index_put(&m->index, key, (uint32_t)m->count);
    return (uint32_t)m->count++;
}

static void print(const struct stencil *s, const struct geo_row *row, struct cdn_buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < s->n; i++) {
        char c = s->text[i];
        if (c != GEO_MARK_IP && c != GEO_MARK_NETWORK && c != GEO_MARK_LINE) {
            continue;
        }
        cdn_buf_add(out, s->text + from, i - from);
        geo_field_put(row,
                      c == GEO_MARK_IP        ? GEO_FIELD_ip
                      : c == GEO_MARK_NETWORK ? GEO_FIELD_network
                                              : GEO_FIELD_line,
                      out);
        from = i + 1;
    }
    cdn_buf_add(out, s->text + from, s->n - from);
}

/* As the row without a memo would be. */
static enum geo_found print_anew(const struct geo_memo *m, struct geo_row *row, struct cdn_buf *out)
{
    router_decide_where(row->table, &row->question, NULL, &row->decision);
    geo_printer_row(m->printer, row, NULL, out);
    return geo_row_found(row);
}

static bool is_plain(const struct router_where *w)
{
    return !w->override && !w->special && !w->anycast && w->is_recorded;
}

enum geo_found geo_memo_row(struct geo_memo *memo, struct geo_row *row, struct cdn_buf *out)
{
    struct router_where *w = &row->decision.where;
    uint32_t number = CDN_INDEX_NONE;
    uint64_t key = 0;
    bool is_known = router_resolve_entry(row->table, &row->question.client, w);
    if (is_known) {
        key = (uint64_t)w->record.entry << 1 | (w->address.sa.sa_family == AF_INET6);
        number = cdn_index_find(&memo->index, key, NULL, NULL);
    }
    if (number == CDN_INDEX_NONE) {
        router_resolve(row->table, &row->question, NULL, w);
        if (!is_known || !is_plain(w) || memo->count == STENCILS_MAX) {
            return print_anew(memo, row, out);
        }
        number = make(memo, row, key);
    }
    const struct stencil *s = &memo->stencils[number];
    print(s, row, out);
    return s->found;
}
