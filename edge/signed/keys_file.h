/* keys_file: reads public keys from a keys.yaml: a mapping of ids to PEM files, or to the PEM text itself:
 *
 *     K2JCJMDEHXQW5F: shop.pem          # a path from the folder of this file
 *     KOLDONE: |
 *       -----BEGIN PUBLIC KEY-----
 *       ...
 */
#ifndef CDN_EDGE_KEYS_FILE_H
#define CDN_EDGE_KEYS_FILE_H
#include "common/status.h"
#include "edge/signed/keys.h"

/* CDN_INVALID names file, line and id; CDN_IO: a file cannot be read. An empty file is invalid: with no key
 * nothing could ever be had. */
enum cdn_status edge_keys_read(const char *path, struct edge_keys **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;

#endif
