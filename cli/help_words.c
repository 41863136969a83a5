/* help_words: docs/words.md, the words by which the programs say what they did and why, from their tables. */
#include "cli/help.h"
#include "common/http/syntax/http_server_check.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/storable.h"
#include "router/base/reason.h"

#include "common/banned.h"

static void add_section(const char *title, const char *about, const char *columns, struct cdn_buf *out)
{
    cdn_buf_printf(out, "\n## %s\n\n%s\n\n%s\n", title, about, columns);
}

static void add_verdicts(struct cdn_buf *out)
{
    add_section("Verdicts of the edge", "What an answer was: `X-Cache`, access log, `answer_total`.",
                "| word | the answer was |\n|---|---|", out);
    for (unsigned v = 0; v < EDGE_VERDICT_COUNT; v++) {
        cdn_buf_printf(out, "| `%s` | %s |\n", edge_verdict_text(v), edge_verdict_meaning(v));
    }
}

static void add_causes(struct cdn_buf *out)
{
    add_section("Causes",
                "Why it was no plain hit: the same word in `Cache-Status` (`detail=`), access log, "
                "`cause_total` and\n`GET /why?url=`. `fwd=` is the word of RFC 9211.",
                "| word | `fwd=` | meaning |\n|---|---|---|", out);
    for (unsigned c = EDGE_CAUSE_NONE + 1; c < EDGE_CAUSE_COUNT; c++) {
        cdn_buf_printf(out, "| `%s` | `%s` | %s |\n", edge_cause_word(c), edge_cause_fwd(c),
                       edge_cause_meaning(c));
    }
}

static void add_unstorable(struct cdn_buf *out)
{
    add_section("Why an answer is not stored",
                "`unstorable` of `GET /why?url=`, with the section of the RFC.", "| word | RFC |\n|---|---|",
                out);
    for (unsigned r = 0; r < EDGE_STORE_COUNT; r++) {
        if (!edge_store_reason_ok(r)) {
            cdn_buf_printf(out, "| `%s` | %s |\n", edge_store_reason_word(r), edge_store_reason_section(r));
        }
    }
}

static void add_refusals(struct cdn_buf *out)
{
    add_section("Requests that are refused",
                "By every listener, before anything else is done with them. The sentence is the `detail` of\n"
                "the problem document.",
                "| status | detail |\n|---|---|", out);
    for (unsigned r = HTTP_REFUSE_NONE + 1; r < HTTP_REFUSAL_COUNT; r++) {
        cdn_buf_printf(out, "| %u | %s |\n", http_refusal_status(r), http_refusal_detail(r));
    }
}

static void add_reasons(struct cdn_buf *out)
{
    add_section("Reasons of the router",
                "Why an edge was chosen: `reason` of `GET /route` and `pocketcdn geo`, log and metrics.",
                "| word | meaning |\n|---|---|", out);
    for (unsigned r = 0; r < ROUTER_REASON_COUNT; r++) {
        cdn_buf_printf(out, "| `%s` | %s |\n", router_reason_word(r), router_reason_text(r));
    }
}

static void add_statuses(struct cdn_buf *out)
{
    add_section("Errors",
                "What went wrong in a program, its exit code, and the status by which an admin "
                "listener says so.",
                "| error | exit code | status |\n|---|---|---|", out);
    for (unsigned s = CDN_OK; s < CDN_STATUS_COUNT; s++) {
        cdn_buf_printf(out, "| %s | %d | %d |\n", cdn_status_text(s), cdn_status_exit_code(s),
                       cdn_status_http(s));
    }
}

void cli_help_words(struct cdn_buf *out)
{
    cdn_buf_add_str(out,
                    CDN_STR("# Words\n\nThe words by which the programs say what they did and why. `make "
                            "docs` writes this page from the\nprograms' own tables.\n"));
    add_verdicts(out);
    add_causes(out);
    add_unstorable(out);
    add_reasons(out);
    add_refusals(out);
    add_statuses(out);
}
