/* warm_sitemap: libexpat calls for each element; all that is remembered is how deep it stands and the text of
 * the location being read. Sizes are the caller's to limit: the text of one location is limited here. */
#include "cli/warm/warm_sitemap.h"

#include "common/status.h"
#include "common/str.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/banned.h"

#define LOCATION_MAX 8000u
#define SEPARATOR '|' /* between the namespace and the name: "http://www.sitemaps.org/...|loc" */

enum kind { KIND_NONE, KIND_PAGES, KIND_SITEMAPS };

struct reading {
    XML_Parser parser;
    const struct warm_sitemap_handler *handler;
    unsigned depth; /* of the element being read; the root's is 1 */
    enum kind kind;
    struct cdn_buf space; /* the root's namespace */
    bool in_entry, in_location;
    struct cdn_buf location;
    enum cdn_status status;
    struct cdn_error *err;
};

static void fail(struct reading *r, const char *why)
{
    if (r->status == CDN_OK) {
        r->status = cdn_error_set(r->err, CDN_INVALID, "line %lu: %s",
                                  (unsigned long)XML_GetCurrentLineNumber(r->parser), why);
    }
    XML_StopParser(r->parser, XML_FALSE);
}

/* Cuts the namespace off. */
static struct cdn_str local_name(const char *name, struct cdn_str *ret_space)
{
    const char *bar = strrchr(name, SEPARATOR);
    *ret_space = (struct cdn_str){name, bar ? (size_t)(bar - name) : 0};
    return cdn_str(bar ? bar + 1 : name);
}

static void open_root(struct reading *r, struct cdn_str local, struct cdn_str space)
{
    r->kind = cdn_str_eq(local, CDN_STR("urlset"))         ? KIND_PAGES
              : cdn_str_eq(local, CDN_STR("sitemapindex")) ? KIND_SITEMAPS
                                                           : KIND_NONE;
    if (r->kind == KIND_NONE) {
        fail(r, "the root is neither <urlset> nor <sitemapindex>, so this is no sitemap");
    }
    cdn_buf_add_str(&r->space, space);
}

static void XMLCALL on_open(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = arg;
    struct cdn_str space, local = local_name(name, &space);
    (void)attributes;
    r->depth++;
    bool own = cdn_str_eq(space, cdn_buf_str(&r->space));
    if (r->depth == 1) {
        open_root(r, local, space);
    } else if (r->depth == 2) {
        struct cdn_str entry = r->kind == KIND_PAGES ? CDN_STR("url") : CDN_STR("sitemap");
        r->in_entry = own && cdn_str_eq(local, entry);
    } else if (r->depth == 3 && r->in_entry && own && cdn_str_eq(local, CDN_STR("loc"))) {
        r->in_location = true;
        cdn_buf_clear(&r->location);
    }
}

static struct cdn_str without_blanks(struct cdn_str s)
{
    while (s.n && strchr(" \t\r\n", s.p[0])) {
        s = cdn_str_sub(s, 1);
    }
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

static void XMLCALL on_close(void *arg, const XML_Char *name)
{
    struct reading *r = arg;
    (void)name;
    if (r->depth == 3 && r->in_location) {
        r->in_location = false;
        struct cdn_str url = without_blanks(cdn_buf_str(&r->location));
        unsigned long line = (unsigned long)XML_GetCurrentLineNumber(r->parser);
        r->status = r->handler->found(r->handler->arg, r->kind == KIND_SITEMAPS, url, r->err);
        if (r->status != CDN_OK) {
            cdn_error_prefix(r->err, "line %lu", line);
            XML_StopParser(r->parser, XML_FALSE);
        }
    }
    r->depth--;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int n)
{
    struct reading *r = arg;
    if (!r->in_location || r->depth != 3) {
        return;
    }
    if (r->location.n + (size_t)n > LOCATION_MAX) {
        fail(r, "a location is longer than any URL may be");
        return;
    }
    cdn_buf_add(&r->location, text, (size_t)n);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name, (void)system, (void)public, (void)has_subset;
    fail(arg, "a document type, which sitemaps do not have");
}

enum cdn_status warm_sitemap_read(struct cdn_str xml, const struct warm_sitemap_handler *handler,
                                  struct cdn_error *err)
{
    struct reading r = {.parser = XML_ParserCreateNS(NULL, SEPARATOR), .handler = handler, .err = err};
    if (!r.parser || xml.n > INT_MAX) {
        XML_ParserFree(r.parser);
        return cdn_error_set(err, CDN_TOO_LARGE, "%zu bytes are too many", xml.n);
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_open, on_close);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    if (XML_Parse(r.parser, xml.p, (int)xml.n, XML_TRUE) != XML_STATUS_OK && r.status == CDN_OK) {
        fail(&r, XML_ErrorString(XML_GetErrorCode(r.parser)));
    }
    XML_ParserFree(r.parser);
    cdn_buf_free(&r.space);
    cdn_buf_free(&r.location);
    return r.status;
}
