/* canned: the ceiling of the benchmark: libmicrohttpd alone, answering from memory with responses made
 * beforehand.
 *
 *     canned PORT [POOL_BYTES]
 *
 * `/f/1k` `/f/16k` `/f/256k` `/f/4m` and `/u/h/N/1024` (N below 10,000, a response of its own each). Six
 * fields as the origin of the benchmark sends them. The loop is our own around MHD_run(), as in the edge; no
 * time-outs.
 */
#include "tests/bench/canned_loop.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define MANY 10000u

static struct {
    const char *path;
    size_t n;
    struct MHD_Response *response;
} files[] = {
    {"/f/1k", 1024, NULL}, {"/f/16k", 16384, NULL}, {"/f/256k", 262144, NULL}, {"/f/4m", 4194304, NULL}};
static struct MHD_Response *many[MANY];

static struct MHD_Response *make(size_t n)
{
    char *body = malloc(n);
    if (!body) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        body[i] = (char)('a' + i % 26);
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Server", "nginx/1.22.1");
    MHD_add_response_header(r, "Date", "Sun, 22 Nov 2026 15:40:00 GMT");
    MHD_add_response_header(r, "Content-Type", "application/octet-stream");
    MHD_add_response_header(r, "Last-Modified", "Sun, 22 Nov 2026 15:40:00 GMT");
    MHD_add_response_header(r, "ETag", "\"6921d8c0-400\"");
    MHD_add_response_header(r, "Cache-Control", "public, max-age=31536000, immutable");
    return r;
}

static struct MHD_Response *find(const char *url)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(url, files[i].path) == 0) {
            return files[i].response;
        }
    }
    unsigned long n = strncmp(url, "/u/h/", 5) == 0 ? strtoul(url + 5, NULL, 10) : MANY;
    return n < MANY ? many[n] : NULL;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *n, void **own)
{
    (void)cls, (void)method, (void)version, (void)data;
    if (!*own) { /* an answer before the request is over would close the connection */
        *own = find(url);
        return *own ? MHD_YES : MHD_NO;
    }
    *n = 0;
    return MHD_queue_response(c, MHD_HTTP_OK, *own);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: canned PORT [POOL_BYTES]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        files[i].response = make(files[i].n);
    }
    for (size_t i = 0; i < MANY; i++) {
        many[i] = make(1024);
    }
    struct sockaddr_in address = canned_address(argv[1]);
    size_t pool = argc > 2 ? strtoul(argv[2], NULL, 10) : 32768; /* 32 KiB is the library's default */
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, 15000u, MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_END);
    return canned_serve(daemon, argv[1]);
}
