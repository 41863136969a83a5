/* html: text as HTML. Control bytes and what turns text around are made visible first (common/visible.h). */
#ifndef CDN_CLI_COMPARE_HTML_H
#define CDN_CLI_COMPARE_HTML_H
#include "common/str.h"

/* Fit for text and for quoted attributes. */
void html_text(struct cdn_buf *out, const char *text);
/* "<section id=...><h2>title</h2><p>lead</p>"; the caller closes it. `lead` is HTML of ours. */
void html_section(struct cdn_buf *out, const char *id, const char *title, const char *lead);

#endif
