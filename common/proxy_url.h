/* proxy_url: a proxy that requests of our own go through, "socks5h://USER:PASSWORD@HOST:PORT", as a setting
 * names it. User and password are percent-decoded, and never shown: not in errors, not in logs. Pure. */
#ifndef CDN_COMMON_PROXY_URL_H
#define CDN_COMMON_PROXY_URL_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>

#define PROXY_URL_PART 256 /* RFC 1929: 255 bytes each */

struct proxy_url {
    char server[PROXY_URL_PART + 40];                    /* "socks5h://127.0.0.1:1080" */
    bool has_user;                                       /* else none is offered */
    char user[PROXY_URL_PART], password[PROXY_URL_PART]; /* the password may be empty */
};

/* *ret_why says what is wrong, without the text. */
bool proxy_url_read(struct cdn_str text, struct proxy_url *ret, const char **ret_why) CDN_MUST_CHECK;
/* Appends the text with three stars in place of user and password; also one that cannot be read. */
void proxy_url_show(struct cdn_str text, struct cdn_buf *out);

#endif
