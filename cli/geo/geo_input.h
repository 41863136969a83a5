/* geo_input: addresses out of lines. Pure but for the reader, which reads a descriptor in large pieces.
 *
 * In plain input a line is one address or network; blanks around it and lines that are empty or start with
 * '#' do not count. In a log every address inside the line counts, wherever it stands; version numbers such
 * as Chrome/120.0.0.0 or rv:1.9.2.13, times, hardware addresses and longer words do not. Ports, keys
 * ("client:", "ip="), brackets, quotes of any kind and zones around it do not matter.
 */
#ifndef CDN_CLI_GEO_INPUT_H
#define CDN_CLI_GEO_INPUT_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next address in `line` from byte `*at` on; moves `*at` past it. False when there is none any more. */
bool geo_input_next_address(struct cdn_str line, size_t *at, struct cdn_addr *ret);

/* What to do with input that begins like this and is not text ("is compressed with gzip: ..."), or NULL. */
const char *geo_input_hint(const char *bytes, size_t n);

#define GEO_INPUT_LINE_MAX (1u << 20)

struct geo_reader {
    int fd;
    char *bytes; /* 4 x GEO_INPUT_LINE_MAX */
    size_t from, n;
    uint64_t line; /* number of the line read last */
    bool at_end, is_looked_at;
    /* Called before a read that may block; may be NULL. */
    void (*before_read)(void *self);
    void *self;
};
void geo_reader_init(struct geo_reader *reader, int fd, void (*before_read)(void *self), void *self);
void geo_reader_fini(struct geo_reader *reader);
/* CDN_NOT_FOUND at the end; CDN_TOO_LARGE for a line over GEO_INPUT_LINE_MAX (the line is passed over and the
 * next call goes on); CDN_IO; CDN_INVALID when the input begins like no text (see geo_input_hint). The slice,
 * without line end (LF or CRLF), lives until the next call. */
enum cdn_status geo_reader_line(struct geo_reader *reader, struct cdn_str *ret,
                                struct cdn_error *err) CDN_MUST_CHECK;

#endif
