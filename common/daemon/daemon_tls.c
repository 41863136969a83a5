/* daemon_tls: judges files on the control thread, where a refusal harms nobody, and hands over whole
 * sets only, counted, so that no worker waits for another. */
#include "common/daemon/daemon_tls.h"

#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <stdlib.h>

#include "common/banned.h"

enum cdn_status daemon_tls_reread(const struct cdn_tls_set *now, const char *const *certificates,
                                  const char *const *keys, struct cdn_tls_set **ret, struct cdn_error *err)
{
    if (!now != !certificates[0]) {
        return cdn_error_set(err, CDN_CONFLICT, "tls_certificate: turning TLS on or off needs a restart");
    }
    return cdn_tls_set_read(certificates, keys, ret, err);
}

struct message {
    struct cdn_tls_set *set;
    struct http_server *const *server;
};

static void take(void *arg) /* worker's thread; at the end of the process without a server */
{
    struct message *m = arg;
    if (*m->server) {
        http_server_set_tls(*m->server, m->set);
    }
    cdn_tls_set_unref(m->set);
    free(m);
}

void daemon_tls_give(struct cdn_tls_set *set, struct loop *loop, struct http_server *const *server)
{
    struct message *m = cdn_malloc(sizeof(*m));
    *m = (struct message){.set = cdn_tls_set_ref(set), .server = server};
    loop_post(loop, take, m);
}
