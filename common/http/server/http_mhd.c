/* http_mhd: the structs of one release of libmicrohttpd, and a trial on a socket pair that they are
 * what is installed. The trial reads every field that is used later, and exchanges a pool, before
 * any client's connection is touched. */
#include "common/http/server/http_mhd.h"

#include "common/log.h"
#include "common/mem.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define RELEASE "0.9.75"
#define ALIGNMENT 16u /* of what lies in a pool */
#define READ_AHEAD 4096u

/* ---- its structs, as in src/microhttpd/internal.h and memorypool.c of that release ---- */

struct pool {
    unsigned char *memory;
    size_t size;
    size_t pos; /* free: from here .. */
    size_t end; /* .. to here; small things are taken from the end */
    bool is_mmap;
};

struct connection { /* as far as the last field of interest */
    void *lists[6];
    struct MHD_Daemon *daemon;
    void *headers[2];
    struct MHD_Response *response;
    struct pool *pool;
    void *client_context;
    void *socket_context;
    char *method;
    int http_method;
    const char *url;
    char *version;
    int http_version;
    int keepalive;
    char *read_buffer;
    char *write_buffer;
    char *last, *colon;
    struct sockaddr *addr;
    pthread_t thread[2]; /* handle and id */
    size_t read_buffer_size;
    size_t read_buffer_offset;
    size_t write_buffer_size, write_buffer_send_offset, write_buffer_append_offset;
    size_t header_size;
    uint64_t remaining_upload_size;
    uint64_t response_write_position;
    void *vector;
    size_t vector_count, vector_sent;
    int sender;
    size_t continue_offset;
    socklen_t addr_len;
    uint64_t last_activity;
    uint64_t timeout_ms;
    unsigned timeout_dummy;
    bool client_aware;
    int socket;
    int is_nonip;
    bool nonblocking, no_sigpipe;
    int corked, nodelay;
    bool read_closed, stop_with_error, discard_request, thread_joined, in_idle, in_cleanup;
    int epoll_state;
    int state;
    int event_loop_info;
    unsigned response_code;
    bool reply[4];
    bool chunked_upload;
    uint64_t chunk_size, chunk_offset;
    http_mhd_receive receive;
};

static struct connection *inside(const struct MHD_Connection *connection)
{
    return (struct connection *)(uintptr_t)connection;
}

http_mhd_receive http_mhd_wrap(struct MHD_Connection *connection, http_mhd_receive receive)
{
    http_mhd_receive own = inside(connection)->receive;
    inside(connection)->receive = receive;
    return own;
}

void *http_mhd_context(const struct MHD_Connection *connection)
{
    return inside(connection)->socket_context;
}

static size_t aligned(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The memory comes from malloc and goes to free() whoever releases it: pools of this size are not mapped. */
static void exchange(struct pool *pool, struct http_mhd_spare *spare, size_t size)
{
    if (spare->memory) {
        free(pool->memory);
    } else {
        *spare = (struct http_mhd_spare){pool->memory, pool->size};
    }
    pool->memory = cdn_malloc(size);
    pool->size = size;
}

bool http_mhd_receive_large(struct MHD_Connection *connection, struct http_mhd_spare *spare,
                            const char *bytes, size_t n, size_t room)
{
    struct connection *c = inside(connection);
    if (c->read_buffer_offset) {
        return false;
    }
    size_t buffer = aligned(n + READ_AHEAD);
    size_t size = buffer + aligned(room);
    if (!spare->memory || c->pool->size < size) {
        exchange(c->pool, spare, size);
    }
    c->pool->pos = buffer;
    c->pool->end = c->pool->size;
    c->read_buffer = (char *)c->pool->memory;
    c->read_buffer_size = buffer;
    memmove(c->read_buffer, bytes, n);
    return true;
}

/* The old memory stays where it is, since the request lies in it. That its blocks are not of this pool, the
 * library cannot tell: it only ever shrinks them in place from here on. */
bool http_mhd_make_room(struct MHD_Connection *connection, struct http_mhd_spare *spare, size_t n)
{
    struct connection *c = inside(connection);
    if (!c->pool) {
        return false;
    }
    size_t left = c->pool->end - c->pool->pos;
    if (left >= n || left + c->read_buffer_size - c->read_buffer_offset >= n) {
        return true;
    }
    if (spare->memory) {
        return false;
    }
    exchange(c->pool, spare, aligned(n) + ALIGNMENT);
    c->pool->pos = ALIGNMENT; /* no old block ends here */
    c->pool->end = c->pool->size;
    return true;
}

void http_mhd_shrink(struct MHD_Connection *connection, struct http_mhd_spare *spare)
{
    struct connection *c = inside(connection);
    if (!spare->memory || !c->pool) {
        return;
    }
    const char *large = (const char *)c->pool->memory;
    if (c->read_buffer >= large && c->read_buffer < large + c->pool->size) {
        if (c->read_buffer_offset > spare->size / 2) {
            return;
        }
        memcpy(spare->memory, c->read_buffer, c->read_buffer_offset);
        c->read_buffer = (char *)spare->memory;
        c->read_buffer_size = spare->size / 2;
    }
    free(c->pool->memory);
    *c->pool = (struct pool){.memory = spare->memory, .size = spare->size, .end = spare->size};
    c->pool->pos = c->pool->end; /* until the library resets it, in a moment */
    *spare = (struct http_mhd_spare){0};
}

/* ---- the trial ---- */

#define TRIAL_POOL (16u * 1024)
#define TRIAL_HEAD (40u * 1024)

struct trial {
    struct MHD_Connection *connection;
    struct http_mhd_spare spare;
    http_mhd_receive own;
    int fd;
    struct MHD_Daemon *daemon;
    bool fits;     /* the fields hold what they should */
    bool received; /* our receive function was called for the right connection */
    bool answered; /* the request arrived whole */
};

static char *trial_value(void)
{
    char *value = cdn_malloc(TRIAL_HEAD + 1);
    memset(value, 'v', TRIAL_HEAD);
    value[TRIAL_HEAD] = '\0';
    return value;
}

static bool trial_fits(const struct trial *t)
{
    const struct connection *c = inside(t->connection);
    if (c->daemon != t->daemon || c->socket != t->fd || !c->pool || !c->receive || c->client_context ||
        c->read_buffer_offset || c->state || c->response) {
        return false;
    }
    const struct pool *p = c->pool;
    return p->size == TRIAL_POOL && p->end == p->size && !p->pos && !p->is_mmap && !c->read_buffer &&
           !c->read_buffer_size;
}

/* Its first read has made the buffer. */
static bool trial_reads_into(const struct trial *t, const char *into, size_t max)
{
    const struct connection *c = inside(t->connection);
    return max == TRIAL_POOL / 2 && c->read_buffer_size == max && c->read_buffer == into &&
           c->read_buffer == (const char *)c->pool->memory && c->pool->pos == max && !c->read_buffer_offset;
}

static ssize_t trial_receive(struct MHD_Connection *connection, void *into, size_t max)
{
    struct trial *t = http_mhd_context(connection);
    if (t->received) {
        return t->own(connection, into, max);
    }
    char byte;
    t->received =
        t->connection == connection && trial_reads_into(t, into, max) && t->own(connection, &byte, 1) == 1;
    CDN_AUTOFREE char *value = trial_value();
    CDN_AUTOFREE char *head = cdn_asprintf("GET / HTTP/1.1\r\nX: %s\r\n\r\n", value);
    size_t n = strlen(head);
    t->received &= http_mhd_receive_large(connection, &t->spare, head, n, TRIAL_HEAD + TRIAL_POOL);
    return t->received ? (ssize_t)n : 0;
}

static void trial_connected(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode what)
{
    struct trial *t = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        t->connection = connection;
        *context = t;
        t->fits = trial_fits(t) && http_mhd_context(connection) == t;
        if (t->fits) {
            t->own = http_mhd_wrap(connection, trial_receive);
        }
    } else if (t->fits) {
        free(t->spare.memory);
    }
}

static enum MHD_Result trial_answer(void *cls, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data, size_t *n,
                                    void **con_cls)
{
    (void)url, (void)method, (void)version, (void)data, (void)n;
    struct trial *t = cls;
    if (!*con_cls) {
        *con_cls = t;
        return MHD_YES;
    }
    CDN_AUTOFREE char *value = trial_value();
    const char *came = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X");
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    t->answered = came && strcmp(came, value) == 0 && response &&
                  MHD_add_response_header(response, "X", value) == MHD_YES &&
                  http_mhd_make_room(connection, &t->spare, TRIAL_HEAD + 1024) &&
                  MHD_queue_response(connection, 200, response) == MHD_YES;
    MHD_destroy_response(response);
    return t->answered ? MHD_YES : MHD_NO;
}

static void trial_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                            enum MHD_RequestTerminationCode how)
{
    (void)con_cls, (void)how;
    struct trial *t = cls;
    http_mhd_shrink(connection, &t->spare);
}

/* The answer's head, of as many bytes at least as its one long value. */
static bool trial_run(struct trial *t, int client)
{
    size_t got = 0;
    for (unsigned turn = 0; turn < 64 && got < TRIAL_HEAD; turn++) {
        char block[16384];
        ssize_t n;
        MHD_run(t->daemon);
        while ((n = recv(client, block, sizeof(block), MSG_DONTWAIT)) > 0) {
            got += (size_t)n;
        }
    }
    return got >= TRIAL_HEAD && t->fits && t->received && t->answered;
}

static bool try_on(int client, int server)
{
    struct trial t = {.fd = server};
    struct sockaddr_in nobody = {.sin_family = AF_INET};
    t.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, trial_answer, &t,
                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)TRIAL_POOL,
                                MHD_OPTION_NOTIFY_CONNECTION, trial_connected, &t,
                                MHD_OPTION_NOTIFY_COMPLETED, trial_completed, &t, MHD_OPTION_END);
    if (!t.daemon) {
        close(server);
        return false;
    }
    bool well =
        MHD_add_connection(t.daemon, server, (const struct sockaddr *)&nobody, sizeof(nobody)) == MHD_YES &&
        send(client, "G", 1, MSG_NOSIGNAL) == 1 && trial_run(&t, client);
    MHD_stop_daemon(t.daemon);
    return well;
}

static bool known;

static void find_out(void)
{
    int pair[2];
    if (strcmp(MHD_get_version(), RELEASE) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return;
    }
    known = try_on(pair[0], pair[1]);
    close(pair[0]);
}

static void find_out_and_tell(void)
{
    find_out();
    if (!known) {
        cdn_log(CDN_LOG_WARN, "libmicrohttpd",
                "version=%s known=%s detail=\"not as expected: heads are limited to 16 KiB, framing is not "
                "checked, slow heads have no deadline\"",
                MHD_get_version(), RELEASE);
    }
}

bool http_mhd_is_known(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_out_and_tell);
    return known;
}
