#include "cli/geo/geo_memo.h"

#include "common/banned.h"

#define STENCILS_MAX (4u << 20)

struct stencil {
    uint64_t key; /* + 1; 0: free */
    char *text;
    uint32_t n;
    enum geo_found found;
};

struct geo_memo {
    const struct geo_printer *printer;
    struct stencil *stencils; /* open addressing; the room is a power of two */
    size_t count, room;
    struct cdn_buf line;
};

struct geo_memo *geo_memo_create(const struct geo_printer *printer)
{
    struct geo_memo *m = cdn_calloc(1, sizeof(*m));
    m->printer = printer;
    m->room = 4096;
    m->stencils = cdn_calloc(m->room, sizeof(*m->stencils));
    return m;
}

void geo_memo_destroy(struct geo_memo *memo)
{
    if (!memo)
        return;
    for (size_t i = 0; i < memo->room; i++)
        free(memo->stencils[i].text);
    free(memo->stencils);
    cdn_buf_free(&memo->line);
    free(memo);
}

static struct stencil *slot_of(struct stencil *stencils, size_t room, uint64_t key)
{
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
    while (stencils[i].key && stencils[i].key != key)
        i = (i + 1) & (room - 1);
    return &stencils[i];
}

static void grow(struct geo_memo *m)
{
    size_t room = 2 * m->room;
    struct stencil *bigger = cdn_calloc(room, sizeof(*bigger));
    for (size_t i = 0; i < m->room; i++)
        if (m->stencils[i].key)
            *slot_of(bigger, room, m->stencils[i].key) = m->stencils[i];
    free(m->stencils);
    m->stencils = bigger;
    m->room = room;
}

static void make(struct geo_memo *m, struct geo_row *row, struct stencil *s, uint64_t key)
{
    router_decide_where(row->table, &row->question, NULL, &row->decision);
    row->stencil = true;
    cdn_buf_clear(&m->line);
    geo_printer_row(m->printer, row, NULL, &m->line);
    row->stencil = false;
    *s = (struct stencil){key, cdn_strndup(m->line.p, m->line.n), (uint32_t)m->line.n, geo_row_found(row)};
    m->count++;
}

static void print(const struct stencil *s, const struct geo_row *row, struct cdn_buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < s->n; i++) {
        char c = s->text[i];
        if (c != GEO_MARK_IP && c != GEO_MARK_NETWORK && c != GEO_MARK_LINE)
            continue;
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
    struct stencil *s = NULL;
    uint64_t key = 0;
    if (router_resolve_entry(row->table, &row->question.client, w)) {
        key = ((uint64_t)w->record.entry << 1 | (w->address.sa.sa_family == AF_INET6)) + 1;
        s = slot_of(memo->stencils, memo->room, key);
    }
    if (!s || !s->key)
        router_resolve(row->table, &row->question, NULL, w);
    if (s && !s->key && (!is_plain(w) || memo->count == STENCILS_MAX))
        s = NULL;
    if (!s)
        return print_anew(memo, row, out);
    if (!s->key)
        make(memo, row, s, key);
    enum geo_found found = s->found;
    print(s, row, out);
    if (2 * memo->count > memo->room)
        grow(memo);
    return found;
}
