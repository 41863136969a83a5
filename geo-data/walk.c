/* walk: whole files: visiting every network in order, and verifying. Goes down the tree by
 * recursion, no deeper than an address has bits; how much of a damaged file's data is read is
 * bounded by a budget. */
#include "common/mem.h"
#include "common/status.h"
#include "geo-data/combinations.h"
#include "geo-data/database.h"
#include "geo-data/decode.h"
#include "geo-data/geo.h"

#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NETWORKS_MAX 100000000u

struct walk {
    const struct geo_family *family;
    unsigned bits; /* 32 or 128 */
    bool (*visit)(void *ctx, const struct geo_net *net);
    void *ctx;
    uint64_t networks;
    struct geo_net net;
    const struct geo_file *culprit;
};

struct values { /* of each file's tree, where the walk stands */
    uint32_t of[GEO_FILES_MAX];
};

enum step { GO_ON, STOP, TOO_DEEP, TOO_MANY, BAD_RECORD };

static uint32_t nodes_of(const struct geo_file *file)
{
    return file->mmdb.metadata.node_count;
}

static enum step leaf(struct walk *w, const struct values *values, unsigned depth)
{
    const struct geo_family *family = w->family;
    uint32_t entries[GEO_FILES_MAX];
    bool any = false;
    for (size_t i = 0; i < family->count; i++) {
        entries[i] = GEO_ENTRY_NONE;
        w->culprit = family->files[i];
        if (values->of[i] != nodes_of(w->culprit) &&
            !geo_file_entry(w->culprit, values->of[i], &entries[i])) {
            return BAD_RECORD;
        }
        any = any || entries[i] != GEO_ENTRY_NONE;
    }
    w->net.prefix_len = depth;
    w->net.entry = !any ? GEO_ENTRY_NONE
                   : family->count == 1
                       ? entries[0]
                       : geo_combinations_number(family->combinations, entries, family->count);
    if (++w->networks > NETWORKS_MAX) {
        return TOO_MANY;
    }
    return w->visit(w->ctx, &w->net) ? GO_ON : STOP;
}

/* All trees at once: a file that has arrived at a leaf waits there for the others. */
static enum step walk_down(struct walk *w, const struct values *values, unsigned depth)
{
    const struct geo_family *family = w->family;
    struct values left = *values, right = *values;
    bool is_leaf = true;
    for (size_t i = 0; i < family->count; i++) {
        if (values->of[i] >= nodes_of(family->files[i])) {
            continue;
        }
        struct geo_node node = geo_file_node(family->files[i], values->of[i]);
        left.of[i] = node.record[0];
        right.of[i] = node.record[1];
        w->culprit = family->files[i];
        is_leaf = false;
    }
    if (is_leaf) {
        return leaf(w, values, depth);
    }
    if (depth == w->bits) {
        return TOO_DEEP;
    }
    enum step step = walk_down(w, &left, depth + 1);
    if (step != GO_ON) {
        return step;
    }
    uint8_t bit = (uint8_t)(0x80u >> depth % 8);
    w->net.address[depth / 8] |= bit;
    step = walk_down(w, &right, depth + 1);
    w->net.address[depth / 8] &= (uint8_t)~bit;
    return step;
}

/* The value under ::/96 of a tree of 128 bits; a leaf above it answers for all of IPv4. */
static uint32_t ipv4_root(const struct geo_file *file)
{
    uint32_t value = 0;
    if (file->mmdb.metadata.ip_version == 6) {
        for (unsigned depth = 0; depth < 96 && value < nodes_of(file); depth++) {
            value = geo_file_node(file, value).record[0];
        }
    }
    return value;
}

static enum cdn_status walk_error(const struct walk *w, enum step step, struct cdn_error *err)
{
    const char *text = step == TOO_DEEP   ? "the search tree is deeper than an address (a loop?)"
                       : step == TOO_MANY ? "the search tree has more than 100 million networks"
                                          : "a record points outside the data section";
    return cdn_error_set(err, CDN_CORRUPT, "%s: %s", w->culprit->path, text);
}

enum cdn_status geo_walk(const struct geo_db *db, int family,
                         bool (*visit)(void *ctx, const struct geo_net *net), void *ctx,
                         struct cdn_error *err)
{
    bool is_ipv4 = family == AF_INET;
    struct walk w = {.family = is_ipv4 ? &db->ipv4 : &db->ipv6, .visit = visit, .ctx = ctx};
    struct values roots = {{0}};
    if (w.family->count == 0) {
        return CDN_OK;
    }
    w.bits = is_ipv4 ? 32 : 128;
    for (size_t i = 0; is_ipv4 && i < w.family->count; i++) {
        roots.of[i] = ipv4_root(w.family->files[i]);
    }
    enum step step = walk_down(&w, &roots, 0);
    return step == GO_ON || step == STOP ? CDN_OK : walk_error(&w, step, err);
}

/* ---- verify ---- */

#define OPEN_NODE 255 /* on the path from the root to here */

struct verify {
    const struct geo_file *file;
    unsigned bits;
    uint8_t *height; /* a node: 0 not seen, else levels below it, or OPEN_NODE */
    uint8_t *seen;   /* a bit for each byte of the data section */
    struct geo_verify_report report;
    char problem[160];
};

static bool verify_record(struct verify *v, uint32_t value)
{
    uint32_t entry;
    if (!geo_file_entry(v->file, value, &entry)) {
        snprintf(v->problem, sizeof(v->problem), "record value %u is outside the data section", value);
        return false;
    }
    if (v->seen[entry / 8] & 1u << entry % 8) {
        return true;
    }
    v->seen[entry / 8] |= (uint8_t)(1u << entry % 8);
    uint32_t budget = MMDB_BUDGET;
    struct geo_record record;
    if (!mmdb_field_check(v->file->data, entry, MMDB_DEPTH_MAX, &budget) ||
        geo_files_record(&v->file, &entry, 1, &record) != CDN_OK) {
        snprintf(v->problem, sizeof(v->problem), "the record at byte %u of the data section cannot be read",
                 entry);
        return false;
    }
    v->report.records++;
    v->report.records_placed += record.has_coordinates;
    return true;
}

/* Gives the levels below `value`, 0 for a leaf; -1 with v->problem set. A shared node is looked at once. */
static int verify_tree(struct verify *v, uint32_t value, unsigned depth)
{
    uint32_t nodes = v->file->mmdb.metadata.node_count;
    if (value == nodes) {
        return 0;
    }
    if (value > nodes) {
        return verify_record(v, value) ? 0 : -1;
    }
    unsigned height = v->height[value];
    if (height == OPEN_NODE || depth + (height ? height : 1) > v->bits) {
        snprintf(v->problem, sizeof(v->problem), "node %u %s", value,
                 height == OPEN_NODE ? "is below itself" : "leads deeper than an address has bits");
        return -1;
    }
    if (height) {
        return (int)height;
    }
    v->height[value] = OPEN_NODE;
    struct geo_node node = geo_file_node(v->file, value);
    int left = verify_tree(v, node.record[0], depth + 1);
    int right = left < 0 ? -1 : verify_tree(v, node.record[1], depth + 1);
    if (left < 0 || right < 0) {
        return -1;
    }
    v->report.nodes++;
    v->height[value] = (uint8_t)((left > right ? left : right) + 1);
    return v->height[value];
}

enum cdn_status geo_db_verify(const struct geo_db *db, size_t i, struct geo_verify_report *ret_report,
                              struct cdn_error *err)
{
    const struct geo_file *file = &db->files[i];
    struct verify v = {.file = file, .bits = file->mmdb.metadata.ip_version == 4 ? 32 : 128};
    v.height = cdn_calloc(file->mmdb.metadata.node_count, 1);
    v.seen = cdn_calloc(file->data.n / 8 + 1, 1);
    int height = verify_tree(&v, 0, 0);
    free(v.height);
    free(v.seen);
    if (height < 0) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: %s", file->path, v.problem);
    }
    v.report.data_bytes = file->data.n;
    *ret_report = v.report;
    return CDN_OK;
}
