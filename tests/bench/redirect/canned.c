/* canned: the ceiling of the benchmark: libmicrohttpd alone, answering every request with one redirect made
 * beforehand.
 *
 *     canned PORT
 */
#include "tests/bench/canned_loop.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>

#include "common/banned.h"

static struct MHD_Response *response;

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *n, void **own)
{
    (void)cls, (void)url, (void)method, (void)version, (void)data;
    if (!*own) { /* an answer before the request is over would close the connection */
        *own = response;
        return MHD_YES;
    }
    *n = 0;
    return MHD_queue_response(c, MHD_HTTP_TEMPORARY_REDIRECT, response);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: canned PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    response = MHD_create_response_from_buffer(0, (void *)(unsigned long)"", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Location", "http://127.0.1.1:8088/static/app.css?v=1");
    MHD_add_response_header(response, "Cache-Control", "private, max-age=10");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    MHD_add_response_header(response, "Timing-Allow-Origin", "*");
    struct sockaddr_in address = canned_address(argv[1]);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_END);
    return canned_serve(daemon, argv[1]);
}
