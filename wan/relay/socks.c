/* socks: each message is parsed from its first byte again whenever more of it has come: they are small, and a
 * parser without a memory cannot be confused by how they were split. */
#include "wan/relay/socks.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define VERSION_5 5
#define VERSION_AUTH 1
#define METHOD_NONE 0
#define METHOD_USER 2
#define METHOD_NO_GOOD 0xff
#define COMMAND_CONNECT 1
#define TYPE_V4 1
#define TYPE_NAME 3
#define TYPE_V6 4
#define REQUEST_HEAD 4u
#define PORT_BYTES 2u

static const struct {
    const char *word, *text;
} refusals[] = {{"none", "nothing"},
#define X(name, word, text) {word, text},
                WAN_SOCKS_REFUSALS(X)
#undef X
};

const char *wan_socks_refusal_word(enum wan_socks_refusal why)
{
    return refusals[why].word;
}

const char *wan_socks_refusal_text(enum wan_socks_refusal why)
{
    return refusals[why].text;
}

static unsigned byte_at(struct cdn_str bytes, size_t i)
{
    return (unsigned char)bytes.p[i];
}

static void put_reply(struct wan_socks *s, const unsigned char *bytes, size_t n)
{
    memcpy(s->reply, bytes, n);
    s->reply_n = n;
}

static enum wan_socks_outcome refuse(struct wan_socks *s, enum wan_socks_refusal why)
{
    s->why = why;
    s->state = WAN_SOCKS_DONE;
    return WAN_SOCKS_REFUSE;
}

static enum wan_socks_outcome refuse_request(struct wan_socks *s, enum wan_socks_refusal why,
                                             enum wan_socks_reply reply)
{
    wan_socks_reply(s, reply, NULL);
    return refuse(s, why);
}

/* ---- the greeting ---- */

static enum wan_socks_outcome not_socks5(struct wan_socks *s, unsigned first)
{
    static const unsigned char rejected[] = {0, 0x5b, 0, 0, 0, 0, 0, 0}; /* SOCKS4's own */
    if (first == 4) {
        put_reply(s, rejected, sizeof(rejected));
        return refuse(s, WAN_SOCKS_REFUSE_SOCKS4);
    }
    bool letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
    return refuse(s, letter          ? WAN_SOCKS_REFUSE_HTTP
                     : first == 0x16 ? WAN_SOCKS_REFUSE_TLS
                                     : WAN_SOCKS_REFUSE_VERSION);
}

static bool offers(struct cdn_str methods, unsigned method)
{
    return methods.n && memchr(methods.p, (int)method, methods.n) != NULL;
}

static enum wan_socks_outcome greeting(struct wan_socks *s, struct cdn_str bytes, size_t *ret_used)
{
    if (byte_at(bytes, 0) != VERSION_5) {
        return not_socks5(s, byte_at(bytes, 0));
    }
    if (bytes.n < 2 || bytes.n < 2 + byte_at(bytes, 1)) {
        return WAN_SOCKS_MORE;
    }
    struct cdn_str methods = {bytes.p + 2, byte_at(bytes, 1)};
    unsigned char reply[] = {VERSION_5, METHOD_NO_GOOD};
    *ret_used = 2 + methods.n;
    if (!s->need_user && offers(methods, METHOD_NONE)) {
        reply[1] = METHOD_NONE;
        s->state = WAN_SOCKS_CONNECT;
    } else if (offers(methods, METHOD_USER)) {
        reply[1] = METHOD_USER;
        s->state = WAN_SOCKS_AUTH;
    }
    put_reply(s, reply, sizeof(reply));
    if (reply[1] == METHOD_NO_GOOD) {
        return refuse(s, s->need_user ? WAN_SOCKS_REFUSE_METHOD : WAN_SOCKS_REFUSE_METHOD_OPEN);
    }
    return WAN_SOCKS_ANSWER;
}

/* ---- user name and password (RFC 1929) ---- */

static void copy_text(char into[static WAN_SOCKS_NAME_MAX + 1], struct cdn_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        into[i] = (char)(text.p[i] ? text.p[i] : '?');
    }
    into[text.n] = '\0';
}

static enum wan_socks_outcome auth(struct wan_socks *s, struct cdn_str bytes, size_t *ret_used)
{
    if (byte_at(bytes, 0) != VERSION_AUTH) {
        wan_socks_judge(s, false);
        return refuse(s, WAN_SOCKS_REFUSE_AUTH_VERSION);
    }
    size_t user_n = bytes.n > 1 ? byte_at(bytes, 1) : 0;
    if (bytes.n < 3 + user_n) {
        return WAN_SOCKS_MORE;
    }
    size_t password_n = byte_at(bytes, 2 + user_n);
    if (bytes.n < 3 + user_n + password_n) {
        return WAN_SOCKS_MORE;
    }
    *ret_used = 3 + user_n + password_n;
    copy_text(s->user, (struct cdn_str){bytes.p + 2, user_n});
    copy_text(s->password, (struct cdn_str){bytes.p + 3 + user_n, password_n});
    if (s->need_user && !user_n) {
        wan_socks_judge(s, false);
        return refuse(s, WAN_SOCKS_REFUSE_NO_USER);
    }
    s->state = WAN_SOCKS_CONNECT;
    return WAN_SOCKS_USER;
}

void wan_socks_judge(struct wan_socks *s, bool known)
{
    const unsigned char reply[] = {VERSION_AUTH, known ? 0 : 1};
    put_reply(s, reply, sizeof(reply));
}

/* ---- the request ---- */

static size_t address_length(struct cdn_str bytes) /* with the length byte of a name; 0: unknown */
{
    unsigned type = byte_at(bytes, 3);
    if (type == TYPE_NAME) {
        return bytes.n > REQUEST_HEAD ? 1 + byte_at(bytes, REQUEST_HEAD) : 1;
    }
    return type == TYPE_V4 ? 4 : type == TYPE_V6 ? 16 : 0;
}

/* Letters, digits, '-', '_', '.', and ':' and brackets for those who send an address as a name. */
static bool name_is_sound(const char *name)
{
    return name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") ==
                          strlen(name);
}

static bool read_host(struct wan_socks *s, struct cdn_str bytes, size_t n)
{
    struct cdn_addr address = {0};
    char text[CDN_ADDR_TEXT_SIZE];
    const char *at = bytes.p + REQUEST_HEAD;
    if (byte_at(bytes, 3) == TYPE_NAME) {
        copy_text(s->host, (struct cdn_str){at + 1, n - 1});
        return name_is_sound(s->host);
    }
    if (n == 4) {
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_addr, at, n);
    } else {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, at, n);
        cdn_addr_unmap(&address);
    }
    cdn_addr_format_ip(&address, text);
    return cdn_str_copy(s->host, sizeof(s->host), cdn_str(text));
}

static enum wan_socks_outcome request(struct wan_socks *s, struct cdn_str bytes, size_t *ret_used)
{
    if (byte_at(bytes, 0) != VERSION_5) {
        return refuse_request(s, WAN_SOCKS_REFUSE_REQUEST_VERSION, WAN_SOCKS_FAILURE);
    }
    if (bytes.n >= 2 && byte_at(bytes, 1) != COMMAND_CONNECT) {
        return refuse_request(s, WAN_SOCKS_REFUSE_COMMAND, WAN_SOCKS_NO_COMMAND);
    }
    if (bytes.n < REQUEST_HEAD) {
        return WAN_SOCKS_MORE;
    }
    size_t n = address_length(bytes);
    if (!n) {
        return refuse_request(s, WAN_SOCKS_REFUSE_ADDRESS_TYPE, WAN_SOCKS_NO_ADDRESS);
    }
    if (bytes.n < REQUEST_HEAD + n + PORT_BYTES) {
        return WAN_SOCKS_MORE;
    }
    *ret_used = REQUEST_HEAD + n + PORT_BYTES;
    s->port = byte_at(bytes, *ret_used - 2) << 8 | byte_at(bytes, *ret_used - 1);
    if (!read_host(s, bytes, n)) {
        return refuse_request(s, WAN_SOCKS_REFUSE_NAME, WAN_SOCKS_FAILURE);
    }
    if (!s->port) {
        return refuse_request(s, WAN_SOCKS_REFUSE_PORT, WAN_SOCKS_FAILURE);
    }
    s->state = WAN_SOCKS_DONE;
    return WAN_SOCKS_REQUEST;
}

void wan_socks_reply(struct wan_socks *s, enum wan_socks_reply reply, const struct cdn_addr *bound)
{
    static const unsigned char nowhere[4];
    size_t n = sizeof(nowhere);
    const unsigned char *address = bound ? cdn_addr_bytes(bound, &n) : nowhere;
    const unsigned port = bound ? cdn_addr_port(bound) : 0;
    s->reply[0] = VERSION_5;
    s->reply[1] = (unsigned char)reply;
    s->reply[2] = 0;
    s->reply[3] = n == 4 ? TYPE_V4 : TYPE_V6;
    memcpy(s->reply + REQUEST_HEAD, address, n);
    s->reply[REQUEST_HEAD + n] = (unsigned char)(port >> 8);
    s->reply[REQUEST_HEAD + n + 1] = (unsigned char)port;
    s->reply_n = REQUEST_HEAD + n + PORT_BYTES;
}

enum wan_socks_outcome wan_socks_next(struct wan_socks *s, struct cdn_str bytes, size_t *ret_used)
{
    *ret_used = 0;
    s->reply_n = 0;
    if (!bytes.n || s->state == WAN_SOCKS_DONE) {
        return WAN_SOCKS_MORE;
    }
    return s->state == WAN_SOCKS_GREETING ? greeting(s, bytes, ret_used)
           : s->state == WAN_SOCKS_AUTH   ? auth(s, bytes, ret_used)
                                          : request(s, bytes, ret_used);
}
