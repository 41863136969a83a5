/* fields: all text in one buffer, which moves as it grows; so slices get their addresses only
 * when the last field is in (edge_fields_seal). The first size is that of most requests, which
 * thus take two allocations. */
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/fetch/fetch.h"

#include <stdlib.h>

#include "common/banned.h"

/* enough for what most requests bring and what we add */
#define FIRST_BYTES ((size_t)480)
#define FIRST_FIELDS ((size_t)16)

void edge_fields_add(struct edge_fields *f, struct cdn_str name, struct cdn_str value)
{
    if (!f->count) {
        cdn_buf_reserve(&f->text, FIRST_BYTES);
    }
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : FIRST_FIELDS;
        f->item = cdn_realloc(f->item, f->room, sizeof(*f->item));
    }
    cdn_buf_add_str(&f->text, name);
    cdn_buf_add_str(&f->text, value);
    f->item[f->count++] = (struct http_field){.name = {NULL, name.n}, .value = {NULL, value.n}};
}

void edge_fields_seal(struct edge_fields *f)
{
    const char *at = f->text.p;
    for (size_t i = 0; i < f->count; i++) {
        f->item[i].name.p = at;
        at += f->item[i].name.n;
        f->item[i].value.p = at;
        at += f->item[i].value.n;
    }
}

void edge_fields_free(struct edge_fields *f)
{
    cdn_buf_free(&f->text);
    free(CDN_TAKE(f->item));
    f->count = f->room = 0;
}
