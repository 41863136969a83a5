/* relay_private: what the files of this room share: the relay, its listeners and its connections. */
#ifndef CDN_WAN_RELAY_RELAY_PRIVATE_H
#define CDN_WAN_RELAY_RELAY_PRIVATE_H
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/relay/client.h"
#include "wan/relay/fault.h"
#include "wan/relay/metrics.h"
#include "wan/relay/pipe.h"
#include "wan/relay/route.h"
#include "wan/relay/socks.h"
#include "wan/relay/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wan_listener_kind { WAN_LISTENER_ANYBODY, WAN_LISTENER_PLACE, WAN_LISTENER_LINK };

/* The CDN from one reload to the next. Counted: a connection ends in the one in which it began. */
struct wan_era {
    unsigned owners;
    struct wan_world world;
    struct wan_link *links;
    size_t link_count;
};

struct wan_listener {
    struct wan_relay *relay;
    struct wan_listener *next;
    enum wan_listener_kind kind;
    struct loop_fd watch;
    struct loop_timer again; /* after a while without descriptors */
    struct cdn_addr address;
    struct wan_client *client; /* NULL: the user name says who */
    char *place, *profile;     /* of a place's listener, as they are kept */
    const struct wan_link *link;
    int64_t used_ns; /* when somebody came, or when it was made or asked for */
};

enum wan_conn_state {
    WAN_CONN_HELLO,   /* the SOCKS handshake */
    WAN_CONN_ASK,     /* GeoDNS is asked for the name */
    WAN_CONN_SYN,     /* the first segment is under way to the target */
    WAN_CONN_CONNECT, /* the target's kernel has it */
    WAN_CONN_ACK,     /* the answer is under way to the client */
    WAN_CONN_OPEN,
    WAN_CONN_LINGER, /* refused: the last answer is given time to be read */
};

struct wan_hello { /* only while there is a handshake */
    struct wan_socks socks;
    size_t n;
    char bytes[WAN_SOCKS_MESSAGE_MAX];
};

struct wan_conn;
struct wan_lane { /* one direction, from side `i` to the other */
    struct wan_conn *conn;
    unsigned i;
    struct wan_pipe pipe;
    struct loop_timer depart, arrive;
    struct cdn_buf early;
    bool reading;  /* may be pulled */
    bool wants;    /* waits for the sender's socket */
    bool for_room; /* waits until something has been delivered */
    bool full;     /* waits for the reader's socket */
    bool done;     /* its end has been delivered, or nobody is left to deliver to */
};

struct wan_side {
    struct wan_conn *conn;
    unsigned i; /* 0: the client's, 1: the target's */
    struct loop_fd watch;
    bool watched;
};

struct wan_conn {
    struct wan_relay *relay;
    struct wan_era *era;
    struct wan_conn *next, *previous;
    enum wan_conn_state state;
    uint64_t number;
    struct wan_side side[2];
    struct wan_lane lane[2];
    struct loop_timer timer; /* of the state */
    struct wan_hello *hello;
    struct wan_question *question;
    struct wan_client *client;
    const struct wan_node *node;
    const struct wan_end *to;
    struct cdn_addr target;
    int64_t fixed_rtt_ns; /* of a link; -1 */
    bool proxy, socks;    /* a header is to be sent, an answer to be given */
    bool piped;           /* the lanes have their pipes */
    bool failed;          /* the target did not accept: the answer says so */
    struct wan_route route;
    int64_t began_ns, called_ns, took_ns, open_ns, moved_ns;
    const char *end; /* a word for the log */
};

struct wan_relay {
    struct loop *loop;
    const struct wan_settings *settings;
    struct wan_era *era;
    struct wan_addresses *addresses;
    struct wan_faults faults;
    struct wan_budget budget;
    struct wan_metrics metrics;
    struct wan_listener *listeners; /* the general one last */
    size_t places;                  /* listeners of places */
    struct wan_conn *conns;
    unsigned conn_count, conn_limit;
    uint64_t conn_number;
    struct wan_udp *udp;
    int64_t log_second; /* of refusals: some lines a second */
    unsigned log_lines, log_left_out;
    bool draining;
};

/* era */
enum cdn_status wan_era_create(const struct wan_relay *relay, struct wan_world *take, struct wan_era **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
struct wan_era *wan_era_ref(struct wan_era *era);
void wan_era_unref(struct wan_era *era); /* NULL is fine */
struct wan_who wan_era_who(const struct wan_relay *relay, const struct wan_era *era);
/* listen */
enum cdn_status wan_listen_open(struct wan_relay *relay, enum wan_listener_kind kind,
                                const struct cdn_addr *address, struct wan_listener **ret,
                                struct cdn_error *err) CDN_MUST_CHECK;
void wan_listen_close(struct wan_listener *listener);
void wan_listen_close_all(struct wan_relay *relay, bool only_stop); /* stop: no further connections */

/* conn */
void wan_conn_accept(struct wan_listener *listener, int fd);
void wan_conn_break(struct wan_conn *conn, const char *why);           /* resets both sides and frees */
void wan_conn_end(struct wan_conn *conn, const char *why, bool reset); /* closes both sides and frees */
void wan_conn_close_side(struct wan_conn *conn, unsigned i, bool reset);
int wan_conn_error_of(int fd); /* of a socket: SO_ERROR */
void wan_conn_paths_changed(struct wan_conn *conn);
/* lane */
void wan_lane_init(struct wan_lane *lane, struct wan_conn *conn, unsigned i);
void wan_lane_fini(struct wan_lane *lane);
/* Takes what may leave, hands over what has arrived. The connection may be over afterwards, as after the
 * next. */
void wan_lane_run(struct wan_lane *lane, bool may_read);
void wan_lane_ready(struct wan_side *side, uint32_t events); /* of an open connection */
void wan_lane_path_changed(struct wan_lane *lane, int64_t now_ns);
/* hello */
void wan_conn_hello_begin(struct wan_conn *conn, bool need_user);
void wan_conn_hello_ready(struct wan_conn *conn);
void wan_conn_answer(struct wan_conn *conn, enum wan_socks_reply reply, const struct cdn_addr *bound);
void wan_conn_refuse(struct wan_conn *conn, const char *why, const char *text);
/* from conn for hello: the way to the target is known */
void wan_conn_go(struct wan_conn *conn, const struct wan_node *node, const struct cdn_addr *target);
void wan_conn_update(struct wan_conn *conn); /* what its sockets are watched for */

#endif
