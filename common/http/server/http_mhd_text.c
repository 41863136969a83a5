/* http_mhd_text: both ways of using libmicrohttpd's texts are worth it: with the gaps checked no request is
 * read in two ways, and a sealed head saves 36 allocations an answer. But neither may decide whether requests
 * are answered at all, so a daemon without a listener answers one to itself first. */
#include "common/http/server/http_mhd_text.h"

#include "common/log.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

bool http_mhd_text_is_end(struct MHD_Connection *connection, const char *method, const char *at)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return !size || at + HTTP_MHD_LINE_END == method + size->header_size;
}

char *http_mhd_text_copy(struct MHD_Response *response, const char *name, const char *blank, size_t n)
{
    if (!n || MHD_add_response_header(response, name, blank) != MHD_YES) {
        return NULL;
    }
    const char *found = MHD_get_response_header(response, name);
    if (found && found != blank && strlen(found) == n && memcmp(found, blank, n) == 0) {
        return (char *)(uintptr_t)found;
    }
    MHD_del_response_header(response, name, blank);
    return NULL;
}

/* ---- the trial ---- */

#define TRIAL_TARGET "/path?a=1&b=%41&c"
#define TRIAL_HEAD                      \
    "GET " TRIAL_TARGET " HTTP/1.1\r\n" \
    "Host: trial\r\nX-Long:   two words \r\nX-Empty:\r\n\r\n"
#define TRIAL_BLANK "------------------" /* as long as the next */
#define TRIAL_VALUE "one\r\nX-Second: two"
_Static_assert(sizeof(TRIAL_BLANK) == sizeof(TRIAL_VALUE), "written in its place");

struct trial {
    bool requests, responses;
    const char *at;
    unsigned lines;
};

static void *trial_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    (void)connection;
    struct trial *t = cls;
    t->requests = strcmp(target, TRIAL_TARGET) == 0;
    if (t->requests) {
        http_mhd_text_end_query(target);
    }
    return NULL;
}

static enum MHD_Result trial_line(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                  const char *value, size_t value_size)
{
    (void)kind;
    struct trial *t = cls;
    t->requests &= http_mhd_text_is_line(&t->at, (struct cdn_str){key, key_size},
                                         (struct cdn_str){value ? value : "", value_size});
    t->lines++;
    return MHD_YES;
}

static struct MHD_Response *trial_response(void)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    char *copy = http_mhd_text_copy(response, "X-First", TRIAL_BLANK, sizeof(TRIAL_BLANK) - 1);
    if (copy) {
        http_mhd_text_write((struct cdn_str){copy, sizeof(TRIAL_BLANK) - 1}, CDN_STR(TRIAL_VALUE));
    }
    return response;
}

static enum MHD_Result trial_answer(void *cls, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data, size_t *n,
                                    void **con_cls)
{
    (void)data, (void)n;
    struct trial *t = cls;
    if (!*con_cls) {
        *con_cls = t;
        t->at = http_mhd_text_first_line(version);
        t->requests &= http_mhd_text_is_request_line(method, url, sizeof(TRIAL_TARGET) - 1, version);
        MHD_get_connection_values_n(connection, MHD_HEADER_KIND, trial_line, t);
        t->requests &= t->lines == 3 && http_mhd_text_is_end(connection, method, t->at);
        return MHD_YES;
    }
    struct MHD_Response *response = trial_response();
    enum MHD_Result queued = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return queued;
}

static void trial_run(struct trial *t, struct MHD_Daemon *daemon, int client)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    for (unsigned turn = 0; turn < 64 && !(got.n && strstr(got.p, "\r\n\r\n")); turn++) {
        char block[1024];
        ssize_t n;
        MHD_run(daemon);
        while ((n = recv(client, block, sizeof(block), MSG_DONTWAIT)) > 0) {
            cdn_buf_add(&got, block, (size_t)n);
        }
    }
    t->responses = got.n && strstr(got.p, "\r\nX-First: " TRIAL_VALUE "\r\n");
}

static void try_on(struct trial *t, int client, int server)
{
    struct sockaddr_in nobody = {.sin_family = AF_INET};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, trial_answer, t,
                         MHD_OPTION_URI_LOG_CALLBACK, trial_target, t, MHD_OPTION_END);
    if (!daemon) {
        close(server);
        return;
    }
    if (MHD_add_connection(daemon, server, (const struct sockaddr *)&nobody, sizeof(nobody)) == MHD_YES &&
        send(client, TRIAL_HEAD, sizeof(TRIAL_HEAD) - 1, MSG_NOSIGNAL) == sizeof(TRIAL_HEAD) - 1) {
        trial_run(t, daemon, client);
    }
    MHD_stop_daemon(daemon);
}

static struct trial known;

static void find_out(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        try_on(&known, pair[0], pair[1]);
        close(pair[0]);
    }
    if (!known.requests || !known.responses) {
        cdn_log(CDN_LOG_WARN, "libmicrohttpd", "version=%s detail=\"not as expected: %s%s%s\"",
                MHD_get_version(), known.requests ? "" : "heads are not checked for gaps",
                known.requests || known.responses ? "" : ", ",
                known.responses ? "" : "fields of answers are given one by one");
    }
}

static const struct trial *trial(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_out);
    return &known;
}

bool http_mhd_text_requests(void)
{
    return trial()->requests;
}

bool http_mhd_text_responses(void)
{
    return trial()->responses;
}
