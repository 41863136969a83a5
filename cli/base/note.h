/* note: what is out of the ordinary at a node, in a few words, from its own report (GET /status). */
#ifndef CDN_CLI_NOTE_H
#define CDN_CLI_NOTE_H
#include "common/str.h"

#include <jansson.h>

/* "delay 200ms, 10 % errors (503) on *.css"; nothing when `faults` (of a node's report) are off. */
void note_faults(const json_t *faults, struct cdn_buf *out);

/* "clock +1d; restarted 2 x"; empty when there is nothing to say. `status` may be NULL. */
void note_node(const json_t *status, unsigned restarts, struct cdn_buf *out);

#endif
