/* device: the class of device that a request comes from, for rules with `key_device`. Pure. */
#ifndef CDN_EDGE_DEVICE_H
#define CDN_EDGE_DEVICE_H
#include "common/str.h"

/* "mobile", "tablet" or "desktop", by User-Agent and Sec-CH-UA-Mobile (both may be empty). */
struct cdn_str edge_device_class(struct cdn_str agent, struct cdn_str mobile);

#endif
