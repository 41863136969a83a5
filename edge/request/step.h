/* step: the states of a transaction, and the one driver that runs them.
 *
 * A state is a row of EDGE_STEPS: its function does the state's work and returns the next state, which must
 * be one of the row's successors. DONE: the request is answered. WAIT: the request is suspended;
 * edge_txn_wait() has noted the state that comes when somebody resumes it. No state calls another one's
 * function, so the rows are the whole diagram:
 *
 *   BEGIN -> LOOKUP -> STORED -> (READ | FILE) -> DONE      what is stored is the answer
 *                   -> FETCHED -> STREAM -> DONE            the origin's answer is, for all who wait for it
 *                              -> STORED -> ..              it confirmed what is stored, or failed
 *                   -> PART -> FETCHED -> ..                one stretch of it is wanted
 *                   -> QUEUE -> LOOKUP -> ..                memory allows no further request to the origin
 *         -> PASS -> FETCHED -> STREAM -> DONE              the client's own affair
 *         -> UPGRADE -> PASS -> ..                          WebSocket
 *         -> PURGE -> PURGE_ANSWER -> DONE
 *
 * A state goes back to LOOKUP when the disk, or a fetch that was joined, did not keep its promise; that is
 * bounded (edge_txn.tries).
 */
#ifndef CDN_EDGE_STEP_H
#define CDN_EDGE_STEP_H
#include <stdint.h>

struct edge_txn;

/* name, function, successors (besides DONE), what it does. A test compares docs/architecture.md with it. */
#define EDGE_STEPS(X)                                                                                      \
    X(BEGIN, edge_request_begin, TO(LOOKUP) | TO(PASS) | TO(UPGRADE) | TO(PURGE),                          \
      "reads target and conditions; answers what needs neither cache nor origin")                          \
    X(LOOKUP, edge_lookup,                                                                                 \
      TO(WAIT) | TO(LOOKUP) | TO(STORED) | TO(FETCHED) | TO(PART) | TO(PASS) | TO(QUEUE),                  \
      "finds what is stored and decides what to do with it")                                               \
    X(FETCHED, edge_fetched, TO(WAIT) | TO(STORED) | TO(STREAM) | TO(LOOKUP) | TO(PASS),                   \
      "acts on what its fetch brought: an answer, a confirmation or a failure")                            \
    X(PART, edge_part_begin, TO(FETCHED) | TO(PASS) | TO(LOOKUP) | TO(QUEUE),                              \
      "finds or fetches the stretch that is wanted")                                                       \
    X(QUEUE, edge_queue_stand, TO(WAIT) | TO(LOOKUP) | TO(PASS),                                           \
      "waits until memory allows another request to the origin")                                           \
    X(PASS, edge_pass_begin, TO(FETCHED) | TO(QUEUE), "asks the origin for this request alone")            \
    X(UPGRADE, edge_tunnel_ask, TO(PASS), "checks a WebSocket handshake and the limits of tunnels")        \
    X(STORED, edge_deliver_stored, TO(WAIT) | TO(READ) | TO(FILE) | TO(LOOKUP),                            \
      "answers with the stored response: from RAM, or by the way to its body on disk")                     \
    X(READ, edge_deliver_read, TO(LOOKUP), "answers with a small body that was read from disk")            \
    X(FILE, edge_deliver_file, TO(WAIT) | TO(LOOKUP), "answers with a large body on disk, by sendfile")    \
    X(STREAM, edge_deliver_fetch, TO(PASS), "answers with what its fetch brings, complete or under way")   \
    X(PURGE, edge_purge_method, TO(WAIT) | TO(PURGE_ANSWER), "checks who may, purges, waits for the disk") \
    X(PURGE_ANSWER, edge_purge_method_answer, 0, "says how many objects went")

enum edge_step {
    EDGE_STEP_DONE, /* answered */
    EDGE_STEP_WAIT, /* suspended; txn->step comes next */
#define X(name, function, successors, what) EDGE_STEP_##name,
    EDGE_STEPS(X)
#undef X
        EDGE_STEP_COUNT
};

#define X(name, function, successors, what) enum edge_step function(struct edge_txn *txn);
EDGE_STEPS(X)
#undef X

/* From txn->step on until it waits or is answered. */
void edge_step_run(struct edge_txn *txn);

const char *edge_step_name(enum edge_step step);
const char *edge_step_what(enum edge_step step);
uint32_t edge_step_successors(enum edge_step step); /* bit n: state n; DONE is always one */

#endif
