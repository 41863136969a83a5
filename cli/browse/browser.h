/* browser: which browser this machine has, and how it is told where names lead and whom to trust.
 *
 * Chromium and its kin take that on the command line: --host-resolver-rules maps names to addresses with
 * ports, so that http://www.cdn.test/ needs none. Firefox knows no such thing: it is told of a SOCKS proxy,
 * in the preferences of its profile, and of an authority by certutil. Each gets a profile folder of its own,
 * since a browser that runs already would take the URL and leave out the rest.
 */
#ifndef CDN_CLI_BROWSER_H
#define CDN_CLI_BROWSER_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>

enum browser_kind { BROWSER_CHROMIUM, BROWSER_FIREFOX };

struct browser {
    char *path; /* owned */
    enum browser_kind kind;
};

/* `wanted`: a name or path, or NULL: the first one of $BROWSER, then of those that there are. CDN_NOT_FOUND
 * says which were looked for. */
enum cdn_status browser_find(const char *wanted, struct browser *ret, struct cdn_error *err) CDN_MUST_CHECK;

struct browser_wish { /* borrowed; NULL: nothing of the kind */
    const char *url;
    const char *rules;  /* "MAP www.cdn.test 127.0.1.9:8088,MAP ..." */
    const char *proxy;  /* "127.0.0.1:41001", of SOCKS5; names are resolved behind it */
    const char *hashes; /* of keys to trust */
    bool plain;         /* the CDN speaks no TLS: do not try it first */
    bool root;          /* who runs it is root, whom Chromium gives no sandbox */
    const char **more;  /* arguments, NULL-ended */
};

/* A NULL-ended command line; texts and array are the caller's (browser_argv_free). */
char **browser_argv(const struct browser *browser, const struct browser_wish *wish, const char *profile);
void browser_argv_free(char **argv);
/* Lines of user.js, for Firefox. */
void browser_preferences(const struct browser_wish *wish, struct cdn_buf *out);

#endif
