/* explain_private: what the files of `pocketcdn explain` share. */
#ifndef CDN_CLI_EXPLAIN_PRIVATE_H
#define CDN_CLI_EXPLAIN_PRIVATE_H
#include "cli/base/options.h"
#include "cli/run/control.h"
#include "common/status.h"

#include <jansson.h>
#include <stddef.h>

#define EXPLAIN_OPTIONS(X)                                                                          \
    X(LIST, header, 'H', "FIELD", "A field of the request, such as 'Cookie: a=b'; may be repeated") \
    X(TEXT, request, 'X', "METHOD", "Method other than GET")                                        \
    X(TEXT, edge, 'e', "NAME", "Ask this edge")                                                     \
    X(LIST, answer, 'a', "FIELD",                                                                   \
      "A field of the origin's answer, such as 'Cache-Control: max-age=60'; may be repeated")       \
    X(TEXT, status, 's', "STATUS", "Status of that answer; 200")                                    \
    X(FLAG, fetch, 'f', NULL, "Make the request at the edge, and explain the answer to it")         \
    X(FLAG, json, 'j', NULL, "One JSON object")                                                     \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(explain_options, EXPLAIN_OPTIONS);

struct explain_case {
    const struct explain_options *options;
    const char *url;
    json_t *question; /* what edge_explain_read() reads */
    json_t *told;     /* what it says; "offline": no edge was asked */
};

/* explain_ask.c: fills `told`, and with --fetch the question's answer. */
enum cdn_status explain_ask(struct explain_case *c, struct cdn_error *err) CDN_MUST_CHECK;
/* explain_print.c */
json_t *explain_others_json(const json_t *question);
void explain_print(const struct explain_case *c);

#endif
