/* keys_file: by libyaml, whose nodes carry line numbers. Not by common/config: the keys of this mapping
 * are no settings, and a literal block is text of several lines. Files are small; their size is limited
 * before they are read. */
#include "edge/signed/keys_file.h"

#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/signed/keys.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/banned.h"

#define FILE_MAX ((size_t)1 << 20)
#define INLINE_MARK "-----BEGIN"

static enum cdn_status read_text(const char *path, struct cdn_buf *into, struct cdn_error *err)
{
    char piece[4096];
    FILE *file = fopen(path, "re");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    for (size_t n; into->n <= FILE_MAX && (n = fread(piece, 1, sizeof(piece), file)) > 0;) {
        cdn_buf_add(into, piece, n);
    }
    const bool failed = ferror(file);
    fclose(file);
    if (failed) {
        return cdn_error_set(err, CDN_IO, "%s: cannot be read", path);
    }
    return into->n > FILE_MAX ? cdn_error_set(err, CDN_INVALID, "%s: larger than %zu bytes", path, FILE_MAX)
                              : CDN_OK;
}

/* Relative to the folder of the keys.yaml. */
static char *path_beside(const char *path, struct cdn_str name)
{
    const char *slash = strrchr(path, '/');
    if (name.p[0] == '/' || !slash) {
        return cdn_str_dup(name);
    }
    return cdn_asprintf("%.*s/" CDN_STR_FMT, (int)(slash - path), path, CDN_STR_ARG(name));
}

static enum cdn_status add_key(struct edge_keys *keys, const char *path, struct cdn_str id,
                               struct cdn_str value, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf pem = {0};
    if (value.n == 0) {
        return cdn_error_set(err, CDN_INVALID, "neither a file nor a key in PEM form");
    }
    if (memmem(value.p, value.n, INLINE_MARK, sizeof(INLINE_MARK) - 1)) {
        return edge_keys_add(keys, id, value, err);
    }
    CDN_AUTOFREE char *beside = path_beside(path, value);
    enum cdn_status status = read_text(beside, &pem, err);
    if (status == CDN_OK) {
        status = edge_keys_add(keys, id, cdn_buf_str(&pem), err);
        status = status == CDN_OK ? CDN_OK : cdn_error_prefix(err, "%s", beside);
    }
    return status;
}

static struct cdn_str scalar(const yaml_node_t *node)
{
    return (struct cdn_str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

static enum cdn_status add_pair(struct edge_keys *keys, const char *path, yaml_document_t *document,
                                const yaml_node_pair_t *pair, struct cdn_error *err)
{
    const yaml_node_t *key = yaml_document_get_node(document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    const size_t line = key->start_mark.line + 1;
    if (key->type != YAML_SCALAR_NODE) {
        return cdn_error_set(err, CDN_INVALID, "%s:%zu: an id of a key is one word", path, line);
    }
    enum cdn_status status = value->type == YAML_SCALAR_NODE
                                 ? add_key(keys, path, scalar(key), scalar(value), err)
                                 : cdn_error_set(err, CDN_INVALID, "neither a file nor a key in PEM form");
    return status == CDN_OK
               ? CDN_OK
               : cdn_error_prefix(err, "%s:%zu: " CDN_STR_FMT, path, line, CDN_STR_ARG(scalar(key)));
}

static enum cdn_status add_pairs(struct edge_keys *keys, const char *path, yaml_document_t *document,
                                 struct cdn_error *err)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    enum cdn_status status = CDN_OK;
    if (!root || root->type != YAML_MAPPING_NODE) {
        return cdn_error_set(err, CDN_INVALID, "%s: not a mapping of key ids to PEM files", path);
    }
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top && status == CDN_OK; pair++) {
        status = add_pair(keys, path, document, pair, err);
    }
    if (status == CDN_OK && edge_keys_count(keys) == 0) {
        status = cdn_error_set(err, CDN_INVALID, "%s: no key in it", path);
    }
    return status;
}

enum cdn_status edge_keys_read(const char *path, struct edge_keys **ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    yaml_parser_t parser;
    yaml_document_t document;
    enum cdn_status status = read_text(path, &text, err);
    if (status != CDN_OK) {
        return status;
    }
    if (!yaml_parser_initialize(&parser)) {
        cdn_out_of_memory();
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    if (!yaml_parser_load(&parser, &document)) {
        status = cdn_error_set(err, CDN_INVALID, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                               parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return status;
    }
    struct edge_keys *keys = edge_keys_create();
    status = add_pairs(keys, path, &document, err);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    if (status != CDN_OK) {
        edge_keys_destroy(keys);
        return status;
    }
    *ret = keys;
    return CDN_OK;
}
