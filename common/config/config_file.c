/* config_file: one `cdn.yaml` from bytes to a document of libyaml, within limits. Size and text are
 * judged before the parser sees a byte, so that a file which is no YAML at all gets one sentence
 * that says so. */
#include "common/config/config_private.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "common/banned.h"

#define FILE_LIMIT (8u << 20) /* 1,000 sites of 20 rules are half of it */
#define DEPTH_LIMIT 32

static enum cdn_status read_file(const char *path, struct cdn_buf *out, struct cdn_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    ssize_t n;
    do {
        cdn_buf_reserve(out, 65536);
        n = read(fd, out->p + out->n, 65536);
        out->n += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && out->n <= FILE_LIMIT) || (n < 0 && errno == EINTR));
    int failed = n < 0 ? errno : 0;
    close(fd);
    if (failed) {
        return cdn_error_set(err, CDN_IO, "%s: cannot read: %s", path, strerror(failed));
    }
    if (out->n > FILE_LIMIT) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: larger than 8 MiB", path);
    }
    return CDN_OK;
}

static enum cdn_status syntax_error(const char *path, const yaml_parser_t *parser, struct cdn_str text,
                                    struct cdn_error *err)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) { /* the reader knows a byte only */
        line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.n; i++) {
            line += text.p[i] == '\n';
        }
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s", path, line,
                         parser->problem ? parser->problem : "this is not YAML");
}

/* A first pass over the events. libyaml's time grows with the square of the flow nesting, and nothing in a
 * cdn.yaml is more than a few levels deep: so depth is refused before the tree is built. */
static enum cdn_status check_shape(const char *path, yaml_parser_t *parser, struct cdn_str text,
                                   struct cdn_error *err)
{
    size_t depth = 0;
    size_t documents = 0;
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return syntax_error(path, parser, text, err);
        }
        size_t line = event.start_mark.line + 1;
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (depth > DEPTH_LIMIT) {
            return cdn_error_set(err, CDN_INVALID, "%s:%zu: nested too deeply", path, line);
        }
        if (documents > 1) {
            return cdn_error_set(err, CDN_INVALID, "%s:%zu: a second document; one file is one CDN", path,
                                 line);
        }
    }
    return CDN_OK;
}

static enum cdn_status start_parser(yaml_parser_t *parser, const char *path, struct cdn_str text,
                                    struct cdn_error *err)
{
    if (!yaml_parser_initialize(parser)) {
        return cdn_error_set(err, CDN_INTERNAL, "%s: libyaml cannot start", path);
    }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)text.p, text.n);
    return CDN_OK;
}

static enum cdn_status load_document(const char *path, struct cdn_str text, yaml_document_t *ret,
                                     struct cdn_error *err)
{
    yaml_parser_t parser;
    enum cdn_status status = start_parser(&parser, path, text, err);
    if (status != CDN_OK) {
        return status;
    }
    status = check_shape(path, &parser, text, err);
    yaml_parser_delete(&parser);
    if (status == CDN_OK) {
        status = start_parser(&parser, path, text, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (!yaml_parser_load(&parser, ret)) {
        status = syntax_error(path, &parser, text, err); /* what events do not show: an unknown anchor */
    }
    yaml_parser_delete(&parser);
    return status;
}

enum cdn_status config_document_load(const char *path, struct yaml_document_s *ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    enum cdn_status status = read_file(path, &text, err);
    return status == CDN_OK ? load_document(path, cdn_buf_str(&text), ret, err) : status;
}
