/* groups: judged whole first, since one member of another type makes the field invalid (RFC 8941 4.2). */
#include "edge/semantics/groups.h"

#include "common/http/syntax/http_structured.h"

#include <stddef.h>

#include "common/banned.h"

bool edge_groups_valid(struct cdn_str value)
{
    struct http_structured_value member;
    int more;
    while ((more = http_structured_list_next(&value, &member)) > 0) {
        if (member.type != HTTP_SF_STRING) {
            return false;
        }
    }
    return more == 0;
}

bool edge_groups_next(struct cdn_str *rest, struct cdn_buf *ret)
{
    struct http_structured_value member;
    cdn_buf_clear(ret);
    if (http_structured_list_next(rest, &member) <= 0) {
        return false;
    }
    for (size_t i = 0; i < member.text.n; i++) {
        i += member.text.p[i] == '\\'; /* never the last: the list is valid */
        cdn_buf_add_char(ret, member.text.p[i]);
    }
    return true;
}
