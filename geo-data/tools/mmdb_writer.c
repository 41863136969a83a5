/* mmdb_writer: see mmdb_writer.h.
 *
 * The networks stand in a binary trie whose nodes may carry a record (`trie`). Writing turns it bottom-up
 * into the format's tree: a *value* is nothing, a record or a written node; a pair of values is looked up in
 * a hash of all pairs so far, which shares equal subtrees. The root comes last, so the numbers are reversed
 * on output.
 */
#include "geo-data/tools/mmdb_writer.h"

#include "common/index.h"
#include "common/mem.h"
#include "geo-data/mmdb_encode.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NO_RECORD UINT32_MAX
#define NOTHING 0u           /* value: no record; records are offset + 1 */
#define NODE_BIT 0x80000000u /* value: written node */
#define SEPARATOR 16u

struct trie_node {
    uint32_t child[2]; /* 0: none, as the root is nobody's child */
    uint32_t record;   /* NO_RECORD or data offset */
    bool is_alias;     /* of the IPv4 networks */
};

struct pair {
    uint32_t left, right;
};

struct content { /* bytes of the data section that were added as one */
    uint32_t offset, n;
};

struct mmdb_writer {
    unsigned ip_version;
    struct cdn_buf data;
    struct content *contents;
    size_t content_count, content_room;
    struct cdn_index by_content;
    struct trie_node *trie;
    size_t trie_count, trie_room;
    /* while writing */
    struct pair *nodes;
    size_t node_count, node_room;
    struct cdn_index by_pair; /* of the nodes */
};

static uint32_t new_trie_node(struct mmdb_writer *w)
{
    if (w->trie_count == w->trie_room) {
        w->trie_room = w->trie_room ? 2 * w->trie_room : 1024;
        w->trie = cdn_realloc(w->trie, w->trie_room, sizeof(*w->trie));
    }
    w->trie[w->trie_count] = (struct trie_node){.record = NO_RECORD};
    return (uint32_t)w->trie_count++;
}

struct mmdb_writer *mmdb_writer_create(unsigned ip_version)
{
    assert(ip_version == 4 || ip_version == 6);
    struct mmdb_writer *w = cdn_calloc(1, sizeof(*w));
    w->ip_version = ip_version;
    new_trie_node(w);
    return w;
}

void mmdb_writer_destroy(struct mmdb_writer *w)
{
    if (!w) {
        return;
    }
    cdn_buf_free(&w->data);
    free(w->contents);
    cdn_index_free(&w->by_content);
    free(w->trie);
    free(w->nodes);
    cdn_index_free(&w->by_pair);
    free(w);
}

/* ---- data ---- */

static uint64_t hash_bytes(struct cdn_str s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    }
    return h;
}

struct asked { /* one of these */
    const struct mmdb_writer *of;
    struct cdn_str bytes;
    struct pair pair;
};

static bool is_same_content(const void *ctx, uint32_t number)
{
    const struct asked *a = ctx;
    const struct content *c = &a->of->contents[number];
    return cdn_str_eq((struct cdn_str){a->of->data.p + c->offset, c->n}, a->bytes);
}

uint32_t mmdb_writer_add(struct mmdb_writer *w, struct cdn_str record)
{
    const struct asked asked = {.of = w, .bytes = record};
    const uint64_t hash = hash_bytes(record);
    uint32_t number = cdn_index_find(&w->by_content, hash, is_same_content, &asked);
    if (number != CDN_INDEX_NONE) {
        return w->contents[number].offset;
    }
    assert(w->data.n + record.n < NODE_BIT - 1);
    if (w->content_count == w->content_room) {
        w->content_room = w->content_room ? 2 * w->content_room : 512;
        w->contents = cdn_realloc(w->contents, w->content_room, sizeof(*w->contents));
    }
    const struct content content = {(uint32_t)w->data.n, (uint32_t)record.n};
    cdn_index_put(&w->by_content, hash, (uint32_t)w->content_count);
    w->contents[w->content_count++] = content;
    cdn_buf_add_str(&w->data, record);
    return content.offset;
}

void mmdb_writer_put_shared(struct mmdb_writer *w, struct cdn_buf *record, struct cdn_str text)
{
    CDN_AUTOBUF struct cdn_buf field = {0};
    mmdb_put_string(&field, text);
    mmdb_put_pointer(record, mmdb_writer_add(w, cdn_buf_str(&field)));
}

/* ---- networks ---- */

/* The trie node at a prefix of the tree's own width, made when missing. */
static struct trie_node *trie_at(struct mmdb_writer *w, const uint8_t *address, unsigned prefix_len)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < prefix_len; i++) {
        unsigned side = address[i / 8] >> (7 - i % 8) & 1;
        if (w->trie[at].child[side] == 0) {
            uint32_t child = new_trie_node(w);
            w->trie[at].child[side] = child;
        }
        at = w->trie[at].child[side];
    }
    return &w->trie[at];
}

void mmdb_writer_insert(struct mmdb_writer *w, int family, const uint8_t *address, unsigned prefix_len,
                        uint32_t record)
{
    uint8_t wide[16] = {0};
    bool is_ipv4 = family == AF_INET;
    assert(prefix_len <= (is_ipv4 ? 32u : 128u) && (is_ipv4 || w->ip_version == 6));
    unsigned offset = is_ipv4 && w->ip_version == 6 ? 96 : 0;
    memcpy(wide + offset / 8, address, is_ipv4 ? 4 : 16);
    trie_at(w, wide, prefix_len + offset)->record = record;
}

void mmdb_writer_alias_ipv4(struct mmdb_writer *w)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff}, six_to_four[16] = {0x20, 0x02};
    assert(w->ip_version == 6);
    trie_at(w, mapped, 96)->is_alias = true;
    trie_at(w, six_to_four, 16)->is_alias = true;
}

/* ---- the written tree ---- */

static bool is_same_pair(const void *ctx, uint32_t number)
{
    const struct asked *a = ctx;
    const struct pair *node = &a->of->nodes[number];
    return node->left == a->pair.left && node->right == a->pair.right;
}

static uint32_t node_value(struct mmdb_writer *w, uint32_t left, uint32_t right)
{
    const struct asked asked = {.of = w, .pair = {left, right}};
    const uint64_t hash = (uint64_t)left << 32 | right;
    uint32_t number = cdn_index_find(&w->by_pair, hash, is_same_pair, &asked);
    if (number == CDN_INDEX_NONE) {
        if (w->node_count == w->node_room) {
            w->node_room = w->node_room ? 2 * w->node_room : 1024;
            w->nodes = cdn_realloc(w->nodes, w->node_room, sizeof(*w->nodes));
        }
        number = (uint32_t)w->node_count++;
        w->nodes[number] = asked.pair;
        cdn_index_put(&w->by_pair, hash, number);
    }
    return NODE_BIT | number;
}

/* Down the zeros to ::/96: its trie node (0: none) and the record that encloses it. */
static uint32_t find_ipv4(const struct mmdb_writer *w, uint32_t *ret_inherited)
{
    uint32_t at = 0;
    *ret_inherited = NOTHING;
    for (unsigned depth = 0;; depth++) {
        if (w->trie[at].record != NO_RECORD) {
            *ret_inherited = w->trie[at].record + 1;
        }
        if (depth == 96 || w->trie[at].child[0] == 0) {
            return depth == 96 ? at : 0;
        }
        at = w->trie[at].child[0];
    }
}

static uint32_t value_of(struct mmdb_writer *w, uint32_t at, uint32_t inherited)
{
    struct trie_node node = w->trie[at];
    if (node.is_alias) {
        at = find_ipv4(w, &inherited);
        return at ? value_of(w, at, inherited) : inherited;
    }
    if (node.record != NO_RECORD) {
        inherited = node.record + 1;
    }
    uint32_t left = node.child[0] ? value_of(w, node.child[0], inherited) : inherited;
    uint32_t right = node.child[1] ? value_of(w, node.child[1], inherited) : inherited;
    if (left == right && !(left & NODE_BIT)) {
        return left;
    }
    return node_value(w, left, right);
}

static uint32_t record_number(const struct mmdb_writer *w, uint32_t value)
{
    uint32_t nodes = (uint32_t)w->node_count;
    if (value == NOTHING) {
        return nodes;
    }
    if (value & NODE_BIT) {
        return nodes - 1 - (value & ~NODE_BIT);
    }
    return nodes + SEPARATOR + value - 1;
}

static void put_node(struct cdn_buf *out, uint32_t left, uint32_t right, unsigned record_size)
{
    char b[8] = {(char)(left >> 16), (char)(left >> 8), (char)left};
    if (record_size == 24) {
        memcpy(b + 3, (char[]){(char)(right >> 16), (char)(right >> 8), (char)right}, 3);
    } else if (record_size == 28) {
        memcpy(b + 3,
               (char[]){(char)((left >> 24 & 15) << 4 | (right >> 24 & 15)), (char)(right >> 16),
                        (char)(right >> 8), (char)right},
               4);
    } else {
        memcpy(b,
               (char[]){(char)(left >> 24), (char)(left >> 16), (char)(left >> 8), (char)left,
                        (char)(right >> 24), (char)(right >> 16), (char)(right >> 8), (char)right},
               8);
    }
    cdn_buf_add(out, b, record_size / 4);
}

static void put_metadata(struct cdn_buf *out, const struct mmdb_writer *w, const struct mmdb_metadata *m,
                         unsigned record_size)
{
    cdn_buf_add_str(out, CDN_STR("\xab\xcd\xefMaxMind.com"));
    mmdb_put_map(out, 9);
    mmdb_put_string(out, CDN_STR("node_count"));
    mmdb_put_uint32(out, (uint32_t)w->node_count);
    mmdb_put_string(out, CDN_STR("record_size"));
    mmdb_put_uint16(out, (uint16_t)record_size);
    mmdb_put_string(out, CDN_STR("ip_version"));
    mmdb_put_uint16(out, (uint16_t)w->ip_version);
    mmdb_put_string(out, CDN_STR("database_type"));
    mmdb_put_string(out, cdn_str(m->database_type));
    mmdb_put_string(out, CDN_STR("languages"));
    mmdb_put_array(out, m->language ? 1 : 0);
    if (m->language) {
        mmdb_put_string(out, cdn_str(m->language));
    }
    mmdb_put_string(out, CDN_STR("binary_format_major_version"));
    mmdb_put_uint16(out, 2);
    mmdb_put_string(out, CDN_STR("binary_format_minor_version"));
    mmdb_put_uint16(out, 0);
    mmdb_put_string(out, CDN_STR("build_epoch"));
    mmdb_put_uint64(out, m->build_epoch);
    mmdb_put_string(out, CDN_STR("description"));
    mmdb_put_map(out, m->description ? 1 : 0);
    if (m->description) {
        mmdb_put_string(out, CDN_STR("en"));
        mmdb_put_string(out, cdn_str(m->description));
    }
}

enum cdn_status mmdb_writer_finish(struct mmdb_writer *w, const struct mmdb_metadata *m, struct cdn_buf *out,
                                   struct cdn_error *err)
{
    w->node_count = 0;
    cdn_index_free(&w->by_pair);
    uint32_t root = value_of(w, 0, NOTHING);
    if (!(root & NODE_BIT)) {
        node_value(w, root, root);
    }
    uint64_t largest = w->node_count + SEPARATOR + w->data.n;
    unsigned fits = largest < 1u << 24 ? 24 : largest < 1u << 28 ? 28 : 32;
    unsigned record_size = m->record_size ? m->record_size : fits;
    if (record_size != 24 && record_size != 28 && record_size != 32) {
        return cdn_error_set(err, CDN_INVALID, "record_size %u is not 24, 28 or 32", record_size);
    }
    if (record_size < fits || largest > UINT32_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE,
                             "%zu nodes and %zu bytes of data do not fit in records of %u bits",
                             w->node_count, w->data.n, record_size);
    }
    for (size_t i = w->node_count; i-- > 0;) {
        put_node(out, record_number(w, w->nodes[i].left), record_number(w, w->nodes[i].right), record_size);
    }
    cdn_buf_add(out, (char[SEPARATOR]){0}, SEPARATOR);
    cdn_buf_add_str(out, cdn_buf_str(&w->data));
    put_metadata(out, w, m, record_size);
    return CDN_OK;
}
