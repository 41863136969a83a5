/* trust: one line a program, since each has a list of its own. What a person types is printed whole, with the
 * path in it, so that it can be pasted. */
#include "cli/run/trust.h"

#include "cli/base/print.h"
#include "common/mem.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/banned.h"

void trust_print(const char *authority, const char *bundle, bool is_new)
{
    CDN_AUTOFREE char *path = cli_quoted(authority), *both = cli_quoted(bundle);
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
