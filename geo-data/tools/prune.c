/* prune: see prune.h. All sums run in the order of the tree, so the result is the same on every run. */
#include "geo-data/tools/prune.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/database.h"
#include "geo-data/decode.h"
#include "geo-data/geodesy.h"
#include "geo-data/mmdb_encode.h"
#include "geo-data/places.h"

#include <math.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define CELLS_MAX 12000u /* the distance table takes 2 bytes a pair */
#define NO_CELL UINT16_MAX
#define KEPT 16u
#define KEPT_EMPTY \
    16u /* unanswered networks of this length or shorter stay unanswered: 10.0.0.0/8, 192.168.0.0/16 */

struct cell {
    char country[2];
    int16_t row, column;     /* of the grid */
    double weight, lat, lon; /* sums while collecting, then means */
};

struct family {
    int family;
    const struct geo_file *file;
    double lambda;
    uint16_t *cell_of_entry; /* by data offset; NO_CELL before it is known */
    uint16_t *label;         /* by node: the best single cell */
    float *single;           /* by node: what that label costs */
    uint8_t *is_split;       /* by node: the children are kept */
};

struct pruner {
    const struct prune_settings *settings;
    const struct geo_db *db;
    struct mmdb_writer *writer;
    struct cell *cells;
    size_t cell_count;
    uint16_t *km; /* cell_count x cell_count, capped */
    struct family *now;
    uint8_t address[16]; /* while emitting */
    bool is_full;        /* more than CELLS_MAX cells */
};

struct histogram {
    unsigned n;
    double total; /* dropped cells included */
    struct bin {
        double weight;
        uint16_t cell;
    } bins[2 * KEPT]; /* largest first; the second half is room for merging */
};

/* ---- cells ---- */

static uint16_t find_cell(struct pruner *p, const struct geo_record *r)
{
    int16_t row = (int16_t)floor(r->lat / p->settings->cell_degrees);
    int16_t column = (int16_t)floor(r->lon / p->settings->cell_degrees);
    for (size_t i = 0; i < p->cell_count; i++) {
        if (p->cells[i].row == row && p->cells[i].column == column &&
            memcmp(p->cells[i].country, r->country_code.p, 2) == 0) {
            return (uint16_t)i;
        }
    }
    if (p->cell_count == CELLS_MAX) {
        p->is_full = true;
        return 0;
    }
    struct cell *cell = &p->cells[p->cell_count];
    *cell = (struct cell){.row = row, .column = column};
    memcpy(cell->country, r->country_code.p, 2);
    return (uint16_t)p->cell_count++;
}

static double leaf_weight(const struct family *f, unsigned depth)
{
    return f->family == AF_INET ? ldexp(1, 32 - (int)depth) : exp2((48.0 - depth) / 2);
}

static bool collect(void *ctx, const struct geo_net *net)
{
    struct pruner *p = ctx;
    struct geo_record r;
    if (geo_entry_record(p->db, p->now->family, net->entry, &r) != CDN_OK || r.country_code.n != 2 ||
        !r.has_coordinates) {
        return true;
    }
    uint16_t *known = &p->now->cell_of_entry[net->entry];
    if (*known == NO_CELL) {
        *known = find_cell(p, &r);
    }
    struct cell *cell = &p->cells[*known];
    double weight = leaf_weight(p->now, net->prefix_len);
    cell->weight += weight;
    cell->lat += weight * r.lat;
    cell->lon += weight * r.lon;
    return !p->is_full;
}

static void measure_cells(struct pruner *p)
{
    size_t n = p->cell_count;
    p->km = cdn_calloc(n * n, sizeof(*p->km));
    for (size_t i = 0; i < n; i++) {
        p->cells[i].lat /= p->cells[i].weight;
        p->cells[i].lon /= p->cells[i].weight;
        for (size_t k = 0; k < i; k++) {
            double km = geo_distance_km(p->cells[i].lat, p->cells[i].lon, p->cells[k].lat, p->cells[k].lon);
            p->km[i * n + k] = p->km[k * n + i] = (uint16_t)lrint(fmin(km, p->settings->cap_km));
        }
    }
}

/* ---- labels and their costs, bottom up ---- */

static void add_bin(struct histogram *h, struct bin bin)
{
    for (unsigned i = 0; i < h->n; i++) {
        if (h->bins[i].cell == bin.cell) {
            h->bins[i].weight += bin.weight;
            return;
        }
    }
    h->bins[h->n++] = bin;
}

static bool goes_before(struct bin a, struct bin b)
{
    return a.weight > b.weight || (a.weight >= b.weight && a.cell < b.cell);
}

static void merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < from->n; i++) {
        add_bin(into, from->bins[i]);
    }
    into->total += from->total;
    for (unsigned i = 1; i < into->n; i++) { /* nearly sorted already */
        struct bin bin = into->bins[i];
        unsigned k = i;
        for (; k > 0 && goes_before(bin, into->bins[k - 1]); k--) {
            into->bins[k] = into->bins[k - 1];
        }
        into->bins[k] = bin;
    }
    into->n = into->n < KEPT ? into->n : KEPT;
}

static double best_label(const struct pruner *p, const struct histogram *h, uint16_t *ret_cell)
{
    double kept = 0, best = INFINITY;
    for (unsigned i = 0; i < h->n; i++) {
        kept += h->bins[i].weight;
    }
    for (unsigned c = 0; c < h->n; c++) {
        const uint16_t *km = p->km + h->bins[c].cell * p->cell_count;
        double cost = (h->total - kept) * p->settings->cap_km;
        for (unsigned i = 0; i < h->n; i++) {
            cost += h->bins[i].weight * km[h->bins[i].cell];
        }
        if (cost < best) {
            best = cost;
            *ret_cell = h->bins[c].cell;
        }
    }
    return best;
}

/* The cell of a record value; NO_CELL for nothing. */
static uint16_t cell_of_value(const struct family *f, uint32_t value)
{
    uint32_t entry;
    return geo_file_entry(f->file, value, &entry) ? f->cell_of_entry[entry] : NO_CELL;
}

static void label_nodes(struct pruner *p, uint32_t value, unsigned depth, struct histogram *ret)
{
    struct family *f = p->now;
    ret->n = 0;
    ret->total = 0;
    if (value >= f->file->mmdb.metadata.node_count) {
        uint16_t cell = cell_of_value(f, value);
        if (cell != NO_CELL) {
            ret->n = 1;
            ret->total = leaf_weight(f, depth);
            ret->bins[0] = (struct bin){ret->total, cell};
        }
        return;
    }
    struct geo_node node = geo_file_node(f->file, value);
    struct histogram right;
    label_nodes(p, node.record[0], depth + 1, ret);
    label_nodes(p, node.record[1], depth + 1, &right);
    merge(ret, &right);
    f->label[value] = NO_CELL;
    if (ret->n > 0) {
        f->single[value] = (float)best_label(p, ret, &f->label[value]);
    }
}

/* ---- the cut, top down ---- */

static bool is_answered(const struct family *f, uint32_t value)
{
    bool is_node = value < f->file->mmdb.metadata.node_count;
    return (is_node ? f->label[value] : cell_of_value(f, value)) != NO_CELL;
}

static double choose_splits(struct family *f, uint32_t value, unsigned depth)
{
    if (!is_answered(f, value)) {
        return 0;
    }
    if (value >= f->file->mmdb.metadata.node_count) {
        return f->lambda;
    }
    struct geo_node node = geo_file_node(f->file, value);
    double children =
        choose_splits(f, node.record[0], depth + 1) + choose_splits(f, node.record[1], depth + 1);
    double here = (double)f->single[value] + f->lambda;
    bool is_half_empty = !is_answered(f, node.record[0]) || !is_answered(f, node.record[1]);
    f->is_split[value] = children < here || (is_half_empty && depth < KEPT_EMPTY);
    return f->is_split[value] ? children : here;
}

/* Keys and countries come first in the data, so that pointers to them take two bytes. */
static void add_countries(struct mmdb_writer *writer)
{
    for (size_t i = 0; i < geo_country_count(); i++) {
        CDN_AUTOBUF struct cdn_buf pointer = {0};
        mmdb_writer_put_shared(writer, &pointer, geo_country_at(i)->code);
    }
}

/* The record of a cell; equal ones are stored once, cells that no leaf has are not stored. */
static uint32_t cell_record(struct mmdb_writer *writer, const struct cell *cell)
{
    CDN_AUTOBUF struct cdn_buf record = {0};
    mmdb_put_map(&record, 3);
    mmdb_writer_put_shared(writer, &record, CDN_STR("country_code"));
    mmdb_writer_put_shared(writer, &record, (struct cdn_str){cell->country, 2});
    mmdb_writer_put_shared(writer, &record, CDN_STR("latitude"));
    mmdb_put_float(&record, (float)(round(cell->lat * 100) / 100));
    mmdb_writer_put_shared(writer, &record, CDN_STR("longitude"));
    mmdb_put_float(&record, (float)(round(cell->lon * 100) / 100));
    return mmdb_writer_add(writer, cdn_buf_str(&record));
}

static void emit(struct pruner *p, uint32_t value, unsigned depth)
{
    const struct family *f = p->now;
    bool is_node = value < f->file->mmdb.metadata.node_count;
    if (is_node && f->is_split[value]) {
        struct geo_node node = geo_file_node(f->file, value);
        emit(p, node.record[0], depth + 1);
        uint8_t bit = (uint8_t)(0x80u >> depth % 8);
        p->address[depth / 8] |= bit;
        emit(p, node.record[1], depth + 1);
        p->address[depth / 8] &= (uint8_t)~bit;
        return;
    }
    uint16_t cell = is_node ? f->label[value] : cell_of_value(f, value);
    if (cell != NO_CELL) {
        mmdb_writer_insert(p->writer, f->family, p->address, depth, cell_record(p->writer, &p->cells[cell]));
    }
}

static void family_init(struct family *f)
{
    size_t nodes = f->file->mmdb.metadata.node_count;
    f->cell_of_entry = cdn_malloc(f->file->data.n * sizeof(*f->cell_of_entry));
    memset(f->cell_of_entry, 0xff, f->file->data.n * sizeof(*f->cell_of_entry));
    f->label = cdn_calloc(nodes, sizeof(*f->label));
    f->single = cdn_calloc(nodes, sizeof(*f->single));
    f->is_split = cdn_calloc(nodes, 1);
}

static void family_fini(struct family *f)
{
    free(f->cell_of_entry);
    free(f->label);
    free(f->single);
    free(f->is_split);
}

static enum cdn_status check_sources(const struct geo_db *db, struct cdn_error *err)
{
    if (geo_db_file_count(db) != 2 || db->ipv4.count == 0 || db->ipv6.count == 0 ||
        db->ipv4.files[0]->mmdb.metadata.ip_version != 4) {
        return cdn_error_set(err, CDN_INVALID, "an IPv4 file and an IPv6 file are needed");
    }
    for (size_t i = 0; i < 2; i++) { /* from here on the trees are walked without checks */
        struct geo_verify_report report;
        enum cdn_status status = geo_db_verify(db, i, &report, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

static enum cdn_status prune_families(struct pruner *p, struct family families[2], struct cdn_error *err)
{
    for (size_t i = 0; i < 2; i++) {
        p->now = &families[i];
        enum cdn_status status = geo_walk(p->db, p->now->family, collect, p, err);
        if (status != CDN_OK) {
            return status;
        }
        if (p->is_full) {
            return cdn_error_set(err, CDN_TOO_LARGE, "more than %u cells of %g degrees", CELLS_MAX,
                                 p->settings->cell_degrees);
        }
    }
    measure_cells(p);
    add_countries(p->writer);
    for (size_t i = 0; i < 2; i++) {
        struct histogram all;
        p->now = &families[i];
        label_nodes(p, 0, 0, &all);
        choose_splits(p->now, 0, 0);
        emit(p, 0, 0);
    }
    return CDN_OK;
}

enum cdn_status prune(const struct geo_db *db, const struct prune_settings *settings,
                      struct mmdb_writer *writer, struct cdn_error *err)
{
    enum cdn_status status = check_sources(db, err);
    if (status != CDN_OK) {
        return status;
    }
    struct family families[2] = {
        {.family = AF_INET, .file = db->ipv4.files[0], .lambda = settings->lambda_ipv4},
        {.family = AF_INET6, .file = db->ipv6.files[0], .lambda = settings->lambda_ipv6},
    };
    struct pruner p = {.settings = settings, .db = db, .writer = writer};
    p.cells = cdn_calloc(CELLS_MAX, sizeof(*p.cells));
    family_init(&families[0]);
    family_init(&families[1]);
    status = prune_families(&p, families, err);
    family_fini(&families[0]);
    family_fini(&families[1]);
    free(p.cells);
    free(p.km);
    return status;
}
