/* explain: `pocketcdn explain URL`: which site and rule a request is for, what its key is and why, who would
 * be asked, what an answer may be kept for here, and by their documentation elsewhere. Reading the command
 * line; asking and telling are in the files beside. */
#include "cli/base/options.h"
#include "cli/base/subcommand.h"
#include "cli/explain/explain_private.h"
#include "cli/run/control.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

static enum cdn_status read_list(const struct cli_list *list, const char *option, const char *example,
                                 json_t *into, struct cdn_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        struct cdn_str value = cdn_str(list->items[i]);
        const struct cdn_str name = cdn_str_cut(&value, ':');
        if (!value.p || !http_check_token(name) || !http_check_field_value(cdn_str_trim(value)) ||
            json_array_append_new(into, json_string(list->items[i])) != 0) {
            return cdn_error_set(err, CDN_USAGE, "%s: '%s' is not a field such as '%s'", option,
                                 list->items[i], example);
        }
    }
    return CDN_OK;
}

static enum cdn_status read_status(const char *text, json_t *question, struct cdn_error *err)
{
    uint64_t n = 0;
    if (!cdn_parse_u64(cdn_str(text), &n) || n < 200 || n > 599) {
        return cdn_error_set(err, CDN_USAGE, "--status: '%s' is not from 200 to 599", text);
    }
    json_object_set_new(question, "status", json_integer((json_int_t)n));
    return CDN_OK;
}

static enum cdn_status read_question(struct explain_case *c, struct cdn_error *err)
{
    const struct explain_options *o = c->options;
    json_t *fields = json_array(), *answer = json_array();
    c->question = json_pack("{s:s, s:o}", "url", c->url, "fields", fields);
    enum cdn_status status = read_list(&o->header, "-H", "Cookie: a=b", fields, err);
    if (status == CDN_OK) {
        status = read_list(&o->answer, "--answer", "Cache-Control: max-age=60", answer, err);
    }
    if (status == CDN_OK && o->request) {
        status = http_check_token(cdn_str(o->request))
                     ? CDN_OK
                     : cdn_error_set(err, CDN_USAGE, "-X: '%s' is not a method such as GET", o->request);
        json_object_set_new(c->question, "method", json_string(o->request));
    }
    if (status == CDN_OK && o->status) {
        status = read_status(o->status, c->question, err);
    }
    if (o->answer.n || o->status) {
        json_object_set(c->question, "answer", answer);
    }
    json_decref(answer);
    if (status == CDN_OK && o->fetch && (o->answer.n || o->status)) {
        status =
            cdn_error_set(err, CDN_USAGE, "--fetch brings the answer: --answer and --status say another");
    }
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct explain_case c = {.options = opaque};
    if (args->n != 1) {
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help explain)");
    }
    c.url = args->items[0];
    json_t *text = json_string(c.url);
    const bool readable = text != NULL;
    json_decref(text);
    if (!readable) {
        return cdn_error_set(err, CDN_USAGE, "the URL is not UTF-8");
    }
    enum cdn_status status = read_question(&c, err);
    status = status == CDN_OK ? explain_ask(&c, err) : status;
    if (status == CDN_OK && c.options->json) {
        if (json_object_get(c.told, "answer")) {
            json_object_set_new(c.told, "others", explain_others_json(c.question));
        }
        control_print(json_incref(c.told));
    } else if (status == CDN_OK) {
        explain_print(&c);
    }
    json_decref(c.question);
    json_decref(c.told);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct explain_options, __VA_ARGS__)
static const struct cli_option rows[] = {EXPLAIN_OPTIONS(ROW)};

const struct cli_command cli_command_explain = {
    .name = "explain",
    .summary = "What happens to a request by the rules, and to an answer here and at other CDNs",
    .usage = "URL | /PATH [-H FIELD] [-X METHOD] [--fetch | --answer FIELD]",
    .more = "With -c and no edge that answers, the file alone is read.\n"
            "\n"
            "  pocketcdn explain http://shop.example/static/app.css?utm_source=x -c cdn.yaml\n"
            "  pocketcdn explain /account/ -H 'Cookie: sessionid=1' --edge fra\n"
            "  pocketcdn explain /app.js --answer 'Cache-Control: no-cache' --answer 'Set-Cookie: a=1'\n"
            "  pocketcdn explain /app.js --fetch               asks for it, and explains the answer\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct explain_options),
    .run = run,
};
