/* tunnel: WebSocket through the edge (RFC 6455, RFC 9110 7.8).
 *
 * The request goes to the origin like one that is passed (pass.c), with Connection and Upgrade put back and
 * over a client of its own (http_client_config.upgrades). Only 101 for websocket opens a tunnel; any other
 * answer is passed on. Then bytes go both ways unread (http_tunnel): from the client's socket to the fetch,
 * from the fetch's body to the socket. Both are bounded; a side that does not read stops the other.
 *
 * Ends: the client's end of sending is passed on (over TLS to the origin it ends the tunnel); the origin's
 * end, after what it sent is delivered, ends the tunnel, and so does an error of either, `upgrade_idle`
 * without a byte, and the end of the process.
 *
 * Life, on the worker's thread: ask -> answer -> (begin -> over) -> leave, with the transaction.
 */
#ifndef CDN_EDGE_TUNNEL_H
#define CDN_EDGE_TUNNEL_H
#include "edge/base/worker.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"

enum edge_upgrade_setting { EDGE_UPGRADE_TUNNEL, EDGE_UPGRADE_REFUSE }; /* as in the setting's choices */

/* The origin's answer has come: 101 opens the tunnel, any other is an ordinary one. */
enum edge_step edge_tunnel_answer(struct edge_txn *txn);
void edge_tunnel_leave(struct edge_txn *txn); /* counted no more */
void edge_tunnels_end(struct edge_worker *worker);

#endif
