/* socks: the server's half of a SOCKS5 handshake (RFC 1928, user names by RFC 1929), message by message.
 *
 * Pure: bytes in; what to answer, and in the end where the client wants to go, out. The outcome depends on
 * the bytes alone and not on how they were split. One message has at most WAN_SOCKS_MESSAGE_MAX bytes, so
 * that is the room a caller needs for what has not been consumed. What is not SOCKS5 is told apart, because
 * each of the usual mistakes deserves an answer that its sender understands.
 */
#ifndef CDN_WAN_RELAY_SOCKS_H
#define CDN_WAN_RELAY_SOCKS_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define WAN_SOCKS_MESSAGE_MAX 513u /* a user name and password of 255 bytes each */
#define WAN_SOCKS_REPLY_MAX 22u    /* of bytes that answer one message */
#define WAN_SOCKS_NAME_MAX 255u

/* RFC 1928 section 6 */
enum wan_socks_reply {
    WAN_SOCKS_OK = 0,
    WAN_SOCKS_FAILURE = 1,
    WAN_SOCKS_NOT_ALLOWED = 2,
    WAN_SOCKS_NET_UNREACHABLE = 3,
    WAN_SOCKS_HOST_UNREACHABLE = 4,
    WAN_SOCKS_REFUSED = 5,
    WAN_SOCKS_TTL = 6,
    WAN_SOCKS_NO_COMMAND = 7,
    WAN_SOCKS_NO_ADDRESS = 8,
};

#define WAN_SOCKS_REFUSALS(X) /* name, word, text */                                                    \
    X(HTTP, "http", "the client speaks HTTP; this port speaks SOCKS5")                                  \
    X(SOCKS4, "socks4", "the client speaks SOCKS4; this port speaks SOCKS5")                            \
    X(TLS, "tls", "the client speaks TLS; this port speaks SOCKS5")                                     \
    X(VERSION, "version", "the first byte is no version of SOCKS")                                      \
    X(METHOD, "method", "no user name is offered; it says who one is, as in socks5h://Tokyo@HOST:PORT") \
    X(METHOD_OPEN, "method", "neither 'no authentication' nor a user name is offered")                  \
    X(AUTH_VERSION, "auth_version", "the message with the user name is not of version 1")               \
    X(NO_USER, "no_user", "the user name is empty; it says who one is")                                 \
    X(REQUEST_VERSION, "request_version", "the request is not of version 5")                            \
    X(COMMAND, "command", "only CONNECT is understood")                                                 \
    X(ADDRESS_TYPE, "address_type", "the address is neither IPv4 nor IPv6 nor a name")                  \
    X(NAME, "name", "the name is empty or holds bytes that no name has")                                \
    X(PORT, "port", "there is no port 0")

enum wan_socks_refusal {
    WAN_SOCKS_FINE,
#define X(name, word, text) WAN_SOCKS_REFUSE_##name,
    WAN_SOCKS_REFUSALS(X)
#undef X
        WAN_SOCKS_REFUSAL_COUNT
};
const char *wan_socks_refusal_word(enum wan_socks_refusal why);
const char *wan_socks_refusal_text(enum wan_socks_refusal why);

enum wan_socks_outcome {
    WAN_SOCKS_MORE,    /* the message is not complete */
    WAN_SOCKS_ANSWER,  /* `reply` is the answer, another message follows */
    WAN_SOCKS_USER,    /* `user` and `password` are there: judge them, then wan_socks_judge() */
    WAN_SOCKS_REQUEST, /* `host` and `port` are there: connect, then wan_socks_reply() */
    WAN_SOCKS_REFUSE,  /* `why`; `reply` is the last answer, mostly not empty */
};

enum wan_socks_state { WAN_SOCKS_GREETING, WAN_SOCKS_AUTH, WAN_SOCKS_CONNECT, WAN_SOCKS_DONE };

struct wan_socks {  /* zeroed: nothing has come */
    bool need_user; /* set by the caller: who the client is is not known yet */
    enum wan_socks_state state;
    enum wan_socks_refusal why;
    unsigned char reply[WAN_SOCKS_REPLY_MAX];
    size_t reply_n;
    char user[WAN_SOCKS_NAME_MAX + 1], password[WAN_SOCKS_NAME_MAX + 1]; /* bytes 0 became '?' */
    char host[WAN_SOCKS_NAME_MAX + 1];                                   /* a name, or an address as text */
    unsigned port;
};

/* Looks at the next message, `bytes` being all that was not consumed. *ret_used: how many belong to it. */
enum wan_socks_outcome wan_socks_next(struct wan_socks *s, struct cdn_str bytes, size_t *ret_used);

/* Puts the answer to a user name into `reply`. */
void wan_socks_judge(struct wan_socks *s, bool known);
/* Puts the answer to a request into `reply`; `bound` may be NULL. */
void wan_socks_reply(struct wan_socks *s, enum wan_socks_reply reply, const struct cdn_addr *bound);

#endif
