#include "edge/fetch.h"

#include "common/mem.h"

#include "common/banned.h"

void edge_fields_add(struct edge_fields *f, struct cdn_str name, struct cdn_str value)
{
    if ((f->count & (f->count + 1)) == 0) { /* 0, 1, 3, 7 ...: double */
        f->item = cdn_realloc(f->item, 2 * (f->count + 1), sizeof *f->item);
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
    f->count = 0;
}
