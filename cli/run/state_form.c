/* state_form: a table of what stands where in up.json, and a walk over it. All is refused with the
 * first thing that cannot be right, since half a state is more dangerous than none. */
#include "cli/run/state_form.h"

#include "cli/run/plan.h"
#include "common/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define VALUE_SHOWN_MAX 80 /* bytes of a value in a message */

enum form { /* of one value; `forms` has the words for it */
            FORM_TEXT,
            FORM_URL,    /* where requests and tokens are sent */
            FORM_PUBLIC, /* a node's own listener, which nothing secret is sent to */
            FORM_KIND,
            FORM_TRUTH,
            FORM_COUNT,
            FORM_PID,
            FORM_NODES,
};

static const char *const forms[] = {
    [FORM_TEXT] = "a text without control characters",
    [FORM_URL] = "an http:// or https:// URL",
    [FORM_PUBLIC] = "an http://, https:// or socks5h:// URL",
    [FORM_KIND] = "origin, edge, router or wan",
    [FORM_TRUTH] = "true or false",
    [FORM_COUNT] = "a count",
    [FORM_PID] = "the number of a process",
    [FORM_NODES] = "a list of nodes",
};

struct row {
    const char *key;
    enum form form;
    bool needed;
};

static const struct row of_file[] = {
    {"pid", FORM_PID, true},        {"ready", FORM_TRUTH, false},    {"config", FORM_TEXT, false},
    {"origin", FORM_TEXT, false},   {"router", FORM_URL, true},      {"router_admin", FORM_URL, true},
    {"releases", FORM_TEXT, false}, {"authority", FORM_TEXT, false}, {"bundle", FORM_TEXT, false},
    {"nodes", FORM_NODES, true},
};

static const struct row of_node[] = {
    {"kind", FORM_KIND, true},   {"name", FORM_TEXT, true},  {"place", FORM_TEXT, false},
    {"url", FORM_PUBLIC, true},  {"admin", FORM_URL, true},  {"external", FORM_TRUTH, false},
    {"token", FORM_TEXT, false}, {"pid", FORM_COUNT, false}, {"restarts", FORM_COUNT, false},
};

static bool is_text(const char *text, bool url)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f || (url && (unsigned char)*text <= 0x20)) {
            return false;
        }
    }
    return text != NULL;
}

static bool is_url(const char *text)
{
    return is_text(text, true) && (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0);
}

static bool is_kind(const char *text)
{
    static const char *const words[] = {
#define X(name, word) word,
        PLAN_NODE_KINDS(X)
#undef X
    };
    for (size_t i = 0; text && i < CDN_ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool fits(const json_t *value, enum form form)
{
    const char *text = json_string_value(value);
    json_int_t number = json_integer_value(value);
    switch (form) {
    case FORM_TEXT:
        return is_text(text, false);
    case FORM_URL:
        return is_url(text);
    case FORM_PUBLIC:
        return is_url(text) || (is_text(text, true) && strncmp(text, "socks5h://", 10) == 0);
    case FORM_KIND:
        return is_kind(text);
    case FORM_TRUTH:
        return json_is_boolean(value);
    case FORM_COUNT:
        return json_is_integer(value) && number >= 0 && number <= INT32_MAX;
    case FORM_PID:
        return json_is_integer(value) && number > 1 && number <= INT32_MAX;
    case FORM_NODES:
        return json_is_array(value) && json_array_size(value) > 0 &&
               json_array_size(value) <= PLAN_EDGES_MAX + 3;
    }
    return false;
}

static enum cdn_status check_object(const json_t *object, const struct row *rows, size_t n, const char *where,
                                    struct cdn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, rows[i].key);
        if (value ? fits(value, rows[i].form) : !rows[i].needed) {
            continue;
        }
        if (!value) {
            return cdn_error_set(err, CDN_CORRUPT, "%s: %s: is missing", where, rows[i].key);
        }
        CDN_AUTOFREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        return cdn_error_set(err, CDN_CORRUPT, "%s: %s: %.*s%s is not %s", where, rows[i].key,
                             VALUE_SHOWN_MAX, text, strlen(text) > VALUE_SHOWN_MAX ? "..." : "",
                             forms[rows[i].form]);
    }
    return CDN_OK;
}

enum cdn_status state_form_check(const json_t *what, const char *file, struct cdn_error *err)
{
    const json_t *node;
    size_t i;
    if (!json_is_object(what)) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: is not a JSON object", file);
    }
    enum cdn_status status = check_object(what, of_file, CDN_ARRAY_LEN(of_file), file, err);
    if (status != CDN_OK) {
        return status;
    }
    json_array_foreach(json_object_get(what, "nodes"), i, node)
    {
        CDN_AUTOFREE char *where = cdn_asprintf("%s: nodes[%zu]", file, i);
        if (!json_is_object(node)) {
            return cdn_error_set(err, CDN_CORRUPT, "%s: is not a JSON object", where);
        }
        status = check_object(node, of_node, CDN_ARRAY_LEN(of_node), where, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}
