/* html: the five characters that mean something in HTML, whether in text or between quotes, as entities;
 * one function for both, so that nobody has to choose rightly. */
#include "cli/compare/report/html.h"

#include "common/visible.h"

#include <stddef.h>

#include "common/banned.h"

static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(struct cdn_buf *out, const char *text)
{
    CDN_AUTOBUF struct cdn_buf visible = {0};
    cdn_buf_add_visible(&visible, cdn_str(text));
    for (size_t i = 0; i < visible.n; i++) {
        const char *entity = entity_of(visible.p[i]);
        if (entity) {
            cdn_buf_add_str(out, cdn_str(entity));
        } else {
            cdn_buf_add_char(out, visible.p[i]);
        }
    }
}

void html_section(struct cdn_buf *out, const char *id, const char *title, const char *lead)
{
    cdn_buf_printf(out, "<section id=\"%s\" aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">%s</h2>\n<p>%s</p>\n",
                   id, id, id, title, lead);
}
