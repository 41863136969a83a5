/* trust: one line a program, since each has a list of its own. What a person types is printed whole, with the
 * path in it, so that it can be pasted; paths with odd characters are quoted for the shell. */
#include "cli/run/trust.h"

#include "cli/base/print.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static char *quoted(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=";
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (path[strspn(path, plain)] == '\0') {
        return cdn_strdup(path);
    }
    cdn_buf_add_char(&text, '\'');
    for (const char *p = path; *p; p++) {
        if (*p == '\'') {
            cdn_buf_add_str(&text, CDN_STR("'\\''"));
        } else {
            cdn_buf_add_char(&text, *p);
        }
    }
    cdn_buf_add_char(&text, '\'');
    return cdn_buf_take(&text);
}

void trust_print(const char *authority, const char *bundle, bool is_new)
{
    CDN_AUTOFREE char *path = quoted(authority), *both = quoted(bundle);
    cli_print("HTTPS by this CDN's own authority%s. To trust it:\n", is_new ? ", which is new" : "");
    cli_print("  curl      --cacert %s\n", path);
    cli_print("  Python    export REQUESTS_CA_BUNDLE=%s SSL_CERT_FILE=%s\n", both, both);
    cli_print("  browsers  pocketcdn browse; or, for good: certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n "
              "pocketcdn -i %s\n",
              path);
    cli_print("  system    sudo install -m 644 %s /usr/local/share/ca-certificates/pocketcdn.crt\n", path);
    cli_print("            sudo update-ca-certificates      (more in docs/tls.md)\n");
}

void trust_environment(const char *bundle)
{
    static const char *const names[] = {"SSL_CERT_FILE",  "CURL_CA_BUNDLE",      "REQUESTS_CA_BUNDLE",
                                        "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        (void)setenv(names[i], bundle, 1);
    }
}
