/* Refusals made without a handler: counted, logged, and the ones that libmicrohttpd knows nothing of written
 * past it, as one problem document (RFC 9457) after which the connection closes. */
#include "common/http/server/http_problem.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_server_check.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define LINES_A_SECOND 10 /* of the log, for each server */
#define NS_PER_S INT64_C(1000000000)

bool http_may_log(struct http_server *server, unsigned *ret_left_out)
{
    int64_t second = loop_mono_ns(server->loop) / NS_PER_S;
    if (second != server->log_second) {
        server->log_second = second;
        server->log_lines = 0;
    }
    if (server->log_lines++ >= LINES_A_SECOND) {
        server->log_left_out++;
        return false;
    }
    *ret_left_out = server->log_left_out;
    server->log_left_out = 0;
    return true;
}

static void log_refusal(struct http_server *server, struct MHD_Connection *connection, enum http_refusal why)
{
    unsigned left_out;
    if (!http_may_log(server, &left_out)) {
        return;
    }
    char client[CDN_ADDR_TEXT_SIZE] = "";
    struct cdn_addr address;
    http_connection_client(connection, &address);
    cdn_addr_format(&address, client);
    cdn_log(CDN_LOG_INFO, "refused", "status=%u client=%s reason=%s left_out=%u", http_refusal_status(why),
            client, http_refusal_detail(why), left_out);
}

void http_note_refusal(struct http_server *server, struct MHD_Connection *connection, enum http_refusal why)
{
    if (server->config.handler->refused) {
        server->config.handler->refused(server->config.handler_self, http_refusal_status(why));
    }
    log_refusal(server, connection, why);
}

static void write_problem(struct http_server *server, struct MHD_Connection *connection,
                          enum http_refusal why)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    http_problem_answer(http_refusal_status(why), http_refusal_detail(why), &text);
    http_write_connection(connection, server->config.tls != NULL, cdn_buf_str(&text));
}

void http_refuse_connection(struct http_server *server, struct MHD_Connection *connection,
                            enum http_refusal why)
{
    http_note_refusal(server, connection, why);
    write_problem(server, connection, why);
    http_linger_start(server, connection);
}
