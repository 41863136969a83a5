/* get_request: what is sent, from the command line. Fields and method are checked by the grammar that
 * our own programs check them by, so that a typing error is one here and no riddle of a server's. */
#include "cli/base/options.h"
#include "cli/get/get.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define DATA_MAX (64u << 20)

static enum cdn_status read_field(const char *text, struct http_field *ret, struct cdn_error *err)
{
    struct cdn_str value = cdn_str(text), name = cdn_str_cut(&value, ':');
    *ret = (struct http_field){name, value.p ? cdn_str_trim(value) : value};
    if (value.p && http_check_token(name) && http_check_field_value(ret->value)) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_USAGE, "-H: '%s' is not a field such as 'Cookie: a=b'", text);
}

static enum cdn_status read_data(struct get_visit *visit, const char *text, struct cdn_error *err)
{
    const char *path = text + 1;
    if (text[0] != '@') {
        visit->body = cdn_str(text);
        return CDN_OK;
    }
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "--data: cannot open %s: %s", path, strerror(errno));
    }
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0 && visit->data.n <= DATA_MAX;) {
        cdn_buf_add(&visit->data, piece, n);
    }
    bool failed = ferror(file);
    if (file != stdin) {
        fclose(file);
    }
    if (failed) {
        return cdn_error_set(err, CDN_IO, "--data: cannot read %s", path);
    }
    if (visit->data.n > DATA_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "--data: %s has more than %u bytes", path, DATA_MAX);
    }
    visit->body = cdn_buf_str(&visit->data);
    return CDN_OK;
}

static bool has_type(const struct get_visit *visit)
{
    for (size_t i = 0; i < visit->field_count; i++) {
        if (cdn_str_eq_nocase(visit->fields[i].name, CDN_STR("Content-Type"))) {
            return true;
        }
    }
    return false;
}

enum cdn_status get_request_read(struct get_visit *visit, struct cdn_error *err)
{
    const struct get_options *options = visit->options;
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < options->header.n && status == CDN_OK; i++) {
        status = read_field(options->header.items[i], &visit->fields[i], err);
    }
    visit->method = options->request ? options->request : options->data ? "POST" : "GET";
    visit->field_count = options->header.n;
    if (status == CDN_OK && !http_check_token(cdn_str(visit->method))) {
        status = cdn_error_set(err, CDN_USAGE, "-X: '%s' is not a method", visit->method);
    }
    if (status == CDN_OK && options->data) {
        status = read_data(visit, options->data, err);
        if (!has_type(visit)) {
            visit->fields[visit->field_count++] =
                (struct http_field){CDN_STR("Content-Type"), CDN_STR("application/x-www-form-urlencoded")};
        }
    }
    return status;
}
